package rmq.interop;

import static rmq.interop.Scope.body;
import static rmq.interop.Scope.message;
import static rmq.interop.Scope.ok;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.apache.rocketmq.client.QueryResult;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Finding messages by key, by unique id and by offset id, and the traces that clients send. */
final class QueryScenarios {
    private static final int NO_MESSAGE = 208;
    private static final int TOPIC_NOT_EXIST = 17;
    private static final String TRACE_TOPIC = "RMQ_SYS_TRACE_TOPIC";

    private QueryScenarios() {}

    static List<Scenario> all() {
        return List.of(
            Scenario.of("query_by_key", QueryScenarios::byKey),
            Scenario.of("query_by_time", QueryScenarios::byTime),
            Scenario.of("query_by_unique_key", QueryScenarios::byUniqueKey),
            Scenario.of("query_by_offset_id", QueryScenarios::byOffsetId),
            Scenario.of("query_finds_nothing", QueryScenarios::nothing),
            Scenario.of("query_traces", QueryScenarios::traces));
    }

    private static Message keyed(String topic, String body, String... keys) {
        Message message = message(topic, body);
        message.setKeys(List.of(keys));
        return message;
    }

    /** The bodies that a query finds; none when it finds nothing. */
    private static Set<String> find(DefaultMQProducer client, String topic, String key, int max,
        long begin, long end) throws Exception {
        Set<String> bodies = new TreeSet<>();
        try {
            QueryResult result = client.queryMessage(topic, key, max, begin, end);
            for (MessageExt message : result.getMessageList()) {
                Check.that(bodies.add(body(message)), "%s found twice by %s", body(message), key);
                Check.same(topic, message.getTopic(), "topic");
            }
            Check.that(result.getIndexLastUpdateTimestamp() > 0, "no time of the index");
        } catch (MQClientException none) {
            Check.same(NO_MESSAGE, none.getResponseCode(), "code of " + none.getMessage());
        }
        return bodies;
    }

    private static void awaitFound(DefaultMQProducer client, String topic, String key,
        Collection<String> expected) throws Exception {
        Set<String> bodies = new TreeSet<>(expected);
        Check.eventually(10, bodies + " by " + key,
            () -> find(client, topic, key, 64, 0, Long.MAX_VALUE).equals(bodies));
    }

    private static void byKey(Scope scope) throws Exception {
        String topic = scope.topic(2);
        DefaultMQProducer producer = scope.producer();
        List<String> all = new ArrayList<>();
        for (int i = 0; i < 40; i++) {
            all.add("m" + i);
            ok(producer.send(keyed(topic, "m" + i, "order-" + i, "all", "\u6570" + i % 2)));
        }
        for (int i : new int[] {39, 0, 17}) {
            awaitFound(producer, topic, "order-" + i, List.of("m" + i));
        }
        awaitFound(producer, topic, "all", all);
        awaitFound(producer, topic, "\u65701", all.stream()
            .filter(body -> Integer.parseInt(body.substring(1)) % 2 == 1).toList());
        // The newest three of each broker.
        Set<String> few = find(producer, topic, "all", 3, 0, Long.MAX_VALUE);
        Check.same(3 * scope.cluster.masters.size(), few.size(), "found with a limit of 3");
        Check.that(few.contains("m39"), "the newest is not among %s", few);
        Check.same(Set.of(), find(producer, scope.topic(1), "all", 64, 0, Long.MAX_VALUE),
            "of another topic");
        // Two messages of one key, in another client's words.
        ok(producer.send(keyed(topic, "again", "order-7")));
        awaitFound(scope.producer(), topic, "order-7", List.of("m7", "again"));
    }

    /** Times are told to the second, so the halves lie further apart. */
    private static void byTime(Scope scope) throws Exception {
        String topic = scope.topic(1);
        DefaultMQProducer producer = scope.producer();
        long[] gap = new long[2];
        for (String half : List.of("early", "late")) {
            for (int i = 0; i < 6; i++) {
                ok(producer.send(keyed(topic, half + i, "k")));
            }
            if (half.equals("early")) {
                gap[0] = System.currentTimeMillis() + 1;
                Thread.sleep(2500);
                gap[1] = System.currentTimeMillis() - 1000;
            }
        }
        List<String> early = new ArrayList<>();
        List<String> late = new ArrayList<>();
        for (int i = 0; i < 6; i++) {
            early.add("early" + i);
            late.add("late" + i);
        }
        List<String> both = new ArrayList<>(early);
        both.addAll(late);
        awaitFound(producer, topic, "k", both);
        Check.same(new TreeSet<>(early), find(producer, topic, "k", 64, 0, gap[0]), "until then");
        Check.same(new TreeSet<>(late), find(producer, topic, "k", 64, gap[1], Long.MAX_VALUE),
            "from then on");
        Check.same(new TreeSet<>(both),
            find(producer, topic, "k", 64, gap[0] - 30_000, gap[1] + 30_000), "around it");
        Check.same(Set.of(), find(producer, topic, "k", 64, 0, gap[0] - 30_000), "before all");
        Check.same(Set.of(), find(producer, topic, "k", 64, gap[1] + 30_000, Long.MAX_VALUE),
            "after all");
    }

    private static MessageExt byId(DefaultMQProducer client, String topic, String id)
        throws Exception {
        var instance = client.getDefaultMQProducerImpl().getMqClientFactory();
        try {
            return instance.getMQAdminImpl().queryMessageByUniqKey(topic, id);
        } catch (MQClientException none) {
            Check.same(NO_MESSAGE, none.getResponseCode(), "code of " + none.getMessage());
            return null;
        }
    }

    private static void byUniqueKey(Scope scope) throws Exception {
        String topic = scope.topic(2);
        DefaultMQProducer producer = scope.producer();
        Map<String, String> sent = new HashMap<>();
        for (int i = 0; i < 10; i++) {
            sent.put(ok(producer.send(message(topic, "single" + i))).getMsgId(), "single" + i);
        }
        List<Message> batch = new ArrayList<>();
        for (int i = 0; i < 5; i++) {
            batch.add(message(topic, "batch" + i));
        }
        String[] ids = ok(producer.send(batch)).getMsgId().split(",");
        Check.same(5, ids.length, "ids of a batch");
        for (int i = 0; i < 5; i++) {
            sent.put(ids[i], "batch" + i);
        }
        for (Map.Entry<String, String> one : sent.entrySet()) {
            Check.eventually(10, one.getValue() + " by its id",
                () -> byId(producer, topic, one.getKey()) != null);
            MessageExt found = byId(producer, topic, one.getKey());
            Check.same(one.getValue(), body(found), "body of " + one.getKey());
            Check.same(one.getKey(), found.getMsgId(), "id of " + one.getValue());
        }
        String last = ids[4].substring(0, ids[4].length() - 1);
        String none = last + (ids[4].endsWith("0") ? "1" : "0");
        Check.that(sent.containsKey(none) || byId(producer, topic, none) == null,
            "a message of the id %s", none);
    }

    private static void byOffsetId(Scope scope) throws Exception {
        String topic = scope.topic(2);
        DefaultMQProducer producer = scope.producer();
        for (int i = 0; i < 6; i++) {
            SendResult sent = ok(producer.send(keyed(topic, "m" + i, "k" + i)));
            MessageExt found = producer.viewMessage(topic, sent.getOffsetMsgId());
            Check.same("m" + i, body(found), "body of " + sent.getOffsetMsgId());
            Check.same("k" + i, found.getKeys(), "keys");
            Check.same(sent.getQueueOffset(), found.getQueueOffset(), "offset in the queue");
            Check.same(sent.getMessageQueue().getQueueId(), found.getQueueId(), "queue");
        }
    }

    private static void nothing(Scope scope) throws Exception {
        String topic = scope.topic(1);
        DefaultMQProducer producer = scope.producer();
        SendResult sent = ok(producer.send(keyed(topic, "m", "k")));
        awaitFound(producer, topic, "k", List.of("m"));
        for (String key : List.of("K", "k ", "#", "m", topic)) {
            Check.same(Set.of(), find(producer, topic, key, 64, 0, Long.MAX_VALUE), "by " + key);
        }
        // The broker says so itself.
        String master = scope.cluster.masters.get(sent.getMessageQueue().getBrokerName());
        for (long offset : new long[] {-1, 7, 1L << 40}) {
            MQBrokerException refused = Check.fails(MQBrokerException.class, "at " + offset,
                () -> Line.view(scope.api(), master, topic, offset));
            Check.same(1, refused.getResponseCode(), "code");
            Check.same("can not find message by the offset, " + offset,
                refused.getErrorMessage(), "remark");
        }
    }

    /** A producer and a consumer with traces: what they did is found by the id of the message. */
    private static void traces(Scope scope) throws Exception {
        String topic = scope.topic(1);
        DefaultMQProducer producer = scope.tracedProducer();
        producer.start();
        SendResult sent = ok(producer.send(keyed(topic, "m", "k")));
        DefaultMQPushConsumer consumer = scope.tracedPush(scope.name("readers"));
        Received received = new Received();
        Received.startConcurrent(consumer, topic, "*", received);
        received.exactly(List.of("m"), 20, "consumed");
        DefaultMQProducer client = scope.producer();
        Set<String> kinds = new TreeSet<>();
        Check.eventually(30, "traces of sending and of consuming", () -> {
            try {
                client.queryMessage(TRACE_TOPIC, sent.getMsgId(), 64, 0, Long.MAX_VALUE)
                    .getMessageList().forEach(trace -> {
                        for (String line : body(trace).split("\u0002")) {
                            if (line.contains(sent.getMsgId())) {
                                kinds.add(line.substring(0, line.indexOf('\u0001')));
                            }
                        }
                    });
            } catch (MQClientException none) {
                // The first trace creates the topic.
                Check.that(Set.of(NO_MESSAGE, TOPIC_NOT_EXIST).contains(none.getResponseCode()),
                    "code of %s", none.getMessage());
            }
            return kinds.containsAll(Set.of("Pub", "SubBefore", "SubAfter"));
        });
    }
}

package rmq.interop;

import static rmq.interop.Scope.body;
import static rmq.interop.Scope.message;
import static rmq.interop.Scope.ok;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.UtilAll;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Push consumers: what arrives, in which order, how soon, and from where they begin. */
final class PushScenarios {
    private PushScenarios() {}

    static List<Scenario> all() {
        return List.of(
            Scenario.of("push_concurrent", PushScenarios::concurrent),
            Scenario.of("push_orderly", PushScenarios::orderly),
            Scenario.of("push_broadcast", PushScenarios::broadcast),
            Scenario.of("push_tag_filter", PushScenarios::tagFilter),
            Scenario.of("push_two_groups", PushScenarios::twoGroups),
            Scenario.of("push_from_where", PushScenarios::fromWhere),
            Scenario.of("push_restart", PushScenarios::restart),
            Scenario.of("push_long_polling", PushScenarios::longPolling));
    }

    private static void concurrent(Scope scope) throws Exception {
        String topic = scope.topic(4);
        Received received = new Received();
        Received.startConcurrent(scope.push(scope.name("g")), topic, "*", received);
        DefaultMQProducer producer = scope.producer();
        List<String> sent = new ArrayList<>(scope.fill(producer, topic, "single-", 300));
        for (int i = 0; i < 10; i++) {
            List<Message> batch = new ArrayList<>();
            for (int j = 0; j < 20; j++) {
                sent.add("batch-" + i + "-" + j);
                batch.add(message(topic, "batch-" + i + "-" + j));
            }
            ok(producer.send(batch));
        }
        received.exactly(sent, 30, "all messages at a concurrent consumer");
    }

    private static void orderly(Scope scope) throws Exception {
        String topic = scope.topic(4);
        Map<MessageQueue, List<Long>> offsets = new ConcurrentHashMap<>();
        Set<MessageQueue> busy = ConcurrentHashMap.newKeySet();
        ConcurrentLinkedQueue<String> problems = new ConcurrentLinkedQueue<>();
        Received received = new Received();
        DefaultMQPushConsumer consumer = scope.push(scope.name("g"));
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
            MessageQueue queue = context.getMessageQueue();
            if (!busy.add(queue)) {
                problems.add("two threads in " + queue);
            }
            List<Long> seen = offsets.computeIfAbsent(queue,
                q -> Collections.synchronizedList(new ArrayList<>()));
            messages.forEach(message -> seen.add(message.getQueueOffset()));
            received.add(messages);
            busy.remove(queue);
            return ConsumeOrderlyStatus.SUCCESS;
        });
        consumer.start();
        DefaultMQProducer producer = scope.producer();
        List<String> sent = new ArrayList<>();
        for (int step = 0; step < 20; step++) {
            for (int key = 0; key < 24; key++) {
                String body = key + ":" + step;
                sent.add(body);
                ok(producer.send(message(topic, body), (queues, message, chosen) ->
                    Scope.sorted(queues).get((Integer) chosen % queues.size()), key));
            }
        }
        received.exactly(sent, 40, "all messages at an orderly consumer");
        Check.that(problems.isEmpty(), "%s", problems.peek());
        Check.same(8, offsets.size(), "queues");
        offsets.forEach((queue, seen) -> {
            for (int i = 0; i < seen.size(); i++) {
                Check.same((long) i, seen.get(i), "order in " + queue);
            }
        });
        Map<String, Integer> steps = new HashMap<>();
        for (MessageExt message : received.all()) {
            String[] parts = body(message).split(":");
            int expected = steps.merge(parts[0], 1, Integer::sum) - 1;
            Check.same(expected, Integer.parseInt(parts[1]), "order of key " + parts[0]);
        }
    }

    private static void broadcast(Scope scope) throws Exception {
        String topic = scope.topic(2);
        List<Received> all = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            DefaultMQPushConsumer consumer = scope.push(scope.name("g"));
            Line.broadcast(consumer);
            all.add(new Received());
            Received.startConcurrent(consumer, topic, "*", all.get(i));
        }
        List<String> sent = scope.fill(scope.producer(), topic, "broadcast-", 100);
        for (Received received : all) {
            received.exactly(sent, 30, "all messages at each broadcast consumer");
        }
    }

    /** "Aa" and "BB" have the same hash; "C3" shares nothing with what is asked for. */
    private static void tagFilter(Scope scope) throws Exception {
        String topic = scope.topic(2);
        DefaultMQProducer producer = scope.producer();
        Map<String, List<String>> sent = new HashMap<>();
        String[] tags = {"A", "B", "Aa", "BB", "C3", null};
        for (int i = 0; i < 120; i++) {
            String tag = tags[i % tags.length];
            Message message = message(topic, tag + "-" + i);
            if (tag != null) {
                message.setTags(tag);
            }
            sent.computeIfAbsent(String.valueOf(tag), t -> new ArrayList<>()).add(tag + "-" + i);
            ok(producer.send(message));
        }
        Map<String, List<String>> expected = new HashMap<>();
        expected.put("A || B", List.of("A", "B"));
        expected.put("Aa", List.of("Aa"));
        expected.put("BB||C3", List.of("BB", "C3"));
        expected.put("absent", List.of());
        expected.put("*", List.of("A", "B", "Aa", "BB", "C3", "null"));
        Map<String, Received> received = new HashMap<>();
        int number = 0;
        for (String expression : expected.keySet()) {
            received.put(expression, new Received());
            Received.startConcurrent(scope.push(scope.name("g" + number++)), topic, expression,
                received.get(expression));
        }
        for (String expression : expected.keySet()) {
            List<String> wanted = new ArrayList<>();
            expected.get(expression).forEach(tag -> wanted.addAll(sent.get(tag)));
            received.get(expression).exactly(wanted, 30, "subscription " + expression);
        }
    }

    private static void twoGroups(Scope scope) throws Exception {
        String topic = scope.topic(2);
        Received first = new Received();
        Received second = new Received();
        Received.startConcurrent(scope.push(scope.name("g1")), topic, "*", first);
        Received.startOrderly(scope.push(scope.name("g2")), topic, "*", second);
        List<String> sent = scope.fill(scope.producer(), topic, "both-", 100);
        first.exactly(sent, 30, "all messages at the first group");
        second.exactly(sent, 30, "all messages at the second group");
    }

    /**
     * A group that is new to a queue which still begins at offset 0 is given offset 0 by the
     * broker, whatever the client would have chosen: a client decides only where the broker has no
     * answer. From then on the committed offset decides.
     */
    private static void fromWhere(Scope scope) throws Exception {
        String topic = scope.topic(1);
        DefaultMQProducer producer = scope.producer();
        List<String> old = scope.fill(producer, topic, "old-", 20);
        Map<ConsumeFromWhere, Received> received = new HashMap<>();
        int number = 0;
        for (ConsumeFromWhere where : List.of(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET,
            ConsumeFromWhere.CONSUME_FROM_LAST_OFFSET, ConsumeFromWhere.CONSUME_FROM_TIMESTAMP)) {
            DefaultMQPushConsumer consumer = scope.push(scope.name("g" + number++));
            consumer.setConsumeFromWhere(where);
            consumer.setConsumeTimestamp(
                UtilAll.timeMillisToHumanString3(System.currentTimeMillis() + 3_600_000));
            received.put(where, new Received());
            Received.startConcurrent(consumer, topic, "*", received.get(where));
        }
        for (ConsumeFromWhere where : received.keySet()) {
            received.get(where).exactly(old, 20, where + " on queues that begin at 0");
        }
        List<String> everything = new ArrayList<>(old);
        everything.addAll(scope.fill(producer, topic, "new-", 20));
        for (ConsumeFromWhere where : received.keySet()) {
            received.get(where).exactly(everything, 20, where + " after new messages");
        }
    }

    /** A consumer that comes back goes on where its group's committed offsets are. */
    private static void restart(Scope scope) throws Exception {
        String topic = scope.topic(2);
        String group = scope.name("g");
        DefaultMQProducer producer = scope.producer();
        for (int round = 0; round < 3; round++) {
            List<String> sent = scope.fill(producer, topic, "round-" + round + "-", 40);
            Received received = new Received();
            DefaultMQPushConsumer consumer = scope.push(group);
            Received.startConcurrent(consumer, topic, "*", received);
            received.exactly(sent, 30, "round " + round);
            scope.awaitCounted(consumer, topic);
            consumer.shutdown();
            scope.awaitCommitted(group, topic);
        }
    }

    /** A consumer that waits at the end of a queue is told of a message at once. */
    private static void longPolling(Scope scope) throws Exception {
        String topic = scope.topic(1);
        ConcurrentHashMap<String, Long> arrivals = new ConcurrentHashMap<>();
        DefaultMQPushConsumer consumer = scope.push(scope.name("g"));
        consumer.subscribe(topic, "wanted");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            messages.forEach(message -> arrivals.put(body(message), System.nanoTime()));
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        DefaultMQProducer producer = scope.producer();
        Message first = new Message(topic, "wanted", "first".getBytes());
        ok(producer.send(first));
        Check.eventually(20, "the first message", () -> arrivals.containsKey("first"));
        for (int i = 0; i < 8; i++) {
            Thread.sleep(200);
            ok(producer.send(new Message(topic, "other", ("other-" + i).getBytes())));
            String body = "poll-" + i;
            long sent = System.nanoTime();
            ok(producer.send(new Message(topic, "wanted", body.getBytes())));
            Check.eventually(15, body, () -> arrivals.containsKey(body));
            long millis = (arrivals.get(body) - sent) / 1_000_000;
            Check.that(millis < 3000, "%s came after %d ms at a waiting consumer", body, millis);
        }
    }
}

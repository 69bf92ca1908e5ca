package rmq.interop;

import static rmq.interop.Scope.body;
import static rmq.interop.Scope.message;
import static rmq.interop.Scope.ok;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.ToIntFunction;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageAccessor;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Messages that are not consumed at once: tried again, and given up. Levels as for delays. */
final class RetryScenarios {
    private static final int SYSTEM_ERROR = 1;
    private static final int NO_PERMISSION = 16;
    /** Asks for no delay level of its own. */
    private static final int LATER = 0;
    private static final int NOW_DEAD = -1;
    private static final int DONE = 99;
    private static final int FIND_QUEUES_SECONDS = 45;

    private RetryScenarios() {}

    static List<Scenario> all() {
        return List.of(
            Scenario.of("retry_concurrent", RetryScenarios::concurrent),
            Scenario.of("retry_level_chosen", RetryScenarios::levelChosen),
            Scenario.of("retry_dead_letter", RetryScenarios::deadLetter),
            Scenario.of("retry_dead_at_once", RetryScenarios::deadAtOnce),
            Scenario.of("retry_group_limits", RetryScenarios::groupLimits),
            Scenario.of("retry_orderly", RetryScenarios::orderly),
            Scenario.of("retry_orderly_dead", RetryScenarios::orderlyDead),
            Scenario.of("retry_sent_by_client", RetryScenarios::sentByClient),
            Scenario.of("retry_refused", RetryScenarios::refused));
    }

    /** A consumer that says of each message what is to become of it: a delay level, or DONE. */
    private static DefaultMQPushConsumer consumer(Scope scope, String group, String topic,
        Received received, ToIntFunction<MessageExt> verdict) throws Exception {
        DefaultMQPushConsumer consumer = scope.push(group);
        consumer.subscribe(topic, "*");
        consumer.setConsumeMessageBatchMaxSize(1);
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            received.add(messages);
            int level = verdict.applyAsInt(messages.get(0));
            if (level == DONE) {
                return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
            }
            context.setDelayLevelWhenNextConsume(level);
            return ConsumeConcurrentlyStatus.RECONSUME_LATER;
        });
        return consumer;
    }

    private static Map<String, List<MessageExt>> byBody(Received received) {
        Map<String, List<MessageExt>> tries = new HashMap<>();
        for (MessageExt message : received.all()) {
            tries.computeIfAbsent(body(message), b -> new ArrayList<>()).add(message);
        }
        return tries;
    }

    /**
     * Dead letters of the group, once there are so many. A client that looked for queues before its
     * retry topic was there looks again after 20 s.
     */
    private static List<MessageExt> deadLetters(Scope scope, String group, int count)
        throws Exception {
        String topic = "%DLQ%" + group;
        Check.eventually(FIND_QUEUES_SECONDS, count + " messages in " + topic, () -> {
            try {
                long found = 0;
                for (MessageQueue queue : scope.queues(topic)) {
                    found += scope.count(queue);
                }
                return found >= count;
            } catch (Exception absent) {
                return false;
            }
        });
        return scope.readAll(topic, count);
    }

    /** Every third message fails three times, and comes again as what it was. */
    private static void concurrent(Scope scope) throws Exception {
        String topic = scope.topic(2);
        String group = scope.name("g");
        Received received = new Received();
        consumer(scope, group, topic, received, message ->
            body(message).endsWith("-0") && message.getReconsumeTimes() < 3 ? LATER : DONE).start();
        DefaultMQProducer producer = scope.producer();
        Map<String, SendResult> sent = new HashMap<>();
        for (int i = 0; i < 60; i++) {
            String body = "m-" + i + "-" + i % 3;
            Message message = new Message(topic, "red", body.getBytes());
            message.setKeys("k" + i);
            message.putUserProperty("mine", "value");
            sent.put(body, ok(producer.send(message)));
        }
        Check.eventually(FIND_QUEUES_SECONDS, "all tries", () -> received.size() >= 40 + 20 * 4);
        for (Map.Entry<String, List<MessageExt>> entry : byBody(received).entrySet()) {
            String body = entry.getKey();
            List<MessageExt> tries = entry.getValue();
            SendResult first = sent.get(body);
            Check.same(body.endsWith("-0") ? 4 : 1, tries.size(), "tries of " + body);
            for (int i = 0; i < tries.size(); i++) {
                MessageExt message = tries.get(i);
                Check.same(i, message.getReconsumeTimes(), "count of tries");
                Check.same(topic, message.getTopic(), "topic of a try");
                Check.same("red", message.getTags(), "tag");
                Check.same("value", message.getUserProperty("mine"), "property");
                Check.same(first.getMsgId(), message.getMsgId(), "id");
                Check.same(i == 0 ? null : first.getOffsetMsgId(),
                    MessageAccessor.getOriginMessageId(message), "origin");
                if (i > 0) {
                    long before = tries.get(i - 1).getStoreTimestamp();
                    long waited = message.getStoreTimestamp() - before;
                    Check.that(waited >= 1000, "try %d after %d ms", i, waited);
                }
            }
        }
        scope.holds("%RETRY%" + group, 20 * 3);
        Check.same(2, scope.queues("%RETRY%" + group).size(), "queues of the retry topic");
    }

    private static void levelChosen(Scope scope) throws Exception {
        String topic = scope.topic(1);
        Received received = new Received();
        AtomicLong tried = new AtomicLong();
        consumer(scope, scope.name("g"), topic, received, message -> {
            boolean first = message.getReconsumeTimes() == 0;
            if (first) {
                tried.set(System.currentTimeMillis());
            }
            return first ? 18 : DONE;
        }).start();
        ok(scope.producer().send(message(topic, "slow")));
        Check.eventually(FIND_QUEUES_SECONDS, "the second try", () -> received.size() == 2);
        long waited = received.all().get(1).getStoreTimestamp() - tried.get();
        Check.that(waited >= 3000, "the second try came after %d ms", waited);
        Check.that(waited < 5000, "the second try came after %d ms", waited);
    }

    /** After as many tries as the consumer allows, a message lies in the group's dead letters. */
    private static void deadLetter(Scope scope) throws Exception {
        String topic = scope.topic(1);
        String group = scope.name("g");
        Received received = new Received();
        DefaultMQPushConsumer consumer = consumer(scope, group, topic, received, message ->
            body(message).startsWith("bad") ? LATER : DONE);
        consumer.setMaxReconsumeTimes(2);
        consumer.start();
        DefaultMQProducer producer = scope.producer();
        SendResult bad = ok(producer.send(new Message(topic, "tag", "bad".getBytes())));
        ok(producer.send(message(topic, "good")));
        MessageExt dead = deadLetters(scope, group, 1).get(0);
        Check.same("bad", body(dead), "body");
        Check.same("tag", dead.getTags(), "tag");
        Check.same(3, dead.getReconsumeTimes(), "tries");
        Check.same(topic, dead.getProperty("RETRY_TOPIC"), "topic that it came from");
        Check.same(bad.getOffsetMsgId(), MessageAccessor.getOriginMessageId(dead), "origin");
        Check.same(bad.getMsgId(), dead.getMsgId(), "id");
        Check.same(1, scope.queues("%DLQ%" + group).size(), "queues of the dead letter topic");
        Thread.sleep(1500);
        Check.same(3, byBody(received).get("bad").size(), "tries of the bad one");
        Check.same(1, byBody(received).get("good").size(), "tries of the good one");
    }

    private static void deadAtOnce(Scope scope) throws Exception {
        String topic = scope.topic(1);
        String group = scope.name("g");
        Received received = new Received();
        consumer(scope, group, topic, received, message -> NOW_DEAD).start();
        List<String> sent = scope.fill(scope.producer(), topic, "bad", 5);
        List<MessageExt> dead = deadLetters(scope, group, 5);
        for (MessageExt message : dead) {
            Check.that(sent.contains(body(message)), "%s", body(message));
            Check.same(1, message.getReconsumeTimes(), "tries");
        }
        received.exactly(sent, 5, "each message, once");
    }

    /** The group says how many queues its retry topic has. */
    private static void groupLimits(Scope scope) throws Exception {
        String topic = scope.topic(1);
        String group = scope.name("g");
        for (String master : scope.cluster.masters.values()) {
            Line.createGroup(scope.cluster.admin, master, group, 3, 1);
        }
        Received received = new Received();
        DefaultMQPushConsumer consumer = consumer(scope, group, topic, received, message -> 1);
        consumer.setMaxReconsumeTimes(1);
        consumer.start();
        scope.fill(scope.producer(), topic, "bad", 24);
        Check.same(24, deadLetters(scope, group, 24).size(), "dead letters");
        Check.same(6, scope.queues("%RETRY%" + group).size(), "queues of the retry topic");
        scope.holds("%RETRY%" + group, 24);
        Check.same(48, received.size(), "tries");
    }

    /** An orderly consumer tries again by itself; nothing of the queue comes past. */
    private static void orderly(Scope scope) throws Exception {
        String topic = scope.topic(1);
        MessageQueue queue = scope.queues(topic).get(0);
        Received received = new Received();
        DefaultMQPushConsumer consumer = scope.push(scope.name("g"));
        consumer.subscribe(topic, "*");
        consumer.setConsumeMessageBatchMaxSize(1);
        consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
            received.add(List.of(copy(messages.get(0))));
            context.setSuspendCurrentQueueTimeMillis(100);
            boolean fails = body(messages.get(0)).equals("m3")
                && messages.get(0).getReconsumeTimes() < 2;
            return fails ? ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT
                : ConsumeOrderlyStatus.SUCCESS;
        });
        consumer.start();
        DefaultMQProducer producer = scope.producer();
        for (int i = 0; i < 8; i++) {
            ok(producer.send(message(topic, "m" + i), queue));
        }
        Check.eventually(20, "all of them", () -> received.size() >= 10);
        List<String> seen = received.all().stream()
            .map(message -> body(message) + "/" + message.getReconsumeTimes()).toList();
        Check.same(List.of("m0/0", "m1/0", "m2/0", "m3/0", "m3/1", "m3/2", "m4/0", "m5/0", "m6/0",
            "m7/0"), seen, "what was seen");
    }

    /** The client counts tries in the message itself. */
    private static MessageExt copy(MessageExt message) {
        MessageExt copy = new MessageExt();
        copy.setBody(message.getBody());
        copy.setReconsumeTimes(message.getReconsumeTimes());
        return copy;
    }

    /** One too many of its own tries, and the orderly consumer sends a message to its end. */
    private static void orderlyDead(Scope scope) throws Exception {
        String topic = scope.topic(1);
        String group = scope.name("g");
        MessageQueue queue = scope.queues(topic).get(0);
        Received received = new Received();
        DefaultMQPushConsumer consumer = scope.push(group);
        consumer.subscribe(topic, "*");
        consumer.setMaxReconsumeTimes(2);
        consumer.setConsumeMessageBatchMaxSize(1);
        consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
            received.add(List.of(copy(messages.get(0))));
            context.setSuspendCurrentQueueTimeMillis(100);
            return body(messages.get(0)).equals("bad")
                ? ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT
                : ConsumeOrderlyStatus.SUCCESS;
        });
        consumer.start();
        DefaultMQProducer producer = scope.producer();
        for (String body : List.of("before", "bad", "after")) {
            ok(producer.send(message(topic, body), queue));
        }
        MessageExt dead = deadLetters(scope, group, 1).get(0);
        Check.same("bad", body(dead), "dead letter");
        // The older client does not count the last one.
        Check.that(List.of(2, 3).contains(dead.getReconsumeTimes()), "tries: %d",
            dead.getReconsumeTimes());
        Check.same(topic, dead.getProperty("RETRY_TOPIC"), "topic that it came from");
        Check.eventually(10, "the next message", () -> received.bodies().contains("after"));
        List<String> seen = received.all().stream().map(Scope::body).toList();
        Check.same(List.of("before", "bad", "bad", "bad", "after"), seen, "what was seen");
    }

    /** What a consumer sends itself when the broker does not take a message back. */
    private static void sentByClient(Scope scope) throws Exception {
        String topic = scope.topic(1);
        String group = scope.name("g");
        Received received = new Received();
        consumer(scope, group, topic, received, message -> DONE).start();
        String retry = "%RETRY%" + group;
        Check.eventually(20, "the retry topic", () -> {
            try {
                return scope.queues(retry).size() == 2;
            } catch (Exception absent) {
                return false;
            }
        });
        DefaultMQProducer producer = scope.producer();
        for (int times = 1; times <= 4; times++) {
            Message again = message(retry, "try" + times);
            MessageAccessor.putProperty(again, "RETRY_TOPIC", topic);
            MessageAccessor.setOriginMessageId(again, "origin" + times);
            MessageAccessor.setReconsumeTime(again, String.valueOf(times));
            MessageAccessor.setMaxReconsumeTimes(again, "2");
            again.setDelayTimeLevel(3 + times);
            ok(producer.send(again));
        }
        List<MessageExt> dead = deadLetters(scope, group, 2);
        Check.same(List.of("try3", "try4"), dead.stream().map(Scope::body).sorted().toList(),
            "dead letters");
        received.exactly(List.of("try1", "try2"), FIND_QUEUES_SECONDS, "retries");
        for (MessageExt message : received.all()) {
            Check.same(topic, message.getTopic(), "topic");
            Check.same("try" + message.getReconsumeTimes(), body(message), "tries");
            Check.same("origin" + message.getReconsumeTimes(),
                MessageAccessor.getOriginMessageId(message), "origin");
        }
    }

    private static void refused(Scope scope) throws Exception {
        String topic = scope.topic(1);
        String group = scope.name("g");
        MessageQueue queue = scope.queues(topic).get(0);
        String master = scope.cluster.masters.get(queue.getBrokerName());
        ok(scope.producer().send(message(topic, "x"), queue));
        MessageExt stored = scope.readAll(queue, 1).get(0);
        long offset = stored.getCommitLogOffset();
        var api = scope.api();
        stored.setCommitLogOffset(offset + 1_000_000_000L);
        MQBrokerException gone = Check.fails(MQBrokerException.class, "a message that is gone",
            () -> api.consumerSendMessageBack(master, queue.getBrokerName(), stored, group, 0, 5000,
                16));
        Check.same(SYSTEM_ERROR, gone.getResponseCode(), "code of a message that is gone");
        stored.setCommitLogOffset(offset);
        scope.cluster.createTopic("%RETRY%" + group, 1, 1, 4);
        MQBrokerException closed = Check.fails(MQBrokerException.class, "a closed retry topic",
            () -> api.consumerSendMessageBack(master, queue.getBrokerName(), stored, group, 0, 5000,
                16));
        Check.same(NO_PERMISSION, closed.getResponseCode(), "code of a closed retry topic");
        Line.createGroup(scope.cluster.admin, master, group, 0, 16);
        api.consumerSendMessageBack(master, queue.getBrokerName(), stored, group, 0, 5000, 16);
        Line.createGroup(scope.cluster.admin, master, group, 1, 16);
        scope.cluster.createTopic("%RETRY%" + group, 1, 1, 6);
        api.consumerSendMessageBack(master, queue.getBrokerName(), stored, group, 0, 5000, 16);
        scope.holds("%RETRY%" + group, 1);
    }
}

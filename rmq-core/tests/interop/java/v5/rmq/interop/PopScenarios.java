package rmq.interop;

import static rmq.interop.Scope.body;
import static rmq.interop.Scope.message;
import static rmq.interop.Scope.ok;

import java.lang.reflect.Field;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.common.message.MessageRequestMode;

/** Push consumers that pop: the broker divides queues and hands out messages. */
final class PopScenarios {
    /** The shortest that clients allow. */
    private static final long INVISIBLE_MS = 5000;
    /** Long enough for a consumer to look for its queues twice. */
    private static final int REBALANCED_SECONDS = 60;

    /** As long as a client lets the broker hold a pop, and a little more. */
    private static final long HELD_MS = 16_000;

    private PopScenarios() {}

    static List<Scenario> all() {
        return List.of(
            Scenario.of("pop_concurrent", PopScenarios::concurrent),
            Scenario.of("pop_sharing", PopScenarios::sharing),
            Scenario.of("pop_tags", PopScenarios::tags),
            Scenario.of("pop_retry", PopScenarios::retry),
            Scenario.of("pop_dead_letter", PopScenarios::deadLetter),
            Scenario.of("pop_orderly_pulls", PopScenarios::orderly),
            Scenario.of("pop_consumer_dies", PopScenarios::consumerDies),
            new Scenario("pop_and_pull", 200, PopScenarios::switching));
    }

    private static void mode(Scope scope, String group, String topic, MessageRequestMode mode)
        throws Exception {
        for (String master : scope.cluster.masters.values()) {
            scope.cluster.admin.setMessageRequestMode(master, topic, group, mode, 0, 5000);
        }
    }

    /** A group whose consumers pop the topic. */
    private static String group(Scope scope, String topic, int retryMaxTimes) throws Exception {
        String group = scope.name("g");
        for (String master : scope.cluster.masters.values()) {
            Line.createGroup(scope.cluster.admin, master, group, 1, retryMaxTimes);
        }
        mode(scope, group, topic, MessageRequestMode.POP);
        return group;
    }

    private static DefaultMQPushConsumer consumer(Scope scope, String group) throws Exception {
        DefaultMQPushConsumer consumer = scope.push(group);
        consumer.setClientRebalance(false);
        consumer.setPopInvisibleTime(INVISIBLE_MS);
        consumer.setConsumeMessageBatchMaxSize(1);
        // What fails comes again soon; the last level says when a client gives up.
        Field levels = consumer.getDefaultMQPushConsumerImpl().getClass()
            .getDeclaredField("popDelayLevel");
        levels.setAccessible(true);
        int[] seconds = (int[]) levels.get(consumer.getDefaultMQPushConsumerImpl());
        Arrays.fill(seconds, 0, 4, 1);
        return consumer;
    }

    private static void popped(Collection<MessageExt> messages) {
        for (MessageExt message : messages) {
            Check.that(message.getProperty("POP_CK") != null, "%s was not popped", message);
        }
    }

    /** Everything once, acknowledged: the group's offset goes to the end, nothing comes again. */
    private static void concurrent(Scope scope) throws Exception {
        String topic = scope.topic(4);
        String group = group(scope, topic, 16);
        DefaultMQProducer producer = scope.producer();
        List<String> sent = scope.fill(producer, topic, "before-", 50);
        Received received = new Received();
        Received.startConcurrent(consumer(scope, group), topic, "*", received);
        received.exactly(sent, 30, "what was there");
        sent.addAll(scope.fill(producer, topic, "after-", 50));
        received.exactly(sent, 30, "what came later");
        popped(received.all());
        scope.awaitCommitted(group, topic);
        Thread.sleep(INVISIBLE_MS + 2000);
        received.exactly(sent, 1, "after the invisible time");
    }

    /** Two consumers pop the same queues. */
    private static void sharing(Scope scope) throws Exception {
        String topic = scope.topic(1);
        String group = group(scope, topic, 16);
        List<Received> both = List.of(new Received(), new Received());
        for (Received received : both) {
            DefaultMQPushConsumer consumer = consumer(scope, group);
            consumer.setPopBatchNums(1);
            Received.startConcurrent(consumer, topic, "*", received);
        }
        DefaultMQProducer producer = scope.producer();
        Set<String> sent = new HashSet<>();
        long end = System.nanoTime() + 40_000_000_000L;
        while (both.stream().anyMatch(one -> one.size() < 5)) {
            Check.that(System.nanoTime() < end, "shares: %d and %d", both.get(0).size(),
                both.get(1).size());
            sent.addAll(scope.fill(producer, topic, "m-" + sent.size() + "-", 4));
            Thread.sleep(50);
        }
        Check.eventually(15, "all messages", () ->
            both.get(0).size() + both.get(1).size() >= sent.size());
        Set<String> got = both.get(0).bodies();
        got.addAll(both.get(1).bodies());
        Check.same(sent, got, "messages of both");
        Check.same(sent.size(), both.get(0).size() + both.get(1).size(), "deliveries");
    }

    private static void tags(Scope scope) throws Exception {
        String topic = scope.topic(2);
        String group = group(scope, topic, 16);
        DefaultMQProducer producer = scope.producer();
        Set<String> wanted = new HashSet<>();
        for (int i = 0; i < 60; i++) {
            String tag = List.of("red", "green", "blue").get(i % 3);
            ok(producer.send(new Message(topic, tag, (tag + i).getBytes())));
            if (!tag.equals("blue")) {
                wanted.add(tag + i);
            }
        }
        Received received = new Received();
        Received.startConcurrent(consumer(scope, group), topic, "red || green", received);
        received.exactly(wanted, 30, "red and green");
        popped(received.all());
    }

    /** What fails twice comes again twice, as what it was. */
    private static void retry(Scope scope) throws Exception {
        String topic = scope.topic(2);
        String group = group(scope, topic, 16);
        Received received = new Received();
        DefaultMQPushConsumer consumer = consumer(scope, group);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            received.add(messages);
            MessageExt message = messages.get(0);
            boolean fails = body(message).endsWith("0") && message.getReconsumeTimes() < 2;
            return fails ? ConsumeConcurrentlyStatus.RECONSUME_LATER
                : ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        DefaultMQProducer producer = scope.producer();
        Map<String, String> ids = new HashMap<>();
        for (int i = 0; i < 20; i++) {
            Message message = new Message(topic, "red", ("m-" + i % 2 + i / 2 + i % 2).getBytes());
            message.putUserProperty("mine", "value");
            ids.put(new String(message.getBody()), ok(producer.send(message)).getMsgId());
        }
        Check.eventually(45, "all tries", () -> received.size() >= 10 + 10 * 3);
        Thread.sleep(2000);
        Map<String, List<MessageExt>> tries = new HashMap<>();
        for (MessageExt message : received.all()) {
            tries.computeIfAbsent(body(message), b -> new ArrayList<>()).add(message);
        }
        for (Map.Entry<String, List<MessageExt>> entry : tries.entrySet()) {
            List<MessageExt> one = entry.getValue();
            Check.same(entry.getKey().endsWith("0") ? 3 : 1, one.size(),
                "tries of " + entry.getKey());
            for (int i = 0; i < one.size(); i++) {
                Check.same(i, one.get(i).getReconsumeTimes(), "count of tries");
                Check.same(topic, one.get(i).getTopic(), "topic of a try");
                Check.same("red", one.get(i).getTags(), "tag");
                Check.same("value", one.get(i).getUserProperty("mine"), "property");
                Check.same(ids.get(entry.getKey()), one.get(i).getMsgId(), "id");
            }
        }
        Check.same(20, tries.size(), "messages");
        popped(received.all());
    }

    private static void deadLetter(Scope scope) throws Exception {
        String topic = scope.topic(1);
        String group = group(scope, topic, 1);
        Received received = new Received();
        DefaultMQPushConsumer consumer = consumer(scope, group);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            received.add(messages);
            return ConsumeConcurrentlyStatus.RECONSUME_LATER;
        });
        consumer.start();
        ok(scope.producer().send(message(topic, "poison")));
        String dead = "%DLQ%" + group;
        Check.eventually(45, "a dead letter", () -> {
            try {
                long found = 0;
                for (MessageQueue queue : scope.queues(dead)) {
                    found += scope.count(queue);
                }
                return found > 0;
            } catch (Exception absent) {
                return false;
            }
        });
        Check.same("poison", body(scope.readAll(dead, 1).get(0)), "dead letter");
        Check.same(2, received.size(), "tries");
    }

    /** Clients with an ordered listener pull whatever the mode is: each queue in its order. */
    private static void orderly(Scope scope) throws Exception {
        String topic = scope.topic(2);
        String group = group(scope, topic, 16);
        Received received = new Received();
        Set<String> failed = new HashSet<>();
        DefaultMQPushConsumer consumer = consumer(scope, group);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
            synchronized (failed) {
                String body = body(messages.get(0));
                if (body.endsWith("-3") && failed.add(body)) {
                    context.setSuspendCurrentQueueTimeMillis(500);
                    return ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT;
                }
            }
            received.add(messages);
            return ConsumeOrderlyStatus.SUCCESS;
        });
        List<MessageQueue> queues = scope.queues(topic);
        DefaultMQProducer producer = scope.producer();
        Set<String> sent = new HashSet<>();
        for (int i = 0; i < 10; i++) {
            for (int q = 0; q < queues.size(); q++) {
                ok(producer.send(message(topic, q + "-" + i), queues.get(q)));
                sent.add(q + "-" + i);
            }
        }
        consumer.start();
        Check.eventually(50, "all messages in order", () -> received.bodies().containsAll(sent));
        for (int q = 0; q < queues.size(); q++) {
            String prefix = q + "-";
            List<String> got = received.all().stream().map(Scope::body)
                .filter(body -> body.startsWith(prefix)).toList();
            List<String> expected = new ArrayList<>();
            for (int i = 0; i < 10; i++) {
                expected.add(prefix + i);
            }
            Check.same(expected, got, "order of queue " + q);
        }
        for (MessageExt message : received.all()) {
            Check.same(null, message.getProperty("POP_CK"), "check point");
        }
        scope.awaitCommitted(group, topic);
    }

    /** What a consumer has and never acknowledges goes to another one when its time is over. */
    private static void consumerDies(Scope scope) throws Exception {
        String topic = scope.topic(1);
        String group = group(scope, topic, 16);
        DefaultMQProducer producer = scope.producer();
        List<String> sent = scope.fill(producer, topic, "m-", 8);
        CountDownLatch never = new CountDownLatch(1);
        scope.onClose(never::countDown);
        Received lost = new Received();
        DefaultMQPushConsumer dying = consumer(scope, group);
        dying.setConsumeThreadMin(8);
        dying.setConsumeThreadMax(8);
        dying.subscribe(topic, "*");
        dying.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            lost.add(messages);
            while (never.getCount() > 0) {
                try {
                    never.await();
                } catch (InterruptedException dead) {
                    // The dead say nothing of what they had.
                }
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        dying.start();
        Check.eventually(30, "the first has all", () -> lost.bodies().containsAll(sent));
        long popped = lost.all().stream().mapToLong(one -> Long.parseLong(
            one.getProperty("POP_CK").split(" ")[1])).max().orElseThrow();
        dying.shutdown();
        Received received = new Received();
        Received.startConcurrent(consumer(scope, group), topic, "*", received);
        received.exactly(sent, 40, "the second has all");
        for (MessageExt message : received.all()) {
            Check.same(1, message.getReconsumeTimes(), "count of tries");
        }
        Check.that(System.currentTimeMillis() >= popped + INVISIBLE_MS, "before the time is over");
    }

    /** A group that pulls, pops and pulls again gets everything once. */
    private static void switching(Scope scope) throws Exception {
        String topic = scope.topic(2);
        String group = group(scope, topic, 16);
        mode(scope, group, topic, MessageRequestMode.PULL);
        DefaultMQProducer producer = scope.producer();
        Received received = new Received();
        List<String> sent = scope.fill(producer, topic, "pulled-", 20);
        DefaultMQPushConsumer consumer = consumer(scope, group);
        Received.startConcurrent(consumer, topic, "*", received);
        received.exactly(sent, 30, "pulled");
        var queues = consumer.getDefaultMQPushConsumerImpl().getRebalanceImpl();
        scope.awaitCommitted(group, topic);
        for (MessageRequestMode mode : List.of(MessageRequestMode.POP, MessageRequestMode.PULL)) {
            mode(scope, group, topic, mode);
            boolean pops = mode == MessageRequestMode.POP;
            Check.eventually(REBALANCED_SECONDS, "the consumer goes by " + mode, () -> {
                boolean popping = queues.getPopProcessQueueTable().keySet().stream()
                    .anyMatch(queue -> queue.getTopic().equals(topic));
                boolean pulling = queues.getProcessQueueTable().keySet().stream()
                    .anyMatch(queue -> queue.getTopic().equals(topic));
                return popping == pops && pulling != pops;
            });
            // What a held pop takes once its client pulls would only come by popping again.
            Thread.sleep(pops ? 0 : HELD_MS);
            sent.addAll(scope.fill(producer, topic, mode + "-", 20));
            received.exactly(sent, 30, "by " + mode);
            for (MessageExt message : received.all()) {
                if (body(message).startsWith(mode + "-")) {
                    Check.same(pops, message.getProperty("POP_CK") != null, "popped");
                }
            }
            scope.awaitCommitted(group, topic);
        }
    }
}

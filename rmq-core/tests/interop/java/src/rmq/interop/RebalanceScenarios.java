package rmq.interop;

import static rmq.interop.Scope.body;
import static rmq.interop.Scope.message;
import static rmq.interop.Scope.ok;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Collectors;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Consumers that share a group while members come and go. A client rebalances by itself every 20 s
 * only, so a hand-over within 15 s shows that the broker tells the others of a change. An orderly
 * consumer may keep the lock of a queue with messages in work for 20 s more, and the other one asks
 * again 20 s later.
 */
final class RebalanceScenarios {
    private static final int HAND_OVER_SECONDS = 15;
    private static final int ORDERLY_HAND_OVER_SECONDS = 50;

    private RebalanceScenarios() {}

    static List<Scenario> all() {
        return List.of(
            new Scenario("rebalance_concurrent", 90, scope -> run(scope, false)),
            new Scenario("rebalance_orderly", 160, scope -> run(scope, true)));
    }

    /** The queues of the topic that the consumer holds now. */
    static Set<MessageQueue> held(DefaultMQPushConsumer consumer, String topic) {
        return consumer.getDefaultMQPushConsumerImpl().getRebalanceImpl().getProcessQueueTable()
            .keySet().stream().filter(queue -> queue.getTopic().equals(topic))
            .collect(Collectors.toSet());
    }

    private static DefaultMQPushConsumer start(Scope scope, String group, String topic,
        boolean orderly, Received received) throws Exception {
        DefaultMQPushConsumer consumer = scope.push(group);
        return orderly ? Received.startOrderly(consumer, topic, "*", received)
            : Received.startConcurrent(consumer, topic, "*", received);
    }

    private static void run(Scope scope, boolean orderly) throws Exception {
        String topic = scope.topic(4);
        String group = scope.name("g");
        int limit = orderly ? ORDERLY_HAND_OVER_SECONDS : HAND_OVER_SECONDS;
        Set<MessageQueue> all = new HashSet<>(scope.queues(topic));
        Sender sender = new Sender(scope.producer(), topic);
        sender.start();
        Received first = new Received();
        Received second = new Received();
        Received third = new Received();
        DefaultMQPushConsumer one = start(scope, group, topic, orderly, first);
        Check.eventually(limit, "the only consumer has all queues",
            () -> held(one, topic).equals(all));
        DefaultMQPushConsumer two = start(scope, group, topic, orderly, second);
        awaitHalves(limit, topic, one, two, all);
        int before = second.size();
        Check.eventually(15, "the second consumer is given messages",
            () -> second.size() > before);
        two.shutdown();
        Check.eventually(limit, "the one that stays has all queues",
            () -> held(one, topic).equals(all));
        DefaultMQPushConsumer three = start(scope, group, topic, orderly, third);
        awaitHalves(limit, topic, one, three, all);
        Check.eventually(15, "the third consumer is given messages", () -> third.size() > 0);
        one.shutdown();
        Check.eventually(limit, "the last one has all queues",
            () -> held(three, topic).equals(all));
        List<String> sent = sender.finish();
        List<Received> deliveries = List.of(first, second, third);
        Check.eventually(30, "every message reached one of the group", () -> {
            Set<String> bodies = new HashSet<>();
            deliveries.forEach(received -> bodies.addAll(received.bodies()));
            return bodies.containsAll(sent);
        });
        checkDeliveries(deliveries, sent, orderly);
        scope.awaitCounted(three, topic);
        three.shutdown();
        scope.awaitCommitted(group, topic);
    }

    private static void awaitHalves(int limit, String topic, DefaultMQPushConsumer one,
        DefaultMQPushConsumer two, Set<MessageQueue> all) throws Exception {
        Check.eventually(limit, "the queues are shared out", () -> {
            Set<MessageQueue> union = new HashSet<>(held(one, topic));
            union.addAll(held(two, topic));
            return held(one, topic).size() == all.size() / 2
                && held(two, topic).size() == all.size() / 2 && union.equals(all);
        });
    }

    /** A hand-over may repeat what was not committed, never the whole; order holds in a queue. */
    private static void checkDeliveries(List<Received> deliveries, List<String> sent,
        boolean orderly) {
        int total = 0;
        for (Received received : deliveries) {
            total += received.size();
            Map<String, Long> last = new HashMap<>();
            for (MessageExt message : received.all()) {
                String queue = message.getBrokerName() + message.getQueueId();
                Long previous = last.put(queue, message.getQueueOffset());
                Check.that(!orderly || previous == null || message.getQueueOffset() > previous,
                    "queue %s: offset %d after %d at one consumer (%s)", queue,
                    message.getQueueOffset(), previous, body(message));
            }
        }
        Check.that(total < sent.size() * 2, "%d deliveries of %d messages: offsets do not go on",
            total, sent.size());
    }

    /** Sends about 200 messages a second until it is told to finish. */
    private static final class Sender {
        private final DefaultMQProducer producer;
        private final String topic;
        private final List<String> sent = new ArrayList<>();
        private final AtomicBoolean stop = new AtomicBoolean();
        private final ConcurrentLinkedQueue<Throwable> failures = new ConcurrentLinkedQueue<>();
        private Thread thread;

        Sender(DefaultMQProducer producer, String topic) {
            this.producer = producer;
            this.topic = topic;
        }

        void start() {
            thread = new Thread(() -> {
                try {
                    for (int i = 0; !stop.get(); i++) {
                        ok(producer.send(message(topic, "m" + i)));
                        sent.add("m" + i);
                        Thread.sleep(5);
                    }
                } catch (Throwable failed) {
                    failures.add(failed);
                }
            });
            thread.setDaemon(true);
            thread.start();
        }

        List<String> finish() throws Exception {
            stop.set(true);
            thread.join();
            Check.that(failures.isEmpty(), "send: %s", failures.peek());
            return sent;
        }
    }
}

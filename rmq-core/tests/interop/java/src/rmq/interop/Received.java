package rmq.interop;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.common.message.MessageExt;

/** What a consumer was given, in the order of delivery. Safe for many threads. */
final class Received {
    private final List<MessageExt> messages = new ArrayList<>();

    synchronized void add(Collection<MessageExt> delivered) {
        messages.addAll(delivered);
    }

    synchronized int size() {
        return messages.size();
    }

    synchronized List<MessageExt> all() {
        return new ArrayList<>(messages);
    }

    Set<String> bodies() {
        Set<String> bodies = new HashSet<>();
        for (MessageExt message : all()) {
            bodies.add(Scope.body(message));
        }
        return bodies;
    }

    /** Waits for exactly these bodies; nothing else and nothing twice may have come. */
    void exactly(Collection<String> expected, int seconds, String what) throws Exception {
        Set<String> wanted = new HashSet<>(expected);
        try {
            Check.eventually(seconds, what, () -> bodies().containsAll(wanted));
        } catch (AssertionError late) {
            Set<String> missing = new HashSet<>(wanted);
            missing.removeAll(bodies());
            Set<String> surplus = bodies();
            surplus.removeAll(wanted);
            throw new AssertionError(late.getMessage() + ": " + size() + " deliveries, "
                + missing.size() + " of " + wanted.size() + " missing, such as "
                + missing.stream().limit(3).toList() + ", not expected "
                + surplus.stream().limit(3).toList(), late);
        }
        Set<String> surplus = bodies();
        surplus.removeAll(wanted);
        Check.that(surplus.isEmpty(), "%s: delivered what was not sent or not asked for: %s", what,
            surplus.stream().limit(5).toList());
        Check.same(wanted.size(), size(), what + ": deliveries");
    }

    static DefaultMQPushConsumer startConcurrent(DefaultMQPushConsumer consumer, String topic,
        String expression, Received received) throws Exception {
        consumer.subscribe(topic, expression);
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            received.add(messages);
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        return consumer;
    }

    static DefaultMQPushConsumer startOrderly(DefaultMQPushConsumer consumer, String topic,
        String expression, Received received) throws Exception {
        consumer.subscribe(topic, expression);
        consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
            received.add(messages);
            return ConsumeOrderlyStatus.SUCCESS;
        });
        consumer.start();
        return consumer;
    }
}

package rmq.interop;

import static rmq.interop.Scope.body;
import static rmq.interop.Scope.message;
import static rmq.interop.Scope.ok;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Messages with a delay level: when they come, in which order, and what is left of them. The
 * brokers' levels are 1 s, but the second and the seventeenth are 2 s and the last one is 3 s.
 */
final class DelayScenarios {
    static final int LEVELS = 18;

    private DelayScenarios() {}

    static List<Scenario> all() {
        return List.of(
            Scenario.of("delay_levels", DelayScenarios::levels),
            Scenario.of("delay_order", DelayScenarios::order),
            Scenario.of("delay_tag_filter", DelayScenarios::tagFilter));
    }

    static long delayMillis(int level) {
        int counted = Math.min(level, LEVELS);
        if (counted <= 0) {
            return 0;
        }
        return counted == 18 ? 3000 : counted == 2 || counted == 17 ? 2000 : 1000;
    }

    /** Every level, those beyond the last one, and those that are none. */
    private static void levels(Scope scope) throws Exception {
        String topic = scope.topic(2);
        Received received = new Received();
        Received.startConcurrent(scope.push(scope.name("g")), topic, "*", received);
        DefaultMQProducer producer = scope.producer();
        Map<String, Integer> levels = new ConcurrentHashMap<>();
        Map<String, Long> before = new ConcurrentHashMap<>();
        Map<String, Long> after = new ConcurrentHashMap<>();
        Map<String, String> ids = new ConcurrentHashMap<>();
        for (int round = 0; round < 3; round++) {
            for (int level = -1; level <= LEVELS + 2; level++) {
                String body = round + ":" + level;
                Message message = message(topic, body);
                message.setKeys("key-" + body);
                message.putUserProperty("mine", body);
                message.setDelayTimeLevel(level);
                levels.put(body, level);
                before.put(body, System.currentTimeMillis());
                SendResult sent = ok(producer.send(message));
                after.put(body, System.currentTimeMillis());
                ids.put(body, sent.getMsgId());
                Check.that(sent.getMessageQueue().getQueueId() < 2, "told of queue %s",
                    sent.getMessageQueue());
            }
        }
        received.exactly(levels.keySet(), 20, "delayed messages");
        for (MessageExt message : received.all()) {
            String body = body(message);
            int level = levels.get(body);
            long due = before.get(body) + delayMillis(level);
            long stored = message.getStoreTimestamp();
            Check.that(stored >= due, "%s of level %d came %d ms early", body, level, due - stored);
            long late = stored - after.get(body) - delayMillis(level);
            Check.that(late < 1000, "%s of level %d came %d ms late", body, level, late);
            Check.same(topic, message.getTopic(), "topic");
            Check.same(ids.get(body), message.getMsgId(), "id");
            Check.same("key-" + body, message.getKeys(), "keys");
            Check.same(body, message.getUserProperty("mine"), "user property");
            Check.same(0, message.getReconsumeTimes(), "tries");
            Check.same(level > 0 ? topic : null, message.getProperty("REAL_TOPIC"), "real topic");
            Check.same(level > 0 ? Math.min(level, LEVELS) : level, message.getDelayTimeLevel(),
                "delay level that the consumer sees");
        }
    }

    /** Within a level, messages of a queue come in the order in which they were sent. */
    private static void order(Scope scope) throws Exception {
        String topic = scope.topic(1);
        MessageQueue queue = scope.queues(topic).get(0);
        DefaultMQProducer producer = scope.producer();
        List<String> sent = new ArrayList<>();
        for (int i = 0; i < 100; i++) {
            Message message = message(topic, "m" + i);
            message.setDelayTimeLevel(1);
            sent.add("m" + i);
            ok(producer.send(message, queue));
        }
        List<MessageExt> found = scope.readAll(queue, sent.size());
        for (int i = 0; i < sent.size(); i++) {
            Check.same(sent.get(i), body(found.get(i)), "message " + i);
            Check.same((long) i, found.get(i).getQueueOffset(), "offset");
        }
        scope.holds(topic, sent.size());
    }

    private static void tagFilter(Scope scope) throws Exception {
        String topic = scope.topic(1);
        Received wanted = new Received();
        Received.startConcurrent(scope.push(scope.name("g")), topic, "wanted", wanted);
        DefaultMQProducer producer = scope.producer();
        List<String> expected = new ArrayList<>();
        for (int i = 0; i < 10; i++) {
            String tag = i % 2 == 0 ? "wanted" : "other";
            Message message = new Message(topic, tag, (tag + i).getBytes());
            message.setDelayTimeLevel(i % 3);
            if (i % 2 == 0) {
                expected.add(tag + i);
            }
            ok(producer.send(message));
        }
        wanted.exactly(expected, 20, "delayed messages of one tag");
        scope.holds(topic, 10);
    }
}

package rmq.interop;

import static rmq.interop.Scope.body;
import static rmq.interop.Scope.message;
import static rmq.interop.Scope.ok;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageAccessor;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Messages with a time: when they come, what is left of them, and how they are taken back. */
final class TimerScenarios {
    private TimerScenarios() {}

    static List<Scenario> all() {
        List<Scenario> all = new ArrayList<>(List.of(
            Scenario.of("timer_times", TimerScenarios::times),
            Scenario.of("timer_order", TimerScenarios::order),
            Scenario.of("timer_too_far", TimerScenarios::tooFar),
            Scenario.of("timer_cancel", TimerScenarios::cancel)));
        if (Line.RECALLS) {
            all.add(Scenario.of("timer_recall", TimerScenarios::recall));
        }
        return all;
    }

    private interface Setter {
        void set(Message message, long delayMillis);
    }

    /** The three ways to name a time, also one that is over, and a delay level beside it. */
    private static void times(Scope scope) throws Exception {
        String topic = scope.topic(2);
        Received received = new Received();
        Received.startConcurrent(scope.push(scope.name("g")), topic, "*", received);
        DefaultMQProducer producer = scope.producer();
        Map<String, Setter> setters = Map.of(
            "at", (message, delay) -> Line.deliverAt(message, System.currentTimeMillis() + delay),
            "ms", Line::delayMillis,
            "sec", (message, delay) -> Line.delaySeconds(message, delay / 1000));
        Map<String, Long> due = new ConcurrentHashMap<>();
        Map<String, Long> latest = new ConcurrentHashMap<>();
        Map<String, String> ids = new ConcurrentHashMap<>();
        for (Map.Entry<String, Setter> setter : setters.entrySet()) {
            for (long delay : new long[] {-5000, 0, 1000, 2000, 3000, 5000}) {
                String body = setter.getKey() + delay;
                Message message = message(topic, body);
                message.putUserProperty("mine", body);
                long before = System.currentTimeMillis();
                setter.getValue().set(message, delay);
                SendResult sent = ok(producer.send(message));
                due.put(body, before + delay);
                latest.put(body, System.currentTimeMillis() + Math.max(delay, 0));
                ids.put(body, sent.getMsgId());
                Check.that(sent.getMessageQueue().getQueueId() < 2, "told of queue %s",
                    sent.getMessageQueue());
            }
        }
        received.exactly(due.keySet(), 30, "timed messages");
        for (MessageExt message : received.all()) {
            String body = body(message);
            long early = due.get(body) - message.getStoreTimestamp();
            Check.that(early <= 0, "%s came %d ms early", body, early);
            long late = message.getStoreTimestamp() - latest.get(body);
            Check.that(late < 3500, "%s came %d ms late", body, late);
            Check.same(topic, message.getTopic(), "topic");
            Check.same(ids.get(body), message.getMsgId(), "id");
            Check.same(body, message.getUserProperty("mine"), "user property");
            boolean waited = !body.matches("[a-z]+(0|-5000)");
            if (waited) {
                long out = Long.parseLong(message.getProperty("TIMER_OUT_MS"));
                Check.same(0L, out % 1000, "tick");
                Check.that(message.getStoreTimestamp() >= out + 1000, "%s before its tick", body);
                Check.same(topic, message.getProperty("REAL_TOPIC"), "real topic");
                Check.that(message.getProperty("TIMER_ENQUEUE_MS") != null, "no enqueue time");
                Check.that(message.getProperty("TIMER_DEQUEUE_MS") != null, "no dequeue time");
            } else {
                Check.same(null, message.getProperty("TIMER_OUT_MS"), "time of what is due");
            }
        }
    }

    /** Many messages of one time come once each, and in the order in which they were sent. */
    private static void order(Scope scope) throws Exception {
        String topic = scope.topic(1);
        MessageQueue queue = scope.queues(topic).get(0);
        DefaultMQProducer producer = scope.producer();
        long at = System.currentTimeMillis() + 4000;
        List<String> sent = new ArrayList<>();
        for (int i = 0; i < 300; i++) {
            Message message = message(topic, "m" + i);
            Line.deliverAt(message, at);
            sent.add("m" + i);
            ok(producer.send(message, queue));
        }
        List<MessageExt> found = scope.readAll(queue, sent.size());
        List<String> bodies = new ArrayList<>();
        for (int i = 0; i < sent.size(); i++) {
            bodies.add(body(found.get(i)));
            Check.that(found.get(i).getStoreTimestamp() >= at, "message %d is early", i);
        }
        // Apache's broker delivers with three threads.
        if (!scope.cluster.forgetful) {
            Check.same(sent, bodies, "messages of one time");
        } else {
            sent.sort(null);
            bodies.sort(null);
            Check.same(sent, bodies, "messages of one time, in any order");
        }
        scope.holds(topic, sent.size());
    }

    /** A time beyond the limit, and one that is none, are refused. */
    private static void tooFar(Scope scope) throws Exception {
        String topic = scope.topic(1);
        DefaultMQProducer producer = scope.producer();
        Message near = message(topic, "near");
        Line.delaySeconds(near, 259_190);
        ok(producer.send(near));
        Message far = message(topic, "far");
        Line.delaySeconds(far, 259_300);
        refused(producer, far);
        Message none = message(topic, "none");
        MessageAccessor.putProperty(none, "TIMER_DELIVER_MS", "soon");
        refused(producer, none);
        Message late = message(topic, "late");
        MessageAccessor.putProperty(late, "TIMER_DEL_UNIQKEY", "x");
        Line.deliverAt(late, System.currentTimeMillis() - 1000);
        refused(producer, late);
        scope.holds(topic, 0);
    }

    private static void refused(DefaultMQProducer producer, Message message) throws Exception {
        try {
            SendResult sent = producer.send(message);
            throw new AssertionError("not refused: " + sent);
        } catch (MQBrokerException refused) {
            Check.same(13, refused.getResponseCode(), "code");
        }
    }

    /** A message that names another one of the same time takes it back. */
    private static void cancel(Scope scope) throws Exception {
        String topic = scope.topic(1);
        MessageQueue queue = scope.queues(topic).get(0);
        DefaultMQProducer producer = scope.producer();
        long at = System.currentTimeMillis() + 4000;
        List<String> kept = new ArrayList<>();
        for (int i = 0; i < 20; i++) {
            Message message = message(topic, "m" + i);
            Line.deliverAt(message, at);
            SendResult sent = ok(producer.send(message, queue));
            if (i % 3 != 0) {
                kept.add("m" + i);
                continue;
            }
            // Brokers before 5.4 want the topic in the key, later ones by configuration only.
            for (String key : List.of(sent.getMsgId(), topic + "+" + sent.getMsgId())) {
                Message delete = message(topic, "delete");
                MessageAccessor.putProperty(delete, "TIMER_DEL_UNIQKEY", key);
                Line.deliverAt(delete, at);
                ok(producer.send(delete, queue));
            }
        }
        List<MessageExt> found = scope.readAll(queue, kept.size());
        List<String> bodies = new ArrayList<>(found.stream().map(Scope::body).toList());
        bodies.sort(null);
        kept.sort(null);
        Check.same(kept, bodies, "messages that were not taken back");
        Thread.sleep(2000);
        scope.holds(topic, kept.size());
    }

    /** What is recalled does not come; what is no handle, or comes too late, is refused. */
    private static void recall(Scope scope) throws Exception {
        String topic = scope.topic(1);
        MessageQueue queue = scope.queues(topic).get(0);
        DefaultMQProducer producer = scope.producer();
        long at = System.currentTimeMillis() + 4000;
        String last = null;
        for (int i = 0; i < 10; i++) {
            Message message = message(topic, "m" + i);
            Line.deliverAt(message, at);
            SendResult sent = ok(producer.send(message, queue));
            last = Line.recallHandle(sent);
            Check.that(last != null, "no recall handle in %s", sent);
            if (i % 2 == 0) {
                Check.same(sent.getMsgId(), Line.recall(producer, topic, last), "recalled id");
            }
        }
        Check.same(null, Line.recallHandle(ok(producer.send(message(topic, "now"), queue))),
            "handle of what does not wait");
        List<MessageExt> found = scope.readAll(queue, 6);
        List<String> bodies = new ArrayList<>(found.stream().map(Scope::body).toList());
        bodies.sort(null);
        Check.same(List.of("m1", "m3", "m5", "m7", "m9", "now"), bodies, "messages that are left");
        try {
            Line.recall(producer, topic, last);
            throw new AssertionError("recalled although it was delivered");
        } catch (MQBrokerException refused) {
            Check.same(604, refused.getResponseCode(), "code");
        }
        scope.holds(topic, 6);
    }
}

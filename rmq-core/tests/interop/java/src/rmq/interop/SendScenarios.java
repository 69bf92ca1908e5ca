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
import java.util.TreeSet;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageDecoder;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Every way of sending. */
final class SendScenarios {
    private SendScenarios() {}

    static List<Scenario> all() {
        return List.of(
            Scenario.of("send_sync", SendScenarios::sync),
            Scenario.of("send_async", SendScenarios::async),
            Scenario.of("send_oneway", SendScenarios::oneway),
            Scenario.of("send_batch", SendScenarios::batch),
            Scenario.of("send_to_queue", SendScenarios::toQueue),
            Scenario.of("send_many_threads", SendScenarios::manyThreads),
            Scenario.of("vip_channel", SendScenarios::vipChannel));
    }

    private static void sync(Scope scope) throws Exception {
        String topic = scope.topic(4);
        DefaultMQProducer producer = scope.producer();
        Map<MessageQueue, List<SendResult>> results = new HashMap<>();
        Map<String, String> bodies = new HashMap<>();
        for (int i = 0; i < 64; i++) {
            Message message = message(topic, "sync-" + i);
            message.setWaitStoreMsgOK(i % 2 == 0);
            SendResult result = ok(producer.send(message));
            Check.that(bodies.put(result.getMsgId(), "sync-" + i) == null, "message id twice");
            String at = MessageDecoder.decodeMessageId(result.getOffsetMsgId()).getAddress()
                .toString().replace("/", "");
            String master = scope.cluster.masters.get(result.getMessageQueue().getBrokerName());
            Check.same(master, at, "address in offset message id");
            results.computeIfAbsent(result.getMessageQueue(), q -> new ArrayList<>()).add(result);
        }
        Check.same(8, results.size(), "queues that took part");
        for (MessageQueue queue : results.keySet()) {
            List<MessageExt> stored = scope.readAll(queue, results.get(queue).size());
            for (int i = 0; i < stored.size(); i++) {
                SendResult result = results.get(queue).get(i);
                MessageExt message = stored.get(i);
                Check.same((long) i, result.getQueueOffset(), "offset in the reply");
                Check.same((long) i, message.getQueueOffset(), "offset in the record");
                Check.same(bodies.get(result.getMsgId()), body(message), "body");
                Check.same(result.getMsgId(), message.getMsgId(), "unique id");
            }
        }
    }

    private static void async(Scope scope) throws Exception {
        String topic = scope.topic(4);
        DefaultMQProducer producer = scope.producer();
        int count = 300;
        CountDownLatch done = new CountDownLatch(count);
        ConcurrentLinkedQueue<Object> outcomes = new ConcurrentLinkedQueue<>();
        Set<String> sent = new TreeSet<>();
        for (int i = 0; i < count; i++) {
            sent.add("async-" + i);
            producer.send(message(topic, "async-" + i), new SendCallback() {
                @Override
                public void onSuccess(SendResult result) {
                    outcomes.add(result.getSendStatus() + " " + result.getMsgId());
                    done.countDown();
                }

                @Override
                public void onException(Throwable failure) {
                    outcomes.add(failure);
                    done.countDown();
                }
            });
        }
        Check.that(done.await(30, TimeUnit.SECONDS), "%d callbacks missing", done.getCount());
        for (Object outcome : outcomes) {
            Check.that(outcome.toString().startsWith("SEND_OK "), "callback: %s", outcome);
        }
        Check.same(count, new HashSet<>(outcomes).size(), "different message ids");
        List<MessageExt> stored = scope.readAll(topic, count);
        Set<String> found = new TreeSet<>();
        stored.forEach(message -> found.add(body(message)));
        Check.same(sent, found, "bodies");
    }

    private static void oneway(Scope scope) throws Exception {
        String topic = scope.topic(4);
        DefaultMQProducer producer = scope.producer();
        for (int i = 0; i < 200; i++) {
            producer.sendOneway(message(topic, "oneway-" + i));
        }
        MessageQueue queue = scope.queues(topic).get(5);
        for (int i = 0; i < 50; i++) {
            producer.sendOneway(message(topic, "chosen-" + i), queue);
        }
        long chosen = scope.readAll(topic, 250).stream()
            .filter(message -> message.getQueueId() == queue.getQueueId()
                && message.getBrokerName().equals(queue.getBrokerName()))
            .filter(message -> body(message).startsWith("chosen-")).count();
        Check.same(50L, chosen, "one-way messages in the chosen queue");
    }

    private static void batch(Scope scope) throws Exception {
        String topic = scope.topic(2);
        DefaultMQProducer producer = scope.producer();
        for (int round = 0; round < 5; round++) {
            List<Message> messages = new ArrayList<>();
            for (int i = 0; i < 40; i++) {
                Message message = message(topic, "batch-" + round + "-" + i);
                message.setTags("T" + i % 3);
                message.setKeys("key" + round + "x" + i);
                message.setFlag(i);
                message.putUserProperty("index", Integer.toString(i));
                messages.add(message);
            }
            MessageQueue queue = scope.queues(topic).get(round % 4);
            SendResult result = ok(producer.send(messages, queue));
            long before = round / 4 * 40;
            Check.same(before, result.getQueueOffset(), "offset of the batch");
            Check.same(40, result.getMsgId().split(",").length, "unique ids");
            Check.same(40, result.getOffsetMsgId().split(",").length, "offset ids");
            checkBatch(scope, queue, before, round, result);
        }
        ok(producer.send(List.of(message(topic, "a"), message(topic, "b"))));
        scope.holds(topic, 202);
    }

    private static void checkBatch(Scope scope, MessageQueue queue, long base, int round,
        SendResult result) throws Exception {
        String[] ids = result.getMsgId().split(",");
        List<MessageExt> stored = scope.readAll(queue, (int) base + 40);
        for (int i = 0; i < 40; i++) {
            MessageExt message = stored.get((int) base + i);
            Check.same(base + i, message.getQueueOffset(), "offset");
            Check.same("batch-" + round + "-" + i, body(message), "body");
            Check.same("T" + i % 3, message.getTags(), "tag");
            Check.same("key" + round + "x" + i, message.getKeys(), "keys");
            Check.same(i, message.getFlag(), "flag");
            Check.same(Integer.toString(i), message.getUserProperty("index"), "property");
            Check.same(ids[i], message.getMsgId(), "unique id");
        }
    }

    private static void toQueue(Scope scope) throws Exception {
        String topic = scope.topic(3);
        DefaultMQProducer producer = scope.producer();
        List<MessageQueue> queues = scope.queues(topic);
        Check.same(6, queues.size(), "queues");
        for (int i = 0; i < 60; i++) {
            MessageQueue queue = queues.get(i % 6);
            SendResult result = i % 2 == 0
                ? producer.send(message(topic, "q" + i), queue)
                : producer.send(message(topic, "q" + i),
                    (all, message, chosen) -> (MessageQueue) chosen, queue);
            Check.same(queue, ok(result).getMessageQueue(), "queue in the reply");
            Check.same((long) (i / 6), result.getQueueOffset(), "offset");
        }
        for (int q = 0; q < 6; q++) {
            List<MessageExt> stored = scope.readAll(queues.get(q), 10);
            for (int i = 0; i < 10; i++) {
                Check.same("q" + (i * 6 + q), body(stored.get(i)), "body");
                Check.same(queues.get(q).getQueueId(), stored.get(i).getQueueId(), "queue id");
            }
        }
    }

    /** Many threads on one queue: offsets are dense, each thread's messages keep their order. */
    private static void manyThreads(Scope scope) throws Exception {
        String topic = scope.topic(1);
        DefaultMQProducer producer = scope.producer();
        MessageQueue queue = scope.queues(topic).get(0);
        ConcurrentLinkedQueue<Throwable> failures = new ConcurrentLinkedQueue<>();
        List<Thread> threads = new ArrayList<>();
        for (int t = 0; t < 16; t++) {
            int thread = t;
            threads.add(new Thread(() -> {
                try {
                    for (int i = 0; i < 50; i++) {
                        ok(producer.send(message(topic, thread + ":" + i), queue));
                    }
                } catch (Throwable failed) {
                    failures.add(failed);
                }
            }));
        }
        threads.forEach(Thread::start);
        for (Thread thread : threads) {
            thread.join();
        }
        Check.that(failures.isEmpty(), "send: %s", failures.peek());
        List<MessageExt> stored = scope.readAll(queue, 800);
        int[] next = new int[16];
        for (int i = 0; i < stored.size(); i++) {
            Check.same((long) i, stored.get(i).getQueueOffset(), "offset");
            String[] parts = body(stored.get(i)).split(":");
            Check.same(next[Integer.parseInt(parts[0])]++, Integer.parseInt(parts[1]), "order");
        }
    }

    /** Through the second listener, listenPort - 2. */
    private static void vipChannel(Scope scope) throws Exception {
        String topic = scope.topic(2);
        DefaultMQProducer producer = scope.newProducer();
        producer.setVipChannelEnabled(true);
        producer.start();
        List<String> sent = scope.fill(producer, topic, "vip-", 40);
        Received received = new Received();
        var consumer = scope.push(scope.name("vip"));
        consumer.setVipChannelEnabled(true);
        Received.startConcurrent(consumer, topic, "*", received);
        received.exactly(sent, 20, "messages through the second listener");
    }
}

package rmq.interop;

import static rmq.interop.Scope.message;
import static rmq.interop.Scope.ok;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** The two kinds of consumers that ask by themselves. */
final class PullScenarios {
    private PullScenarios() {}

    static List<Scenario> all() {
        return List.of(
            Scenario.of("pull_statuses", PullScenarios::statuses),
            Scenario.of("pull_filter", PullScenarios::filter),
            Scenario.of("pull_block", PullScenarios::block),
            Scenario.of("lite_subscribe", PullScenarios::liteSubscribe),
            Scenario.of("lite_assign", PullScenarios::liteAssign),
            Scenario.of("lite_rebalance", PullScenarios::liteRebalance));
    }

    private static void statuses(Scope scope) throws Exception {
        String topic = scope.topic(1);
        DefaultMQPullConsumer consumer = scope.reader();
        MessageQueue queue = scope.queues(topic).get(0);
        PullResult empty = consumer.pull(queue, "*", 0, 32);
        Check.same(PullStatus.NO_NEW_MSG, empty.getPullStatus(), "pull of an empty queue");
        PullResult emptyBeyond = consumer.pull(queue, "*", 7, 32);
        Check.same(PullStatus.OFFSET_ILLEGAL, emptyBeyond.getPullStatus(), "beyond an empty queue");
        Check.same(0L, emptyBeyond.getNextBeginOffset(), "next offset of an empty queue");
        DefaultMQProducer producer = scope.producer();
        for (int i = 0; i < 100; i++) {
            ok(producer.send(message(topic, "p" + i), queue));
        }
        scope.readAll(queue, 100);
        PullResult found = consumer.pull(queue, "*", 0, 32);
        Check.same(PullStatus.FOUND, found.getPullStatus(), "pull");
        Check.same(32, found.getMsgFoundList().size(), "messages of one pull");
        Check.same(32L, found.getNextBeginOffset(), "next offset");
        Check.same(0L, found.getMinOffset(), "minimum offset");
        Check.same(100L, found.getMaxOffset(), "maximum offset");
        PullResult one = consumer.pull(queue, "*", 42, 1);
        Check.same(1, one.getMsgFoundList().size(), "messages of a pull of one");
        Check.same("p42", Scope.body(one.getMsgFoundList().get(0)), "body");
        PullResult tail = consumer.pull(queue, "*", 95, 32);
        Check.same(5, tail.getMsgFoundList().size(), "messages at the end");
        Check.same(100L, tail.getNextBeginOffset(), "next offset at the end");
        PullResult end = consumer.pull(queue, "*", 100, 32);
        Check.same(PullStatus.NO_NEW_MSG, end.getPullStatus(), "pull at the end");
        Check.same(100L, end.getNextBeginOffset(), "next offset at the end");
        PullResult beyond = consumer.pull(queue, "*", 5000, 32);
        Check.same(PullStatus.OFFSET_ILLEGAL, beyond.getPullStatus(), "pull beyond the end");
        Check.same(100L, beyond.getNextBeginOffset(), "next offset beyond the end");
    }

    private static void filter(Scope scope) throws Exception {
        String topic = scope.topic(1);
        DefaultMQPullConsumer consumer = scope.reader();
        MessageQueue queue = scope.queues(topic).get(0);
        DefaultMQProducer producer = scope.producer();
        for (int i = 0; i < 30; i++) {
            ok(producer.send(new Message(topic, "T" + i % 3, ("f" + i).getBytes()), queue));
        }
        scope.holds(topic, 30);
        PullResult some = consumer.pull(queue, "T0 || T2", 0, 32);
        Check.same(PullStatus.FOUND, some.getPullStatus(), "pull of two tags");
        Check.same(20, some.getMsgFoundList().size(), "messages of two tags");
        for (MessageExt message : some.getMsgFoundList()) {
            Check.that(!message.getTags().equals("T1"), "a tag that was not asked for");
        }
        Check.same(30L, some.getNextBeginOffset(), "next offset after filtering");
        PullResult none = consumer.pull(queue, "other", 0, 32);
        Check.same(PullStatus.NO_MATCHED_MSG, none.getPullStatus(), "pull of an absent tag");
        Check.same(30L, none.getNextBeginOffset(), "next offset when none matches");
    }

    private static void block(Scope scope) throws Exception {
        String topic = scope.topic(1);
        DefaultMQPullConsumer consumer = scope.reader();
        MessageQueue queue = scope.queues(topic).get(0);
        DefaultMQProducer producer = scope.producer();
        for (int i = 0; i < 3; i++) {
            long offset = i;
            CompletableFuture<PullResult> waiting = CompletableFuture.supplyAsync(() -> {
                try {
                    return consumer.pullBlockIfNotFound(queue, "*", offset, 32);
                } catch (Exception failed) {
                    throw new IllegalStateException(failed);
                }
            });
            Thread.sleep(300);
            Check.that(!waiting.isDone(), "a pull at the end of the queue was not held");
            ok(producer.send(message(topic, "block-" + i), queue));
            PullResult result = waiting.get(5, TimeUnit.SECONDS);
            Check.same(PullStatus.FOUND, result.getPullStatus(), "held pull");
            Check.same("block-" + i, Scope.body(result.getMsgFoundList().get(0)), "body");
        }
    }

    private static void poll(DefaultLitePullConsumer consumer, Received received, int count)
        throws Exception {
        Check.eventually(20, count + " messages by polling", () -> {
            received.add(consumer.poll(200));
            return received.size() >= count;
        });
    }

    private static void liteSubscribe(Scope scope) throws Exception {
        String topic = scope.topic(2);
        String group = scope.name("g");
        DefaultMQProducer producer = scope.producer();
        for (int round = 0; round < 2; round++) {
            List<String> sent = scope.fill(producer, topic, "lite-" + round + "-", 50);
            DefaultLitePullConsumer consumer = scope.litePull(group);
            consumer.setAutoCommit(round == 0);
            consumer.subscribe(topic, "*");
            consumer.start();
            Received received = new Received();
            poll(consumer, received, 50);
            received.exactly(sent, 1, "round " + round);
            consumer.commitSync();
            consumer.shutdown();
            scope.awaitCommitted(group, topic);
        }
        scope.fill(producer, topic, "last-", 10);
        DefaultLitePullConsumer consumer = scope.litePull(group);
        consumer.subscribe(topic, "*");
        consumer.start();
        Received received = new Received();
        poll(consumer, received, 10);
        Check.that(received.bodies().stream().allMatch(body -> body.startsWith("last-")),
            "committed messages came again: %s", received.bodies());
    }

    private static void liteAssign(Scope scope) throws Exception {
        String topic = scope.topic(2);
        DefaultMQProducer producer = scope.producer();
        List<MessageQueue> queues = scope.queues(topic);
        for (int i = 0; i < 80; i++) {
            ok(producer.send(message(topic, "a" + i), queues.get(i % 4)));
        }
        DefaultLitePullConsumer consumer = scope.litePull(scope.name("g"));
        consumer.setAutoCommit(false);
        consumer.start();
        Check.same(queues, Scope.sorted(consumer.fetchMessageQueues(topic)), "queues");
        List<MessageQueue> chosen = List.of(queues.get(0), queues.get(3));
        consumer.assign(chosen);
        consumer.seek(queues.get(0), 15);
        consumer.seekToBegin(queues.get(3));
        Received received = new Received();
        poll(consumer, received, 25);
        Map<Integer, Integer> expected = new HashMap<>();
        Set<String> bodies = new HashSet<>();
        for (int i = 60; i < 80; i += 4) {
            bodies.add("a" + i);
        }
        for (int i = 3; i < 80; i += 4) {
            bodies.add("a" + i);
        }
        received.exactly(bodies, 1, "assigned queues from where they were set to");
        consumer.commitSync(Map.of(queues.get(0), 20L, queues.get(3), 17L), true);
        Check.eventually(10, "committed offsets", () -> consumer.committed(queues.get(0)) == 20L
            && consumer.committed(queues.get(3)) == 17L);
        consumer.seekToEnd(queues.get(0));
        consumer.seekToEnd(queues.get(3));
        ok(producer.send(message(topic, "tail"), queues.get(3)));
        Received tail = new Received();
        poll(consumer, tail, 1);
        tail.exactly(List.of("tail"), 1, "after the end");
        Check.same(0L, consumer.offsetForTimestamp(queues.get(0), 1L), "offset for an old time");
    }

    private static void liteRebalance(Scope scope) throws Exception {
        String topic = scope.topic(4);
        String group = scope.name("g");
        List<String> sent = new ArrayList<>();
        DefaultMQProducer producer = scope.producer();
        List<DefaultLitePullConsumer> consumers = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            DefaultLitePullConsumer consumer = scope.litePull(group);
            consumer.subscribe(topic, "*");
            consumer.start();
            consumers.add(consumer);
        }
        Check.eventually(15, "the queues are shared out", () -> consumers.get(0).assignment().size()
            == 4 && consumers.get(1).assignment().size() == 4);
        sent.addAll(scope.fill(producer, topic, "shared-", 80));
        Received received = new Received();
        Check.eventually(20, "all messages by either", () -> {
            received.add(consumers.get(0).poll(50));
            received.add(consumers.get(1).poll(50));
            return received.size() >= 80;
        });
        received.exactly(sent, 1, "both consumers together");
        for (DefaultLitePullConsumer consumer : consumers) {
            Map<MessageQueue, Long> ends = new HashMap<>();
            for (MessageQueue queue : consumer.assignment()) {
                ends.put(queue, scope.reader().maxOffset(queue));
            }
            consumer.commitSync(ends, true);
        }
        scope.awaitCommitted(group, topic);
        consumers.get(0).shutdown();
        Check.eventually(10, "the one that stays has all queues",
            () -> consumers.get(1).assignment().size() == 8);
        List<String> late = scope.fill(producer, topic, "late-", 40);
        Received rest = new Received();
        poll(consumers.get(1), rest, 40);
        rest.exactly(late, 1, "the one that stays");
    }
}

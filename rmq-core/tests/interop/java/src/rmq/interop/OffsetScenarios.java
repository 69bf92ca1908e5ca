package rmq.interop;

import static rmq.interop.Scope.message;
import static rmq.interop.Scope.ok;

import java.util.ArrayList;
import java.util.List;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Offsets of queues and of groups. */
final class OffsetScenarios {
    private OffsetScenarios() {}

    static List<Scenario> all() {
        return List.of(
            Scenario.of("offsets_min_max", OffsetScenarios::minMax),
            Scenario.of("offsets_by_time", OffsetScenarios::byTime),
            Scenario.of("offsets_of_group", OffsetScenarios::ofGroup));
    }

    private static void minMax(Scope scope) throws Exception {
        String topic = scope.topic(2);
        DefaultMQProducer producer = scope.producer();
        DefaultMQPullConsumer reader = scope.reader();
        List<MessageQueue> queues = scope.queues(topic);
        for (MessageQueue queue : queues) {
            Check.same(0L, reader.minOffset(queue), "minimum of an empty queue");
            Check.same(0L, reader.maxOffset(queue), "maximum of an empty queue");
            Check.same(-1L, reader.earliestMsgStoreTime(queue), "store time of an empty queue");
        }
        for (int i = 0; i < 12; i++) {
            ok(producer.send(message(topic, "m" + i), queues.get(i % 3)));
        }
        for (int q = 0; q < 3; q++) {
            long earliest = scope.readAll(queues.get(q), 4).get(0).getStoreTimestamp();
            Check.same(earliest, reader.earliestMsgStoreTime(queues.get(q)), "earliest store time");
            Check.same(0L, reader.minOffset(queues.get(q)), "minimum");
            Check.same(4L, reader.maxOffset(queues.get(q)), "maximum");
        }
        Check.same(0L, reader.maxOffset(queues.get(3)), "maximum of the queue that got nothing");
    }

    private static void byTime(Scope scope) throws Exception {
        String topic = scope.topic(1);
        DefaultMQProducer producer = scope.producer();
        DefaultMQPullConsumer reader = scope.reader();
        MessageQueue queue = scope.queues(topic).get(0);
        for (int i = 0; i < 12; i++) {
            ok(producer.send(message(topic, "t" + i), queue));
            if (i % 3 == 2) {
                Thread.sleep(30);
            }
        }
        List<Long> times = new ArrayList<>();
        for (MessageExt message : scope.readAll(queue, 12)) {
            times.add(message.getStoreTimestamp());
        }
        Check.same(0L, reader.searchOffset(queue, times.get(0) - 10_000), "long before the first");
        for (int i = 0; i < times.size(); i++) {
            long first = times.indexOf(times.get(i));
            Check.same(first, reader.searchOffset(queue, times.get(i)), "at message " + i);
            if (i > 0 && times.get(i) - times.get(i - 1) > 10) {
                Check.same((long) i, reader.searchOffset(queue, times.get(i) - 5),
                    "between messages " + (i - 1) + " and " + i);
            }
        }
        Check.same(12L, reader.searchOffset(queue, times.get(11) + 60_000), "after the last");
    }

    /** The broker keeps offsets of groups that it knows, so the first heartbeat comes before. */
    private static void ofGroup(Scope scope) throws Exception {
        String topic = scope.topic(1);
        String group = scope.name("g");
        DefaultMQProducer producer = scope.producer();
        MessageQueue queue = scope.queues(topic).get(0);
        for (int i = 0; i < 30; i++) {
            ok(producer.send(message(topic, "o" + i), queue));
        }
        DefaultMQPullConsumer first = scope.pull(group);
        Check.same(0L, first.fetchConsumeOffset(queue, true), "offset of a group that is new");
        Check.eventually(10, "the committed offset at the one who set it", () -> {
            first.updateConsumeOffset(queue, 17);
            first.persist(queue);
            return first.fetchConsumeOffset(queue, true) == 17;
        });
        first.shutdown();
        DefaultMQPullConsumer second = scope.pull(group);
        Check.eventually(5, "the committed offset",
            () -> second.fetchConsumeOffset(queue, true) == 17);
        Check.eventually(10, "an offset that was set back, at the one who did", () -> {
            second.updateConsumeOffset(queue, 5);
            second.persist(queue);
            return second.fetchConsumeOffset(queue, true) == 5;
        });
        DefaultMQPullConsumer other = scope.pull(scope.name("other"));
        Check.same(0L, other.fetchConsumeOffset(queue, true), "offset of another group");
        second.shutdown();
        DefaultMQPullConsumer third = scope.pull(group);
        Check.eventually(5, "an offset that was set back",
            () -> third.fetchConsumeOffset(queue, true) == 5);
    }
}

package rmq.interop;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Holds a broker that opened the store which {@link StoreFill} filled against what was written: all
 * messages with their offsets and fields, the committed offsets, a consumer that goes on from them,
 * new messages at the next offsets, and the delayed messages, which come once after a clean end. Of
 * a slave without its master only what can be read is asked.
 *
 * <p>-n ADDRS --topic T --group G --manifest FILE [--brokers 1] [--slave false] [--clean true].
 */
public final class StoreDrain {
    private final boolean slave;

    private StoreDrain(boolean slave) {
        this.slave = slave;
    }

    public static void main(String[] args) throws Exception {
        Args options = new Args(args);
        int status = 0;
        boolean slave = Boolean.parseBoolean(options.text("slave", "false"));
        int masters = slave ? 0 : options.number("brokers", 1);
        try (Cluster cluster = new Cluster(options.text("n"), masters);
            Scope scope = new Scope(cluster, options.text("topic") + "_drain")) {
            new StoreDrain(slave).run(scope, options.text("topic"), options.text("group"),
                Files.readAllLines(Path.of(options.text("manifest"))));
            if (!slave) {
                delayed(scope, options.text("topic") + StoreFill.DELAYED,
                    Files.readAllLines(Path.of(options.text("manifest"))),
                    Boolean.parseBoolean(options.text("clean", "true")));
            }
        } catch (AssertionError wrong) {
            System.out.println("FAIL " + wrong.getMessage());
            status = 1;
        }
        System.out.flush();
        Runtime.getRuntime().halt(status);
    }

    private void run(Scope scope, String topic, String group, List<String> manifest)
        throws Exception {
        Map<String, Long> commits = new HashMap<>();
        Map<String, Long> ends = new HashMap<>();
        Map<String, String> expected = new HashMap<>();
        Set<String> left = new HashSet<>();
        for (String line : manifest) {
            String[] parts = line.split(" ");
            if (parts[0].equals("delayed")) {
                continue;
            }
            String queue = parts[1] + "/" + parts[2];
            if (parts[0].equals("commit")) {
                commits.put(queue, Long.parseLong(parts[3]));
            } else {
                expected.put(queue + "@" + parts[3], line.substring("message ".length()));
                ends.merge(queue, Long.parseLong(parts[3]) + 1, Math::max);
            }
        }
        for (String position : expected.keySet()) {
            String[] parts = position.split("@");
            if (Long.parseLong(parts[1]) >= commits.get(parts[0])) {
                left.add(position);
            }
        }
        Check.eventually(20, "route of " + topic, () -> !scope.queues(topic).isEmpty());
        int read = readBack(scope, topic, ends, expected);
        Received received = new Received();
        Received.startConcurrent(scope.push(group), topic, "*", received);
        Check.eventually(40, left.size() + " messages beyond the committed offsets",
            () -> positions(received).containsAll(left));
        Set<String> surplus = positions(received);
        surplus.removeAll(left);
        Check.that(surplus.isEmpty(), "committed messages came again: %d, such as %s",
            surplus.size(), surplus.stream().limit(3).toList());
        int added = slave ? 0 : append(scope, topic, ends, received);
        System.out.printf("ok read %d consumed %d added %d%n", read, left.size(), added);
    }

    /** Delayed messages: none is lost, none is early, and after a clean end none comes twice. */
    private static void delayed(Scope scope, String topic, List<String> manifest, boolean clean)
        throws Exception {
        Map<String, Long> due = new HashMap<>();
        for (String line : manifest) {
            String[] parts = line.split(" ");
            if (parts[0].equals("delayed")) {
                due.put(parts[1], Long.parseLong(parts[2]));
            }
        }
        MessageQueue queue = scope.queues(topic).get(0);
        Map<String, Integer> times = new HashMap<>();
        Check.eventually(40, "all delayed messages", () -> {
            times.clear();
            long count = scope.count(queue);
            Thread.sleep(500);
            if (scope.count(queue) != count) {
                return false;
            }
            for (MessageExt message : scope.readAll(queue, (int) count)) {
                String body = Scope.body(message);
                times.merge(body, 1, Integer::sum);
                long early = due.get(body) - message.getStoreTimestamp();
                Check.that(early <= 0, "%s came %d ms early", body, early);
                Check.same("D", message.getTags(), "tag of " + body);
            }
            return times.size() == due.size();
        });
        times.forEach((body, count) ->
            Check.that(count == 1 || !clean, "%s was delivered %d times", body, count));
        System.out.printf("ok delayed %d%n", times.size());
    }

    private static String position(MessageExt message) {
        return message.getBrokerName() + "/" + message.getQueueId() + "@"
            + message.getQueueOffset();
    }

    private static Set<String> positions(Received received) {
        Set<String> positions = new HashSet<>();
        received.all().forEach(message -> positions.add(position(message)));
        return positions;
    }

    private int readBack(Scope scope, String topic, Map<String, Long> ends,
        Map<String, String> expected) throws Exception {
        List<MessageExt> all = new ArrayList<>();
        for (MessageQueue queue : scope.queues(topic)) {
            String name = queue.getBrokerName() + "/" + queue.getQueueId();
            if (slave) {
                all.addAll(pullAll(scope, queue, ends.get(name)));
                continue;
            }
            Check.same(0L, scope.reader().minOffset(queue), "minimum offset of " + name);
            Check.same(ends.get(name), scope.reader().maxOffset(queue), "maximum of " + name);
            all.addAll(scope.readAll(queue, ends.get(name).intValue()));
        }
        for (MessageExt message : all) {
            String position = position(message);
            Check.same(expected.get(position), StoreFill.describe(message), "at " + position);
        }
        Check.same(expected.size(), all.size(), "messages read back");
        return all.size();
    }

    /** By pulls alone: a client asks only masters for the ends of a queue. */
    private static List<MessageExt> pullAll(Scope scope, MessageQueue queue, long end)
        throws Exception {
        List<MessageExt> all = new ArrayList<>();
        while (all.size() < end) {
            PullResult result = scope.reader().pull(queue, "*", all.size(), 32);
            Check.same(PullStatus.FOUND, result.getPullStatus(), "pull at " + all.size());
            all.addAll(result.getMsgFoundList());
        }
        // Until a slave has learnt that its master is gone it sends readers there: at once again.
        Check.eventually(20, "no new message at the end of " + queue, () ->
            scope.reader().pull(queue, "*", end, 32).getPullStatus() == PullStatus.NO_NEW_MSG);
        return all;
    }

    private static int append(Scope scope, String topic, Map<String, Long> ends, Received received)
        throws Exception {
        DefaultMQProducer producer = scope.producer();
        Set<String> bodies = new HashSet<>();
        for (MessageQueue queue : scope.queues(topic)) {
            String name = queue.getBrokerName() + "/" + queue.getQueueId();
            for (int i = 0; i < 10; i++) {
                String body = "added-" + name + "-" + i;
                bodies.add(body);
                SendResult result = Scope.ok(producer.send(Scope.message(topic, body), queue));
                Check.same(ends.get(name) + i, result.getQueueOffset(), "offset after reopening");
            }
        }
        Check.eventually(20, "the added messages", () -> received.bodies().containsAll(bodies));
        return bodies.size();
    }
}

package rmq.interop;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.zip.CRC32;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Fills the store of a broker with messages of every kind, commits a part of them for a group, and
 * writes what it holds to a file for {@link StoreDrain}.
 *
 * <p>-n ADDRS --topic T --group G --manifest FILE [--brokers 1] [--count 2000].
 */
public final class StoreFill {
    /** Ends the name of the topic of delayed and timed messages. */
    static final String DELAYED = "_delayed";
    /** Delays of the brokers' two levels. */
    private static final long[] DELAYS_MS = {1_000, 15_000};

    private StoreFill() {}

    public static void main(String[] args) throws Exception {
        Args options = new Args(args);
        try (Cluster cluster = new Cluster(options.text("n"), options.number("brokers", 1));
            Scope scope = new Scope(cluster, options.text("topic") + "_fill")) {
            String topic = options.text("topic");
            cluster.createTopic(topic, 3, 3, 6);
            int count = send(scope, topic, options.number("count", 2000));
            List<String> lines = new ArrayList<>();
            scope.holds(topic, count);
            for (MessageQueue queue : scope.queues(topic)) {
                for (MessageExt message : scope.readAll(queue, (int) scope.count(queue))) {
                    lines.add("message " + describe(message));
                }
            }
            commit(scope, topic, options.text("group"), lines);
            delayed(scope, topic + DELAYED, lines);
            Files.write(Path.of(options.text("manifest")), lines);
            System.out.println("filled " + count);
        }
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }

    /** Small ones, batches, compressed ones, and a few large ones that fill log segments. */
    private static int send(Scope scope, String topic, int count) throws Exception {
        DefaultMQProducer producer = scope.producer();
        List<MessageQueue> queues = scope.queues(topic);
        // Most of them go to one queue, so that it outgrows a file of its consume queue.
        for (int i = 0; i < count; i++) {
            Message message = Scope.message(topic, "single-" + i + "x".repeat(i % 300));
            if (i % 3 != 0) {
                message.setTags("T" + i % 3);
            }
            message.setKeys("k" + i + " all");
            message.putUserProperty("n\u00fcm", "\u6570-" + i);
            message.setFlag(i);
            MessageQueue queue = queues.get(i % 10 == 0 ? i / 10 % queues.size() : 0);
            Scope.ok(producer.send(message, queue));
        }
        int sent = count;
        for (int i = 0; i < 5; i++) {
            List<Message> batch = new ArrayList<>();
            for (int j = 0; j < 20; j++) {
                batch.add(new Message(topic, "B", ("batch-" + i + "-" + j).getBytes()));
            }
            Scope.ok(producer.send(batch));
            byte[] zeros = new byte[100_000];
            Arrays.fill(zeros, (byte) i);
            Scope.ok(producer.send(new Message(topic, "Z", zeros)));
            sent += 21;
        }
        for (int i = 0; i < 12; i++) {
            byte[] large = new byte[1 << 20];
            new Random(i).nextBytes(large);
            Scope.ok(producer.send(new Message(topic, "L", large)));
            sent++;
        }
        return sent;
    }

    /** Some that are delivered before the broker ends, and some that most likely are not. */
    private static void delayed(Scope scope, String topic, List<String> lines) throws Exception {
        scope.cluster.createTopic(topic, 1, 1, 6);
        DefaultMQProducer producer = scope.producer();
        for (int level = 1; level <= DELAYS_MS.length; level++) {
            long delay = DELAYS_MS[level - 1];
            for (int i = 0; i < 40; i++) {
                String body = (i < 20 ? "level-" : "timed-") + level + "-" + i;
                Message message = new Message(topic, "D", body.getBytes());
                if (i < 20) {
                    message.setDelayTimeLevel(level);
                } else {
                    Line.delayMillis(message, delay);
                }
                long due = System.currentTimeMillis() + delay;
                Scope.ok(producer.send(message));
                lines.add("delayed " + body + " " + due);
            }
            if (level == 1) {
                scope.holds(topic, 40);
            }
        }
    }

    static String describe(MessageExt message) {
        CRC32 crc = new CRC32();
        crc.update(message.getBody());
        String properties = message.getUserProperty("n\u00fcm");
        return message.getBrokerName() + " " + message.getQueueId() + " "
            + message.getQueueOffset() + " " + message.getMsgId() + " "
            + Long.toHexString(crc.getValue()) + " " + message.getTags() + " "
            + String.valueOf(message.getKeys()).replace(' ', '+') + " " + message.getFlag() + " "
            + message.getBornTimestamp() + " " + message.getStoreTimestamp() + " "
            + (properties == null ? "-" : hex(properties));
    }

    private static String hex(String text) {
        StringBuilder hex = new StringBuilder();
        for (byte value : text.getBytes(StandardCharsets.UTF_8)) {
            hex.append(String.format("%02x", value));
        }
        return hex.toString();
    }

    /** The group is given a third of each queue. */
    private static void commit(Scope scope, String topic, String group, List<String> lines)
        throws Exception {
        DefaultMQPullConsumer consumer = scope.pull(group);
        for (MessageQueue queue : scope.queues(topic)) {
            long offset = consumer.maxOffset(queue) / 3;
            Check.eventually(15, "the committed offset of " + queue, () -> {
                consumer.updateConsumeOffset(queue, offset);
                consumer.getDefaultMQPullConsumerImpl().getOffsetStore().persist(queue);
                return consumer.fetchConsumeOffset(queue, true) == offset;
            });
            lines.add("commit " + queue.getBrokerName() + " " + queue.getQueueId() + " " + offset);
        }
    }
}

package rmq.interop;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.hook.SendMessageContext;
import org.apache.rocketmq.client.hook.SendMessageHook;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageClientIDSetter;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Producers and one consumer that go on through whatever happens to the brokers, and the history of
 * it: one line for each SEND_OK, each attempt of the client to send, and each delivery.
 *
 * <p>-n ADDRS --topic T --group G --dir DIR [--producers 4] [--rate 1000] [--brokers 2]. Prints
 * "ready" and then "acked N consumed M failed F" twice a second. A line "stop" on standard input
 * ends the sending; when all that was acknowledged is consumed, or nothing came for 30 s, it prints
 * "drained ..." or "not drained ..." and ends. {@link History} says what the history must be.
 */
public final class Load {
    private final Args options;
    private final String topic;
    private final AtomicBoolean stop = new AtomicBoolean();
    private final AtomicLong acked = new AtomicLong();
    private final AtomicLong failed = new AtomicLong();
    private final AtomicLong consumed = new AtomicLong();
    /** Unique id to the number of requests that carried it. */
    private final Map<String, AtomicInteger> attempts = new ConcurrentHashMap<>();
    private final Set<String> outstanding = ConcurrentHashMap.newKeySet();
    private final Set<String> seen = ConcurrentHashMap.newKeySet();
    private final PrintStream ackedFile;
    private final PrintStream consumedFile;

    private Load(Args options) throws Exception {
        this.options = options;
        topic = options.text("topic");
        Path dir = Path.of(options.text("dir"));
        Files.createDirectories(dir);
        ackedFile = new PrintStream(Files.newOutputStream(dir.resolve(History.ACKED)), true);
        consumedFile = new PrintStream(Files.newOutputStream(dir.resolve(History.CONSUMED)), true);
    }

    public static void main(String[] args) throws Exception {
        Load load = new Load(new Args(args));
        boolean drained = load.run();
        Runtime.getRuntime().halt(drained ? 0 : 1);
    }

    private boolean run() throws Exception {
        try (Cluster cluster =
            new Cluster(options.text("n"), options.number("brokers", 2))) {
            cluster.createTopic(topic, 4, 4, 6);
        }
        DefaultMQPushConsumer consumer = startConsumer();
        List<Thread> threads = new ArrayList<>();
        int producers = options.number("producers", 4);
        long interval = 1_000_000_000L * producers / options.number("rate", 1000);
        for (int p = 0; p < producers; p++) {
            threads.add(startProducer(p, interval));
        }
        Thread reporter = new Thread(this::report);
        reporter.setDaemon(true);
        System.out.println("ready");
        reporter.start();
        awaitStop();
        stop.set(true);
        for (Thread thread : threads) {
            thread.join();
        }
        boolean drained = drain();
        consumer.shutdown();
        System.out.println((drained ? "drained " : "not drained ") + progress());
        writeAttempts();
        return drained;
    }

    private void awaitStop() throws Exception {
        BufferedReader input =
            new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        String line;
        do {
            line = input.readLine();
        } while (line != null && !line.equals("stop"));
    }

    private boolean drain() throws Exception {
        long last = consumed.get();
        long quietSince = System.nanoTime();
        while (!outstanding.isEmpty()) {
            Thread.sleep(50);
            if (consumed.get() != last) {
                last = consumed.get();
                quietSince = System.nanoTime();
            } else if (System.nanoTime() - quietSince > 30_000_000_000L) {
                return false;
            }
        }
        return true;
    }

    private String progress() {
        return "acked " + acked + " consumed " + consumed + " failed " + failed;
    }

    private void report() {
        while (true) {
            System.out.println(progress());
            try {
                Thread.sleep(500);
            } catch (InterruptedException ended) {
                return;
            }
        }
    }

    private void writeAttempts() throws Exception {
        StringBuilder lines = new StringBuilder();
        attempts.forEach((id, count) -> {
            if (count.get() > 1) {
                lines.append(id).append(' ').append(count.get()).append('\n');
            }
        });
        Path dir = Path.of(options.text("dir"));
        Files.writeString(dir.resolve(History.ATTEMPTS), lines.toString());
    }

    /** One thread consumes, so deliveries of a queue are written in the order of their arrival. */
    private DefaultMQPushConsumer startConsumer() throws Exception {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(options.text("group"));
        consumer.setNamesrvAddr(options.text("n"));
        consumer.setPollNameServerInterval(1000);
        consumer.setHeartbeatBrokerInterval(2000);
        consumer.setPersistConsumerOffsetInterval(1000);
        consumer.setPullTimeDelayMillsWhenException(500);
        consumer.setConsumeThreadMin(1);
        consumer.setConsumeThreadMax(1);
        consumer.setConsumeMessageBatchMaxSize(32);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            StringBuilder lines = new StringBuilder();
            for (MessageExt message : messages) {
                lines.append(context.getMessageQueue().getBrokerName()).append(' ')
                    .append(message.getQueueId()).append(' ').append(message.getQueueOffset())
                    .append(' ').append(message.getMsgId()).append(' ')
                    .append(Scope.body(message), 0, Scope.body(message).indexOf('.')).append('\n');
                seen.add(message.getMsgId());
                outstanding.remove(message.getMsgId());
            }
            consumedFile.print(lines);
            consumed.addAndGet(messages.size());
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        return consumer;
    }

    private Thread startProducer(int number, long intervalNanos) throws Exception {
        DefaultMQProducer producer = new DefaultMQProducer(options.text("group") + "_producers");
        producer.setNamesrvAddr(options.text("n"));
        producer.setInstanceName("load-" + number + "-" + System.nanoTime());
        producer.setPollNameServerInterval(1000);
        producer.setHeartbeatBrokerInterval(2000);
        producer.setSendMsgTimeout(6000);
        producer.setRetryTimesWhenSendFailed(3);
        producer.getDefaultMQProducerImpl().registerSendMessageHook(new CountAttempts());
        producer.start();
        Thread thread = new Thread(() -> {
            for (int seq = 0; !stop.get(); seq++) {
                long began = System.nanoTime();
                send(producer, number, seq);
                long rest = intervalNanos - (System.nanoTime() - began);
                if (rest > 0) {
                    java.util.concurrent.locks.LockSupport.parkNanos(rest);
                }
            }
            producer.shutdown();
        });
        thread.start();
        return thread;
    }

    private void send(DefaultMQProducer producer, int number, int seq) {
        String body = number + ":" + seq + "." + "x".repeat(seq % 700);
        Message message = Scope.message(topic, body);
        try {
            SendResult result = producer.send(message);
            if (result.getSendStatus() != SendStatus.SEND_OK) {
                failed.incrementAndGet();
                return;
            }
            MessageQueue queue = result.getMessageQueue();
            ackedFile.print(queue.getBrokerName() + " " + queue.getQueueId() + " "
                + result.getQueueOffset() + " " + result.getMsgId() + " " + number + ":" + seq
                + "\n");
            acked.incrementAndGet();
            outstanding.add(result.getMsgId());
            if (seen.contains(result.getMsgId())) {
                outstanding.remove(result.getMsgId());
            }
        } catch (Exception unanswered) {
            failed.incrementAndGet();
        }
    }

    private final class CountAttempts implements SendMessageHook {
        @Override
        public String hookName() {
            return "attempts";
        }

        @Override
        public void sendMessageBefore(SendMessageContext context) {
            attempts.computeIfAbsent(MessageClientIDSetter.getUniqID(context.getMessage()),
                id -> new AtomicInteger()).incrementAndGet();
        }

        @Override
        public void sendMessageAfter(SendMessageContext context) {}
    }
}

package rmq.interop;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.hook.SendMessageContext;
import org.apache.rocketmq.client.hook.SendMessageHook;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * Producers and a group of two consumers that go on through whatever happens to the cluster, and
 * write down everything: each request of the client that carried a message with its answer, and
 * each delivery, with the times. The lines are those that tests/reliability/history.rs reads.
 *
 * <p>-n ADDRS --topic T --client NUMBER --file HISTORY [--producers 4] [--rate 100]. Prints
 * "ready", then "ok N" five times a second. Lines on standard input: "pause" and "resume" the
 * consumers, "stop" the producers (answered by "stopped"), "quit".
 */
public final class Traffic {
    private final Args options;
    private final int client;
    private final PrintStream history;
    private final AtomicBoolean stop = new AtomicBoolean();
    private final AtomicLong ok = new AtomicLong();
    private final List<DefaultMQPushConsumer> consumers = new ArrayList<>();
    private final List<Thread> producers = new ArrayList<>();

    private Traffic(Args options) throws Exception {
        this.options = options;
        client = options.number("client", 1);
        history = new PrintStream(Files.newOutputStream(Path.of(options.text("file"))), true);
    }

    public static void main(String[] args) throws Exception {
        Traffic traffic = new Traffic(new Args(args));
        traffic.run();
        Runtime.getRuntime().halt(0);
    }

    private void run() throws Exception {
        int count = options.number("producers", 4);
        long interval = 1_000_000_000L * count / options.number("rate", 100);
        for (int member = 0; member < 2; member++) {
            consumers.add(startConsumer(member));
        }
        for (int number = 0; number < count; number++) {
            producers.add(startProducer(number, interval));
        }
        Thread reporter = new Thread(this::report);
        reporter.setDaemon(true);
        reporter.start();
        System.out.println("ready");
        obey();
    }

    private void obey() throws Exception {
        BufferedReader input =
            new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            switch (line) {
                case "pause" -> consumers.forEach(DefaultMQPushConsumer::suspend);
                case "resume" -> consumers.forEach(DefaultMQPushConsumer::resume);
                case "stop" -> {
                    stop.set(true);
                    for (Thread thread : producers) {
                        thread.join();
                    }
                    System.out.println("stopped");
                }
                default -> {
                    return;
                }
            }
        }
    }

    private void report() {
        while (true) {
            System.out.println("ok " + ok);
            LockSupport.parkNanos(200_000_000L);
        }
    }

    private static long now() {
        Instant now = Instant.now();
        return now.getEpochSecond() * 1_000_000L + now.getNano() / 1000;
    }

    private static String body(int client, int producer, int number) {
        return client + "." + producer + "." + number + " " + "x".repeat(number % 97 * 13);
    }

    /** The name of the message, or null when no producer made this body. */
    private static String name(String body) {
        try {
            String name = body.substring(0, body.indexOf(' '));
            String[] parts = name.split("\\.");
            String whole = body(Integer.parseInt(parts[0]), Integer.parseInt(parts[1]),
                Integer.parseInt(parts[2]));
            return whole.equals(body) ? name : null;
        } catch (RuntimeException foreign) {
            return null;
        }
    }

    private void configure(org.apache.rocketmq.client.ClientConfig config, String instance) {
        config.setNamesrvAddr(options.text("n"));
        config.setInstanceName(instance + "-" + System.nanoTime());
        config.setPollNameServerInterval(1000);
        config.setHeartbeatBrokerInterval(2000);
        config.setPersistConsumerOffsetInterval(1000);
    }

    /** One thread consumes, so that deliveries are written in the order of their arrival. */
    private DefaultMQPushConsumer startConsumer(int member) throws Exception {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer("traffic_" + client);
        configure(consumer, "consumer-" + member);
        consumer.setPullTimeDelayMillsWhenException(200);
        consumer.setConsumeThreadMin(1);
        consumer.setConsumeThreadMax(1);
        consumer.setConsumeMessageBatchMaxSize(32);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(options.text("topic"), "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            String broker = context.getMessageQueue().getBrokerName();
            StringBuilder lines = new StringBuilder();
            for (MessageExt message : messages) {
                String body = new String(message.getBody(), StandardCharsets.UTF_8);
                String name = name(body);
                lines.append(name == null ? "X " : "D ").append(now()).append(' ')
                    .append(client).append(' ').append(member).append(' ')
                    .append(name == null ? body.replace('\n', ' ') : name).append(' ')
                    .append(broker).append(' ').append(message.getQueueId()).append(' ')
                    .append(message.getQueueOffset()).append('\n');
            }
            history.print(lines);
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        return consumer;
    }

    private Thread startProducer(int number, long intervalNanos) throws Exception {
        DefaultMQProducer producer = new DefaultMQProducer("traffic_producers");
        configure(producer, "producer-" + number);
        // Longer than a broker waits for its slaves.
        producer.setSendMsgTimeout(4000);
        producer.setRetryTimesWhenSendFailed(2);
        producer.getDefaultMQProducerImpl().registerSendMessageHook(new Attempts());
        producer.start();
        Thread thread = new Thread(() -> {
            for (int i = 0; !stop.get(); i++) {
                long began = System.nanoTime();
                send(producer, body(client, number, i));
                long rest = intervalNanos - (System.nanoTime() - began);
                if (rest > 0) {
                    LockSupport.parkNanos(rest);
                }
            }
            producer.shutdown();
        });
        thread.start();
        return thread;
    }

    private void send(DefaultMQProducer producer, String body) {
        try {
            SendResult result = producer.send(
                new Message(options.text("topic"), body.getBytes(StandardCharsets.UTF_8)));
            if (result.getSendStatus() == SendStatus.SEND_OK) {
                ok.incrementAndGet();
            }
        } catch (Exception unanswered) {
            // The hook wrote down each request. Without a broker there was none.
            LockSupport.parkNanos(5_000_000L);
        }
    }

    /** Writes a line for each request, those that the client repeats by itself included. */
    private final class Attempts implements SendMessageHook {
        @Override
        public String hookName() {
            return "attempts";
        }

        @Override
        public void sendMessageBefore(SendMessageContext context) {
            context.setMqTraceContext(now());
        }

        @Override
        public void sendMessageAfter(SendMessageContext context) {
            String body = new String(context.getMessage().getBody(), StandardCharsets.UTF_8);
            String head = context.getMqTraceContext() + " " + now() + " "
                + body.substring(0, body.indexOf(' ')) + " ";
            SendResult result = context.getSendResult();
            if (result != null) {
                // The last eight bytes of the offset message id are the offset in the log.
                String id = result.getOffsetMsgId();
                long physical = Long.parseLong(id.substring(id.length() - 16), 16);
                history.print("S " + head + result.getMessageQueue().getBrokerName() + " "
                    + result.getMessageQueue().getQueueId() + " " + result.getQueueOffset() + " "
                    + physical + " " + result.getSendStatus() + "\n");
            } else if (context.getException() instanceof MQBrokerException) {
                int code = ((MQBrokerException) context.getException()).getResponseCode();
                history.print("R " + head + code + "\n");
            } else {
                history.print(
                    "U " + head + context.getException().getClass().getSimpleName() + "\n");
            }
        }
    }
}

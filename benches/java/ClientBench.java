import java.util.Arrays;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * Rate and latency of Apache's Java client, measured as benches/c/client.c measures the C client.
 *
 * <p>ClientBench NAMESRV TOPIC SECONDS BODY_BYTES IN_FLIGHT
 */
public final class ClientBench {
    private static final int SAMPLES_MAX = 8 << 20;
    private static final long CONSUME_LIMIT_S = 120;

    private final float[] values = new float[SAMPLES_MAX];
    private final AtomicInteger count = new AtomicInteger();
    private final AtomicLong failures = new AtomicLong();

    private void add(long nanos) {
        int at = count.getAndIncrement();
        if (at < SAMPLES_MAX) {
            values[at] = nanos / 1000f;
        }
    }

    private void reset() {
        count.set(0);
        failures.set(0);
    }

    private void report(String row, double nanos) {
        int kept = Math.min(count.get(), SAMPLES_MAX);
        if (kept == 0) {
            System.out.printf("%s 0 0 0 %d%n", row, failures.get());
            return;
        }
        Arrays.sort(values, 0, kept);
        System.out.printf("%s %.0f %.0f %.0f %d%n", row, count.get() * 1e9 / nanos,
            values[kept / 2], values[(int) ((long) kept * 99 / 100)], failures.get());
    }

    private double sendWaiting(DefaultMQProducer producer, String topic, byte[] body,
        double seconds) {
        long begun = System.nanoTime();
        long sent = begun;
        long end = begun + (long) (seconds * 1e9);
        while (sent < end) {
            long before = sent;
            try {
                producer.send(new Message(topic, body));
            } catch (Exception e) {
                failures.incrementAndGet();
            }
            sent = System.nanoTime();
            add(sent - before);
        }
        return sent - begun;
    }

    private double sendInFlight(DefaultMQProducer producer, String topic, byte[] body,
        double seconds, int inFlight) throws Exception {
        Semaphore free = new Semaphore(inFlight);
        long begun = System.nanoTime();
        long end = begun + (long) (seconds * 1e9);
        while (System.nanoTime() < end) {
            free.acquire();
            long before = System.nanoTime();
            producer.send(new Message(topic, body), new SendCallback() {
                @Override
                public void onSuccess(SendResult result) {
                    add(System.nanoTime() - before);
                    free.release();
                }

                @Override
                public void onException(Throwable error) {
                    failures.incrementAndGet();
                    free.release();
                }
            });
        }
        free.acquire(inFlight);
        return System.nanoTime() - begun;
    }

    private static void consume(String namesrv, String topic, long wanted) throws Exception {
        AtomicLong taken = new AtomicLong();
        AtomicLong first = new AtomicLong();
        AtomicLong last = new AtomicLong();
        Semaphore all = new Semaphore(0);
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(topic);
        consumer.setNamesrvAddr(namesrv);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setConsumeMessageBatchMaxSize(32);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            long bytes = 0;
            for (MessageExt message : messages) {
                bytes += message.getBody().length;
            }
            if (bytes == 0) {
                return ConsumeConcurrentlyStatus.RECONSUME_LATER;
            }
            long sum = taken.addAndGet(messages.size());
            if (sum == messages.size()) {
                first.set(System.nanoTime());
            }
            if (sum >= wanted && sum - messages.size() < wanted) {
                last.set(System.nanoTime());
                all.release();
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        if (!all.tryAcquire(CONSUME_LIMIT_S, TimeUnit.SECONDS)) {
            System.err.printf("%d of %d messages came%n", taken.get(), wanted);
            System.exit(1);
        }
        System.out.printf("push %.0f 0 0 0%n", wanted * 1e9 / (last.get() - first.get()));
        consumer.shutdown();
    }

    /** Runs all of it. */
    public static void main(String[] args) throws Exception {
        String topic = args[1];
        double seconds = Double.parseDouble(args[2]);
        byte[] body = new byte[Integer.parseInt(args[3])];
        int inFlight = Integer.parseInt(args[4]);
        Arrays.fill(body, (byte) 'x');
        DefaultMQProducer producer = new DefaultMQProducer("bench");
        producer.setNamesrvAddr(args[0]);
        producer.start();
        ClientBench bench = new ClientBench();

        // The first half warms up.
        bench.sendWaiting(producer, topic, body, seconds / 2);
        long stored = bench.count.get() - bench.failures.get();
        bench.reset();
        double nanos = bench.sendWaiting(producer, topic, body, seconds);
        stored += bench.count.get() - bench.failures.get();
        bench.report("sync", nanos);
        bench.reset();
        bench.sendInFlight(producer, topic, body, seconds / 2, inFlight);
        stored += bench.count.get();
        bench.reset();
        nanos = bench.sendInFlight(producer, topic, body, seconds, inFlight);
        stored += bench.count.get();
        bench.report("async", nanos);
        consume(args[0], topic, stored);
        producer.shutdown();
        System.exit(0);
    }
}

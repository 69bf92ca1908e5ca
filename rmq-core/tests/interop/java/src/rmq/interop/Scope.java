package rmq.interop;

import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.ClientConfig;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueAveragely;
import org.apache.rocketmq.client.consumer.store.ReadOffsetType;
import org.apache.rocketmq.client.impl.MQClientAPIImpl;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** What one scenario works with: names of its own, and clients that are closed when it ends. */
final class Scope implements AutoCloseable {
    interface Closer {
        void close() throws Exception;
    }

    static final Comparator<MessageQueue> BY_BROKER_AND_ID =
        Comparator.comparing(MessageQueue::getBrokerName).thenComparing(MessageQueue::getQueueId);
    private static final AtomicInteger INSTANCES = new AtomicInteger();

    final Cluster cluster;
    private final String prefix;
    private final Deque<Closer> closers = new ArrayDeque<>();
    private DefaultMQPullConsumer reader;

    Scope(Cluster cluster, String prefix) {
        this.cluster = cluster;
        this.prefix = prefix;
    }

    /** A name that no other scenario and no other run uses. */
    String name(String suffix) {
        return prefix + "_" + suffix;
    }

    synchronized void onClose(Closer closer) {
        closers.push(closer);
    }

    /** A topic with that many queues on every master. */
    String topic(int queuesPerBroker) throws Exception {
        String topic = name("t" + INSTANCES.incrementAndGet());
        cluster.createTopic(topic, queuesPerBroker, queuesPerBroker, 6);
        return topic;
    }

    private void configure(ClientConfig config, String kind) {
        config.setNamesrvAddr(cluster.namesrv);
        config.setInstanceName(kind + "-" + ProcessHandle.current().pid() + "-"
            + INSTANCES.incrementAndGet());
        config.setPollNameServerInterval(1000);
        config.setHeartbeatBrokerInterval(5000);
        config.setPersistConsumerOffsetInterval(1000);
    }

    /** A producer that is not started; it never retries, so that a failure is seen. */
    DefaultMQProducer newProducer() {
        return configured(new DefaultMQProducer(name("producers")));
    }

    /** A producer, not started, that sends traces of what it does to the topic of traces. */
    DefaultMQProducer tracedProducer() {
        return configured(new DefaultMQProducer(name("traced"), null, true, null));
    }

    /** A producer of transactions in that group, not started. */
    TransactionMQProducer newTransactional(String group) {
        return configured(new TransactionMQProducer(group));
    }

    private <P extends DefaultMQProducer> P configured(P producer) {
        configure(producer, "producer");
        producer.setSendMsgTimeout(10_000);
        producer.setRetryTimesWhenSendFailed(0);
        producer.setRetryTimesWhenSendAsyncFailed(0);
        producer.setMaxMessageSize(16 * 1024 * 1024);
        onClose(producer::shutdown);
        return producer;
    }

    DefaultMQProducer producer() throws Exception {
        DefaultMQProducer producer = newProducer();
        producer.start();
        return producer;
    }

    DefaultMQPushConsumer push(String group) {
        return configured(new DefaultMQPushConsumer(group));
    }

    /** A consumer that sends traces of what it does. */
    DefaultMQPushConsumer tracedPush(String group) {
        return configured(new DefaultMQPushConsumer(group, null,
            new AllocateMessageQueueAveragely(), true, null));
    }

    private DefaultMQPushConsumer configured(DefaultMQPushConsumer consumer) {
        configure(consumer, "push");
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setConsumeThreadMin(4);
        consumer.setConsumeThreadMax(4);
        onClose(consumer::shutdown);
        return consumer;
    }

    DefaultLitePullConsumer litePull(String group) {
        DefaultLitePullConsumer consumer = new DefaultLitePullConsumer(group);
        configure(consumer, "lite");
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setPullThreadNums(4);
        onClose(consumer::shutdown);
        return consumer;
    }

    DefaultMQPullConsumer pull(String group) throws Exception {
        DefaultMQPullConsumer consumer = new DefaultMQPullConsumer(group);
        configure(consumer, "pull");
        onClose(consumer::shutdown);
        consumer.start();
        return consumer;
    }

    /** The pull consumer that looks at queues for this scenario. */
    synchronized DefaultMQPullConsumer reader() throws Exception {
        if (reader == null) {
            reader = pull(name("reader"));
        }
        return reader;
    }

    List<MessageQueue> queues(String topic) throws Exception {
        return sorted(reader().fetchSubscribeMessageQueues(topic));
    }

    static List<MessageQueue> sorted(Collection<MessageQueue> queues) {
        return queues.stream().sorted(BY_BROKER_AND_ID).toList();
    }

    long count(MessageQueue queue) throws Exception {
        return reader().maxOffset(queue) - reader().minOffset(queue);
    }

    /** Everything that the queue holds, from its beginning; it must hold that many messages. */
    List<MessageExt> readAll(MessageQueue queue, int count) throws Exception {
        Check.eventually(5, count + " messages in " + queue, () -> count(queue) >= count);
        List<MessageExt> all = new ArrayList<>();
        long offset = reader().minOffset(queue);
        long end = reader().maxOffset(queue);
        while (offset < end) {
            PullResult result = reader().pull(queue, "*", offset, 32);
            Check.same(PullStatus.FOUND, result.getPullStatus(), "pull " + queue + " at " + offset);
            all.addAll(result.getMsgFoundList());
            Check.that(result.getNextBeginOffset() > offset, "pull of %s stands still", queue);
            offset = result.getNextBeginOffset();
        }
        Check.same(count, all.size(), "messages in " + queue);
        return all;
    }

    /** Everything that the topic holds, queue after queue; it must hold that many messages. */
    List<MessageExt> readAll(String topic, int count) throws Exception {
        holds(topic, count);
        List<MessageExt> all = new ArrayList<>();
        for (MessageQueue queue : queues(topic)) {
            all.addAll(readAll(queue, (int) count(queue)));
        }
        Check.same(count, all.size(), "messages in " + topic);
        return all;
    }

    /** Checks that the topic holds that many messages, now or soon, and not more. */
    void holds(String topic, long expected) throws Exception {
        Check.eventually(15, expected + " messages in " + topic,
            () -> countAll(topic) >= expected);
        Check.same(expected, countAll(topic), "messages in " + topic);
    }

    private long countAll(String topic) throws Exception {
        long count = 0;
        for (MessageQueue queue : queues(topic)) {
            count += count(queue);
        }
        return count;
    }

    /** Single requests, without what consumers do around them. */
    MQClientAPIImpl api() throws Exception {
        return reader().getDefaultMQPullConsumerImpl().getRebalanceImpl().getmQClientFactory()
            .getMQClientAPIImpl();
    }

    /** Waits until the group's offset of every queue of the topic, at its broker, is the end. */
    void awaitCommitted(String group, String topic) throws Exception {
        MQClientAPIImpl api = api();
        for (MessageQueue queue : queues(topic)) {
            String master = cluster.masters.get(queue.getBrokerName());
            Check.eventually(15, "committed offset of " + queue + " is its end",
                () -> Line.committed(api, master, group, queue) == reader().maxOffset(queue));
        }
    }

    /** Waits until the client counts every message of the topic as consumed. */
    void awaitCounted(DefaultMQPushConsumer consumer, String topic) throws Exception {
        var offsets = consumer.getDefaultMQPushConsumerImpl().getOffsetStore();
        for (MessageQueue queue : queues(topic)) {
            Check.eventually(10, "the client has counted all of " + queue, () -> {
                long end = reader().maxOffset(queue);
                return end == 0
                    || offsets.readOffset(queue, ReadOffsetType.READ_FROM_MEMORY) == end;
            });
        }
    }

    static Message message(String topic, String body) {
        return new Message(topic, body.getBytes(StandardCharsets.UTF_8));
    }

    static String body(MessageExt message) {
        return new String(message.getBody(), StandardCharsets.UTF_8);
    }

    static SendResult ok(SendResult result) {
        Check.same(SendStatus.SEND_OK, result.getSendStatus(), "send status");
        return result;
    }

    /** Sends bodies prefix0, prefix1, ... one after another. */
    List<String> fill(DefaultMQProducer producer, String topic, String prefix, int count)
        throws Exception {
        List<String> bodies = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            bodies.add(prefix + i);
            ok(producer.send(message(topic, prefix + i)));
        }
        return bodies;
    }

    @Override
    public void close() throws Exception {
        Exception first = null;
        while (true) {
            Closer closer;
            synchronized (this) {
                closer = closers.poll();
            }
            if (closer == null) {
                break;
            }
            try {
                closer.close();
            } catch (Exception failed) {
                first = first == null ? failed : first;
            }
        }
        if (first != null) {
            throw first;
        }
    }
}

package rmq.interop;

import java.util.List;
import java.util.Set;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.impl.MQClientAPIImpl;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.protocol.header.QueryConsumerOffsetRequestHeader;
import org.apache.rocketmq.remoting.protocol.header.UpdateConsumerOffsetRequestHeader;
import org.apache.rocketmq.remoting.protocol.heartbeat.MessageModel;
import org.apache.rocketmq.remoting.protocol.subscription.SubscriptionGroupConfig;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/** What differs in name between the 5.x clients and the other line. */
final class Line {
    /** Whether the client can recall messages. */
    static final boolean RECALLS = true;

    private Line() {}

    static void deliverAt(Message message, long millis) {
        message.setDeliverTimeMs(millis);
    }

    static void delayMillis(Message message, long millis) {
        message.setDelayTimeMs(millis);
    }

    static void delaySeconds(Message message, long seconds) {
        message.setDelayTimeSec(seconds);
    }

    static String recallHandle(SendResult sent) {
        return sent.getRecallHandle();
    }

    static String recall(DefaultMQProducer producer, String topic, String handle)
        throws Exception {
        return producer.recallMessage(topic, handle);
    }

    /** Scenarios of what only this line has. */
    static List<Scenario> scenarios() {
        return PopScenarios.all();
    }

    /** Has the broker divide queues, so that the consumer pops where it says so. */
    static void pop(DefaultMQPushConsumer consumer) throws Exception {
        consumer.setClientRebalance(false);
        consumer.setPopInvisibleTime(30_000);
        consumer.setPopBatchNums(1);
        // What fails comes again soon.
        var own = consumer.getDefaultMQPushConsumerImpl();
        var levels = own.getClass().getDeclaredField("popDelayLevel");
        levels.setAccessible(true);
        java.util.Arrays.fill((int[]) levels.get(own), 1);
    }

    static void broadcast(DefaultMQPushConsumer consumer) {
        consumer.setMessageModel(MessageModel.BROADCASTING);
    }

    static void deleteInNameserver(DefaultMQAdminExt admin, Set<String> addresses, String topic)
        throws Exception {
        admin.deleteTopicInNameServer(addresses, null, topic);
    }

    /** The message at an offset of a broker's log. */
    static MessageExt view(MQClientAPIImpl api, String address, String topic, long offset)
        throws Exception {
        return api.viewMessage(address, topic, offset, 5000);
    }

    /** The offset that the broker keeps for the group, or -1. Asks without joining the group. */
    static long committed(MQClientAPIImpl api, String address, String group, MessageQueue queue)
        throws Exception {
        QueryConsumerOffsetRequestHeader header = new QueryConsumerOffsetRequestHeader();
        header.setConsumerGroup(group);
        header.setTopic(queue.getTopic());
        header.setQueueId(queue.getQueueId());
        try {
            return api.queryConsumerOffset(address, header, 5000);
        } catch (MQBrokerException none) {
            return -1;
        }
    }

    /** Commits an offset and waits for the answer, which a consumer does not. */
    static void commit(MQClientAPIImpl api, String address, String group, MessageQueue queue,
        long offset) throws Exception {
        UpdateConsumerOffsetRequestHeader header = new UpdateConsumerOffsetRequestHeader();
        header.setConsumerGroup(group);
        header.setTopic(queue.getTopic());
        header.setQueueId(queue.getQueueId());
        header.setCommitOffset(offset);
        api.updateConsumerOffset(address, header, 5000);
    }

    static void createGroup(DefaultMQAdminExt admin, String address, String group, int retryQueues,
        int retryMaxTimes) throws Exception {
        SubscriptionGroupConfig config = new SubscriptionGroupConfig();
        config.setGroupName(group);
        config.setRetryQueueNums(retryQueues);
        config.setRetryMaxTimes(retryMaxTimes);
        admin.createAndUpdateSubscriptionGroupConfig(address, config);
    }
}

package rmq.interop;

import java.util.List;
import java.util.Set;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.impl.MQClientAPIImpl;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageAccessor;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.common.protocol.header.QueryConsumerOffsetRequestHeader;
import org.apache.rocketmq.common.protocol.header.UpdateConsumerOffsetRequestHeader;
import org.apache.rocketmq.common.protocol.heartbeat.MessageModel;
import org.apache.rocketmq.common.subscription.SubscriptionGroupConfig;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/** What differs in name between the 4.x clients and the other line. */
final class Line {
    /** Whether the client can recall messages. */
    static final boolean RECALLS = false;

    private Line() {}

    static void deliverAt(Message message, long millis) {
        MessageAccessor.putProperty(message, "TIMER_DELIVER_MS", String.valueOf(millis));
    }

    static void delayMillis(Message message, long millis) {
        MessageAccessor.putProperty(message, "TIMER_DELAY_MS", String.valueOf(millis));
    }

    static void delaySeconds(Message message, long seconds) {
        MessageAccessor.putProperty(message, "TIMER_DELAY_SEC", String.valueOf(seconds));
    }

    static String recallHandle(SendResult sent) {
        return null;
    }

    static String recall(DefaultMQProducer producer, String topic, String handle)
        throws Exception {
        throw new UnsupportedOperationException("recall of " + handle + " in " + topic);
    }

    /** Scenarios of what only the other line has: none. */
    static List<Scenario> scenarios() {
        return List.of();
    }

    /** Has the broker divide queues, so that the consumer pops where it says so. */
    static void pop(DefaultMQPushConsumer consumer) throws Exception {
        throw new UnsupportedOperationException("pop of " + consumer.getConsumerGroup());
    }

    static void broadcast(DefaultMQPushConsumer consumer) {
        consumer.setMessageModel(MessageModel.BROADCASTING);
    }

    static void deleteInNameserver(DefaultMQAdminExt admin, Set<String> addresses, String topic)
        throws Exception {
        admin.deleteTopicInNameServer(addresses, topic, null);
    }

    /** The message at an offset of a broker's log. */
    static MessageExt view(MQClientAPIImpl api, String address, String topic, long offset)
        throws Exception {
        return api.viewMessage(address, offset, 5000);
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

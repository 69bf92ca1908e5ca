package rmq.interop;

import java.util.List;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * One ordered consumer as a process, that may be killed. It prints "begin QUEUE NUMBER MILLIS" and
 * "end QUEUE NUMBER MILLIS" around each message, whose body is a number. SIGTERM is a clean stop.
 *
 * <p>-n ADDRS --topic TOPIC --group GROUP
 */
public final class OrderedConsumer {
    private OrderedConsumer() {}

    public static void main(String[] args) throws Exception {
        Args options = new Args(args);
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(options.text("group"));
        consumer.setNamesrvAddr(options.text("n"));
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setPersistConsumerOffsetInterval(1000);
        consumer.setPollNameServerInterval(1000);
        consumer.setHeartbeatBrokerInterval(1000);
        consumer.setConsumeMessageBatchMaxSize(1);
        consumer.setConsumeThreadMin(4);
        consumer.setConsumeThreadMax(4);
        consumer.subscribe(options.text("topic"), "*");
        consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
            say("begin", messages);
            try {
                Thread.sleep(2);
            } catch (InterruptedException stopped) {
                Thread.currentThread().interrupt();
            }
            say("end", messages);
            return ConsumeOrderlyStatus.SUCCESS;
        });
        Runtime.getRuntime().addShutdownHook(new Thread(consumer::shutdown));
        consumer.start();
        System.out.println("ready");
        Thread.currentThread().join();
    }

    private static void say(String what, List<MessageExt> messages) {
        for (MessageExt message : messages) {
            String line = what + " " + message.getQueueId() + " " + Scope.body(message) + " "
                + System.currentTimeMillis() + "\n";
            synchronized (System.out) {
                System.out.print(line);
                System.out.flush();
            }
        }
    }
}

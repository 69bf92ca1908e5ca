package rmq.interop;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.concurrent.ThreadLocalRandom;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * A producer and a member of a consumer group as one process, told what to do by lines of standard
 * input: "send PREFIX COUNT" and "leave". It prints "got BODY TIMES" for each message, where TIMES
 * is how often it was consumed before, and "sent PREFIX". Bodies that begin with "retry" are
 * consumed when they come back.
 *
 * <p>-n ADDRS --topic TOPIC --group GROUP
 */
public final class Member {
    private Member() {}

    public static void main(String[] args) throws Exception {
        Args options = new Args(args);
        String topic = options.text("topic");
        DefaultMQProducer producer = new DefaultMQProducer(options.text("group") + "_senders");
        producer.setNamesrvAddr(options.text("n"));
        producer.setSendMsgTimeout(10_000);
        producer.start();
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(options.text("group"));
        consumer.setNamesrvAddr(options.text("n"));
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setPersistConsumerOffsetInterval(1000);
        consumer.setPollNameServerInterval(1000);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            MessageExt message = messages.get(0);
            String body = Scope.body(message);
            say("got " + body + " " + message.getReconsumeTimes());
            boolean again = body.startsWith("retry") && message.getReconsumeTimes() == 0;
            return again ? ConsumeConcurrentlyStatus.RECONSUME_LATER
                : ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        say("ready");
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            String[] words = line.split(" ");
            if (words[0].equals("leave")) {
                break;
            }
            for (int i = 0; i < Integer.parseInt(words[2]); i++) {
                String body = words[1] + String.format("%04d", i);
                // Some are compressed on the way.
                String filler = ThreadLocalRandom.current().nextBoolean() ? "" : " ".repeat(5000);
                producer.send(new Message(topic, (body + filler).getBytes("UTF-8")));
            }
            say("sent " + words[1]);
        }
        consumer.shutdown();
        producer.shutdown();
        say("left");
    }

    private static synchronized void say(String line) {
        System.out.println(line.replaceAll(" +", " "));
        System.out.flush();
    }
}

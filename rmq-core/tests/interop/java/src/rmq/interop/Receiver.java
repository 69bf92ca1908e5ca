package rmq.interop;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.Arrays;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.utils.MessageUtil;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * Two consumers as one process, one of them in the namespace "ns". It prints "got NAMESPACE TOPIC
 * TAGS KEYS BODY" for each message, with "-" for what is not there, and answers requests with "echo
 * BODY". A line "trace ID" of standard input has it print what mqadmin finds of a message's traces
 * in the topic "traces", each line after "trace ID".
 *
 * <p>-n ADDRS --topic TOPIC --group GROUP
 */
public final class Receiver {
    private static DefaultMQProducer replier;

    private Receiver() {}

    public static void main(String[] args) throws Exception {
        Args options = new Args(args);
        replier = new DefaultMQProducer(options.text("group") + "_repliers");
        replier.setNamesrvAddr(options.text("n"));
        replier.setSendMsgTimeout(10_000);
        replier.start();
        for (String namespace : new String[] {"", "ns"}) {
            start(options, namespace);
        }
        say("ready");
        MqAdmin admin = new MqAdmin(options.text("n"));
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            String id = line.split(" ")[1];
            String found = admin.command("queryMsgTraceById", "-i", id, "-t", "traces").text;
            Arrays.stream(found.split("\n")).forEach(part -> say("trace " + id + " " + part));
            say("traced " + id);
        }
        admin.end();
    }

    private static void start(Args options, String namespace) throws Exception {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(options.text("group"));
        consumer.setNamesrvAddr(options.text("n"));
        consumer.setInstanceName("receiver" + namespace);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setPollNameServerInterval(500);
        if (!namespace.isEmpty()) {
            consumer.setNamespace(namespace);
        }
        consumer.subscribe(options.text("topic"), "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt message : messages) {
                String body = Scope.body(message).trim();
                say(String.join(" ", "got", shown(namespace), message.getTopic(),
                    shown(message.getTags()), shown(message.getKeys()), body));
                if (message.getProperty("REPLY_TO_CLIENT") != null) {
                    reply(message, "echo " + body);
                }
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
    }

    private static void reply(MessageExt request, String answer) {
        try {
            replier.send(MessageUtil.createReplyMessage(request, answer.getBytes("UTF-8")));
        } catch (Exception failed) {
            say("failed " + failed);
        }
    }

    private static String shown(String text) {
        return text == null || text.isEmpty() ? "-" : text.replace(' ', '+');
    }

    private static synchronized void say(String line) {
        System.out.println(line);
        System.out.flush();
    }
}

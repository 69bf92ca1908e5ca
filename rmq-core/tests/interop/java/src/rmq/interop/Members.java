package rmq.interop;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeSet;
import org.apache.rocketmq.client.consumer.AllocateMessageQueueStrategy;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueAveragely;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueAveragelyByCircle;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueConsistentHash;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Members of consumer groups, each of one group, told what to do by lines of standard input:
 * "join NAME GROUP TOPIC MODE STRATEGY", "queues NAME" and "leave NAME". It prints "joined NAME
 * CLIENT", "queues NAME BROKER:NUMBER,...", "left NAME", and for each message "got NAME BODY TIMES
 * MILLIS QUEUE". Bodies that begin with "fail" are never consumed, those that begin with "retry"
 * only when they come again. "admin WHAT GROUP TOPIC CLIENT ID" has mqadmin's client ask anybody's
 * consumer for WHAT: "running", "status", "direct" (to consume the message of that id) or "reset"
 * (to the beginning); it prints "admin WHAT" and what came of it.
 *
 * <p>-n ADDRS
 */
public final class Members {
    private static final Map<String, DefaultMQPushConsumer> CONSUMERS = new HashMap<>();

    private static Cluster cluster;

    private Members() {}

    public static void main(String[] args) throws Exception {
        Args options = new Args(args);
        say("ready");
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            String[] words = line.split(" ");
            switch (words[0]) {
                case "join" -> join(options.text("n"), words);
                case "queues" -> queues(words[1]);
                case "admin" -> say("admin " + words[1] + " " + admin(options.text("n"), words));
                case "leave" -> {
                    CONSUMERS.remove(words[1]).shutdown();
                    say("left " + words[1]);
                }
                default -> throw new IllegalArgumentException(line);
            }
        }
        if (cluster != null) {
            cluster.close();
        }
        CONSUMERS.values().forEach(DefaultMQPushConsumer::shutdown);
    }

    private static String admin(String namesrv, String[] words) throws Exception {
        if (cluster == null) {
            cluster = new Cluster(namesrv, 2);
        }
        String group = words[2];
        String topic = words[3];
        String client = words[4];
        switch (words[1]) {
            case "running" -> {
                var info = cluster.admin.getConsumerRunningInfo(group, client, false);
                long queues = info.getMqTable().keySet().stream()
                    .filter(queue -> queue.getTopic().equals(topic)).count();
                boolean subscribed = info.getSubscriptionSet().stream()
                    .anyMatch(data -> data.getTopic().equals(topic));
                boolean shown = info.formatString().contains(topic);
                return queues + " " + subscribed + " " + shown + " "
                    + info.getProperties().getProperty("PROP_CONSUMEORDERLY");
            }
            case "status" -> {
                var offsets = cluster.admin.getConsumeStatus(topic, group, client).get(client);
                return offsets.size() + " "
                    + offsets.values().stream().mapToLong(Long::longValue).sum();
            }
            case "direct" -> {
                return cluster.admin.consumeMessageDirectly(group, client, topic, words[5])
                    .getConsumeResult().toString();
            }
            default -> {
                return String.valueOf(
                    cluster.admin.resetOffsetByTimestamp(topic, group, 0, true).size());
            }
        }
    }

    private static AllocateMessageQueueStrategy strategy(String name) {
        return switch (name) {
            case "AVG_BY_CIRCLE" -> new AllocateMessageQueueAveragelyByCircle();
            case "CONSISTENT_HASH" -> new AllocateMessageQueueConsistentHash();
            default -> new AllocateMessageQueueAveragely();
        };
    }

    private static void join(String namesrv, String[] words) throws Exception {
        String name = words[1];
        String mode = words[4];
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(words[2]);
        consumer.setNamesrvAddr(namesrv);
        consumer.setInstanceName(name);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setPersistConsumerOffsetInterval(500);
        consumer.setPollNameServerInterval(1000);
        consumer.setAllocateMessageQueueStrategy(strategy(words[5]));
        consumer.setConsumeThreadMin(4);
        consumer.setConsumeThreadMax(4);
        consumer.setConsumeMessageBatchMaxSize(1);
        consumer.setMaxReconsumeTimes(2);
        consumer.setSuspendCurrentQueueTimeMillis(100);
        consumer.subscribe(words[3], "*");
        if (mode.equals("broadcast")) {
            Line.broadcast(consumer);
        } else if (mode.equals("pop")) {
            Line.pop(consumer);
        }
        if (mode.equals("orderly")) {
            consumer.registerMessageListener((MessageListenerOrderly) (messages, context) ->
                consumed(name, messages.get(0)) ? ConsumeOrderlyStatus.SUCCESS
                    : ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT);
        } else {
            consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) ->
                consumed(name, messages.get(0))
                    ? ConsumeConcurrentlyStatus.CONSUME_SUCCESS
                    : ConsumeConcurrentlyStatus.RECONSUME_LATER);
        }
        consumer.start();
        CONSUMERS.put(name, consumer);
        String client = consumer.getDefaultMQPushConsumerImpl().getmQClientFactory().getClientId();
        say("joined " + name + " " + client);
    }

    private static boolean consumed(String name, MessageExt message) {
        String body = Scope.body(message);
        say("got " + name + " " + body + " " + message.getReconsumeTimes() + " "
            + System.currentTimeMillis() + " " + message.getBrokerName() + ":"
            + message.getQueueId());
        return !body.startsWith("fail")
            && !(body.startsWith("retry") && message.getReconsumeTimes() == 0);
    }

    private static void queues(String name) {
        TreeSet<String> queues = new TreeSet<>();
        for (MessageQueue queue : CONSUMERS.get(name).getDefaultMQPushConsumerImpl()
            .getRebalanceImpl().getProcessQueueTable().keySet()) {
            if (!queue.getTopic().startsWith("%")) {
                queues.add(queue.getBrokerName() + ":" + queue.getQueueId());
            }
        }
        say("queues " + name + " " + String.join(",", queues));
    }

    private static synchronized void say(String line) {
        System.out.println(line);
        System.out.flush();
    }
}

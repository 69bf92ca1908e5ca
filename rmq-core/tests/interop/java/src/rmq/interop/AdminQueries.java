package rmq.interop;

import static rmq.interop.Scope.message;
import static rmq.interop.Scope.ok;

import java.util.ArrayList;
import java.util.List;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * The commands of Apache's mqadmin that look for messages.
 *
 * <p>-n ADDRS.
 */
public final class AdminQueries {
    private final MqAdmin admin;

    private AdminQueries(MqAdmin admin) {
        this.admin = admin;
    }

    public static void main(String[] args) throws Exception {
        String namesrv = new Args(args).text("n");
        MqAdmin admin = new MqAdmin(namesrv);
        try (Cluster cluster = new Cluster(namesrv, 2);
            Scope scope = new Scope(cluster, "adminQueries")) {
            new AdminQueries(admin).run(scope);
        }
        admin.end();
    }

    private void run(Scope scope) throws Exception {
        String topic = scope.topic(1);
        String group = scope.name("readers");
        DefaultMQProducer producer = scope.tracedProducer();
        producer.start();
        MessageQueue queue = scope.queues(topic).get(0);
        List<SendResult> sent = new ArrayList<>();
        List<String> bodies = new ArrayList<>();
        for (int i = 0; i < 5; i++) {
            Message message = message(topic, "body-" + i);
            message.setKeys(List.of("order-" + i, "all"));
            message.setTags(i % 2 == 0 ? "even" : "odd");
            bodies.add("body-" + i);
            sent.add(ok(producer.send(message, queue)));
        }
        DefaultMQPushConsumer consumer = scope.tracedPush(group);
        Received received = new Received();
        Received.startConcurrent(consumer, topic, "*", received);
        received.exactly(bodies, 20, "consumed");
        String master = scope.cluster.masters.get(queue.getBrokerName());
        Check.eventually(15, "the group's offset",
            () -> Line.committed(scope.api(), master, group, queue) == 5);
        Check.eventually(10, "the index", () -> !scope.cluster.admin
            .queryMessage(topic, "order-4", 1, 0, Long.MAX_VALUE).getMessageList().isEmpty());
        byId(topic, group, sent.get(2));
        byKey(topic, sent);
        byPlace(topic, queue, sent);
        traces(producer, consumer, sent.get(1).getMsgId());
    }

    private void byId(String topic, String group, SendResult sent) {
        admin.command("queryMsgById", "-t", topic, "-i", sent.getOffsetMsgId(), "-f",
            "UTF-8").has(
            "OffsetID:" + sent.getOffsetMsgId(), "Topic:" + topic, "Tags:[even]",
            "Keys:[order-2 all]", "Queue Offset:2", "Message Body:body-2", group);
        admin.command("queryMsgByUniqueKey", "-t", topic, "-i", sent.getMsgId()).has(
            "Topic:" + topic, "Tags:[even]", "Keys:[order-2 all]", "Queue Offset:2", group);
        String none = sent.getMsgId().replaceAll(".$", "Z");
        admin.command("queryMsgByUniqueKey", "-t", topic, "-i", none).has("no message");
    }

    private void byKey(String topic, List<SendResult> sent) {
        admin.command("queryMsgByKey", "-t", topic, "-k", "order-3")
            .has(sent.get(3).getMsgId()).lines(sent.get(3).getMsgId(), 1);
        String common = sent.get(0).getMsgId().substring(0, 16);
        admin.command("queryMsgByKey", "-t", topic, "-k", "all").has("#Message ID")
            .lines(common, 5);
        admin.command("queryMsgByKey", "-t", topic, "-k", "all", "-m", "2")
            .has(sent.get(4).getMsgId()).lines(common, 2);
        admin.command("queryMsgByKey", "-t", topic, "-k", "odd", "-p", "T")
            .has(sent.get(1).getMsgId(), sent.get(3).getMsgId()).lines(common, 2);
        admin.command("queryMsgByKey", "-t", topic, "-k", "order-9").has("no message");
    }

    private void byPlace(String topic, MessageQueue queue, List<SendResult> sent) {
        String broker = queue.getBrokerName();
        admin.command("queryMsgByOffset", "-t", topic, "-b", broker, "-i", "0", "-o", "3")
            .has("OffsetID:" + sent.get(3).getOffsetMsgId(), "Queue Offset:3");
        admin.command("queryCq", "-t", topic, "-q", "0", "-i", "1", "-c", "3")
            .has("max: 5, min: 0", "idx: 1", "idx: 3", "tagsCode=" + "odd".hashCode(),
                "tagsCode=" + "even".hashCode()).lines("ConsumeQueueData{physicOffset=", 3);
        admin.command("queryCq", "-t", topic, "-q", "9", "-i", "0").has("9@" + topic
            + " is not exist!");
        admin.command("printMsg", "-t", topic, "-d", "true").has("minOffset=0, maxOffset=5",
            sent.get(0).getMsgId(), "BODY: body-4").lines("MSGID: ", 5);
        admin.command("printMsg", "-t", topic, "-d", "true", "-s", "odd").has("BODY: body-1")
            .lines("MSGID: ", 2);
        admin.command("printMsgByQueue", "-t", topic, "-a", broker, "-i", "0", "-p", "true", "-d",
            "true", "-f", "true").has("BODY: body-0", "Tag: even", "Count: 3")
            .lines("MSGID: ", 5);
    }

    /** Traces are sent when there are many, after some seconds, or at the end of the client. */
    private void traces(DefaultMQProducer producer, DefaultMQPushConsumer consumer, String id)
        throws Exception {
        consumer.shutdown();
        producer.shutdown();
        Check.eventually(20, "the traces of " + id, () -> {
            String text = admin.command("queryMsgTraceById", "-i", id).text;
            return text.contains("Pub ") && text.contains("Sub ");
        });
        admin.command("queryMsgTraceById", "-i", id).has("#ProducerGroup", "#ConsumerGroup",
            "success", producer.getProducerGroup(), consumer.getConsumerGroup());
    }
}

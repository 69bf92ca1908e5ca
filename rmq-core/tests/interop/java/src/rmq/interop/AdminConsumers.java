package rmq.interop;

import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.MessageQueue;

/** The commands of mqadmin for groups with consumers at work, and with none. */
final class AdminConsumers {
    private final MqAdmin admin;
    private final Scope scope;
    private final String masterA;

    AdminConsumers(MqAdmin admin, Scope scope) {
        this.admin = admin;
        this.scope = scope;
        masterA = scope.cluster.masters.get("broker-a");
    }

    void run() throws Exception {
        String topic = scope.topic(1);
        String group = scope.name("group");
        DefaultMQProducer producer = scope.producer();
        List<String> sent = scope.fill(producer, topic, "m", 19);
        SendResult last = Scope.ok(producer.send(Scope.message(topic, "m19")));
        sent.add("m19");
        Received received = new Received();
        DefaultMQPushConsumer consumer = scope.push(group);
        Received.startConcurrent(consumer, topic, "*", received);
        received.exactly(sent, 20, "consumed");
        scope.awaitCommitted(group, topic);
        String clientId = consumer.buildMQClientId();
        connections(topic, group, clientId, producer);
        directly(topic, group, clientId, last, received);
        figures(topic, group);
        resetsOnline(topic, group, received, sent.size());
        resetsByClients(topic, group, received, sent.size());
        offsetsInMemory(topic, group, clientId);
        consumer.shutdown();
        resetsOffline(topic, group, producer);
        clones(topic, group);
    }

    private void connections(String topic, String group, String clientId,
        DefaultMQProducer producer) {
        admin.command("consumerConnection", "-g", group).row(clientId)
            .has("JAVA", "V5_5_0", topic, "ConsumeType:CONSUME_PASSIVELY",
                "MessageModel:CLUSTERING");
        admin.command("producerConnection", "-g", producer.getProducerGroup(), "-t", topic)
            .has(producer.buildMQClientId(), "JAVA", "V5_5_0");
        admin.command("producerConnection", "-g", "nobody", "-t", topic).has("CODE: 1 ");
        admin.command("producer", "-b", masterA).has("producer group (" + producer
            .getProducerGroup() + ")", producer.buildMQClientId());
        admin.command("consumerStatus", "-g", group).row("1", clientId, "V5_5_0")
            .hasNot("Exception");
        admin.command("consumerStatus", "-g", group, "-i", clientId, "-s", "true")
            .has("#Consumer Properties#", "PROP_CONSUMER_START_TIMESTAMP", topic,
                "#Consumer jstack#", "#User Consume Info#");
        admin.command("consumerStatus", "-g", group, "-i", "nobody").has("CODE: 1 ",
            "not online");
        admin.command("consumerProgress", "-g", group, "-s", "true").row(topic, "broker-a", "0")
            .has(clientId.substring(0, clientId.indexOf('@')), "Consume Diff Total: 0");
        admin.command("consumerProgress").row(group, "1", "V5_5_0", "PUSH", "CLUSTERING");
    }

    /** A consumer is told to take a message again. */
    private void directly(String topic, String group, String clientId, SendResult last,
        Received received) throws Exception {
        int before = received.size();
        admin.command("queryMsgById", "-t", topic, "-i", last.getOffsetMsgId(), "-g", group, "-d",
            clientId).has("consumeResult=CR_SUCCESS");
        Check.same(before + 1, received.size(), "deliveries");
        Check.same("m19", Scope.body(received.all().get(before)), "the body");
        admin.command("queryMsgByUniqueKey", "-t", topic, "-i", last.getMsgId(), "-g", group, "-d",
            clientId).has("consumeResult=CR_SUCCESS");
        Check.same(before + 2, received.size(), "deliveries");
        admin.command("queryMsgById", "-t", topic, "-i", last.getOffsetMsgId(), "-g", group, "-d",
            "nobody").has("CODE: 1 ", "not online");
    }

    private void figures(String topic, String group) {
        // It keeps its client, which is closed then: once in a process.
        admin.command("brokerConsumeStats", "-b", masterA).row(topic, group, "broker-a", "0")
            .has("Diff Total: 0");
        // Columns: accumulation, rates in and out, messages of a day in and out.
        admin.command("statsAll", "-t", topic).rowLike(topic + "\\s+" + group
            + "\\s+0\\s+[0-9.]*[1-9]\\s+[0-9.]*[1-9]\\s+20\\s+20");
        admin.command("statsAll", "-a").row(topic, group);
        admin.command("topicStatus", "-t", topic, "-c", "interop").lines("broker-", 2);
    }

    private void resetsOnline(String topic, String group, Received received, int messages)
        throws Exception {
        int before = received.size();
        admin.command("resetOffsetByTime", "-g", group, "-t", topic, "-s", "0")
            .row("broker-a", "0", "0").row("broker-b", "0", "0");
        Check.eventually(30, "everything was consumed again",
            () -> received.size() >= before + messages);
        scope.awaitCommitted(group, topic);
        admin.command("consumerProgress", "-g", group).has("Consume Diff Total: 0");
        admin.command("resetOffsetByTime", "-g", group, "-t", "nothing", "-s", "0")
            .has("CODE: 17");
        admin.command("resetOffsetByTime", "-g", "nobody", "-t", topic, "-s", "0")
            .has("CODE: 26");
    }

    /** The brokers may leave it to the consumers, for as long as they are connected. */
    private void resetsByClients(String topic, String group, Received received, int messages)
        throws Exception {
        int before = received.size();
        admin.command("updateBrokerConfig", "-c", "interop", "-k", "useServerSideResetOffset",
            "-v", "false").has("update broker config success, " + masterA);
        admin.command("resetOffsetByTime", "-g", group, "-t", topic, "-s", "0")
            .row("broker-a", "0", "0").row("broker-b", "0", "0");
        Check.eventually(40, "everything was consumed once more",
            () -> received.size() >= before + messages);
        scope.awaitCommitted(group, topic);
        admin.command("updateBrokerConfig", "-c", "interop", "-k", "useServerSideResetOffset",
            "-v", "true").has("update broker config success, " + masterA);
    }

    private void offsetsInMemory(String topic, String group, String clientId) throws Exception {
        Map<String, Map<MessageQueue, Long>> offsets =
            scope.cluster.admin.getConsumeStatus(topic, group, clientId);
        Check.same(Set.of(clientId), offsets.keySet(), "who told offsets");
        for (MessageQueue queue : scope.queues(topic)) {
            Check.same(scope.reader().maxOffset(queue), offsets.get(clientId).get(queue),
                "the offset in memory of " + queue);
        }
    }

    private void resetsOffline(String topic, String group, DefaultMQProducer producer)
        throws Exception {
        scope.fill(producer, topic, "later", 10);
        Check.eventually(10, "the group is behind", () -> admin.command("consumerProgress", "-g",
            group).text.contains("Consume Diff Total: 10"));
        admin.command("skipAccumulatedMessage", "-g", group, "-t", topic).lines("broker-", 2)
            .hasNot("CODE");
        admin.command("consumerProgress", "-g", group).has("Consume Diff Total: 0");
        admin.command("resetOffsetByTime", "-g", group, "-t", topic, "-s", "0")
            .row("broker-a", "0", "0");
        admin.command("consumerProgress", "-g", group).has("Consume Diff Total: 30");
        admin.command("resetOffsetByTime", "-g", group, "-t", topic, "-s", "now");
        admin.command("consumerProgress", "-g", group).has("Consume Diff Total: 0");
        admin.command("consumerConnection", "-g", group).has("CODE: 206");
        admin.command("skipAccumulatedMessage", "-g", group, "-t", "nothing").has("CODE: 17");
    }

    private void clones(String topic, String group) throws Exception {
        String target = scope.name("target");
        admin.command("updateSubGroup", "-c", "interop", "-g", target).has("success");
        admin.command("cloneGroupOffset", "-s", group, "-d", target, "-t", topic)
            .has("clone group offset success. srcGroup[" + group + "], destGroup=[" + target
                + "], topic[" + topic + "]");
        for (MessageQueue queue : scope.queues(topic)) {
            String master = scope.cluster.masters.get(queue.getBrokerName());
            Check.same(Line.committed(scope.api(), master, group, queue),
                Line.committed(scope.api(), master, target, queue), "the offset of " + queue);
        }
        admin.command("cloneGroupOffset", "-s", group, "-d", "nobody", "-t", topic)
            .has("CODE: 26");
        admin.command("cloneGroupOffset", "-s", "nobody", "-d", target, "-t", topic)
            .has("CODE: 17");
    }
}

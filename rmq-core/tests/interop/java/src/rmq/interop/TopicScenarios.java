package rmq.interop;

import static rmq.interop.Scope.message;
import static rmq.interop.Scope.ok;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.message.MessageQueue;

/** Topics made by sending and through the admin client, changed, and deleted. */
final class TopicScenarios {
    private static final int TOPIC_NOT_EXIST = 17;
    private static final int SENDERS = 8;

    private TopicScenarios() {}

    static List<Scenario> all() {
        return List.of(
            new Scenario("topics_thousand", 110, TopicScenarios::thousand),
            Scenario.of("topic_auto_create", TopicScenarios::autoCreate),
            Scenario.of("topic_create_api", TopicScenarios::createApi),
            Scenario.of("topic_change", TopicScenarios::change),
            Scenario.of("topic_delete", TopicScenarios::delete));
    }

    private static void thousand(Scope scope) throws Exception {
        int count = 1000;
        DefaultMQProducer producer = scope.newProducer();
        producer.setRetryTimesWhenSendFailed(3);
        producer.start();
        ConcurrentHashMap<String, SendResult> results = new ConcurrentHashMap<>();
        ExecutorService pool = Executors.newFixedThreadPool(SENDERS);
        scope.onClose(pool::shutdownNow);
        List<Future<?>> sends = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            String topic = scope.name("n" + i);
            sends.add(pool.submit(() ->
                results.put(topic, ok(producer.send(message(topic, "to " + topic))))));
        }
        for (Future<?> send : sends) {
            send.get();
        }
        Check.same(count, results.size(), "topics");
        var reader = scope.reader();
        List<Future<?>> reads = new ArrayList<>();
        for (String topic : results.keySet()) {
            reads.add(pool.submit(() -> {
                SendResult sent = results.get(topic);
                PullResult result = reader.pull(sent.getMessageQueue(), "*",
                    sent.getQueueOffset(), 32);
                Check.same(PullStatus.FOUND, result.getPullStatus(), "pull of " + topic);
                Check.same(1, result.getMsgFoundList().size(), "messages in " + topic);
                Check.same("to " + topic, Scope.body(result.getMsgFoundList().get(0)), "body");
                return null;
            }));
        }
        for (Future<?> read : reads) {
            read.get();
        }
        Check.eventually(15, "the nameserver lists every topic", () -> {
            var known = scope.cluster.admin.fetchAllTopicList().getTopicList();
            return known.containsAll(results.keySet());
        });
    }

    private static TopicConfig config(Scope scope, String broker, String topic) throws Exception {
        return scope.cluster.admin.examineTopicConfig(scope.cluster.masters.get(broker), topic);
    }

    /** The number of queues is what the client asks for, up to the 8 of the default topic. */
    private static void autoCreate(Scope scope) throws Exception {
        int[][] asked = {{1, 1}, {4, 4}, {6, 6}, {8, 8}, {16, 8}};
        for (int[] pair : asked) {
            String topic = scope.name("n" + pair[0]);
            DefaultMQProducer producer = scope.newProducer();
            producer.setDefaultTopicQueueNums(pair[0]);
            producer.start();
            SendResult result = ok(producer.send(message(topic, "first")));
            String broker = result.getMessageQueue().getBrokerName();
            TopicConfig config = config(scope, broker, topic);
            Check.same(pair[1], config.getWriteQueueNums(), "write queues of " + topic);
            Check.same(pair[1], config.getReadQueueNums(), "read queues of " + topic);
            Check.same(6, config.getPerm(), "permission of " + topic);
            Check.eventually(15, "route of " + topic, () -> {
                try {
                    return scope.cluster.admin.examineTopicRouteInfo(topic) != null;
                } catch (MQClientException absent) {
                    return false;
                }
            });
        }
    }

    private static void createApi(Scope scope) throws Exception {
        String topic = scope.name("api");
        scope.cluster.createTopic(topic, 5, 3, 6);
        for (String broker : scope.cluster.masters.keySet()) {
            TopicConfig config = config(scope, broker, topic);
            Check.same(5, config.getReadQueueNums(), "read queues");
            Check.same(3, config.getWriteQueueNums(), "write queues");
            Check.same(6, config.getPerm(), "permission");
        }
        DefaultMQProducer producer = scope.producer();
        Check.same(6, producer.fetchPublishMessageQueues(topic).size(), "publish queues");
        Check.same(10, scope.queues(topic).size(), "subscribe queues");
        var route = scope.cluster.admin.examineTopicRouteInfo(topic);
        Check.same(2, route.getBrokerDatas().size(), "brokers in the route");
        route.getQueueDatas().forEach(data -> {
            Check.same(5, data.getReadQueueNums(), "read queues in the route");
            Check.same(3, data.getWriteQueueNums(), "write queues in the route");
            Check.same(6, data.getPerm(), "permission in the route");
        });
        List<String> sent = scope.fill(producer, topic, "api-", 30);
        scope.holds(topic, sent.size());
    }

    private static void change(Scope scope) throws Exception {
        String topic = scope.topic(2);
        DefaultMQProducer producer = scope.producer();
        scope.fill(producer, topic, "before-", 8);
        scope.cluster.createTopic(topic, 4, 4, 6);
        Check.same(8, producer.fetchPublishMessageQueues(topic).size(), "publish queues");
        MessageQueue added = scope.queues(topic).get(3);
        Check.same(3, added.getQueueId(), "queue id");
        ok(producer.send(message(topic, "added"), added));
        Check.same("added", Scope.body(scope.readAll(added, 1).get(0)), "body in the new queue");

        scope.cluster.createTopic(topic, 4, 4, 4);
        DefaultMQProducer late = scope.producer();
        Check.fails(MQClientException.class, "send to a topic that is read only",
            () -> late.send(message(topic, "refused")));
        scope.holds(topic, 9);

        scope.cluster.createTopic(topic, 4, 4, 6);
        Check.same(8, producer.fetchPublishMessageQueues(topic).size(), "publish queues again");
        scope.fill(producer, topic, "after-", 8);
        scope.holds(topic, 17);
    }

    private static void delete(Scope scope) throws Exception {
        String topic = scope.topic(2);
        DefaultMQProducer producer = scope.producer();
        scope.fill(producer, topic, "old-", 8);
        producer.shutdown();
        Set<String> masters = new HashSet<>(scope.cluster.masters.values());
        scope.cluster.admin.deleteTopicInBroker(masters, topic);
        Line.deleteInNameserver(scope.cluster.admin,
            new HashSet<>(List.of(scope.cluster.namesrv.split(";"))), topic);
        MQClientException gone = Check.fails(MQClientException.class, "route of a deleted topic",
            () -> scope.cluster.admin.examineTopicRouteInfo(topic));
        Check.same(TOPIC_NOT_EXIST, gone.getResponseCode(), "code of the route request");
        Check.that(!scope.cluster.admin.fetchAllTopicList().getTopicList().contains(topic),
            "the deleted topic is still listed");
        scope.cluster.createTopic(topic, 2, 2, 6);
        scope.fill(scope.producer(), topic, "new-", 8);
        List<String> bodies = scope.readAll(topic, 8).stream().map(Scope::body).sorted().toList();
        Check.that(bodies.stream().noneMatch(body -> body.startsWith("old-")),
            "messages of the deleted topic came back: %s", bodies);
    }
}

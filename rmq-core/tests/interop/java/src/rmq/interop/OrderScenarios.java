package rmq.interop;

import static rmq.interop.Scope.message;
import static rmq.interop.Scope.ok;

import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.MessageQueueSelector;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.MessageQueue;

/** Topics whose queues are named one by one at the nameserver. */
final class OrderScenarios {
    private OrderScenarios() {}

    static List<Scenario> all() {
        return List.of(Scenario.of("order_topic_conf", OrderScenarios::topicConf));
    }

    /** The queues that producers of the topic choose from. */
    private static Set<String> published(DefaultMQProducer producer, String topic)
        throws Exception {
        Set<String> names = new TreeSet<>();
        for (MessageQueue queue : producer.fetchPublishMessageQueues(topic)) {
            names.add(queue.getBrokerName() + "-" + queue.getQueueId());
        }
        return names;
    }

    /** Producers use the queues of the configuration, though the topic has more. */
    private static void topicConf(Scope scope) throws Exception {
        String topic = scope.topic(4);
        String configuration = "broker-a:3;broker-b:1";
        Set<String> named = new TreeSet<>(List.of("broker-a-0", "broker-a-1", "broker-a-2",
            "broker-b-0"));
        Check.same(8, published(scope.producer(), topic).size(), "queues without a configuration");
        scope.cluster.admin.createOrUpdateOrderConf(topic, configuration, true);
        Check.eventually(10, "the route names the configuration", () -> configuration.equals(
            scope.cluster.admin.examineTopicRouteInfo(topic).getOrderTopicConf()));
        DefaultMQProducer producer = scope.producer();
        Check.same(named, published(producer, topic), "queues of the configuration");
        Set<String> used = new TreeSet<>();
        MessageQueueSelector byKey = (queues, message, key) ->
            queues.get((Integer) key % queues.size());
        for (int i = 0; i < 24; i++) {
            SendResult result = ok(producer.send(message(topic, "m" + i), byKey, i));
            MessageQueue queue = result.getMessageQueue();
            used.add(queue.getBrokerName() + "-" + queue.getQueueId());
        }
        Check.same(named, used, "queues that messages went to");
        Received received = new Received();
        Received.startOrderly(scope.push(scope.name("g")), topic, "*", received);
        Check.eventually(30, "all messages", () -> received.size() == 24);
    }
}

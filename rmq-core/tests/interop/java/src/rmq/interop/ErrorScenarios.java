package rmq.interop;

import static rmq.interop.Scope.message;

import java.util.List;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageQueue;

/** Wrong requests are answered with the codes that clients act on, and cost nothing else. */
final class ErrorScenarios {
    private static final int TOPIC_NOT_EXIST = 17;
    private static final int GROUP_NOT_EXIST = 26;

    private ErrorScenarios() {}

    static List<Scenario> all() {
        return List.of(
            Scenario.of("error_unknown_topic", ErrorScenarios::unknownTopic),
            Scenario.of("error_unknown_group", ErrorScenarios::unknownGroup),
            Scenario.of("error_queue_id", ErrorScenarios::queueId));
    }

    private static void unknownTopic(Scope scope) throws Exception {
        String topic = scope.name("absent");
        DefaultMQPullConsumer reader = scope.reader();
        MQClientException route = Check.fails(MQClientException.class, "route of an unknown topic",
            () -> scope.cluster.admin.examineTopicRouteInfo(topic));
        Check.same(TOPIC_NOT_EXIST, route.getResponseCode(), "code of the route request");
        Check.fails(MQClientException.class, "queues of an unknown topic",
            () -> reader.fetchSubscribeMessageQueues(topic));
        String known = scope.topic(1);
        MessageQueue present = scope.queues(known).get(0);
        String broker = present.getBrokerName();
        reader.pull(present, "*", 0, 32);
        MQBrokerException pull = Check.fails(MQBrokerException.class, "pull of an unknown topic",
            () -> reader.pull(new MessageQueue(topic, broker, 0), "*", 0, 32));
        Check.same(TOPIC_NOT_EXIST, pull.getResponseCode(), "code of the pull");
    }

    private static void unknownGroup(Scope scope) throws Exception {
        String group = scope.name("absent");
        MessageQueue queue = scope.queues(scope.topic(1)).get(0);
        MessageQueue nowhere = new MessageQueue(scope.name("none"), queue.getBrokerName(), 0);
        String master = scope.cluster.masters.get(queue.getBrokerName());
        var api = scope.api();
        MQBrokerException commit = Check.fails(MQBrokerException.class, "commit of a strange group",
            () -> Line.commit(api, master, group, queue, 7));
        Check.same(GROUP_NOT_EXIST, commit.getResponseCode(), "code of the commit");
        MQBrokerException members = Check.fails(MQBrokerException.class, "members of a strange one",
            () -> api.getConsumerIdListByGroup(master, group, 5000));
        Check.same(1, members.getResponseCode(), "code of the member list");
        String known = scope.name("known");
        DefaultMQPullConsumer consumer = scope.pull(known);
        consumer.fetchSubscribeMessageQueues(queue.getTopic());
        consumer.pull(queue, "*", 0, 32);
        Check.eventually(20, "the broker knows the consumer", () -> {
            try {
                return api.getConsumerIdListByGroup(master, known, 5000).size() == 1;
            } catch (MQBrokerException none) {
                return false;
            }
        });
        Line.commit(api, master, known, queue, 7);
        Check.same(7L, Line.committed(api, master, known, queue), "committed offset");
        MQBrokerException topic = Check.fails(MQBrokerException.class, "commit of a strange topic",
            () -> Line.commit(api, master, known, nowhere, 7));
        Check.same(TOPIC_NOT_EXIST, topic.getResponseCode(), "code of the commit");
    }

    private static void queueId(Scope scope) throws Exception {
        String topic = scope.topic(2);
        DefaultMQPullConsumer reader = scope.reader();
        DefaultMQProducer producer = scope.producer();
        String broker = scope.queues(topic).get(0).getBrokerName();
        MessageQueue wrong = new MessageQueue(topic, broker, 2);
        MQBrokerException send = Check.fails(MQBrokerException.class, "send to a queue too high",
            () -> producer.send(message(topic, "lost"), wrong));
        Check.same(29, send.getResponseCode(), "code of the send");
        MQBrokerException pull = Check.fails(MQBrokerException.class, "pull of a queue too high",
            () -> reader.pull(wrong, "*", 0, 32));
        Check.same(29, pull.getResponseCode(), "code of the pull");
        Check.same(4, scope.fill(producer, topic, "fine-", 4).size(), "sent");
        scope.holds(topic, 4);
    }
}

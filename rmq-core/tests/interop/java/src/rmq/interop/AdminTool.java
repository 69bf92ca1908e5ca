package rmq.interop;

import java.util.ArrayList;
import java.util.List;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;

/**
 * The commands of Apache's mqadmin, other than those that look for messages.
 *
 * <p>-n ADDRS.
 */
public final class AdminTool {
    private final MqAdmin admin;

    private AdminTool(MqAdmin admin) {
        this.admin = admin;
    }

    public static void main(String[] args) throws Exception {
        String namesrv = new Args(args).text("n");
        MqAdmin admin = new MqAdmin(namesrv);
        try (Cluster cluster = new Cluster(namesrv, 2);
            Scope scope = new Scope(cluster, "adminTool")) {
            new AdminTool(admin).run(scope);
            new AdminCommands(admin, scope).run();
            new AdminConsumers(admin, scope).run();
        }
        admin.end();
    }

    private void run(Scope scope) throws Exception {
        String topic = scope.topic(2);
        String group = scope.name("readers");
        List<String> sent = scope.fill(scope.producer(), topic, "m", 20);
        Received received = new Received();
        DefaultMQPushConsumer consumer = scope.push(group);
        Received.startConcurrent(consumer, topic, "*", received);
        received.exactly(sent, 20, "consumed");
        scope.awaitCounted(consumer, topic);
        consumer.shutdown();
        scope.awaitCommitted(group, topic);
        List<String> masters = new ArrayList<>(scope.cluster.masters.values());
        admin.command("clusterList").has("interop", "broker-a", "broker-b", masters.get(0));
        admin.command("topicList").has(topic);
        admin.command("topicRoute", "-t", topic).has("broker-a", "broker-b", masters.get(0),
            masters.get(1), "\"readQueueNums\":2");
        admin.command("topicStatus", "-t", topic).has("broker-a", "broker-b").lines("broker-", 4);
        admin.command("consumerProgress", "-g", group).has(topic, "broker-a", "broker-b",
            "Consume Diff Total: 0");
        admin.command("updateTopic", "-t", topic + "_made", "-c", "interop", "-r", "3", "-w", "3")
            .has("success");
        admin.command("topicRoute", "-t", topic + "_made").has("\"readQueueNums\":3");
        admin.command("deleteTopic", "-t", topic + "_made", "-c", "interop").has("success");
    }
}

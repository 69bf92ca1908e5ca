package rmq.interop;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.tools.command.MQAdminStartup;

/**
 * Runs commands of Apache's mqadmin in this process and checks what they print.
 *
 * <p>-n ADDRS.
 */
public final class AdminTool {
    private static final PrintStream OUT = System.out;
    private final String namesrv;
    private int failed;

    private AdminTool(String namesrv) {
        this.namesrv = namesrv;
    }

    public static void main(String[] args) throws Exception {
        String namesrv = new Args(args).text("n");
        AdminTool tool = new AdminTool(namesrv);
        try (Cluster cluster = new Cluster(namesrv, 2);
            Scope scope = new Scope(cluster, "adminTool")) {
            tool.run(scope);
        }
        OUT.flush();
        Runtime.getRuntime().halt(tool.failed == 0 ? 0 : 1);
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
        command("clusterList").has("interop", "broker-a", "broker-b", masters.get(0));
        command("topicList").has(topic);
        command("topicRoute", "-t", topic).has("broker-a", "broker-b", masters.get(0),
            masters.get(1), "\"readQueueNums\":2");
        command("topicStatus", "-t", topic).has("broker-a", "broker-b").lines("broker-", 4);
        command("consumerProgress", "-g", group).has(topic, "broker-a", "broker-b",
            "Consume Diff Total: 0");
        command("updateTopic", "-t", topic + "_made", "-c", "interop", "-r", "3", "-w", "3")
            .has("success");
        command("topicRoute", "-t", topic + "_made").has("\"readQueueNums\":3");
        command("deleteTopic", "-t", topic + "_made", "-c", "interop").has("success");
    }

    private Printed command(String... arguments) {
        List<String> all = new ArrayList<>(List.of(arguments));
        all.add("-n");
        all.add(namesrv);
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        System.setOut(new PrintStream(bytes, true, StandardCharsets.UTF_8));
        System.setErr(System.out);
        try {
            MQAdminStartup.main0(all.toArray(new String[0]), null);
        } finally {
            System.setOut(OUT);
        }
        return new Printed(arguments[0], bytes.toString(StandardCharsets.UTF_8));
    }

    private final class Printed {
        private final String command;
        private final String text;

        Printed(String command, String text) {
            this.command = command;
            this.text = text;
        }

        Printed has(String... expected) {
            String flat = text.replaceAll("\\s*:\\s*", ":");
            for (String part : expected) {
                if (!text.contains(part) && !flat.contains(part)) {
                    return fail("no \"" + part + "\"");
                }
            }
            OUT.println("ok " + command);
            return this;
        }

        void lines(String prefix, int count) {
            long found = text.lines().filter(line -> line.startsWith(prefix)).count();
            if (found != count) {
                fail(found + " lines begin with " + prefix + " instead of " + count);
            }
        }

        private Printed fail(String reason) {
            failed++;
            OUT.println("FAIL " + command + ": " + reason + " in:\n" + text);
            return this;
        }
    }
}

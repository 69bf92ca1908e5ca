package rmq.interop;

import static rmq.interop.Scope.ok;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;

/** Subscriptions by SQL92 expressions; the brokers have enablePropertyFilter. */
final class SqlScenarios {
    private static final int SYSTEM_ERROR = 1;
    private static final int SUBSCRIPTION_PARSE_FAILED = 23;

    private SqlScenarios() {}

    static List<Scenario> all() {
        return List.of(
            Scenario.of("sql_push", SqlScenarios::push),
            Scenario.of("sql_pull", SqlScenarios::pull),
            Scenario.of("sql_lite", SqlScenarios::lite),
            Scenario.of("sql_long_polling", SqlScenarios::longPolling),
            Scenario.of("sql_change", SqlScenarios::change),
            Scenario.of("sql_retry", SqlScenarios::retry),
            Scenario.of("sql_bad", SqlScenarios::bad));
    }

    /** For brokers without enablePropertyFilter. */
    static Scenario disabled() {
        return Scenario.of("sql_disabled", SqlScenarios::refused);
    }

    /** A message whose body is its number; some properties are missing here and there. */
    private static Message numbered(String topic, int number) {
        Message message = new Message(topic, number % 2 == 0 ? "even" : "odd",
            String.valueOf(number).getBytes());
        message.putUserProperty("n", String.valueOf(number));
        message.putUserProperty("half", String.valueOf(number / 2.0));
        if (number % 3 == 0) {
            message.putUserProperty("color", number % 2 == 0 ? "red" : "it's blue");
        }
        return message;
    }

    private static void send(DefaultMQProducer producer, String topic, int from, int to)
        throws Exception {
        for (int number = from; number < to; number++) {
            ok(producer.send(numbered(topic, number)));
        }
    }

    interface Numbers {
        boolean has(int number);
    }

    private static List<String> chosen(int to, Numbers numbers) {
        List<String> bodies = new ArrayList<>();
        for (int number = 0; number < to; number++) {
            if (numbers.has(number)) {
                bodies.add(String.valueOf(number));
            }
        }
        return bodies;
    }

    private static void start(DefaultMQPushConsumer consumer, String topic, String expression,
        Received received) throws Exception {
        consumer.subscribe(topic, MessageSelector.bySql(expression));
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            received.add(messages);
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
    }

    /** A client pulls by an expression only when a heartbeat told it the broker's version. */
    private static void awaitVersion(Scope scope, MessageQueue queue) throws Exception {
        Check.eventually(20, "the client knows the broker's version", () -> {
            try {
                scope.reader().pull(queue, MessageSelector.bySql("TRUE"), 0, 32);
                return true;
            } catch (MQClientException unknown) {
                return false;
            } catch (MQBrokerException refused) {
                return true;
            }
        });
    }

    private static void push(Scope scope) throws Exception {
        String topic = scope.topic(2);
        Map<String, Numbers> expressions = new HashMap<>();
        expressions.put("n BETWEEN 10 AND 19 OR n = 42", n -> n / 10 == 1 || n == 42);
        expressions.put("half > 20.5 and not (n = 50)", n -> n > 41 && n != 50);
        expressions.put("color IS NOT NULL AND color <> 'red'", n -> n % 3 == 0 && n % 2 == 1);
        expressions.put("color IN ('red', 'it''s blue') AND n < 30", n -> n % 3 == 0 && n < 30);
        expressions.put("color CONTAINS 'blue' OR n IN ('1', '2')",
            n -> n % 6 == 3 || n == 1 || n == 2);
        expressions.put("TAGS = 'even' AND color STARTSWITH 'r'", n -> n % 6 == 0);
        expressions.put("n > 58.0 -- a comment\n OR absent = 1", n -> n > 58);
        expressions.put("FALSE", n -> false);
        expressions.put("TRUE", n -> true);
        // Where a comparison has no answer the message is left out, whatever follows.
        expressions.put("color > 5 OR TRUE", n -> n % 3 != 0);
        Map<String, Received> received = new HashMap<>();
        for (String expression : expressions.keySet()) {
            Received own = new Received();
            start(scope.push(scope.name("g" + received.size())), topic, expression, own);
            received.put(expression, own);
        }
        send(scope.producer(), topic, 0, 60);
        for (String expression : expressions.keySet()) {
            received.get(expression).exactly(chosen(60, expressions.get(expression)), 30,
                expression);
        }
    }

    private static void pull(Scope scope) throws Exception {
        String topic = scope.topic(1);
        DefaultMQPullConsumer consumer = scope.reader();
        MessageQueue queue = scope.queues(topic).get(0);
        DefaultMQProducer producer = scope.producer();
        for (int number = 0; number < 30; number++) {
            ok(producer.send(numbered(topic, number), queue));
        }
        scope.holds(topic, 30);
        awaitVersion(scope, queue);
        PullResult some = consumer.pull(queue, MessageSelector.bySql("n >= 10 AND n < 15"), 0, 32);
        Check.same(PullStatus.FOUND, some.getPullStatus(), "pull by an expression");
        Check.same(5, some.getMsgFoundList().size(), "messages");
        Check.same("10", Scope.body(some.getMsgFoundList().get(0)), "first message");
        Check.same(30L, some.getNextBeginOffset(), "next offset after filtering");
        PullResult none = consumer.pull(queue, MessageSelector.bySql("absent = 1"), 0, 32);
        Check.same(PullStatus.NO_MATCHED_MSG, none.getPullStatus(), "pull of what is not there");
        Check.same(30L, none.getNextBeginOffset(), "next offset when none matches");
        PullResult tags = consumer.pull(queue, MessageSelector.byTag("even"), 0, 32);
        Check.same(15, tags.getMsgFoundList().size(), "messages of a tag");
    }

    private static void lite(Scope scope) throws Exception {
        String topic = scope.topic(2);
        DefaultLitePullConsumer consumer = scope.litePull(scope.name("g"));
        consumer.subscribe(topic, MessageSelector.bySql("half >= 10.0 AND color IS NULL"));
        consumer.start();
        send(scope.producer(), topic, 0, 40);
        Received received = new Received();
        List<String> wanted = chosen(40, n -> n >= 20 && n % 3 != 0);
        Check.eventually(20, "messages by polling", () -> {
            received.add(consumer.poll(200));
            return received.size() >= wanted.size();
        });
        received.exactly(wanted, 1, "lite pull by an expression");
    }

    /** A consumer that waits is told of the message that its expression takes, and at once. */
    private static void longPolling(Scope scope) throws Exception {
        String topic = scope.topic(1);
        ConcurrentHashMap<String, Long> arrivals = new ConcurrentHashMap<>();
        DefaultMQPushConsumer consumer = scope.push(scope.name("g"));
        consumer.subscribe(topic, MessageSelector.bySql("n >= 100"));
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            messages.forEach(message -> arrivals.put(Scope.body(message), System.nanoTime()));
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        DefaultMQProducer producer = scope.producer();
        send(producer, topic, 100, 101);
        Check.eventually(20, "the first message", () -> arrivals.containsKey("100"));
        for (int i = 0; i < 5; i++) {
            Thread.sleep(200);
            send(producer, topic, i, i + 1);
            long sent = System.nanoTime();
            int number = 200 + i;
            send(producer, topic, number, number + 1);
            String body = String.valueOf(number);
            Check.eventually(15, body, () -> arrivals.containsKey(body));
            long millis = (arrivals.get(body) - sent) / 1_000_000;
            Check.that(millis < 3000, "%s came after %d ms at a waiting consumer", body, millis);
        }
        Check.same(6, arrivals.size(), "messages");
    }

    /** A running consumer subscribes anew: what comes then is chosen by the new expression. */
    private static void change(Scope scope) throws Exception {
        String topic = scope.topic(1);
        Received received = new Received();
        DefaultMQPushConsumer consumer = scope.push(scope.name("g"));
        start(consumer, topic, "n < 10", received);
        DefaultMQProducer producer = scope.producer();
        send(producer, topic, 0, 20);
        List<String> wanted = chosen(10, n -> true);
        received.exactly(wanted, 20, "by the first expression");
        consumer.subscribe(topic, MessageSelector.bySql("n >= 50 AND n < 55"));
        var admin = scope.cluster.admin;
        Check.eventually(20, "the brokers know the new expression", () -> admin
            .examineConsumerConnectionInfo(consumer.getConsumerGroup()).getSubscriptionTable()
            .get(topic).getSubString().startsWith("n >= 50"));
        for (int number = 50; number < 55; number++) {
            wanted.add(String.valueOf(number));
        }
        send(producer, topic, 0, 60);
        received.exactly(wanted, 20, "by the second expression");
    }

    /** A message that could not be consumed comes again, whatever the expression says. */
    private static void retry(Scope scope) throws Exception {
        String topic = scope.topic(1);
        Received received = new Received();
        Set<String> failed = ConcurrentHashMap.newKeySet();
        DefaultMQPushConsumer consumer = scope.push(scope.name("g"));
        consumer.subscribe(topic, MessageSelector.bySql("n IN ('3', '4')"));
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            context.setDelayLevelWhenNextConsume(1);
            if (messages.stream().allMatch(message -> failed.add(Scope.body(message)))) {
                return ConsumeConcurrentlyStatus.RECONSUME_LATER;
            }
            received.add(messages);
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        send(scope.producer(), topic, 0, 10);
        received.exactly(List.of("3", "4"), 40, "retried messages");
        Check.that(received.all().stream().allMatch(message -> message.getReconsumeTimes() == 1),
            "not tried twice");
    }

    private static void bad(Scope scope) throws Exception {
        String topic = scope.topic(1);
        MessageQueue queue = scope.queues(topic).get(0);
        awaitVersion(scope, queue);
        for (String expression : List.of("n > ", "n > 'x'", "n IN (1, 2)", "a BETWEEN 5 AND 1")) {
            DefaultMQPushConsumer consumer = scope.push(scope.name("g"));
            MQClientException start = Check.fails(MQClientException.class, expression,
                () -> start(consumer, topic, expression, new Received()));
            String text = String.valueOf(start.getMessage());
            Check.that(text.contains("Invalid MessageSelector"), "%s: %s", expression, text);
            MQBrokerException pull = Check.fails(MQBrokerException.class, expression,
                () -> scope.reader().pull(queue, MessageSelector.bySql(expression), 0, 32));
            Check.same(SUBSCRIPTION_PARSE_FAILED, pull.getResponseCode(), "pull " + expression);
        }
        // Known of Apache's parser, and so of rmq's: it reads as far as it understands.
        scope.reader().pull(queue, MessageSelector.bySql("n = 1 , what"), 0, 32);
    }

    private static void refused(Scope scope) throws Exception {
        String topic = scope.topic(1);
        MessageQueue queue = scope.queues(topic).get(0);
        String remark = "The broker does not support consumer to filter message by SQL92";
        MQClientException start = Check.fails(MQClientException.class, "start",
            () -> start(scope.push(scope.name("g")), topic, "n = 1", new Received()));
        Check.that(String.valueOf(start.getMessage()).contains(remark), "%s", start.getMessage());
        awaitVersion(scope, queue);
        MQBrokerException pull = Check.fails(MQBrokerException.class, "pull",
            () -> scope.reader().pull(queue, MessageSelector.bySql("n = 1"), 0, 32));
        Check.same(SYSTEM_ERROR, pull.getResponseCode(), "code");
        Check.same(remark, pull.getErrorMessage(), "remark");
    }
}

package rmq.interop;

import static rmq.interop.Scope.body;
import static rmq.interop.Scope.message;
import static rmq.interop.Scope.ok;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.client.producer.TransactionSendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Transactions. The brokers ask about a half message after TIMEOUT_MILLIS, look for such ones every
 * second, and give a half message up after CHECKS_MAX questions.
 */
final class TransactionScenarios {
    private static final int TIMEOUT_MILLIS = 2000;
    private static final int CHECKS_MAX = 4;
    private static final String GIVEN_UP = "TRANS_CHECK_MAX_TIME_TOPIC";

    private TransactionScenarios() {}

    static List<Scenario> all() {
        return List.of(
            Scenario.of("transaction_ends", TransactionScenarios::ends),
            Scenario.of("transaction_checked", TransactionScenarios::checked),
            Scenario.of("transaction_checked_again", TransactionScenarios::checkedAgain),
            Scenario.of("transaction_other_producer", TransactionScenarios::otherProducer),
            Scenario.of("transaction_given_up", TransactionScenarios::givenUp),
            Scenario.of("transaction_immunity", TransactionScenarios::immunity),
            Scenario.of("transaction_filter_and_key", TransactionScenarios::filterAndKey),
            Scenario.of("transaction_delay", TransactionScenarios::delay));
    }

    /** What a producer does with its transactions, and what it was asked. */
    private static final class Ledger implements TransactionListener {
        final Function<String, LocalTransactionState> local;
        /** By body and the number of the question, from 1. */
        final BiFunction<String, Integer, LocalTransactionState> asked;
        /** By body, when it was asked. */
        final Map<String, List<Long>> questions = new ConcurrentHashMap<>();
        final Map<String, MessageExt> seen = new ConcurrentHashMap<>();

        Ledger(Function<String, LocalTransactionState> local,
            BiFunction<String, Integer, LocalTransactionState> asked) {
            this.local = local;
            this.asked = asked;
        }

        @Override
        public LocalTransactionState executeLocalTransaction(Message message, Object argument) {
            return local.apply(new String(message.getBody()));
        }

        @Override
        public LocalTransactionState checkLocalTransaction(MessageExt message) {
            String body = body(message);
            seen.put(body, message);
            List<Long> times = questions.computeIfAbsent(body, b -> new ArrayList<>());
            int number;
            synchronized (times) {
                times.add(System.currentTimeMillis());
                number = times.size();
            }
            return asked.apply(body, number);
        }

        int count(String body) {
            List<Long> times = questions.getOrDefault(body, List.of());
            synchronized (times) {
                return times.size();
            }
        }
    }

    private static TransactionMQProducer producer(Scope scope, Ledger ledger) throws Exception {
        TransactionMQProducer producer = scope.newTransactional(scope.name("tellers"));
        producer.setTransactionListener(ledger);
        producer.start();
        return producer;
    }

    private static TransactionSendResult send(TransactionMQProducer producer, Message message)
        throws Exception {
        TransactionSendResult result = producer.sendMessageInTransaction(message, null);
        ok(result);
        Check.same(result.getMsgId(), result.getTransactionId(), "id of the transaction");
        return result;
    }

    private static LocalTransactionState byName(String body) {
        return switch (body.split("-")[0]) {
            case "commit" -> LocalTransactionState.COMMIT_MESSAGE;
            case "rollback" -> LocalTransactionState.ROLLBACK_MESSAGE;
            default -> LocalTransactionState.UNKNOW;
        };
    }

    private static void pause(long millis) {
        try {
            Thread.sleep(millis);
        } catch (InterruptedException ended) {
            Thread.currentThread().interrupt();
        }
    }

    /** Committed messages come once they are committed, and as they were sent; others never. */
    private static void ends(Scope scope) throws Exception {
        String topic = scope.topic(2);
        Received received = new Received();
        Received.startConcurrent(scope.push(scope.name("g")), topic, "*", received);
        ok(scope.producer().send(message(topic, "plain")));
        Check.eventually(20, "the consumer is at work", () -> received.size() == 1);
        Set<String> early = ConcurrentHashMap.newKeySet();
        Ledger ledger = new Ledger(body -> {
            if (body.endsWith("-slow")) {
                pause(700);
            }
            if (received.bodies().contains(body)) {
                early.add(body);
            }
            return byName(body);
        }, (body, number) -> byName(body));
        TransactionMQProducer producer = producer(scope, ledger);
        Map<String, TransactionSendResult> sent = new HashMap<>();
        List<String> expected = new ArrayList<>(List.of("plain"));
        for (int i = 0; i < 40; i++) {
            String body = (i % 2 == 0 ? "commit-" : "rollback-") + i + (i == 20 ? "-slow" : "");
            Message message = message(topic, body);
            message.setTags("T" + i % 3);
            message.setKeys("k" + i);
            message.putUserProperty("mine", body);
            TransactionSendResult result = send(producer, message);
            Check.same(byName(body), result.getLocalTransactionState(), "state");
            sent.put(body, result);
            if (i % 2 == 0) {
                expected.add(body);
            }
        }
        received.exactly(expected, 20, "committed messages");
        Check.same(Set.of(), early, "seen before they were committed");
        for (MessageExt message : received.all()) {
            TransactionSendResult result = sent.get(body(message));
            if (result == null) {
                continue;
            }
            Check.same(result.getMsgId(), message.getMsgId(), "id");
            Check.same(result.getMessageQueue().getQueueId(), message.getQueueId(), "queue");
            Check.same(body(message), message.getUserProperty("mine"), "property");
            Check.same(topic, message.getTopic(), "topic");
            Check.same(result.getTransactionId(), message.getTransactionId(), "transaction");
            Check.same(null, message.getProperty("REAL_TOPIC"), "a property of half messages");
        }
        pause(TIMEOUT_MILLIS + 2500);
        Check.same(Map.of(), ledger.questions, "questions about what was ended");
        Check.same(expected.size(), received.size(), "deliveries");
        scope.holds(topic, expected.size());
    }

    /** Those that the producer says nothing about are asked for. */
    private static void checked(Scope scope) throws Exception {
        String topic = scope.topic(1);
        Received received = new Received();
        Received.startConcurrent(scope.push(scope.name("g")), topic, "*", received);
        Ledger ledger = new Ledger(body -> {
            if (body.endsWith("-3")) {
                throw new IllegalStateException("as if the database were gone");
            }
            return LocalTransactionState.UNKNOW;
        }, (body, number) -> byName(body));
        TransactionMQProducer producer = producer(scope, ledger);
        List<String> expected = new ArrayList<>();
        Map<String, Long> born = new HashMap<>();
        Map<String, TransactionSendResult> sent = new HashMap<>();
        for (int i = 0; i < 12; i++) {
            String body = (i % 3 == 0 ? "rollback-" : "commit-") + i;
            born.put(body, System.currentTimeMillis());
            Message message = message(topic, body);
            message.putUserProperty("mine", body);
            sent.put(body, send(producer, message));
            // A body that rolls back by an exception is asked for too: the client says "unknown".
            if (i % 3 != 0) {
                expected.add(body);
            }
        }
        Check.same(0, received.size(), "deliveries before the questions");
        received.exactly(expected, 20, "messages committed by an answer");
        Check.eventually(10, "a question about each", () -> ledger.questions.size() == 12);
        for (Map.Entry<String, List<Long>> entry : ledger.questions.entrySet()) {
            String body = entry.getKey();
            long waited = entry.getValue().get(0) - born.get(body);
            Check.that(waited >= TIMEOUT_MILLIS, "%s was asked for after %d ms", body, waited);
            Check.that(waited < TIMEOUT_MILLIS + 4000, "%s: only after %d ms", body, waited);
            MessageExt question = ledger.seen.get(body);
            Check.same(topic, question.getTopic(), "topic of a question");
            Check.same(sent.get(body).getMsgId(), question.getProperty("UNIQ_KEY"),
                "id of a question");
            Check.same(sent.get(body).getTransactionId(), question.getTransactionId(),
                "transaction of a question");
            Check.same(body, question.getUserProperty("mine"), "property of a question");
        }
        pause(2500);
        ledger.questions.forEach((body, times) ->
            Check.same(1, times.size(), "questions about " + body));
        Check.same(expected.size(), received.size(), "deliveries");
    }

    /** An answer that says neither has the broker ask again. */
    private static void checkedAgain(Scope scope) throws Exception {
        String topic = scope.topic(1);
        Received received = new Received();
        Received.startConcurrent(scope.push(scope.name("g")), topic, "*", received);
        Ledger ledger = new Ledger(body -> LocalTransactionState.UNKNOW,
            (body, number) -> number < 3 ? LocalTransactionState.UNKNOW : byName(body));
        TransactionMQProducer producer = producer(scope, ledger);
        List<String> bodies = List.of("commit-a", "rollback-b", "commit-c");
        for (String body : bodies) {
            send(producer, message(topic, body));
        }
        received.exactly(List.of("commit-a", "commit-c"), 30, "messages committed at last");
        pause(2500);
        for (String body : bodies) {
            Check.same(3, ledger.count(body), "questions about " + body);
        }
        for (MessageExt question : ledger.seen.values()) {
            Check.same("3", question.getProperty("TRANSACTION_CHECK_TIMES"), "count of questions");
        }
        Check.same(2, received.size(), "deliveries");
    }

    /** A producer that is gone leaves its transactions to another one of its group. */
    private static void otherProducer(Scope scope) throws Exception {
        String topic = scope.topic(1);
        Received received = new Received();
        Received.startConcurrent(scope.push(scope.name("g")), topic, "*", received);
        Ledger first = new Ledger(body -> LocalTransactionState.UNKNOW,
            (body, number) -> LocalTransactionState.UNKNOW);
        Ledger second = new Ledger(body -> byName(body), (body, number) -> byName(body));
        TransactionMQProducer dying = producer(scope, first);
        TransactionMQProducer staying = producer(scope, second);
        // Both masters are to know the one that stays.
        for (MessageQueue queue : staying.fetchPublishMessageQueues(topic)) {
            ok(staying.send(message(topic, "plain-" + queue.getBrokerName()), queue));
        }
        List<String> expected = new ArrayList<>();
        for (String broker : scope.cluster.masters.keySet()) {
            expected.add("plain-" + broker);
        }
        for (int i = 0; i < 6; i++) {
            String body = (i < 3 ? "commit-" : "rollback-") + i;
            send(dying, message(topic, body));
            if (i < 3) {
                expected.add(body);
            }
        }
        dying.shutdown();
        received.exactly(expected, 25, "messages that the other producer commits");
        Check.eventually(10, "a question about each", () -> second.questions.size() == 6);
        Check.same(Map.of(), first.questions, "questions to the one that is gone");
    }

    /** Bodies of the messages that the brokers gave up. */
    private static Map<String, MessageExt> givenUpBodies(Scope scope) throws Exception {
        Map<String, MessageExt> found = new HashMap<>();
        for (MessageQueue queue : scope.queues(GIVEN_UP)) {
            int count = (int) scope.count(queue);
            for (MessageExt message : scope.readAll(queue, count)) {
                found.put(body(message), message);
            }
        }
        return found;
    }

    private static void givenUp(Scope scope) throws Exception {
        String topic = scope.topic(1);
        Received received = new Received();
        Received.startConcurrent(scope.push(scope.name("g")), topic, "*", received);
        Ledger ledger = new Ledger(body -> LocalTransactionState.UNKNOW,
            (body, number) -> LocalTransactionState.UNKNOW);
        TransactionMQProducer producer = producer(scope, ledger);
        String body = "unknown-" + topic;
        send(producer, message(topic, body));
        Check.eventually(40, "the message is given up", () -> {
            try {
                return givenUpBodies(scope).containsKey(body);
            } catch (MQClientException | AssertionError changing) {
                return false;
            }
        });
        Check.same(CHECKS_MAX, ledger.count(body), "questions");
        MessageExt message = givenUpBodies(scope).get(body);
        Check.same(topic, message.getProperty("REAL_TOPIC"), "topic that it was for");
        pause(2500);
        Check.same(CHECKS_MAX, ledger.count(body), "questions, later");
        Check.same(0, received.size(), "deliveries");
    }

    /** A message may ask for more time than the broker gives by itself. */
    private static void immunity(Scope scope) throws Exception {
        String topic = scope.topic(1);
        Received received = new Received();
        Received.startConcurrent(scope.push(scope.name("g")), topic, "*", received);
        Ledger ledger = new Ledger(body -> LocalTransactionState.UNKNOW,
            (body, number) -> byName(body));
        TransactionMQProducer producer = producer(scope, ledger);
        Message patient = message(topic, "commit-patient");
        patient.putUserProperty("CHECK_IMMUNITY_TIME_IN_SECONDS", "6");
        long began = System.currentTimeMillis();
        send(producer, patient);
        send(producer, message(topic, "commit-hasty"));
        received.exactly(List.of("commit-patient", "commit-hasty"), 25, "both messages");
        long waited = ledger.questions.get("commit-patient").get(0) - began;
        Check.that(waited >= 6000, "the patient one was asked for after %d ms", waited);
        Check.that(waited < 12_000, "the patient one was asked for after %d ms", waited);
        long hasty = ledger.questions.get("commit-hasty").get(0) - began;
        Check.that(hasty < 6000, "the other one was asked for after %d ms", hasty);
    }

    private static void filterAndKey(Scope scope) throws Exception {
        String topic = scope.topic(2);
        Received red = new Received();
        Received.startConcurrent(scope.push(scope.name("g")), topic, "red || blue", red);
        Ledger ledger = new Ledger(
            body -> body.contains("later") ? LocalTransactionState.UNKNOW : byName(body),
            (body, number) -> byName(body));
        TransactionMQProducer producer = producer(scope, ledger);
        List<String> expected = new ArrayList<>();
        List<String> committed = new ArrayList<>();
        String[] colours = {"red", "green", "blue"};
        for (int i = 0; i < 18; i++) {
            String end = i % 2 == 0 ? "commit" : "rollback";
            String body = end + "-" + (i % 4 < 2 ? "now" : "later") + "-" + i;
            Message message = new Message(topic, colours[i % 3], "key", body.getBytes());
            send(producer, message);
            if (i % 2 == 0) {
                committed.add(body);
                if (i % 3 != 1) {
                    expected.add(body);
                }
            }
        }
        red.exactly(expected, 20, "committed messages with these tags");
        Check.eventually(10, "committed messages by their key", () -> {
            try {
                Set<String> found = producer.queryMessage(topic, "key", 64, 0, Long.MAX_VALUE)
                    .getMessageList().stream().map(Scope::body)
                    .collect(Collectors.toCollection(TreeSet::new));
                return found.equals(new TreeSet<>(committed));
            } catch (MQClientException none) {
                return false;
            }
        });
    }

    /** The newer client refuses a delay level, the older one takes it out of the message. */
    private static void delay(Scope scope) throws Exception {
        String topic = scope.topic(1);
        Received received = new Received();
        Received.startConcurrent(scope.push(scope.name("g")), topic, "*", received);
        Ledger ledger = new Ledger(TransactionScenarios::byName, (body, number) -> byName(body));
        TransactionMQProducer producer = producer(scope, ledger);
        Message message = message(topic, "commit-delayed");
        message.setDelayTimeLevel(18);
        long began = System.currentTimeMillis();
        try {
            send(producer, message);
        } catch (MQClientException refused) {
            Check.that(refused.getMessage().contains("delay"), "%s", refused.getMessage());
            scope.holds(topic, 0);
            return;
        }
        received.exactly(List.of("commit-delayed"), 20, "the message");
        MessageExt found = received.all().get(0);
        Check.same(0, found.getDelayTimeLevel(), "delay level");
        long waited = found.getStoreTimestamp() - began;
        Check.that(waited < 2000, "it was delivered after %d ms", waited);
    }
}

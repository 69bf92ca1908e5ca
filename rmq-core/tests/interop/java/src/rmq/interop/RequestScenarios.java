package rmq.interop;

import static rmq.interop.Scope.body;
import static rmq.interop.Scope.message;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.RequestTimeoutException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.RequestCallback;
import org.apache.rocketmq.client.utils.MessageUtil;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** A message whose sender waits for a reply of the consumer. */
final class RequestScenarios {
    private static final int SYSTEM_ERROR = 1;

    private RequestScenarios() {}

    static List<Scenario> all() {
        return List.of(
            Scenario.of("request_reply", RequestScenarios::reply),
            Scenario.of("request_callback", RequestScenarios::callback),
            Scenario.of("request_timeout", RequestScenarios::timeout),
            Scenario.of("request_reply_too_late", RequestScenarios::tooLate));
    }

    /** A consumer that answers "echo BODY" with a producer of its own. */
    private static void startEcho(Scope scope, String topic, ConcurrentLinkedQueue<String> problems)
        throws Exception {
        DefaultMQProducer replier = scope.producer();
        DefaultMQPushConsumer consumer = scope.push(scope.name("g"));
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt request : messages) {
                try {
                    byte[] answer = ("echo " + body(request)).getBytes();
                    Scope.ok(replier.send(MessageUtil.createReplyMessage(request, answer), 5000));
                } catch (Exception failed) {
                    problems.add(failed.toString());
                }
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
    }

    /**
     * Waits until the brokers know the producer: a client gives a heartbeat up while it sends
     * another one, and a producer that has just begun is told of with the next, 30 s later.
     */
    private static void awaitReplies(DefaultMQProducer producer, String topic,
        ConcurrentLinkedQueue<String> problems) throws Exception {
        Check.eventually(60, "a reply to the first request", () -> {
            for (int i = 0; i < 4; i++) {
                try {
                    producer.request(message(topic, "first"), 2000);
                } catch (RequestTimeoutException late) {
                    return false;
                }
            }
            return true;
        });
        problems.clear();
    }

    private static void reply(Scope scope) throws Exception {
        String topic = scope.topic(2);
        ConcurrentLinkedQueue<String> problems = new ConcurrentLinkedQueue<>();
        startEcho(scope, topic, problems);
        DefaultMQProducer first = scope.producer();
        DefaultMQProducer second = scope.producer();
        awaitReplies(first, topic, problems);
        awaitReplies(second, topic, problems);
        for (int i = 0; i < 20; i++) {
            DefaultMQProducer producer = i % 2 == 0 ? first : second;
            Message answer;
            try {
                answer = producer.request(message(topic, "q" + i), 10_000);
            } catch (RequestTimeoutException late) {
                String why = String.format("no reply to %d; of the repliers: %s", i, problems);
                throw new AssertionError(why, late);
            }
            Check.same("echo q" + i, new String(answer.getBody()), "reply");
            Check.same("reply", answer.getProperty("MSG_TYPE"), "type of the reply");
            Check.that(answer.getProperty("PUSH_REPLY_TIME") != null, "no time of the push");
        }
        Check.that(problems.isEmpty(), "%s", problems.peek());
    }

    private static void callback(Scope scope) throws Exception {
        String topic = scope.topic(2);
        ConcurrentLinkedQueue<String> problems = new ConcurrentLinkedQueue<>();
        startEcho(scope, topic, problems);
        DefaultMQProducer producer = scope.producer();
        awaitReplies(producer, topic, problems);
        List<CompletableFuture<String>> answers = new ArrayList<>();
        for (int i = 0; i < 50; i++) {
            CompletableFuture<String> answer = new CompletableFuture<>();
            answers.add(answer);
            producer.request(message(topic, "q" + i), new RequestCallback() {
                @Override
                public void onSuccess(Message message) {
                    answer.complete(new String(message.getBody()));
                }

                @Override
                public void onException(Throwable failure) {
                    answer.completeExceptionally(failure);
                }
            }, 15_000);
        }
        for (int i = 0; i < answers.size(); i++) {
            Check.same("echo q" + i, answers.get(i).get(20, TimeUnit.SECONDS), "reply");
        }
        Check.that(problems.isEmpty(), "%s", problems.peek());
    }

    /** Nobody answers; the request itself is stored and consumed as any message is. */
    private static void timeout(Scope scope) throws Exception {
        String topic = scope.topic(1);
        Received received = new Received();
        Received.startConcurrent(scope.push(scope.name("g")), topic, "*", received);
        DefaultMQProducer producer = scope.producer();
        Check.fails(RequestTimeoutException.class, "a request that nobody answers",
            () -> producer.request(message(topic, "q"), 1500));
        received.exactly(List.of("q"), 10, "the request");
    }

    /** A reply to a client that is gone, and one that names no client, are refused. */
    private static void tooLate(Scope scope) throws Exception {
        String topic = scope.topic(1);
        Received received = new Received();
        Received.startConcurrent(scope.push(scope.name("g")), topic, "*", received);
        DefaultMQProducer asker = scope.newProducer();
        asker.start();
        Check.fails(RequestTimeoutException.class, "a request that nobody answers in time",
            () -> asker.request(message(topic, "q"), 1000));
        asker.shutdown();
        received.exactly(List.of("q"), 10, "the request");
        MessageExt request = received.all().get(0);
        DefaultMQProducer replier = scope.producer();
        Thread.sleep(500);
        MQBrokerException late = Check.fails(MQBrokerException.class, "a reply that is too late",
            () -> replier.send(MessageUtil.createReplyMessage(request, "late".getBytes()), 5000));
        Check.same(SYSTEM_ERROR, late.getResponseCode(), "code of a late reply");
        Check.that(late.getErrorMessage().contains("not found"), "%s", late.getErrorMessage());
        Message nameless = MessageUtil.createReplyMessage(request, "nobody's".getBytes());
        nameless.getProperties().remove("REPLY_TO_CLIENT");
        MQBrokerException wrong = Check.fails(MQBrokerException.class, "a reply to nobody",
            () -> replier.send(nameless, 5000));
        Check.same(SYSTEM_ERROR, wrong.getResponseCode(), "code of a reply to nobody");
        Check.that(wrong.getErrorMessage().contains("REPLY_TO_CLIENT"), "%s",
            wrong.getErrorMessage());
    }
}

package rmq.interop;

import static rmq.interop.Scope.ok;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Bodies, properties and keys come back as they were sent. */
final class BodyScenarios {
    private static final int MESSAGE_ILLEGAL = 13;
    private static final int LIMIT = 4 * 1024 * 1024;

    private BodyScenarios() {}

    static List<Scenario> all() {
        return List.of(
            Scenario.of("body_every_byte", BodyScenarios::everyByte),
            Scenario.of("body_sizes", BodyScenarios::sizes),
            Scenario.of("body_limit", BodyScenarios::limit),
            Scenario.of("body_empty", BodyScenarios::empty),
            Scenario.of("body_compressed", BodyScenarios::compressed),
            Scenario.of("properties_unicode", BodyScenarios::unicode),
            Scenario.of("properties_limit", BodyScenarios::propertiesLimit),
            Scenario.of("view_message", BodyScenarios::viewMessage));
    }

    private static void everyByte(Scope scope) throws Exception {
        String topic = scope.topic(1);
        DefaultMQProducer producer = scope.producer();
        MessageQueue queue = scope.queues(topic).get(0);
        byte[] allBytes = new byte[256];
        for (int value = 0; value < 256; value++) {
            allBytes[value] = (byte) value;
            ok(producer.send(new Message(topic, new byte[] {(byte) value}), queue));
        }
        ok(producer.send(new Message(topic, allBytes), queue));
        List<MessageExt> stored = scope.readAll(queue, 257);
        for (int value = 0; value < 256; value++) {
            byte[] body = stored.get(value).getBody();
            Check.that(body.length == 1 && body[0] == (byte) value, "byte %d came as %s", value,
                Arrays.toString(body));
        }
        Check.that(Arrays.equals(allBytes, stored.get(256).getBody()), "all 256 bytes in a row");
    }

    private static byte[] random(int length) {
        byte[] body = new byte[length];
        new Random(length).nextBytes(body);
        return body;
    }

    private static void sizes(Scope scope) throws Exception {
        String topic = scope.topic(1);
        DefaultMQProducer producer = scope.producer();
        MessageQueue queue = scope.queues(topic).get(0);
        int[] lengths = {1, 2, 3, 127, 128, 255, 256, 4095, 4096, 4097, 16383, 16384, 65535, 65536,
            65537, 262143, 262144, 262145, 1024 * 1024};
        for (int length : lengths) {
            ok(producer.send(new Message(topic, random(length)), queue));
        }
        List<MessageExt> stored = scope.readAll(queue, lengths.length);
        for (int i = 0; i < lengths.length; i++) {
            Check.that(Arrays.equals(random(lengths[i]), stored.get(i).getBody()),
                "body of %d bytes differs", lengths[i]);
        }
    }

    /** The largest body is taken and comes back; one byte more is refused by the broker. */
    private static void limit(Scope scope) throws Exception {
        String topic = scope.topic(1);
        DefaultMQProducer producer = scope.newProducer();
        producer.setCompressMsgBodyOverHowmuch(Integer.MAX_VALUE);
        producer.start();
        MessageQueue queue = scope.queues(topic).get(0);
        ok(producer.send(new Message(topic, random(LIMIT)), queue));
        for (int over : new int[] {LIMIT + 1, LIMIT + 65536, 2 * LIMIT}) {
            MQBrokerException refused = Check.fails(MQBrokerException.class, "a body too large",
                () -> producer.send(new Message(topic, random(over)), queue));
            Check.same(MESSAGE_ILLEGAL, refused.getResponseCode(), "code for " + over + " bytes");
        }
        ok(producer.send(new Message(topic, random(LIMIT - 1)), queue));
        List<MessageExt> stored = scope.readAll(queue, 2);
        Check.that(Arrays.equals(random(LIMIT), stored.get(0).getBody()), "4 MiB body differs");
        Check.that(Arrays.equals(random(LIMIT - 1), stored.get(1).getBody()), "the second differs");
    }

    private static void empty(Scope scope) throws Exception {
        String topic = scope.topic(1);
        DefaultMQProducer producer = scope.producer();
        MQClientException refused = Check.fails(MQClientException.class, "an empty body",
            () -> producer.send(new Message(topic, new byte[0])));
        Check.same(MESSAGE_ILLEGAL, refused.getResponseCode(), "code for an empty body");
        scope.holds(topic, 0);
    }

    private static void compressed(Scope scope) throws Exception {
        String topic = scope.topic(1);
        DefaultMQProducer producer = scope.producer();
        MessageQueue queue = scope.queues(topic).get(0);
        int[] lengths = {4096, 4097, 100_000, 1_000_000, LIMIT};
        for (int length : lengths) {
            byte[] body = new byte[length];
            Arrays.fill(body, (byte) 'z');
            ok(producer.send(new Message(topic, body), queue));
        }
        List<MessageExt> stored = scope.readAll(queue, lengths.length);
        for (int i = 0; i < lengths.length; i++) {
            MessageExt message = stored.get(i);
            Check.same(lengths[i], message.getBody().length, "length");
            for (byte value : message.getBody()) {
                Check.that(value == 'z', "body differs");
            }
            Check.that(message.getStoreSize() < lengths[i], "stored inflated: %d",
                message.getStoreSize());
        }
    }

    private static void unicode(Scope scope) throws Exception {
        String topic = scope.topic(1);
        DefaultMQProducer producer = scope.producer();
        MessageQueue queue = scope.queues(topic).get(0);
        Map<String, String> properties = new HashMap<>();
        properties.put("city", "M\u00fcnchen \u6771\u4eac \ud83d\ude80");
        properties.put("\u043a\u043b\u044e\u0447", "\u0437\u043d\u0430\u0447");
        properties.put("quote", "\"a\" \\ {b:[1,2]} = ; \t\n\r");
        properties.put("one", "1");
        Message message = new Message(topic, "tag\u00e9", "k1 \u30ad\u30fc k3",
            "\u00fcber".getBytes(java.nio.charset.StandardCharsets.UTF_8));
        properties.forEach(message::putUserProperty);
        message.setFlag(-7);
        long before = System.currentTimeMillis();
        SendResult result = ok(producer.send(message, queue));
        MessageExt stored = scope.readAll(queue, 1).get(0);
        for (Map.Entry<String, String> property : properties.entrySet()) {
            Check.same(property.getValue(), stored.getUserProperty(property.getKey()),
                "property " + property.getKey());
        }
        Check.same("tag\u00e9", stored.getTags(), "tag");
        Check.same("k1 \u30ad\u30fc k3", stored.getKeys(), "keys");
        Check.same("\u00fcber", Scope.body(stored), "body");
        Check.same(-7, stored.getFlag(), "flag");
        Check.same(result.getMsgId(), stored.getMsgId(), "unique id");
        Check.same(0, stored.getReconsumeTimes(), "reconsume times");
        String host = stored.getStoreHost().toString().replace("/", "");
        Check.same(scope.cluster.masters.get(queue.getBrokerName()), host, "store host");
        Check.that(stored.getBornTimestamp() >= before - 1
            && stored.getStoreTimestamp() >= stored.getBornTimestamp() - 1000
            && stored.getStoreTimestamp() < before + 60_000, "timestamps %d %d against %d",
            stored.getBornTimestamp(), stored.getStoreTimestamp(), before);
        Check.that(stored.getBornHost().toString().contains("127.0.0.1"), "born host %s",
            stored.getBornHost());
    }

    private static void propertiesLimit(Scope scope) throws Exception {
        String topic = scope.topic(1);
        DefaultMQProducer producer = scope.producer();
        Message fits = Scope.message(topic, "fits");
        fits.putUserProperty("long", "x".repeat(32_000));
        ok(producer.send(fits));
        Message over = Scope.message(topic, "over");
        over.putUserProperty("long", "x".repeat(32_768));
        MQBrokerException refused = Check.fails(MQBrokerException.class, "too long properties",
            () -> producer.send(over));
        Check.same(MESSAGE_ILLEGAL, refused.getResponseCode(), "code for too long properties");
        List<MessageExt> stored = scope.readAll(topic, 1);
        Check.same(32_000, stored.get(0).getUserProperty("long").length(), "long property");
    }

    private static void viewMessage(Scope scope) throws Exception {
        String topic = scope.topic(2);
        DefaultMQProducer producer = scope.producer();
        for (int i = 0; i < 8; i++) {
            SendResult result = ok(producer.send(Scope.message(topic, "view-" + i)));
            MessageExt found = scope.cluster.admin.viewMessage(topic, result.getOffsetMsgId());
            Check.same("view-" + i, Scope.body(found), "body");
            Check.same(result.getQueueOffset(), found.getQueueOffset(), "offset");
            Check.same(result.getMessageQueue().getQueueId(), found.getQueueId(), "queue");
        }
    }
}

import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.rocketmq.common.compression.CompressionType;
import org.apache.rocketmq.common.compression.CompressorFactory;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageAccessor;
import org.apache.rocketmq.common.message.MessageClientIDSetter;
import org.apache.rocketmq.common.message.MessageDecoder;
import org.apache.rocketmq.common.message.MessageId;
import org.apache.rocketmq.remoting.protocol.filter.FilterAPI;
import org.apache.rocketmq.remoting.protocol.heartbeat.SubscriptionData;

/** Ids, hashes, property texts, batches and compressed bodies. */
final class Small {
    private Small() {
    }

    static void write(Path folder) throws Exception {
        ids(folder);
        hashes(folder);
        properties(folder);
        batches(folder);
        compressed(folder);
    }

    private static void ids(Path folder) throws Exception {
        try (Lines lines = new Lines(folder, "ids")) {
            String[] hosts = {"1.2.3.4", "255.255.255.255", "2001:db8::9", "::1"};
            for (String host : hosts) {
                for (long offset : new long[] {0, 3, 1L << 40, Long.MAX_VALUE, -1}) {
                    InetSocketAddress address = new InetSocketAddress(host, 10911);
                    String id = MessageDecoder.createMessageId(address, offset);
                    MessageId decoded = MessageDecoder.decodeMessageId(id);
                    InetSocketAddress back = (InetSocketAddress) decoded.getAddress();
                    lines.put("kind", "offset").put("id", id).put("host", host)
                        .put("port", back.getPort()).put("offset", decoded.getOffset()).end();
                }
            }
            for (int i = 0; i < 3; i++) {
                String id = MessageClientIDSetter.createUniqID();
                lines.put("kind", "unique").put("id", id)
                    .put("host", MessageClientIDSetter.getIPStrFromID(id))
                    .put("pid", MessageClientIDSetter.getPidFromID(id)).end();
            }
        }
    }

    private static void hashes(Path folder) throws Exception {
        try (Lines lines = new Lines(folder, "hashes")) {
            List<String> texts = new ArrayList<>(Arrays.asList(Golden.ODD));
            texts.addAll(Arrays.asList("TagA", "Aa", "BB", "polygenelubricants", "\u00e9\u00ff"));
            for (String text : texts) {
                lines.put("text", text).put("hash", text.hashCode()).end();
            }
            String[] expressions = {
                "*", "", "A", "A || B", "A||B||", " || A", "A | B", "\u4e2d||x"
            };
            for (String expression : expressions) {
                SubscriptionData data = FilterAPI.buildSubscriptionData("T", expression);
                lines.put("expression", expression).put("subString", data.getSubString())
                    .put("tags", data.getTagsSet()).put("codes", data.getCodeSet()).end();
            }
        }
    }

    private static void properties(Path folder) throws Exception {
        try (Lines lines = new Lines(folder, "properties")) {
            List<String> texts = new ArrayList<>(Arrays.asList(
                "a\u00011\u0002b\u00012\u0002", "a\u00011\u0002b\u00012", "a\u00011\u0002a\u00012",
                "a\u0001\u0002b\u00012", "\u00011\u0002b\u00012", "a\u0002b", "\u0002\u0002",
                "a\u0001b\u0001c\u0002", "a\u0001\u0001\u0002", "ab\u0002c\u0001d", "\u0001\u0001",
                "\u4e2d\u0001\u6587\u0002", "a\u0001b\u0002\u0002\u0002c\u0001d"));
            for (String odd : Golden.ODD) {
                texts.add("x\u0001" + odd + "\u0002y" + odd + "\u0001z");
            }
            for (String text : texts) {
                lines.put("text", text)
                    .put("properties", MessageDecoder.string2messageProperties(text)).end();
            }
        }
    }

    private static void batches(Path folder) throws Exception {
        try (Lines lines = new Lines(folder, "batches")) {
            for (int count = 1; count <= 4; count++) {
                List<Message> messages = new ArrayList<>();
                List<String> bodies = new ArrayList<>();
                List<String> properties = new ArrayList<>();
                List<Integer> flags = new ArrayList<>();
                for (int i = 0; i < count; i++) {
                    String body = i == 2 ? "" : "body " + i;
                    Message message = new Message("T", body.getBytes(StandardCharsets.UTF_8));
                    message.setFlag(i - 1);
                    MessageAccessor.clearProperty(message, "WAIT");
                    if (i != 1) {
                        message.putUserProperty("p" + i, "v" + Golden.ODD[2 + i]);
                    }
                    messages.add(message);
                    bodies.add(body);
                    flags.add(message.getFlag());
                    properties.add(
                        MessageDecoder.messageProperties2String(message.getProperties()));
                }
                lines.put("bodies", bodies).put("flags", flags).put("properties", properties)
                    .hex("batch", MessageDecoder.encodeMessages(messages)).end();
            }
        }
    }

    private static void compressed(Path folder) throws Exception {
        try (Lines lines = new Lines(folder, "bodies-compressed")) {
            for (int length : new int[] {0, 1, 100, 5000}) {
                byte[] body = new byte[length];
                for (int i = 0; i < length; i++) {
                    body[i] = (byte) (i % 7 * i % 11);
                }
                for (int level : new int[] {0, 5, 9}) {
                    byte[] small =
                        CompressorFactory.getCompressor(CompressionType.ZLIB).compress(body, level);
                    lines.put("sysFlag", 1 | CompressionType.ZLIB.getCompressionFlag())
                        .put("level", level).hex("body", body).hex("compressed", small).end();
                }
            }
        }
    }
}

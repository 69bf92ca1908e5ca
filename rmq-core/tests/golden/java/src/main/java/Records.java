import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.apache.rocketmq.common.UtilAll;
import org.apache.rocketmq.common.message.MessageDecoder;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageExtBrokerInner;
import org.apache.rocketmq.common.message.MessageVersion;
import org.apache.rocketmq.common.sysflag.MessageSysFlag;
import org.apache.rocketmq.store.MessageExtEncoder;
import org.apache.rocketmq.store.config.MessageStoreConfig;

/** Single records, of every shape that the encoder makes. */
final class Records {
    private static final String[] HOSTS = {"10.1.2.3", "2001:db8::9"};

    private Records() {
    }

    static void write(Path folder) throws Exception {
        MessageExtEncoder encoder = new MessageExtEncoder(new MessageStoreConfig());
        try (Lines lines = new Lines(folder, "records")) {
            for (String bornHost : HOSTS) {
                for (String storeHost : HOSTS) {
                    for (int length : new int[] {1, 127, 128, 255}) {
                        MessageExtBrokerInner message = message(bornHost, storeHost, length);
                        if (encoder.encode(message) != null) {
                            throw new IllegalStateException("not encoded");
                        }
                        line(lines, "encoder", message, bytes(encoder.getEncoderBuffer()));
                    }
                    MessageExtBrokerInner message = message(bornHost, storeHost, 20);
                    line(lines, "push", message, MessageDecoder.encode(message, false));
                }
            }
        }
    }

    static MessageExtBrokerInner message(String bornHost, String storeHost, int topicLength) {
        MessageExtBrokerInner message = new MessageExtBrokerInner();
        message.setTopic("t".repeat(topicLength));
        message.setBody(("body of " + topicLength).getBytes(StandardCharsets.UTF_8));
        message.setBodyCRC(UtilAll.crc32(message.getBody()));
        message.setQueueId(topicLength % 8);
        message.setFlag(-topicLength);
        message.setQueueOffset(1L << 33);
        message.setSysFlag(MessageSysFlag.TRANSACTION_COMMIT_TYPE);
        message.setBornTimestamp(1795357533837L);
        message.setBornHost(new InetSocketAddress(bornHost, 51354));
        message.setStoreTimestamp(1795357533888L);
        message.setStoreHost(new InetSocketAddress(storeHost, 10911));
        if (bornHost.contains(":")) {
            message.setBornHostV6Flag();
        }
        if (storeHost.contains(":")) {
            message.setStoreHostAddressV6Flag();
        }
        message.setReconsumeTimes(2);
        message.setPreparedTransactionOffset(77);
        message.setTags("TagA");
        message.setKeys("k1 k2");
        message.putUserProperty("odd", Golden.ODD[5]);
        message.setPropertiesString(
            MessageDecoder.messageProperties2String(message.getProperties()));
        if (topicLength > Byte.MAX_VALUE) {
            message.setVersion(MessageVersion.MESSAGE_VERSION_V2);
        }
        return message;
    }

    private static byte[] bytes(ByteBuffer buffer) {
        byte[] record = new byte[buffer.getInt(0)];
        buffer.get(record);
        return record;
    }

    static void line(Lines lines, String name, MessageExt source, byte[] record) {
        String properties = MessageDecoder.messageProperties2String(source.getProperties());
        MessageExt read = MessageDecoder.decode(ByteBuffer.wrap(record));
        InetSocketAddress born = (InetSocketAddress) read.getBornHost();
        InetSocketAddress store = (InetSocketAddress) read.getStoreHost();
        lines.put("name", name).put("topic", read.getTopic()).put("queueId", read.getQueueId())
            .put("flag", read.getFlag()).put("queueOffset", read.getQueueOffset())
            .put("physicalOffset", read.getCommitLogOffset()).put("sysFlag", read.getSysFlag())
            .put("bornTimestamp", read.getBornTimestamp())
            .put("bornHost", born.getAddress().getHostAddress()).put("bornPort", born.getPort())
            .put("storeTimestamp", read.getStoreTimestamp())
            .put("storeHost", store.getAddress().getHostAddress()).put("storePort", store.getPort())
            .put("reconsumeTimes", read.getReconsumeTimes())
            .put("preparedTransactionOffset", read.getPreparedTransactionOffset())
            .put("bodyCrc", read.getBodyCRC()).put("msgId", read.getMsgId())
            .put("propertiesText", properties).put("properties", read.getProperties())
            .hex("body", read.getBody()).hex("record", record).end();
    }
}

import java.io.File;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.jar.JarFile;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import org.apache.rocketmq.common.BoundaryType;
import org.apache.rocketmq.common.action.RocketMQAction;
import org.apache.rocketmq.remoting.CommandCustomHeader;
import org.apache.rocketmq.remoting.protocol.FastCodesHeader;
import org.apache.rocketmq.remoting.protocol.LanguageCode;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;
import org.apache.rocketmq.remoting.protocol.RequestCode;
import org.apache.rocketmq.remoting.protocol.SerializeType;
import org.apache.rocketmq.remoting.protocol.header.PullMessageRequestHeader;
import org.apache.rocketmq.remoting.protocol.header.PullMessageResponseHeader;
import org.apache.rocketmq.remoting.protocol.header.SendMessageRequestHeader;
import org.apache.rocketmq.remoting.protocol.header.SendMessageRequestHeaderV2;
import org.apache.rocketmq.remoting.protocol.header.SendMessageResponseHeader;

/** Whole frames: every request header of the release, and the hot ones with odd values. */
final class Frames {
    private static final byte[] BODY = "body \u0000\u00ff".getBytes(StandardCharsets.ISO_8859_1);

    private Frames() {
    }

    static void write(Path folder) throws Exception {
        try (Lines lines = new Lines(folder, "frames")) {
            plain(lines);
            sends(lines);
            pulls(lines);
            for (Class<?> header : headers()) {
                RocketMQAction action = header.getAnnotation(RocketMQAction.class);
                frames(lines, "request", header.getSimpleName(), action.value(), fill(header));
            }
        }
    }

    private static void plain(Lines lines) throws Exception {
        frames(lines, "request", "no header", RequestCode.HEART_BEAT, null);
        for (String odd : Golden.ODD) {
            for (SerializeType type : SerializeType.values()) {
                RemotingCommand command = RemotingCommand.createResponseCommand(1, odd);
                command.setExtFields(new HashMap<>(Collections.singletonMap("k" + odd, odd)));
                command.setLanguage(LanguageCode.GO);
                line(lines, "response", "odd remark", command, type, false);
            }
        }
    }

    private static void sends(Lines lines) throws Exception {
        for (String odd : Golden.ODD) {
            SendMessageRequestHeader v1 = send();
            v1.setProperties("a\u0001" + odd + "\u0002b\u00011\u0002");
            v1.setProducerGroup("g" + odd);
            int code = RequestCode.SEND_MESSAGE;
            frames(lines, "send", "v1", code, v1);
            SendMessageRequestHeaderV2 v2 =
                SendMessageRequestHeaderV2.createSendMessageRequestHeaderV2(v1);
            frames(lines, "send", "v2", RequestCode.SEND_MESSAGE_V2, v2);
            v2.setM(true);
            frames(lines, "send", "batch", RequestCode.SEND_BATCH_MESSAGE, v2);
        }
        SendMessageResponseHeader response = new SendMessageResponseHeader();
        response.setMsgId("0102030400002A9F0000000000000003");
        response.setQueueId(3);
        response.setQueueOffset(1L << 40);
        response.setTransactionId("tx");
        frames(lines, "send response", "all", -1, response);
    }

    private static SendMessageRequestHeader send() {
        SendMessageRequestHeader header = new SendMessageRequestHeader();
        header.setProducerGroup("g");
        header.setTopic("T");
        header.setDefaultTopic("TBW102");
        header.setDefaultTopicQueueNums(4);
        header.setQueueId(-1);
        header.setSysFlag(0x301);
        header.setBornTimestamp(1795357533837L);
        header.setFlag(Integer.MIN_VALUE);
        header.setReconsumeTimes(0);
        header.setUnitMode(false);
        header.setBatch(false);
        header.setMaxReconsumeTimes(16);
        header.setBrokerName("b-a");
        return header;
    }

    private static void pulls(Lines lines) throws Exception {
        for (String odd : Golden.ODD) {
            PullMessageRequestHeader header = new PullMessageRequestHeader();
            header.setConsumerGroup("g");
            header.setTopic("T");
            header.setQueueId(3);
            header.setQueueOffset(1L << 40);
            header.setMaxMsgNums(32);
            header.setSysFlag(6);
            header.setCommitOffset(-1L);
            header.setSuspendTimeoutMillis(15000L);
            header.setSubscription(odd);
            header.setSubVersion(1795357533837L);
            header.setExpressionType("TAG");
            frames(lines, "pull", "request", RequestCode.PULL_MESSAGE, header);
        }
        PullMessageResponseHeader response = new PullMessageResponseHeader();
        response.setSuggestWhichBrokerId(0L);
        response.setNextBeginOffset(5L);
        response.setMinOffset(0L);
        response.setMaxOffset(1L << 33);
        frames(lines, "pull response", "all", -1, response);
    }

    /** Headers that name their request, in the order of their names. */
    private static List<Class<?>> headers() throws Exception {
        File jar = new File(RemotingCommand.class.getProtectionDomain().getCodeSource()
            .getLocation().toURI());
        List<Class<?>> found = new ArrayList<>();
        try (JarFile file = new JarFile(jar)) {
            List<String> names = new ArrayList<>();
            file.stream().forEach(entry -> names.add(entry.getName()));
            Collections.sort(names);
            for (String name : names) {
                if (name.contains("/protocol/header/") && name.endsWith("Header.class")) {
                    String plain = name.replace('/', '.').substring(0, name.length() - 6);
                    Class<?> type = Class.forName(plain);
                    if (type.isAnnotationPresent(RocketMQAction.class)) {
                        found.add(type);
                    }
                }
            }
        }
        return found;
    }

    /** A header with a value in every field that travels. */
    private static CommandCustomHeader fill(Class<?> type) throws Exception {
        Object header = type.getDeclaredConstructor().newInstance();
        for (Class<?> part = type; part != Object.class; part = part.getSuperclass()) {
            for (Field field : part.getDeclaredFields()) {
                if (!Modifier.isStatic(field.getModifiers())) {
                    field.setAccessible(true);
                    Object value = value(field);
                    if (value != null) {
                        field.set(header, value);
                    }
                }
            }
        }
        return (CommandCustomHeader) header;
    }

    private static Object value(Field field) {
        Class<?> type = field.getType();
        int number = Math.abs(field.getName().hashCode() % 1000);
        if (type == String.class) {
            return field.getName() + " \"\u00e9/";
        } else if (type == int.class || type == Integer.class) {
            return number;
        } else if (type == long.class || type == Long.class) {
            return (1L << 40) + number;
        } else if (type == boolean.class || type == Boolean.class) {
            return number % 2 == 0;
        } else if (type == double.class || type == Double.class) {
            return number / 8.0;
        } else if (type == BoundaryType.class) {
            return BoundaryType.UPPER;
        }
        return null;
    }

    /** The same command in both serializations. Code -1 makes it a response. */
    private static void frames(Lines lines, String kind, String name, int code,
        CommandCustomHeader header) throws Exception {
        for (SerializeType type : SerializeType.values()) {
            for (boolean fast : new boolean[] {false, true}) {
                if (fast && !(header instanceof FastCodesHeader)) {
                    continue;
                }
                RemotingCommand command = code < 0
                    ? RemotingCommand.createResponseCommandWithHeader(0, header)
                    : RemotingCommand.createRequestCommand(code, header);
                command.setBody(BODY);
                line(lines, kind, name, command, type, fast);
            }
        }
    }

    private static void line(Lines lines, String kind, String name, RemotingCommand command,
        SerializeType type, boolean fast) throws Exception {
        command.setOpaque(-7);
        command.setVersion(479);
        command.setSerializeTypeCurrentRPC(type);
        byte[] frame;
        if (fast) {
            ByteBuf out = Unpooled.buffer();
            command.fastEncodeHeader(out);
            if (command.getBody() != null) {
                out.writeBytes(command.getBody());
            }
            frame = new byte[out.readableBytes()];
            out.readBytes(frame);
        } else {
            ByteBuffer out = command.encode();
            frame = new byte[out.remaining()];
            out.get(frame);
        }
        ByteBuffer rest = ByteBuffer.wrap(frame, 4, frame.length - 4);
        RemotingCommand decoded = RemotingCommand.decode(rest);
        Map<String, String> ext = decoded.getExtFields();
        lines.put("kind", kind).put("name", name).put("serialize", type).put("fast", fast)
            .put("code", decoded.getCode()).put("language", decoded.getLanguage())
            .put("version", decoded.getVersion()).put("opaque", decoded.getOpaque())
            .put("flag", decoded.getFlag()).put("remark", decoded.getRemark())
            .put("ext", ext == null ? new HashMap<>() : ext)
            .hex("body", decoded.getBody() == null ? new byte[0] : decoded.getBody())
            .hex("frame", frame).end();
    }
}

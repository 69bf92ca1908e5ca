import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.rocketmq.common.BrokerConfig;
import org.apache.rocketmq.common.message.MessageAccessor;
import org.apache.rocketmq.common.message.MessageDecoder;
import org.apache.rocketmq.common.message.MessageExtBrokerInner;
import org.apache.rocketmq.common.sysflag.MessageSysFlag;
import org.apache.rocketmq.store.DefaultMessageStore;
import org.apache.rocketmq.store.PutMessageResult;
import org.apache.rocketmq.store.config.MessageStoreConfig;
import org.apache.rocketmq.store.stats.BrokerStatsManager;

/** The index files of a store with its log, and what queries by key find in them. */
final class StoreIndex {
    private static final int SEGMENT = 8192;
    private static final int SLOTS = 37;
    private static final int ENTRIES = 60;
    private static final int PHYSICAL_OFFSET_AT = 28;
    private static final String[] TOPICS = {"orders", "%RETRY%group", "orders_2"};

    private StoreIndex() {
    }

    static void write(Path folder, Path root) throws Exception {
        MessageStoreConfig config = new MessageStoreConfig();
        config.setStorePathRootDir(root.toString());
        config.setStorePathCommitLog(root.resolve("commitlog").toString());
        config.setMappedFileSizeCommitLog(SEGMENT);
        config.setMappedFileSizeConsumeQueue(20 * 100);
        config.setMaxHashSlotNum(SLOTS);
        config.setMaxIndexNum(ENTRIES);
        config.setHaListenPort(0);
        config.setTimerWheelEnable(false);
        DefaultMessageStore store = new DefaultMessageStore(config,
            new BrokerStatsManager("golden", false), (topic, queueId, offset, tagsCode, time,
                filterBitMap, properties) -> { }, new BrokerConfig(), new ConcurrentHashMap<>());
        if (!store.load()) {
            throw new IllegalStateException("not loaded");
        }
        store.start();
        List<Long> times = fill(store);
        while (store.dispatchBehindBytes() > 0) {
            Thread.sleep(10);
        }
        try (Lines lines = new Lines(folder, "index")) {
            lines.put("what", "shape").put("segment", SEGMENT).put("slots", SLOTS)
                .put("entries", ENTRIES).end();
            queries(lines, store, times);
            store.shutdown();
            files(lines, "log", root.resolve("commitlog"));
            files(lines, "index", root.resolve("index"));
        }
    }

    /** Messages with and without keys and tags, odd ones, half ones, over several seconds. */
    private static List<Long> fill(DefaultMessageStore store) throws Exception {
        List<Long> times = new ArrayList<>();
        for (int i = 0; i < 60; i++) {
            if (i % 9 == 8) {
                Thread.sleep(1100);
            }
            String host = i % 7 == 0 ? "2001:db8::9" : "10.1.2.3";
            MessageExtBrokerInner message = Records.message(host, "127.0.0.1", 5);
            message.getProperties().clear();
            message.setTopic(TOPICS[i % 3 % (i % 2 + 2)]);
            message.setSysFlag(MessageSysFlag.resetTransactionValue(message.getSysFlag(),
                i % 5 == 4 ? MessageSysFlag.TRANSACTION_ROLLBACK_TYPE : i % 5 == 3
                    ? MessageSysFlag.TRANSACTION_PREPARED_TYPE : i % 5 == 2
                    ? MessageSysFlag.TRANSACTION_COMMIT_TYPE
                    : MessageSysFlag.TRANSACTION_NOT_TYPE));
            if (i % 10 != 1) {
                MessageAccessor.putProperty(message, "UNIQ_KEY",
                    String.format("%032X", i * 7919L));
            }
            if (i % 4 != 0) {
                message.setKeys(" k" + i + "  all \u6570" + i % 3 + (i % 6 == 0 ? " all" : ""));
            }
            if (i % 3 != 0) {
                message.setTags("Tag" + i % 2);
            }
            message.setPropertiesString(
                MessageDecoder.messageProperties2String(message.getProperties()));
            PutMessageResult result = store.putMessage(message);
            if (!result.isOk()) {
                throw new IllegalStateException(result.toString());
            }
            times.add(message.getStoreTimestamp());
        }
        return times;
    }

    private static void queries(Lines lines, DefaultMessageStore store, List<Long> times) {
        List<String> keys = new ArrayList<>(
            Arrays.asList("all", "\u65700", "\u65701", "k5", "k6", "k59", "k4", "absent", ""));
        for (int i = 0; i < 60; i += 6) {
            keys.add(String.format("%032X", i * 7919L));
        }
        for (String topic : TOPICS) {
            for (String key : keys) {
                query(lines, store, topic, key, 64, 0, Long.MAX_VALUE);
            }
            for (int max : new int[] {0, 1, 3, 1000}) {
                query(lines, store, topic, "all", max, 0, Long.MAX_VALUE);
            }
            for (int from = 0; from < times.size(); from += 7) {
                for (int to = from; to < times.size(); to += 11) {
                    long begin = times.get(from);
                    query(lines, store, topic, "all", 64, begin, times.get(to));
                    query(lines, store, topic, "all", 64, begin + 300, times.get(to) + 700);
                }
            }
        }
    }

    private static void query(Lines lines, DefaultMessageStore store, String topic, String key,
        int max, long begin, long end) {
        var result = store.queryMessage(topic, key, max, begin, end);
        List<Long> offsets = new ArrayList<>();
        for (ByteBuffer message : result.getMessageBufferList()) {
            offsets.add(message.getLong(PHYSICAL_OFFSET_AT));
        }
        lines.put("what", "query").put("topic", topic).put("key", key).put("max", max)
            .put("begin", begin).put("end", end).put("offsets", offsets)
            .put("lastTime", result.getIndexLastUpdateTimestamp())
            .put("lastOffset", result.getIndexLastUpdatePhyoffset()).end();
        result.release();
    }

    private static void files(Lines lines, String what, Path folder) throws Exception {
        List<Path> files;
        try (Stream<Path> listing = Files.list(folder)) {
            files = listing.sorted().collect(Collectors.toList());
        }
        for (Path file : files) {
            byte[] bytes = Files.readAllBytes(file);
            int end = bytes.length;
            while (end > 0 && bytes[end - 1] == 0) {
                end--;
            }
            // Zeros at the end are left out.
            lines.put("what", what).put("file", String.valueOf(file.getFileName()))
                .put("length", bytes.length).hex("start", Arrays.copyOf(bytes, end)).end();
        }
    }
}

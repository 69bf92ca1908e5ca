import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.rocketmq.common.BrokerConfig;
import org.apache.rocketmq.common.message.MessageExtBrokerInner;
import org.apache.rocketmq.store.DefaultMessageStore;
import org.apache.rocketmq.store.PutMessageResult;
import org.apache.rocketmq.store.config.MessageStoreConfig;
import org.apache.rocketmq.store.stats.BrokerStatsManager;

/** The commit log of a store: records in their places, check sums, the filler of a segment. */
final class StoreLog {
    private static final int SEGMENT = 4096;

    private StoreLog() {
    }

    static void write(Path folder, Path root) throws Exception {
        try (Lines lines = new Lines(folder, "log")) {
            for (boolean crc : new boolean[] {false, true}) {
                Path store = root.resolve("crc-" + crc);
                fill(store, crc);
                segments(lines, store.resolve("commitlog"), crc);
            }
        }
    }

    private static void fill(Path root, boolean crc) throws Exception {
        MessageStoreConfig config = new MessageStoreConfig();
        config.setStorePathRootDir(root.toString());
        config.setStorePathCommitLog(root.resolve("commitlog").toString());
        config.setMappedFileSizeCommitLog(SEGMENT);
        config.setMappedFileSizeConsumeQueue(20 * 100);
        config.setMaxHashSlotNum(100);
        config.setMaxIndexNum(1000);
        config.setHaListenPort(0);
        config.setEnabledAppendPropCRC(crc);
        config.setTimerWheelEnable(false);
        DefaultMessageStore store = new DefaultMessageStore(config,
            new BrokerStatsManager("golden", false), (topic, queueId, offset, tagsCode, time,
                filterBitMap, properties) -> { }, new BrokerConfig(), new ConcurrentHashMap<>());
        if (!store.load()) {
            throw new IllegalStateException("not loaded");
        }
        store.start();
        for (int i = 0; i < 18; i++) {
            String host = i % 3 == 0 ? "2001:db8::9" : "10.1.2.3";
            MessageExtBrokerInner message = Records.message(host, "127.0.0.1", 20 + i * 12);
            PutMessageResult result = store.putMessage(message);
            if (!result.isOk()) {
                throw new IllegalStateException(result.toString());
            }
        }
        store.shutdown();
    }

    private static void segments(Lines lines, Path folder, boolean crc) throws Exception {
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
            lines.put("crc", crc).put("file", String.valueOf(file.getFileName()))
                .put("length", bytes.length).hex("start", Arrays.copyOf(bytes, end)).end();
        }
    }
}

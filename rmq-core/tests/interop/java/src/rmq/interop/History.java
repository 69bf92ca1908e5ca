package rmq.interop;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * Holds the history of {@link Load} against what a queue promises, and prints the counts:
 *
 * <ul>
 *   <li>lost: acknowledged, yet never delivered;
 *   <li>changed: an offset of a queue that held two different messages, or that holds another one
 *       than the acknowledgement said;
 *   <li>twice: a message at more offsets than requests carried it;
 *   <li>order: a producer's messages in a queue not in the order of their sending (a message that
 *       was sent more than once may lie anywhere);
 *   <li>gaps: offsets between 0 and the last one of a queue that were never delivered;
 *   <li>backwards: first deliveries of a queue not in the order of their offsets.
 * </ul>
 *
 * <p>--dir DIR. Ends with status 1 when one of them is not 0.
 */
public final class History {
    static final String ACKED = "acked";
    static final String CONSUMED = "consumed";
    static final String ATTEMPTS = "attempts";

    private record Entry(String queue, long offset, String id, int producer, long seq) {
        static Entry parse(String line) {
            String[] parts = line.split(" ");
            String[] body = parts[4].split(":");
            return new Entry(parts[0] + "/" + parts[1], Long.parseLong(parts[2]), parts[3],
                Integer.parseInt(body[0]), Long.parseLong(body[1]));
        }
    }

    private final Map<String, TreeMap<Long, Entry>> log = new TreeMap<>();
    private final Map<String, Set<String>> positions = new HashMap<>();
    private final Map<String, Integer> attempts = new HashMap<>();
    private final List<String> examples = new ArrayList<>();
    private long changed;
    private long backwards;

    private History() {}

    public static void main(String[] args) throws Exception {
        Path dir = Path.of(new Args(args).text("dir"));
        System.out.flush();
        Runtime.getRuntime().halt(new History().check(dir) ? 0 : 1);
    }

    private boolean check(Path dir) throws Exception {
        for (String line : Files.readAllLines(dir.resolve(ATTEMPTS))) {
            String[] parts = line.split(" ");
            attempts.put(parts[0], Integer.parseInt(parts[1]));
        }
        List<Entry> consumed = read(dir.resolve(CONSUMED));
        List<Entry> acked = read(dir.resolve(ACKED));
        consumed.forEach(this::place);
        long lost = 0;
        for (Entry entry : acked) {
            Entry there = log.getOrDefault(entry.queue, new TreeMap<>()).get(entry.offset);
            if (!positions.containsKey(entry.id)) {
                lost += note("lost", entry);
            } else if (there == null || !there.id.equals(entry.id)) {
                changed += note("not where it was acknowledged", entry);
            }
        }
        long twice = countTwice();
        long order = log.values().stream().mapToLong(this::countOrder).sum();
        long gaps = countGaps();
        long entries = log.values().stream().mapToLong(Map::size).sum();
        examples.stream().limit(20).forEach(System.out::println);
        System.out.printf("acked %d entries %d redelivered %d resent %d lost %d changed %d "
            + "twice %d order %d gaps %d backwards %d%n", acked.size(), entries,
            consumed.size() - entries, attempts.size(), lost, changed, twice, order, gaps,
            backwards);
        return lost + changed + twice + order + gaps + backwards == 0;
    }

    private static List<Entry> read(Path file) throws Exception {
        List<Entry> entries = new ArrayList<>();
        for (String line : Files.readAllLines(file)) {
            entries.add(Entry.parse(line));
        }
        return entries;
    }

    private int note(String what, Entry entry) {
        examples.add(what + ": " + entry);
        return 1;
    }

    private void place(Entry entry) {
        TreeMap<Long, Entry> queue = log.computeIfAbsent(entry.queue, q -> new TreeMap<>());
        if (!queue.isEmpty() && !queue.containsKey(entry.offset)
            && queue.lastKey() > entry.offset) {
            backwards += note("delivered after " + queue.lastKey(), entry);
        }
        Entry before = queue.putIfAbsent(entry.offset, entry);
        if (before != null && !before.id.equals(entry.id)) {
            changed += note("the offset held " + before.id + " before", entry);
        }
        positions.computeIfAbsent(entry.id, id -> new HashSet<>())
            .add(entry.queue + "@" + entry.offset);
    }

    private long countTwice() {
        long twice = 0;
        for (Map.Entry<String, Set<String>> found : positions.entrySet()) {
            if (found.getValue().size() > attempts.getOrDefault(found.getKey(), 1)) {
                examples.add("twice: " + found);
                twice++;
            }
        }
        return twice;
    }

    private long countOrder(TreeMap<Long, Entry> queue) {
        long wrong = 0;
        Map<Integer, Long> last = new HashMap<>();
        for (Entry entry : queue.values()) {
            if (attempts.containsKey(entry.id)) {
                continue;
            }
            Long before = last.put(entry.producer, entry.seq);
            if (before != null && before >= entry.seq) {
                wrong += note("after " + before, entry);
            }
        }
        return wrong;
    }

    private long countGaps() {
        long gaps = 0;
        for (Map.Entry<String, TreeMap<Long, Entry>> queue : log.entrySet()) {
            long missing = queue.getValue().lastKey() + 1 - queue.getValue().size();
            if (missing > 0) {
                examples.add("queue " + queue.getKey() + " misses " + missing + " offsets");
                gaps += missing;
            }
        }
        return gaps;
    }
}

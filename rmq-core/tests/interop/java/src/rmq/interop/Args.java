package rmq.interop;

import java.util.HashMap;
import java.util.Map;

/** Command line of the form "--key value ...". */
final class Args {
    private final Map<String, String> values = new HashMap<>();

    Args(String[] args) {
        for (int i = 0; i < args.length; i += 2) {
            if (!args[i].startsWith("-") || i + 1 == args.length) {
                throw new IllegalArgumentException("expected --key value, got " + args[i]);
            }
            values.put(args[i].replaceFirst("^-+", ""), args[i + 1]);
        }
    }

    String text(String key) {
        String value = values.get(key);
        if (value == null) {
            throw new IllegalArgumentException("missing --" + key);
        }
        return value;
    }

    String text(String key, String fallback) {
        return values.getOrDefault(key, fallback);
    }

    int number(String key, int fallback) {
        return Integer.parseInt(text(key, Integer.toString(fallback)));
    }
}

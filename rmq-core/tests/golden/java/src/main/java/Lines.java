import java.io.Closeable;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.Map;
import java.util.TreeMap;

/** A file of JSON objects, one a line, in plain ASCII; written without any JSON library. */
final class Lines implements Closeable {
    private final PrintWriter out;
    private final StringBuilder line = new StringBuilder();

    Lines(Path folder, String name) throws IOException {
        Path file = folder.resolve(name + ".jsonl");
        out = new PrintWriter(Files.newBufferedWriter(file, StandardCharsets.US_ASCII));
    }

    Lines put(String name, Object value) {
        line.append(line.length() == 0 ? "{" : ",");
        string(name);
        line.append(':');
        value(value);
        return this;
    }

    Lines hex(String name, byte[] bytes) {
        StringBuilder text = new StringBuilder();
        for (byte b : bytes) {
            text.append(String.format("%02x", b));
        }
        return put(name, text.toString());
    }

    void end() {
        out.print(line.append("}\n"));
        line.setLength(0);
    }

    private void value(Object value) {
        if (value == null || value instanceof Number || value instanceof Boolean) {
            line.append(value);
        } else if (value instanceof Map) {
            String comma = "{";
            for (Map.Entry<?, ?> entry : new TreeMap<>((Map<?, ?>) value).entrySet()) {
                line.append(comma);
                string(String.valueOf(entry.getKey()));
                line.append(':');
                value(entry.getValue());
                comma = ",";
            }
            line.append(comma.equals("{") ? "{}" : "}");
        } else if (value instanceof Collection) {
            String comma = "[";
            for (Object element : (Collection<?>) value) {
                line.append(comma);
                value(element);
                comma = ",";
            }
            line.append(comma.equals("[") ? "[]" : "]");
        } else {
            string(String.valueOf(value));
        }
    }

    private void string(String text) {
        line.append('"');
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') {
                line.append('\\').append(c);
            } else if (c < ' ' || c > '~') {
                line.append(String.format("\\u%04x", (int) c));
            } else {
                line.append(c);
            }
        }
        line.append('"');
    }

    @Override
    public void close() {
        out.close();
    }
}

package rmq.interop;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Pattern;
import org.apache.rocketmq.tools.command.MQAdminStartup;

/** Runs commands of Apache's mqadmin in this process and checks what they print. */
final class MqAdmin {
    private static final PrintStream OUT = System.out;
    private final String namesrv;
    private volatile String running = "";
    private int failed;

    MqAdmin(String namesrv) {
        this.namesrv = namesrv;
        Runtime.getRuntime().addShutdownHook(new Thread(() ->
            OUT.println("FAIL " + running + ": it ended the process, its options may be wrong")));
        Thread caller = Thread.currentThread();
        Thread waker = new Thread(() -> wakeClosingClients(caller), "waker");
        waker.setDaemon(true);
        waker.start();
    }

    /** A client that closes waits up to 3 s for a thread of its own that polls for that long. */
    private static void wakeClosingClients(Thread caller) {
        while (true) {
            boolean closing = Arrays.stream(caller.getStackTrace()).anyMatch(frame ->
                frame.getClassName().endsWith(".ServiceThread")
                    && frame.getMethodName().equals("shutdown"));
            if (closing) {
                Thread.getAllStackTraces().keySet().stream()
                    .filter(thread -> thread.getName().contains("NettyEventExecutor"))
                    .forEach(Thread::interrupt);
            }
            try {
                Thread.sleep(50);
            } catch (InterruptedException ended) {
                return;
            }
        }
    }

    /** Ends the process, with status 1 when a check failed. */
    void end() {
        OUT.flush();
        Runtime.getRuntime().halt(failed == 0 ? 0 : 1);
    }

    Printed command(String... arguments) {
        List<String> all = new ArrayList<>(List.of(arguments));
        running = String.join(" ", arguments);
        all.add("-n");
        all.add(namesrv);
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        System.setOut(new PrintStream(bytes, true, StandardCharsets.UTF_8));
        System.setErr(System.out);
        try {
            MQAdminStartup.main0(all.toArray(new String[0]), null);
        } finally {
            System.setOut(OUT);
        }
        return new Printed(arguments[0], bytes.toString(StandardCharsets.UTF_8));
    }

    /** What a command left in a file. */
    Printed file(String path) throws IOException {
        return new Printed(path, Files.readString(Path.of(path)));
    }

    /** What a command printed. */
    final class Printed {
        final String text;
        private final String command;

        private Printed(String command, String text) {
            this.command = command;
            this.text = text;
        }

        Printed has(String... expected) {
            String flat = text.replaceAll("\\s*([:=])\\s*", "$1");
            for (String part : expected) {
                if (!text.contains(part) && !flat.contains(part)) {
                    return fail("no \"" + part + "\"");
                }
            }
            OUT.println("ok " + command);
            return this;
        }

        Printed hasNot(String... unexpected) {
            String flat = text.replaceAll("\\s*([:=])\\s*", "$1");
            for (String part : unexpected) {
                if (text.contains(part) || flat.contains(part)) {
                    return fail("\"" + part + "\"");
                }
            }
            return this;
        }

        /** A line that has these columns beside each other. */
        Printed row(String... columns) {
            List<String> quoted = new ArrayList<>();
            for (String column : columns) {
                quoted.add(Pattern.quote(column));
            }
            return rowLike("(^|.*\\s)" + String.join("\\s+", quoted) + "(\\s.*|$)");
        }

        /** A line of that form. */
        Printed rowLike(String pattern) {
            Pattern wanted = Pattern.compile(pattern);
            if (text.lines().noneMatch(line -> wanted.matcher(line.strip()).matches())) {
                return fail("no line like " + pattern);
            }
            OUT.println("ok " + command);
            return this;
        }

        Printed lines(String prefix, int count) {
            long found = text.lines().filter(line -> line.startsWith(prefix)).count();
            if (found != count) {
                fail(found + " lines begin with " + prefix + " instead of " + count);
            }
            return this;
        }

        private Printed fail(String reason) {
            failed++;
            OUT.println("FAIL " + command + ": " + reason + " in:\n" + text);
            return this;
        }
    }
}

package rmq.interop;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.apache.rocketmq.tools.command.MQAdminStartup;

/** Runs commands of Apache's mqadmin in this process and checks what they print. */
final class MqAdmin {
    private static final PrintStream OUT = System.out;
    private final String namesrv;
    private int failed;

    MqAdmin(String namesrv) {
        this.namesrv = namesrv;
    }

    /** Ends the process, with status 1 when a check failed. */
    void end() {
        OUT.flush();
        Runtime.getRuntime().halt(failed == 0 ? 0 : 1);
    }

    Printed command(String... arguments) {
        List<String> all = new ArrayList<>(List.of(arguments));
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

    /** What a command printed. */
    final class Printed {
        final String text;
        private final String command;

        private Printed(String command, String text) {
            this.command = command;
            this.text = text;
        }

        Printed has(String... expected) {
            String flat = text.replaceAll("\\s*:\\s*", ":");
            for (String part : expected) {
                if (!text.contains(part) && !flat.contains(part)) {
                    return fail("no \"" + part + "\"");
                }
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

package rmq.interop;

import java.io.PrintStream;
import java.io.StringWriter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Collectors;

/**
 * Runs the scenarios against a cluster and prints one line for each: "ok NAME" or "FAIL NAME
 * REASON". Ends with status 1 when one failed.
 *
 * <p>-n ADDRS [--brokers 2] [--only a,b] [--threads 4] [--forgetful true]
 */
public final class Suite {
    private static final String RUN =
        Long.toString(System.currentTimeMillis() % 100_000_000L, 36)
            + Long.toString(ProcessHandle.current().pid() % 1296, 36);
    private final PrintStream out = System.out;

    private Suite() {}

    private static List<Scenario> scenarios() {
        List<Scenario> all = new ArrayList<>();
        all.addAll(TopicScenarios.all());
        all.addAll(PushScenarios.all());
        all.addAll(RebalanceScenarios.all());
        all.addAll(OrderScenarios.all());
        all.addAll(RetryScenarios.all());
        all.addAll(TransactionScenarios.all());
        all.addAll(DelayScenarios.all());
        all.addAll(TimerScenarios.all());
        all.addAll(RequestScenarios.all());
        all.addAll(SendScenarios.all());
        all.addAll(BodyScenarios.all());
        all.addAll(PullScenarios.all());
        all.addAll(OffsetScenarios.all());
        all.addAll(ErrorScenarios.all());
        all.addAll(SqlScenarios.all());
        all.addAll(QueryScenarios.all());
        all.addAll(Line.scenarios());
        return all;
    }

    public static void main(String[] args) throws Exception {
        Args options = new Args(args);
        Set<String> only = Arrays.stream(options.text("only", "").split(","))
            .filter(name -> !name.isEmpty()).collect(Collectors.toSet());
        List<Scenario> known = scenarios();
        if (only.contains(SqlScenarios.disabled().name())) {
            known.add(SqlScenarios.disabled());
        }
        List<Scenario> chosen = known.stream()
            .filter(scenario -> only.isEmpty() || only.contains(scenario.name())).toList();
        Check.that(only.isEmpty() || only.size() == chosen.size(), "unknown scenario in %s", only);
        int failed;
        try (Cluster cluster = new Cluster(options.text("n"), options.number("brokers", 2))) {
            cluster.forgetful = Boolean.parseBoolean(options.text("forgetful", "false"));
            failed = new Suite().run(cluster, chosen, options.number("threads", 4));
        }
        System.out.println(chosen.size() - failed + " passed, " + failed + " failed");
        System.out.flush();
        Runtime.getRuntime().halt(failed == 0 ? 0 : 1);
    }

    private int run(Cluster cluster, List<Scenario> chosen, int threads) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(threads);
        List<Future<Boolean>> results = new ArrayList<>();
        for (Scenario scenario : chosen) {
            results.add(pool.submit(() -> runOne(cluster, scenario)));
        }
        int failed = 0;
        for (Future<Boolean> result : results) {
            failed += result.get() ? 0 : 1;
        }
        pool.shutdown();
        return failed;
    }

    private boolean runOne(Cluster cluster, Scenario scenario) throws Exception {
        long start = System.nanoTime();
        String failure = bounded(cluster, scenario);
        double seconds = (System.nanoTime() - start) / 1e9;
        String line = failure == null
            ? String.format("ok %s (%.1f s)", scenario.name(), seconds)
            : String.format("FAIL %s %s", scenario.name(), failure);
        synchronized (out) {
            out.println(line);
            out.flush();
        }
        return failure == null;
    }

    /** The reason of the failure, or null. The scenario's thread is interrupted at its limit. */
    private String bounded(Cluster cluster, Scenario scenario) throws Exception {
        ExecutorService runner = Executors.newSingleThreadExecutor();
        Future<?> running = runner.submit(() -> {
            try (Scope scope = new Scope(cluster, "it_" + RUN + "_" + scenario.name())) {
                scenario.body().run(scope);
            }
            return null;
        });
        try {
            running.get(scenario.limitSeconds(), TimeUnit.SECONDS);
            return null;
        } catch (TimeoutException late) {
            return "not done after " + scenario.limitSeconds() + " s";
        } catch (java.util.concurrent.ExecutionException failed) {
            return describe(failed.getCause());
        } finally {
            runner.shutdownNow();
        }
    }

    private static String describe(Throwable failure) {
        StringWriter text = new StringWriter();
        String before = "";
        for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
            text.append(before).append(String.valueOf(cause).replaceAll("\\s+", " "));
            before = " <- ";
        }
        for (StackTraceElement frame : failure.getStackTrace()) {
            if (frame.getClassName().endsWith("Scenarios")) {
                text.append(" [").append(frame.getFileName()).append(':')
                    .append(Integer.toString(frame.getLineNumber())).append(']');
                break;
            }
        }
        return text.toString();
    }
}

package rmq.interop;

import java.util.Objects;

/** Assertions with a reason, and waiting for something to become true. */
final class Check {
    interface Condition {
        boolean met() throws Exception;
    }

    interface Action {
        void run() throws Exception;
    }

    private Check() {}

    static void that(boolean condition, String format, Object... args) {
        if (!condition) {
            throw new AssertionError(String.format(format, args));
        }
    }

    static void same(Object expected, Object actual, String what) {
        that(Objects.equals(expected, actual), "%s: expected %s, got %s", what, expected, actual);
    }

    /** Waits until the condition is met; fails with what() when it is not in time. */
    static void eventually(int seconds, String what, Condition condition) throws Exception {
        long deadline = System.nanoTime() + seconds * 1_000_000_000L;
        while (!condition.met()) {
            that(System.nanoTime() < deadline, "not within %d s: %s", seconds, what);
            Thread.sleep(20);
        }
    }

    /** Runs the action, which must throw; returns the throwable of that type in its chain. */
    static <T extends Throwable> T fails(Class<T> type, String what, Action action) {
        try {
            action.run();
        } catch (Throwable thrown) {
            for (Throwable cause = thrown; cause != null; cause = cause.getCause()) {
                if (type.isInstance(cause)) {
                    return type.cast(cause);
                }
            }
            throw new AssertionError(what + ": wrong exception " + thrown, thrown);
        }
        throw new AssertionError(what + ": no exception");
    }
}

package rmq.interop;

/** One named check against a running cluster; it must end within limitSeconds. */
record Scenario(String name, int limitSeconds, Body body) {
    interface Body {
        void run(Scope scope) throws Exception;
    }

    static Scenario of(String name, Body body) {
        return new Scenario(name, 60, body);
    }
}

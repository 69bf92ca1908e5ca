import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.apache.rocketmq.broker.filter.ConsumerFilterManager;
import org.apache.rocketmq.broker.filter.MessageEvaluationContext;
import org.apache.rocketmq.common.message.MessageDecoder;
import org.apache.rocketmq.filter.FilterFactory;
import org.apache.rocketmq.filter.expression.Expression;
import org.apache.rocketmq.filter.expression.MQFilterException;
import org.apache.rocketmq.filter.util.BloomFilter;
import org.apache.rocketmq.remoting.protocol.filter.FilterAPI;

/** Expressions with what they say about some messages, Bloom filter positions, the filter file. */
final class Filters {
    /** Properties of messages, in the form in which records hold them. */
    private static final String[] MESSAGES = {
        "",
        "a\u00011\u0002b\u0001x\u0002c\u0001true\u0002",
        "a\u0001-5\u0002b\u00017.5\u0002c\u0001false\u0002",
        "a\u0001abc\u0002b\u00012147483648\u0002c\u0001TRUE\u0002a\u00012\u0002",
        "a\u0001 7 \u0002b\u0001007\u0002c\u0001it's\u0002",
        "a\u0001NaN\u0002b\u0001-Infinity\u0002c\u00010x1.8p1\u0002",
        "a\u0001\u0663\u0002b\u0001-0.0\u0002c\u0001\u4e2d\u6587\u0002",
        "a\u00011e3d\u0002b\u00019223372036854775807\u0002",
        "b\u00013\u0002c\u00013.0\u0002",
    };

    private static final String[] CHOSEN = {
        "", " ", "a", "TRUE", "FALSE", "NULL", "NOT a", "NOT NULL", "1", "'x'", "1.5", "-a", "- 1",
        "a = 1", "a=1", "a = '1'", "a = 1L", "a = 1l", "a = 01", "a = 0L", "a = 0", "a = -5",
        "a = - 5", "a = +1", "a = + + 1", "a = --5", "a = --5\n", "a = - -5", "a = 1.", "a = .5",
        "a = 1e0", "a = 1E", "a = 1E+", "a = 1.e1", "a = 0.0", "a = 00.5", "a = 1e-400",
        "a = 5e-324", "a = 1e309", "a = 1.7976931348623157e308", "a = 9223372036854775807",
        "a = 9223372036854775808", "a = 2147483648", "2147483648 = b", "b = 9223372036854775807",
        "a > 1e400", "1 = a", "'1' = a", "1.0 = a", "TRUE = a", "c = TRUE", "c = true",
        "c <> FALSE", "c = 'true'", "TRUE = TRUE", "TRUE = FALSE", "TRUE = 1", "1 = TRUE",
        "TRUE = 'x'", "'x' = TRUE", "'TRUE' = TRUE", "NULL = 1", "a = NULL", "a <> NULL",
        "NULL = NULL", "a = (NULL)", "a = -NULL", "1 = 1", "1 = 1.0", "1 = '1'", "'1' = 1",
        "'x' = 1", "1 <> 2", "'a' = 'a'", "'a' <> 'b'", "a = b", "a <> b", "a > b", "a >= b",
        "a < b", "a <= b", "c = b", "d = e", "d <> e", "a = d", "d = a", "a > d", "d > a", "a > 1",
        "a >= 1", "a < 1", "a <= 1", "1 < a", "a > 1.5", "a > -5", "a > 7000000000", "b > 7",
        "b > 7.0", "b >= 7.5", "c > 1", "c > 1.0", "a > '1'", "a > TRUE", "a > NULL", "a > (b = 1)",
        "a > -b", "a > -(b = 1)", "'1' > a", "1 > 2", "2 > 1.5", "a > 1 > 2", "a = 1 = TRUE",
        "(a = 1) = TRUE", "TRUE = (a = 1)", "(a = 1) = 'true'", "'true' = (a = 1)",
        "(a = 1) = (b = 'x')", "(a = 1) <> (b = 'x')", "(a = 1) = 1", "a IS NULL", "a IS NOT NULL",
        "d IS NULL", "d IS NOT NULL", "a is null", "(a = 1) IS NULL", "d = 1 IS NULL",
        "NULL IS NULL", "1 IS NULL", "a IS NULL IS NOT NULL", "a IS", "a IS 1", "a IS NOT",
        "a IS NULL > 5", "-a IS NULL", "-a = 1", "-(-1) = 1", "-1 = -1", "-1 > -2",
        "a BETWEEN 1 AND 5", "a NOT BETWEEN 1 AND 5", "a BETWEEN -5 AND 1", "a BETWEEN -1 AND -5",
        "a BETWEEN 5 AND 1", "a NOT BETWEEN 5 AND 1", "a BETWEEN 1 AND 1", "a BETWEEN 1.5 AND 2",
        "a BETWEEN 2 AND 1.5", "a BETWEEN b AND 5", "a BETWEEN 0 AND b", "a BETWEEN 'a' AND 'b'",
        "a BETWEEN 1 AND '5'", "a BETWEEN NULL AND 5", "a BETWEEN TRUE AND FALSE",
        "3 BETWEEN 1 AND 5", "a BETWEEN 1 5", "d BETWEEN 1 AND 5", "d NOT BETWEEN 1 AND 5",
        "a BETWEEN d AND 5", "a BETWEEN 1 AND d", "a NOT BETWEEN 1 AND d", "a NOT BETWEEN d AND 1",
        "b BETWEEN 1 AND 9.5", "b BETWEEN 1.0 AND 9.5", "a BETWEEN 1 AND 5 BETWEEN 1 AND 2",
        "b BETWEEN 5 AND c", "9223372036854775807 BETWEEN 1 AND 9.3e18",
        "a BETWEEN 1 AND 5 AND b = 'x'", "a IN ('1')", "a IN ('1', '2')", "a NOT IN ('1', '2')",
        "a IN (1)", "a IN ()", "a IN ('1',)", "(a) IN ('1')", "+a IN ('1')", "-a IN ('1')",
        "'1' IN ('1')", "d IN ('1')", "d NOT IN ('1')", "a IN ('1','2','3','4','5','6')",
        "a IN ('it''s')", "c IN ('it''s')", "a in ('1') = TRUE", "a IN ('1', '1') IS NULL",
        "a IN '1'", "a NOT", "a NOT 1", "a NOT NOT IN ('1')", "a CONTAINS '1'",
        "a NOT CONTAINS '1'", "a CONTAINS ''", "a NOT CONTAINS ''", "a CONTAINS 1", "a CONTAINS b",
        "d CONTAINS '1'", "d NOT CONTAINS '1'", "1 CONTAINS '1'", "'abc' CONTAINS 'b'",
        "a STARTSWITH 'a'", "a NOT STARTSWITH 'a'", "a ENDSWITH 'c'", "a NOT ENDSWITH 'c'",
        "c contains 't'", "c StartsWith '\u4e2d'", "c EndsWith '\u6587'",
        "a CONTAINS 'a' CONTAINS 'b'", "-a CONTAINS '1'", "TRUE CONTAINS 'T'", "a ENDSWITH ''",
        "a = 1 AND b = 'x'", "a = 1 OR b = 'x'", "a = 1 AND b = 'x' OR c = 'true'",
        "a = 1 OR b = 'x' AND c = 'y'", "(a = 1 OR b = 'x') AND c = 'y'", "a AND b", "a OR TRUE",
        "TRUE AND a", "d OR TRUE", "d AND FALSE", "FALSE AND d", "TRUE OR a > b", "a > b OR TRUE",
        "a = 1 AND", "AND a = 1", "a = 1 OR OR b = 1", "a = 1 AND 1", "1 AND a = 1", "'x' OR TRUE",
        "NOT a = 1", "NOT (a = 1)", "NOT NOT a", "NOT TRUE", "NOT 1", "NOT -a", "NOT a IS NULL",
        "NOT d IS NULL", "NOT a BETWEEN 1 AND 2", "NOT a IN ('1')", "not(a in('1'))", "a = 1 b",
        "a = 1 )", "a = 1,", "a = 1 @", "a = 1 b @", "a = 1 'x", "a = 1 !", "a = 1 007", "(a = 1",
        "a = 1 /* c */ OR b = 'x'", "a = 1 /* c OR b = 'x'", "a /**/ = /***/ 1",
        "a = 1 -- c\nOR b = 'x'", "a = 1 -- c", "a = 1 -- c\r\nOR TRUE", "/* a */ TRUE",
        "a = 1 / 2", "a = 'it''s'", "c = 'it''s'", "a = ''", "a = ''''", "a = 'x''", "a = 'x",
        "a = \"x\"", "c = '\u4e2d\u6587'", "\u4e2d = 1", "a = '\n'", "A = 1", "_ = 1", "$a = 1",
        "a$1_ = 1", "a.b = 1", "a-b = 1", "1a = 1", "a = 1a", "a = 1 = 1", "a == 1", "a != 1",
        "a =! 1", "a => 1", "a =< 1", "a < > 1", "a <= = 1", "\u212a = 1", "K = 1", "true\u017f",
        "a\u00a0= 1", "a\u000b= 1", "a\f= 1", "nota = 1", "not_a = 1", "NOTa", "and = 1", "AND = 1",
        "null = 1", "contains = 1", "is = 1", "a LIKE 'x%'", "a + 1 = 2", "a * 1 = 1", "a = {1}",
        "a = 0x10", "a = 1f", "a = 1d", "a = 1.5f", "a=1 OR a=2 OR a=3 OR a=4 OR a=5",
        "((((((a = 1))))))", "a = ((1))", "(a) = (b)",
    };

    private static final String[] WORDS = {
        "a", "b", "c", "d", "1", "3", "0", "7", "1.5", "2147483648", "3.0", "'1'", "'x'", "'true'",
        "''", "TRUE", "FALSE", "NULL", "AND", "OR", "NOT", "=", "<>", ">", ">=", "<", "<=", "(",
        ")", ",", "+", "-", "IS", "IS NULL", "IS NOT NULL", "BETWEEN", "IN", "IN ('1', 'x')",
        "NOT IN ('x')", "CONTAINS", "CONTAINS 'x'", "STARTSWITH 't'", "NOT ENDSWITH 'e'",
        "BETWEEN 1 AND 3",
    };

    private final Random random = new Random(20240229);

    private Filters() {
    }

    static void write(Path folder) throws Exception {
        new Filters().expressions(folder);
        bloom(folder);
        file(folder);
    }

    private void expressions(Path folder) throws Exception {
        List<String> all = new ArrayList<>(Arrays.asList(CHOSEN));
        for (int i = 0; i < 700; i++) {
            all.add(condition(3));
        }
        for (int i = 0; i < 500; i++) {
            all.add(mutated(condition(2)));
        }
        for (int i = 0; i < 400; i++) {
            StringBuilder text = new StringBuilder();
            for (int words = 1 + random.nextInt(6); words > 0; words--) {
                text.append(pick(WORDS)).append(' ');
            }
            all.add(text.toString());
        }
        try (Lines lines = new Lines(folder, "filters")) {
            for (String message : MESSAGES) {
                lines.put("message", message).end();
            }
            for (String text : all) {
                lines.put("expression", text).put("answers", answers(text)).end();
            }
        }
    }

    /** A letter for each message: true, false, null, error; one dash if it does not parse. */
    private static String answers(String text) {
        Expression expression;
        try {
            expression = FilterFactory.INSTANCE.get("SQL92").compile(text);
        } catch (MQFilterException e) {
            return "-";
        }
        StringBuilder answers = new StringBuilder();
        for (String message : MESSAGES) {
            Map<String, String> properties = MessageDecoder.string2messageProperties(message);
            try {
                Object answer = expression.evaluate(new MessageEvaluationContext(properties));
                answers.append(answer == null ? 'n' : (Boolean) answer ? 't' : 'f');
            } catch (Throwable e) {
                answers.append('e');
            }
        }
        return answers.toString();
    }

    private String pick(String... of) {
        return of[random.nextInt(of.length)];
    }

    private String condition(int depth) {
        if (depth == 0) {
            return pick("a", "b", "TRUE", "a = 1", "b > 3", "c = 'true'", "d IS NULL", "c <> 'x'");
        }
        switch (random.nextInt(12)) {
            case 0:
                return condition(depth - 1) + " AND " + condition(depth - 1);
            case 1:
                return condition(depth - 1) + " OR " + condition(depth - 1);
            case 2:
                return "NOT " + condition(depth - 1);
            case 3:
                return "(" + condition(depth - 1) + ")";
            case 4:
                return value(depth) + pick(" = ", " <> ") + value(depth);
            case 5:
                return value(depth) + pick(" > ", " >= ", " < ", " <= ") + value(depth);
            case 6:
                return value(depth) + pick(" IS NULL", " IS NOT NULL");
            case 7:
                return value(depth) + pick(" BETWEEN ", " NOT BETWEEN ")
                    + value(1) + " AND " + value(1);
            case 8:
                return pick("a", "b", "c") + pick(" IN ", " NOT IN ")
                    + pick("('1')", "('x','3','-5')");
            case 9:
                return value(depth)
                    + pick(" CONTAINS ", " NOT CONTAINS ", " STARTSWITH ", " ENDSWITH ")
                    + pick("'1'", "'7'", "''", "'a'", "'e'");
            case 10:
                return "(" + condition(depth - 1) + ")" + pick(" = ", " <> ") + value(depth);
            default:
                return condition(0);
        }
    }

    private String value(int depth) {
        switch (random.nextInt(depth > 1 ? 9 : 7)) {
            case 0:
            case 1:
                return pick("a", "b", "c", "d");
            case 2:
                return pick("0", "1", "3", "7", "1000", "2147483648", "9223372036854775807", "7L");
            case 3:
                return pick("1.0", "1.5", "7.5", ".5", "3.", "1e3", "9.3e18");
            case 4:
                return pick("'1'", "'x'", "'true'", "'3.0'", "''", "'it''s'");
            case 5:
                return pick("TRUE", "FALSE", "NULL", "a", "b");
            case 6:
                return pick("-", "+") + pick("a", "1", "5", "7.5", "0");
            case 7:
                return "-(" + condition(depth - 1) + ")";
            default:
                return "(" + condition(depth - 1) + ")";
        }
    }

    private String mutated(String text) {
        int at = random.nextInt(text.length() + 1);
        switch (random.nextInt(3)) {
            case 0:
                return text.substring(0, at);
            case 1:
                return text.substring(0, at) + " " + pick(WORDS) + " " + text.substring(at);
            default:
                return text.substring(0, at) + text.substring(Math.min(text.length(), at + 1));
        }
    }

    private static void bloom(Path folder) throws Exception {
        try (Lines lines = new Lines(folder, "bloom")) {
            for (int[] fn : new int[][] {{20, 32}, {10, 128}, {1, 1000}, {20, 64}}) {
                BloomFilter filter = BloomFilter.createByFn(fn[0], fn[1]);
                for (String text : new String[] {
                    "g#T", "", "CID_consumers#TopicTest", "\u4e2d\u6587#clef \ud834\udd1e",
                    "0123456789abcdef", "0123456789abcde", "0123456789abcdef0",
                    "a group with a long name of more than thirty-two bytes#a topic with one too",
                }) {
                    List<Integer> positions = new ArrayList<>();
                    for (int position : filter.calcBitPositions(text)) {
                        positions.add(position);
                    }
                    lines.put("errorPercent", fn[0]).put("expected", fn[1])
                        .put("bits", filter.getM()).put("text", text)
                        .put("positions", positions).end();
                }
            }
        }
    }

    /** The file of a manager with default settings, its times as they come. */
    private static void file(Path folder) throws Exception {
        ConsumerFilterManager manager = new ConsumerFilterManager();
        try (Lines lines = new Lines(folder, "filter-file")) {
            lines.put("file", manager.encode(true)).end();
            manager.register("g", Arrays.asList(FilterAPI.build("T", "a > 1", "SQL92")));
            manager.register("h", Arrays.asList(FilterAPI.build("T", "a = 'it''s'", "SQL92")));
            manager.unRegister("h");
            lines.put("file", manager.encode(true)).end();
        }
    }
}

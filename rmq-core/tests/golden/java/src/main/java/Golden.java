import java.nio.file.Files;
import java.nio.file.Path;

/** Writes the golden files: Golden FOLDER STORE, where STORE is a folder to keep a store in. */
public final class Golden {
    /** Strings that codecs get wrong. */
    static final String[] ODD = {
        "",
        " ",
        "plain",
        "with \"quotes\" and \\ and / and '",
        "control \u0000\u0001\u0002\u0007\b\t\n\u000b\f\r\u001f\u007f\u0080\u009f\u00a0",
        "latin \u00e9\u00ff, Chinese \u4e2d\u6587, clef \ud834\udd1e, lines \u2028\u2029",
        "braces {\"a\":[1,2]} and commas,,",
    };

    private Golden() {
    }

    public static void main(String[] args) throws Exception {
        Path folder = Files.createDirectories(Path.of(args[0]));
        Frames.write(folder);
        Bodies.write(folder);
        Small.write(folder);
        Allocations.write(folder);
        Filters.write(folder);
        Records.write(folder);
        StoreLog.write(folder, Path.of(args[1]));
        StoreIndex.write(folder, Path.of(args[1]).resolve("index"));
        System.exit(0);
    }
}

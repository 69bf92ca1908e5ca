//! What holds for text of any language: size, width, characters, and no path of one machine.

use crate::lexer::{Kind, Token};
use crate::tree::File;

/// Lines of a file outside its tests.
const LINES_MAX: usize = 1000;
/// Lines of code that make a file worth dividing.
pub(crate) const CODE_LINES_REVIEW: usize = 600;
/// Lines of tests at the end of a file; more of them move to a file of their own.
const INLINE_TEST_LINES_MAX: usize = 200;
const COLUMNS_MAX: usize = 100;
/// A string literal in a test that is longer than this may widen its line.
const SAMPLE_MIN: usize = 70;

/// Endings of source written by hand.
const CODE: [&str; 15] = [
    "c", "cpp", "go", "h", "hpp", "java", "js", "mjs", "py", "pyi", "rs", "sh", "toml", "ts",
    "conf",
];
/// Endings whose lines no formatter may break.
const WIDE: [&str; 2] = ["toml", "conf"];
/// Written by a generator that knows no width.
const GENERATED: &str = "bindings/node/native.d.ts";

fn is_code(file: &File) -> bool {
    CODE.contains(&file.extension()) || matches!(file.path.as_str(), "Makefile" | ".ci/run")
}

pub(crate) fn check(file: &File) -> Vec<String> {
    let mut wrong = check_size(file);
    for (i, line) in file.text.lines().enumerate() {
        let number = i + 1;
        if is_code(file) {
            if let Some(odd) = line.chars().find(|c| !c.is_ascii()) {
                wrong.push(file.at(number, format!("{odd:?} is not ASCII")));
            }
            let columns = line.chars().count();
            let fits = columns <= COLUMNS_MAX
                || WIDE.contains(&file.extension())
                || file.path == GENERATED
                || is_long_sample(file, number);
            if !fits {
                wrong.push(file.at(number, format!("{columns} columns")));
            }
        }
        if let Some(folder) = machine_path(line) {
            wrong.push(file.at(number, format!("{folder} is a folder of one machine")));
        }
    }
    wrong
}

/// Whether the line is wide because of a sample in a test, which is clearer in one piece.
fn is_long_sample(file: &File, line: usize) -> bool {
    let Some(source) = &file.source else {
        return false;
    };
    let long = |token: &&Token| match &token.kind {
        Kind::Text(text) => token.line == line && text.chars().count() > SAMPLE_MIN,
        _ => false,
    };
    (file.is_test() || source.is_test_line(line)) && source.tokens.iter().any(|t| long(&t))
}

/// Lines that are code and not a test: neither blank nor a comment.
pub(crate) fn code_lines(file: &File) -> usize {
    let Some(source) = &file.source else { return 0 };
    let counts = |(i, line): (usize, &str)| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with("//") && !source.is_test_line(i + 1)
    };
    file.text
        .lines()
        .enumerate()
        .filter(|&numbered| counts(numbered))
        .count()
}

fn check_size(file: &File) -> Vec<String> {
    let Some(source) = &file.source else {
        return vec![];
    };
    if file.is_test() {
        return vec![];
    }
    let mut wrong = Vec::new();
    let lines = file.text.lines().count();
    let tests: usize = source
        .test_lines
        .iter()
        .map(|(first, last)| last + 1 - first)
        .sum();
    if lines - tests > LINES_MAX {
        wrong.push(file.at(lines, format!("{} lines outside tests", lines - tests)));
    }
    for (first, last) in &source.test_lines {
        let length = last + 1 - first;
        if length > INLINE_TEST_LINES_MAX {
            let message = format!("{length} lines of tests belong in a file tests.rs");
            wrong.push(file.at(*first, message));
        }
    }
    wrong
}

/// Finds an absolute path of a developer's machine, or a file outside the repository.
fn machine_path(line: &str) -> Option<&'static str> {
    const FOLDERS: [&str; 5] = [
        concat!("/ho", "me/"),
        concat!("/ro", "ot/"),
        concat!("/wo", "rk/"),
        concat!("../sha", "red"),
        concat!("/sha", "red/protocol"),
    ];
    FOLDERS.into_iter().find(|folder| {
        line.match_indices(folder).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            // `a/work/b` is a path inside something else.
            !folder.starts_with('/')
                || !before.is_some_and(|c| c.is_alphanumeric() || "._-$}{)*".contains(c))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(path: &str, text: &str) -> usize {
        check(&File::new(path, text)).len()
    }

    #[test]
    fn long_files_are_caught() {
        let line = "const A: u8 = 1;\n";
        assert_eq!(wrong("rmq-core/src/net/a.rs", &line.repeat(1000)), 0);
        assert_eq!(wrong("rmq-core/src/net/a.rs", &line.repeat(1001)), 1);
        assert_eq!(wrong("rmq-core/tests/a.rs", &line.repeat(1001)), 0);
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", line.repeat(100));
        let with_tests = line.repeat(1000) + &tests;
        assert_eq!(wrong("rmq-core/src/net/a.rs", &with_tests), 0);
    }

    #[test]
    fn long_inline_tests_are_caught() {
        let tests = |n: usize| {
            format!(
                "#[cfg(test)]\nmod tests {{\n{}}}\n",
                "const A: u8 = 1;\n".repeat(n - 3)
            )
        };
        assert_eq!(wrong("rmq-core/src/net/a.rs", &tests(200)), 0);
        assert_eq!(wrong("rmq-core/src/net/a.rs", &tests(201)), 1);
        assert_eq!(wrong("rmq-core/src/net/a/tests.rs", &tests(201)), 0);
    }

    #[test]
    fn code_lines_leave_out_comments_and_tests() {
        let text = "// a\n\n/// b\nfn c() {}\n#[cfg(test)]\nmod t {\n}\n";
        assert_eq!(code_lines(&File::new("rmq-core/src/a.rs", text)), 1);
    }

    #[test]
    fn wide_lines_and_odd_characters_are_caught() {
        assert_eq!(wrong("benches/a.rs", &format!("//{}", "x".repeat(98))), 0);
        assert_eq!(wrong("benches/a.rs", &format!("//{}", "x".repeat(99))), 1);
        assert_eq!(wrong("a.py", &"x".repeat(101)), 1);
        assert_eq!(wrong("a.toml", &"x".repeat(101)), 0);
        assert_eq!(wrong("Makefile", "# caf\u{e9}"), 1);
        assert_eq!(wrong("a.rs", "// \u{2192}"), 1);
        assert_eq!(wrong("README.md", "\u{2192}"), 0);
    }

    #[test]
    fn long_samples_of_tests_may_stand_in_one_piece() {
        let line = |n| format!("const A: &str = \"{}\";", "x".repeat(n));
        assert_eq!(wrong("rmq-core/src/a/tests.rs", &line(120)), 0);
        assert_eq!(wrong("rmq-core/src/a.rs", &line(120)), 1);
        let wide = format!("let {} = \"{}\";", "y".repeat(60), "x".repeat(60));
        assert_eq!(wrong("rmq-core/src/a/tests.rs", &wide), 1);
        let inline = format!("#[cfg(test)]\nmod t {{\n{}\n}}\n", line(120));
        assert_eq!(wrong("rmq-core/src/a.rs", &inline), 0);
    }

    #[test]
    fn machine_paths_are_caught() {
        for bad in FOLDERS_OF_MACHINES {
            let bad = bad.replace('#', "");
            assert_eq!(wrong("docs/a.md", &format!("see `{bad}`")), 1, "{bad}");
        }
        assert_eq!(
            wrong(
                "docs/a.md",
                "$DIR/wo#rk/x and target/ro#ot/y".replace('#', "").as_str()
            ),
            0
        );
    }

    /// With a `#` inside, so that this very file passes.
    const FOLDERS_OF_MACHINES: [&str; 4] =
        ["/ho#me/me/x", "/ro#ot/.m2", "/wo#rk/x", "../sha#red/x.md"];
}

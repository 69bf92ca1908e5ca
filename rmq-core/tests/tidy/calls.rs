//! Calls that a library in somebody's process does not make, and unsafe code.

use crate::lexer::Kind;
use crate::tree::File;

/// Where something banned is at home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Home {
    Nowhere,
    /// Programs: commands, examples, benches, build scripts and tests.
    Programs,
    /// Programs, but not tests.
    Commands,
    Tests,
    /// This file, and the programs of `examples/`: what a user writes knows nothing of `base`.
    File(&'static str),
}

const PATHS: [(&str, Home); 13] = [
    ("std::process::exit", Home::Commands),
    ("std::process::abort", Home::Nowhere),
    (
        "std::thread::spawn",
        Home::File("rmq-core/src/base/thread.rs"),
    ),
    (
        "std::thread::Builder",
        Home::File("rmq-core/src/base/thread.rs"),
    ),
    ("std::thread::scope", Home::Tests),
    (
        "std::time::Instant::now",
        Home::File("rmq-core/src/base/clock.rs"),
    ),
    (
        "std::time::SystemTime::now",
        Home::File("rmq-core/src/base/clock.rs"),
    ),
    ("std::env::set_var", Home::Nowhere),
    ("std::env::remove_var", Home::Nowhere),
    ("std::env::set_current_dir", Home::Nowhere),
    ("std::io::stdout", Home::Programs),
    ("std::io::stderr", Home::Programs),
    ("std::panic::set_hook", Home::Commands),
];

const MACROS: [(&str, Home); 7] = [
    ("println", Home::Programs),
    ("eprintln", Home::Programs),
    ("print", Home::Programs),
    ("eprint", Home::Programs),
    ("dbg", Home::Nowhere),
    ("todo", Home::Nowhere),
    ("unimplemented", Home::Nowhere),
];

/// The only files with unsafe code; `/` at the end stands for a folder.
const UNSAFE: [&str; 5] = [
    "rmq-core/src/base/process.rs",
    "rmq-core/src/store/mmap.rs",
    "rmq-core/src/net/sys.rs",
    "rmq-ffi/src/",
    "bindings/python/src/view.rs",
];

fn allowed(home: Home, file: &File, in_test: bool) -> bool {
    let path = file.path.as_str();
    let in_test = in_test || file.is_test();
    let command = path.starts_with("rmq-core/src/bin/")
        || path.starts_with("benches/")
        || path.starts_with("examples/")
        || path.ends_with("/build.rs");
    match home {
        Home::Nowhere => false,
        Home::Programs => in_test || command,
        Home::Commands => command,
        Home::Tests => in_test,
        Home::File(home) => path == home || path.starts_with("examples/"),
    }
}

pub(crate) fn check(file: &File) -> Vec<String> {
    let Some(source) = &file.source else {
        return vec![];
    };
    let mut wrong = Vec::new();
    for path in &source.paths {
        for (banned, home) in PATHS {
            if path.contains(banned) && !allowed(home, file, path.in_test) {
                wrong.push(file.at(path.line, format!("{banned} is banned here")));
            }
        }
    }
    for (name, line, in_test) in &source.macros {
        for (banned, home) in MACROS {
            if name == banned && !allowed(home, file, *in_test) {
                wrong.push(file.at(*line, format!("{banned}! is banned here")));
            }
        }
    }
    let ignored = |window: &&[crate::lexer::Token]| {
        window[0].kind == Kind::Punct('#')
            && window[1].kind == Kind::Punct('[')
            && window[2].kind == Kind::Ident("ignore".to_owned())
    };
    for window in source.tokens.windows(3).filter(ignored) {
        wrong.push(file.at(window[0].line, "a test that does not run is no test"));
    }
    wrong.extend(check_unsafe(file));
    wrong
}

fn check_unsafe(file: &File) -> Vec<String> {
    let Some(source) = &file.source else {
        return vec![];
    };
    let mut wrong = Vec::new();
    for (at, token) in source.tokens.iter().enumerate() {
        if token.kind != Kind::Ident("unsafe".to_owned()) {
            continue;
        }
        let at_home = UNSAFE
            .iter()
            .any(|home| file.path == *home || home.ends_with('/') && file.path.starts_with(home));
        if !at_home {
            wrong.push(file.at(token.line, "unsafe code is not allowed in this file"));
            continue;
        }
        // A declaration (`unsafe fn`, `unsafe extern`) states its terms in its documentation.
        let next = source.tokens.get(at + 1).map(|t| &t.kind);
        let declares = match next {
            Some(Kind::Ident(word)) => word != "impl",
            _ => false,
        };
        let justified = source.comments.iter().any(|comment| {
            comment.text.contains("SAFETY:")
                && (comment.last_line..=comment.last_line + 4).contains(&token.line)
        });
        if !declares && !justified {
            wrong.push(file.at(token.line, "no SAFETY line before this unsafe code"));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(path: &str, text: &str) -> usize {
        check(&File::new(path, text)).len()
    }

    #[test]
    fn banned_calls_are_caught_in_the_library() {
        let bad = [
            "fn f() { println!(); }",
            "fn f() { eprint!(\"x\"); }",
            "fn f() { std::dbg!(1); }",
            "fn f() { todo!() }",
            "fn f() { unimplemented!() }",
            "fn f() { std::process::exit(1); }",
            "use std::process; fn f() { process::exit(1); }",
            "use std::thread::spawn;",
            "use std::thread; fn f() { thread::Builder::new(); }",
            "use std::time::{Duration, Instant}; fn f() { Instant::now(); }",
            "fn f() { std::time::SystemTime::now(); }",
            "use std::env; fn f() { env::set_current_dir(p); }",
            "fn f() { std::env::set_var(k, v); }",
            "use std::io; fn f() { io::stdout(); }",
            "#[test] #[ignore] fn f() {}",
            "#[test] #[ignore = \"slow\"] fn f() {}",
            "#[cfg(test)] mod tests { fn f() { dbg!(1); } }",
            "#[cfg(test)] mod tests { fn f() { std::thread::spawn(g); } }",
        ];
        for text in bad {
            assert_eq!(wrong("rmq-core/src/net/a.rs", text), 1, "{text}");
        }
    }

    #[test]
    fn calls_at_home_pass() {
        let good = [
            (
                "rmq-core/src/bin/mqbroker.rs",
                "fn main() { println!(); std::process::exit(1); }",
            ),
            (
                "rmq-core/src/base/thread.rs",
                "use std::thread; fn f() { thread::Builder::new(); }",
            ),
            (
                "rmq-core/src/base/clock.rs",
                "use std::time::Instant; fn f() { Instant::now(); }",
            ),
            (
                "rmq-core/src/net/a.rs",
                "#[cfg(test)] mod t { fn f() { println!(); } }",
            ),
            (
                "rmq-core/src/net/a.rs",
                "use crate::base::thread; fn f() { thread::spawn(a, b); }",
            ),
            (
                "rmq-core/src/net/a.rs",
                "// println!\nconst A: &str = \"todo!()\";",
            ),
            ("rmq-core/tests/a.rs", "fn f() { std::thread::scope(g); }"),
            (
                "examples/rust/src/bin/a.rs",
                "fn main() { std::time::Instant::now(); println!(); }",
            ),
        ];
        for (path, text) in good {
            assert_eq!(
                check(&File::new(path, text)),
                Vec::<String>::new(),
                "{path}: {text}"
            );
        }
    }

    #[test]
    fn unsafe_stays_in_its_places() {
        let block = "fn f() {\n // SAFETY: so.\n unsafe { g() }\n}";
        assert_eq!(wrong("rmq-core/src/store/mmap.rs", block), 0);
        assert_eq!(wrong("rmq-core/src/net/sys.rs", block), 0);
        assert_eq!(wrong("rmq-ffi/src/str.rs", block), 0);
        assert_eq!(wrong("bindings/python/src/view.rs", block), 0);
        assert_eq!(wrong("bindings/python/src/lib.rs", block), 1);
        assert_eq!(wrong("rmq-core/src/net/reactor.rs", block), 1);
        assert_eq!(wrong("rmq-core/tests/a.rs", block), 1);
        assert_eq!(
            wrong(
                "rmq-core/src/net/reactor.rs",
                "// unsafe\nconst A: &str = \"unsafe\";"
            ),
            0
        );
    }

    #[test]
    fn unsafe_blocks_are_justified() {
        let path = "rmq-core/src/store/mmap.rs";
        assert_eq!(wrong(path, "fn f() { unsafe { g() } }"), 1);
        assert_eq!(
            wrong(path, "// SAFETY: old.\n\n\n\n\n\nfn f() { unsafe { g() } }"),
            1
        );
        assert_eq!(wrong(path, "unsafe impl Send for A {}"), 1);
        assert_eq!(
            wrong(
                path,
                "// SAFETY: a\n// long one.\nunsafe impl Send for A {}"
            ),
            0
        );
        assert_eq!(wrong(path, "/// # Safety\n/// Terms.\nunsafe fn f() {}"), 0);
    }
}

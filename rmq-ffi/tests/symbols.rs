//! The shared library exports the functions of `include/rmq.h`, nothing more and nothing less.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

/// The functions that a header declares: every `rmq_` name followed by `(` outside comments.
fn declared_functions(header: &str) -> BTreeSet<String> {
    let mut code = String::new();
    let mut rest = header;
    while let Some(start) = rest.find("/*") {
        code.push_str(&rest[..start]);
        rest = rest[start..]
            .split_once("*/")
            .map_or("", |(_, after)| after);
    }
    code.push_str(rest);
    let mut names = BTreeSet::new();
    for (open, _) in code.match_indices('(') {
        let before = code[..open].trim_end();
        let start = before
            .rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .map_or(0, |i| i + 1);
        if before[start..].starts_with("rmq_") {
            names.insert(before[start..].to_owned());
        }
    }
    names
}

#[test]
fn exports_are_the_functions_of_the_header() {
    let library = support::library_dir().join("librmq.so");
    let listing = support::run(
        Command::new("nm")
            .args(["-D", "--defined-only"])
            .arg(&library),
    );
    let exported: BTreeSet<String> = listing
        .lines()
        .filter_map(|line| line.split_whitespace().nth(2))
        .map(str::to_owned)
        .collect();
    let header = fs::read_to_string(support::include_dir().join("rmq.h")).unwrap();
    assert_eq!(exported, declared_functions(&header));
}

#[test]
fn soname_is_set_and_it_stays_loaded() {
    let library = support::library_dir().join("librmq.so");
    let dynamic = support::run(Command::new("readelf").arg("-d").arg(&library));
    assert!(dynamic.contains("[librmq.so.0]"), "{dynamic}");
    // Thread-locals of threads that still run keep it as well, but not for ever.
    assert!(dynamic.contains("NODELETE"), "{dynamic}");
}

#[test]
fn declarations_are_found_outside_comments() {
    let header =
        "/* rmq_not_this( */\nint rmq_a(void);\nconst char *rmq_b\n(int x, rmq_cb (*f)(int));";
    let names: Vec<String> = declared_functions(header).into_iter().collect();
    assert_eq!(names, ["rmq_a", "rmq_b", "rmq_cb"]);
}

//! `include/rmq.h` is what cbindgen makes of the sources. `RMQ_BLESS=1` rewrites it.

use std::fs;
use std::path::Path;

/// Leaves out the sections that Rust wants of unsafe functions: the rules at the top of the header
/// say the same once.
fn without_rust_terms(header: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut in_section = false;
    for line in header.lines() {
        if line.trim() == "* # Safety" {
            in_section = true;
            while kept.last().is_some_and(|last| last.trim() == "*") {
                kept.pop();
            }
        }
        in_section &= line.trim() != "*/";
        if !in_section {
            kept.push(line);
        }
    }
    kept.join("\n") + "\n"
}

#[test]
fn header_is_up_to_date() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(package.join("cbindgen.toml")).unwrap();
    let mut generated = Vec::new();
    cbindgen::generate_with_config(package, config)
        .unwrap()
        .write(&mut generated);
    let generated = without_rust_terms(&String::from_utf8(generated).unwrap());
    assert!(
        generated.contains("rmq_version("),
        "cbindgen found no functions:\n{generated}"
    );

    let path = package.join("../include/rmq.h");
    if std::env::var_os("RMQ_BLESS").is_some() {
        fs::write(&path, &generated).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        committed, generated,
        "include/rmq.h is stale: run `make bless` and commit it"
    );
}

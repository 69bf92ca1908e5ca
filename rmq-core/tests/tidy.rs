//! The rules of the house, held by a test: layers, unsafe code, banned calls, sizes and text.
//! `docs/ARCHITECTURE.md` says why they are what they are.

#[path = "tidy/calls.rs"]
mod calls;
#[path = "tidy/dead.rs"]
mod dead;
#[path = "tidy/keys.rs"]
mod keys;
#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/lexer.rs"]
mod lexer;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/text.rs"]
mod text;
#[path = "tidy/tree.rs"]
mod tree;

use tree::File;

fn assert_none(wrong: &[String]) {
    assert!(
        wrong.is_empty(),
        "{} found:\n{}\n",
        wrong.len(),
        wrong.join("\n")
    );
}

fn check_each(rule: impl Fn(&File) -> Vec<String>) {
    let files = tree::load();
    assert!(files.len() > 20, "the workspace was not found");
    let wrong: Vec<String> = files.iter().flat_map(rule).collect();
    assert_none(&wrong);
}

#[test]
fn modules_use_only_lower_layers() {
    check_each(layers::check);
}

#[test]
fn banned_calls_and_unsafe_code_stay_where_they_belong() {
    check_each(calls::check);
}

#[test]
fn text_is_plain_narrow_and_free_of_machine_paths() {
    check_each(text::check);
}

#[test]
fn every_source_file_is_reached() {
    assert_none(&dead::check(&tree::load()));
}

#[test]
fn every_configuration_key_is_documented() {
    let files = tree::load();
    let page = files
        .iter()
        .find(|file| file.path == "docs/configuration.md");
    let page = page.map_or("", |file| &file.text);
    let wrong: Vec<String> = keys::TABLES
        .iter()
        .flat_map(|rows| keys::check(page, rows))
        .collect();
    assert_none(&wrong);
    assert!(
        keys::TABLES.iter().map(|rows| rows.len()).sum::<usize>() > 100,
        "keys are missing"
    );
}

#[test]
fn every_module_of_the_table_exists() {
    let files = tree::load();
    for (module, _) in layers::LAYERS
        .iter()
        .filter(|(name, _)| !matches!(*name, "bin" | "skin"))
    {
        let path = format!("rmq-core/src/{module}/mod.rs");
        assert!(files.iter().any(|f| f.path == path), "no {path}");
    }
}

/// Not a failure: a list to look at when a file is next touched.
#[test]
fn large_files_are_reported() {
    let files = tree::load();
    for file in files.iter().filter(|f| !f.is_test()) {
        let lines = text::code_lines(file);
        if lines > text::CODE_LINES_REVIEW {
            println!("{}: {lines} lines of code: divide it", file.path);
        }
    }
}

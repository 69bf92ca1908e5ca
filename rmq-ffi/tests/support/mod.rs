//! Where the built library and its header are.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder that holds librmq.so, which cargo builds before it runs these tests.
pub(crate) fn library_dir() -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let dir = test.parent().expect("a folder").to_path_buf();
    assert!(
        dir.join("librmq.so").exists(),
        "no librmq.so in {}",
        dir.display()
    );
    dir
}

/// The folder that holds rmq.h.
pub(crate) fn include_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../include")
}

/// Runs a command to its end and returns what it printed; fails the test with its complaints.
pub(crate) fn run(command: &mut Command) -> String {
    let out = command
        .output()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let complaints = String::from_utf8_lossy(&out.stderr);
    assert!(
        out.status.success(),
        "{command:?}: {}\n{text}\n{complaints}",
        out.status
    );
    text
}

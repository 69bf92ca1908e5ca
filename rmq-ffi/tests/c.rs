//! C and C++ programs compiled against the header and linked with the shared library.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, os};

struct Built {
    _dir: tempfile::TempDir,
    program: PathBuf,
    libraries: PathBuf,
}

/// Compiles `tests/c/<source>` with every warning an error.
fn build(compiler: &str, standard: &str, source: &str) -> Built {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let library = support::library_dir().join("librmq.so");
    let named = dir.path().join("librmq.so.0");
    os::unix::fs::symlink(&library, &named).expect("a link");
    let program = dir.path().join("program");
    let language = if standard.starts_with("c++") {
        "c++"
    } else {
        "c"
    };
    support::run(
        Command::new(compiler)
            .arg(format!("-std={standard}"))
            .args(["-Wall", "-Wextra", "-Werror", "-pedantic", "-x", language])
            .arg("-I")
            .arg(support::include_dir())
            .arg(
                Path::new(env!("CARGO_MANIFEST_DIR"))
                    .join("tests/c")
                    .join(source),
            )
            .args(["-x", "none"])
            .arg(&named)
            .arg("-o")
            .arg(&program),
    );
    let libraries = dir.path().to_path_buf();
    Built {
        _dir: dir,
        program,
        libraries,
    }
}

impl Built {
    fn run(&self) -> String {
        support::run(Command::new(&self.program).env("LD_LIBRARY_PATH", &self.libraries))
    }
}

#[test]
fn c99_program_prints_the_version() {
    let printed = build("gcc", "c99", "version.c").run();
    assert_eq!(printed, format!("{} 0\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn header_compiles_as_c11_and_cpp17() {
    let version = format!("{} 0\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(build("gcc", "c11", "version.c").run(), version);
    assert_eq!(build("g++", "c++17", "version.c").run(), version);
}

#[test]
fn a_wrong_call_does_not_compile() {
    let source = support::include_dir().join("rmq.h");
    assert!(fs::metadata(source).unwrap().len() > 0);
    let bad = "#include \"rmq.h\"\nint main(void) { return rmq_version(1, 2); }\n";
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bad.c");
    fs::write(&file, bad).unwrap();
    let out = Command::new("gcc")
        .args([
            "-std=c99",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-c",
            "-o",
            "/dev/null",
            "-I",
        ])
        .arg(support::include_dir())
        .arg(&file)
        .output()
        .unwrap();
    assert!(!out.status.success(), "the header declares no prototype");
}

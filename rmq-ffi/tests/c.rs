//! C and C++ programs compiled against the header and linked with the library, by every compiler
//! that is here, plain, under sanitizers and under valgrind.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "a test says what it could not run")]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::{fs, os};

/// The compilers and what they compile; clang is looked for.
const COMPILERS: [(&str, &str); 6] = [
    ("gcc", "c99"),
    ("gcc", "c11"),
    ("g++", "c++17"),
    ("clang", "c99"),
    ("clang", "c11"),
    ("clang++", "c++17"),
];

/// What is run under everything.
const PROGRAMS: [&str; 7] = [
    "hostile.c",
    "producer.c",
    "transactions.c",
    "admin.c",
    "consumer.c",
    "pull_consumer.c",
    "completion_queue.c",
];

/// Whether a tool is here; it is said when a test does without it. gcc has to be.
fn has(tool: &str) -> bool {
    let there = Command::new(tool).arg("--version").output().is_ok();
    if !there {
        println!("NOT RUN: {tool} is not installed");
        assert!(!matches!(tool, "gcc" | "g++"), "{tool} is not installed");
    }
    there
}

/// Whether a compiler has what these flags want: clang's sanitizers are a package of their own.
fn links(compiler: &str, flags: &[&str]) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("empty.c");
    fs::write(&source, "int main(void) { return 0; }\n").unwrap();
    let mut command = Command::new(compiler);
    command.args(flags).arg(&source).arg("-o");
    let linked = command.arg(dir.path().join("empty")).output().unwrap();
    if !linked.status.success() {
        println!("NOT RUN: {compiler} has no runtime for {}", flags[0]);
    }
    linked.status.success()
}

struct Built {
    dir: tempfile::TempDir,
    program: PathBuf,
}

/// Compiles `tests/c/<source>` with every warning an error.
fn build(compiler: &str, standard: &str, source: &str, flags: &[&str]) -> Built {
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
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c");
    support::run(
        Command::new(compiler)
            .arg(format!("-std={standard}"))
            .args(["-Wall", "-Wextra", "-Werror", "-g"])
            .args(flags)
            .args(["-x", language, "-I"])
            .arg(support::include_dir())
            .arg(sources.join(source))
            .args(["-x", "none"])
            .arg(&named)
            .args(["-ldl", "-lpthread", "-o"])
            .arg(&program),
    );
    Built { dir, program }
}

impl Built {
    fn command(&self, before: &[&str]) -> Command {
        let program = self.program.to_str().expect("a path in ASCII");
        let mut words = before.iter().copied().chain([program]);
        let mut command = Command::new(words.next().expect("the program at least"));
        command.args(words).env("LD_LIBRARY_PATH", self.dir.path());
        command
    }

    /// Runs it; it has to end well and say nothing but what is returned.
    fn run(&self, arguments: &[&str]) -> String {
        Self::end(self.command(&[]).args(arguments).output().unwrap())
    }

    fn end(out: Output) -> String {
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let complaints = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{}\n{text}\n{complaints}", out.status);
        assert_eq!(complaints, "", "the library printed");
        text
    }
}

#[test]
fn the_header_compiles_everywhere_and_the_version_is_told() {
    let version = format!("{} 0\n", env!("CARGO_PKG_VERSION"));
    for (compiler, standard) in COMPILERS {
        if has(compiler) {
            let built = build(compiler, standard, "version.c", &["-pedantic"]);
            assert_eq!(built.run(&[]), version, "{compiler} {standard}");
        }
    }
}

#[test]
fn misuse_is_a_status_and_leaves_nothing() {
    for (compiler, standard) in COMPILERS {
        if has(compiler) {
            // All at a time: they wait for each other's servers more than they work.
            let programs = PROGRAMS.map(|source| build(compiler, standard, source, &[]));
            let running = programs.each_ref().map(|built| {
                let mut command = built.command(&[]);
                command.stdout(Stdio::piped()).stderr(Stdio::piped());
                command.spawn().unwrap()
            });
            for (source, child) in PROGRAMS.iter().zip(running) {
                let printed = Built::end(child.wait_with_output().unwrap());
                assert_eq!(printed, "", "{compiler} {standard} {source}");
            }
        }
    }
}

#[test]
fn misuse_under_sanitizers() {
    let flags = [
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover=all",
        "-fno-omit-frame-pointer",
    ];
    for compiler in ["gcc", "clang"] {
        if has(compiler) && links(compiler, &flags) {
            for source in PROGRAMS {
                assert_eq!(build(compiler, "c11", source, &flags).run(&[]), "");
            }
        }
    }
}

#[test]
fn misuse_under_valgrind() {
    if !has("valgrind") {
        return;
    }
    let checks = ["valgrind", "-q", "--error-exitcode=9", "--leak-check=full"];
    let kinds = [
        "--errors-for-leak-kinds=definite",
        "--show-leak-kinds=definite",
    ];
    for source in PROGRAMS {
        let built = build("gcc", "c11", source, &[]);
        let mut command = built.command(&[&checks[..], &kinds].concat());
        let out = command.output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{source}: {}\n{said}", out.status);
    }
}

/// `RMQ_CYCLES` (200 unless said) is how often both servers start and stop.
#[test]
fn cycles_leave_nothing_behind() {
    let cycles = std::env::var("RMQ_CYCLES").unwrap_or_else(|_| "200".to_owned());
    print!("{}", build("gcc", "c99", "cycles.c", &[]).run(&[&cycles]));
}

#[test]
fn loading_and_unloading_does_not_crash() {
    // Not linked with the library, which would be there anyway.
    let flags = ["-Wl,--as-needed"];
    let built = build("gcc", "c99", "loading.c", &flags);
    let library = built.dir.path().join("librmq.so.0");
    let library = library.to_str().unwrap();
    assert_eq!(built.run(&[library]), "");
    let built = build("gcc", "c99", "unloading.c", &flags);
    for how in ["busy", "freed"] {
        // A broker that nobody ends leaves its files.
        let mut command = built.command(&[]);
        command.args([library, how]).env("TMPDIR", built.dir.path());
        assert_eq!(Built::end(command.output().unwrap()), "", "{how}");
    }
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

//! The examples, built from nothing but what an installation holds.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "a test says what it could not run")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

/// An installation, and room for programs beside it.
struct Installed {
    dir: tempfile::TempDir,
}

/// The names of the examples, in C and in C++, with what they print when all went well.
const EXAMPLES: [(&str, &str); 8] = [
    ("quickstart", "queue"),
    ("cluster", "100 of 100"),
    ("ordered", "10 steps of 5 users came in order"),
    ("delayed", "an hour later: tea is ready"),
    ("transaction", "delivered: crashed"),
    ("request_reply", "who is there: WHO IS THERE"),
    ("admin", "deleted"),
    ("epoll", "100 of 100 consumed"),
];

/// By folder and ending: the compiler and its standard.
const LANGUAGES: [(&str, &str, &str); 2] = [("c", "gcc", "c99"), ("cpp", "g++", "c++17")];

impl Installed {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("install.sh");
        let mut install = Command::new("bash");
        install.arg(script).arg(support::library_dir());
        install.arg(dir.path().join("before"));
        support::run(&mut install);
        // What was installed can be moved.
        std::fs::rename(dir.path().join("before"), dir.path().join("prefix")).unwrap();
        Self { dir }
    }

    fn prefix(&self) -> PathBuf {
        self.dir.path().join("prefix")
    }

    fn program(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What pkg-config says.
    fn flags(&self, arguments: &[&str]) -> Vec<String> {
        let mut command = Command::new("pkg-config");
        command.env("PKG_CONFIG_PATH", self.prefix().join("lib/pkgconfig"));
        let said = support::run(command.args(arguments).arg("rmq"));
        said.split_whitespace().map(str::to_owned).collect()
    }

    fn run(&self, program: &Path) -> String {
        support::run(Command::new(program).env("LD_LIBRARY_PATH", self.prefix().join("lib")))
    }

    fn check(&self, wanted: &str, program: &Path) {
        let printed = self.run(program);
        assert!(printed.contains(wanted), "{program:?}:\n{printed}");
    }
}

fn example(path: &str) -> PathBuf {
    let examples = support::include_dir().join("../examples");
    examples.join(path)
}

fn has(tool: &str) -> bool {
    let there = Command::new(tool).arg("--version").output().is_ok();
    if !there {
        println!("NOT RUN: {tool} is not installed");
    }
    there
}

#[test]
fn examples_build_by_pkg_config_and_run() {
    if !has("pkg-config") {
        return;
    }
    let installed = Installed::new();
    let flags = installed.flags(&["--cflags", "--libs"]);
    for (language, compiler, standard) in LANGUAGES {
        for (name, wanted) in EXAMPLES {
            let program = installed.program("example");
            let mut compile = Command::new(compiler);
            compile.arg(format!("-std={standard}"));
            compile.args(["-Wall", "-Wextra", "-Werror", "-pthread"]);
            compile.arg(example(&format!("{language}/{name}.{language}")));
            compile.args(&flags).arg("-o").arg(&program);
            support::run(&mut compile);
            installed.check(wanted, &program);
        }
    }
    let version = installed.flags(&["--modversion"]);
    assert_eq!(version, [env!("CARGO_PKG_VERSION")]);
}

/// A program may include only what it uses.
#[test]
fn each_header_for_cpp_stands_alone() {
    let installed = Installed::new();
    let headers = installed.prefix().join("include/rmq");
    let mut compile = Command::new("g++");
    compile.args(["-std=c++17", "-Wall", "-Wextra", "-Werror"]);
    compile.args(["-fsyntax-only", "-x", "c++"]);
    let found = std::fs::read_dir(&headers).unwrap();
    let paths: Vec<_> = found.map(|file| file.unwrap().path()).collect();
    assert_eq!(paths.len(), 6, "{paths:?}");
    support::run(compile.args(paths));
}

#[test]
fn a_program_links_the_static_library() {
    if !has("pkg-config") {
        return;
    }
    let installed = Installed::new();
    let program = installed.program("example");
    let mut compile = Command::new("gcc");
    compile.arg("-std=c99").arg(example("c/quickstart.c"));
    compile.args(installed.flags(&["--cflags"]));
    compile.arg(installed.prefix().join("lib/librmq.a"));
    let needed = installed.flags(&["--static", "--libs"]);
    compile.args(needed.iter().filter(|flag| *flag != "-lrmq"));
    support::run(compile.arg("-o").arg(&program));
    let printed = support::run(&mut Command::new(&program));
    assert!(printed.contains("queue"), "{printed}");
}

#[test]
fn examples_build_by_cmake_and_run() {
    if !has("cmake") {
        return;
    }
    let installed = Installed::new();
    let build = installed.program("build");
    let mut configure = Command::new("cmake");
    configure.arg("-S").arg(example("")).arg("-B").arg(&build);
    let prefix = installed.prefix();
    configure.arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display()));
    support::run(&mut configure);
    support::run(Command::new("cmake").arg("--build").arg(&build));
    // What they do is the same as above; two of them show that they are linked.
    installed.check("queue", &build.join("quickstart_c"));
    installed.check("queue", &build.join("quickstart_cpp"));
}

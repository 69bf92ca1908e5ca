//! The files of the workspace.

use std::fs;
use std::path::{Path, PathBuf};

use crate::source::Source;

/// Folders that hold nothing written by hand (`.git` is a file in a linked work tree).
const SKIPPED: [&str; 12] = [
    ".git",
    ".venv",
    "__pycache__",
    ".pytest_cache",
    "artifacts",
    "build",
    "corpus",
    "dist",
    "node_modules",
    "out",
    "target",
    "vendor",
];

#[derive(Debug)]
pub(crate) struct File {
    /// From the root of the workspace, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
    /// Parsed when it is Rust.
    pub(crate) source: Option<Source>,
}

impl File {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let source = path
            .ends_with(".rs")
            .then(|| Source::parse(text, &module_of(path)));
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            source,
        }
    }

    pub(crate) fn extension(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name.rsplit_once('.').map_or("", |(_, extension)| extension)
    }

    /// Whether all of the file is test code.
    pub(crate) fn is_test(&self) -> bool {
        self.path
            .split('/')
            .any(|part| matches!(part, "tests" | "test" | "tests.rs"))
    }

    pub(crate) fn at(&self, line: usize, what: impl std::fmt::Display) -> String {
        format!("{}:{line}: {what}", self.path)
    }
}

/// The module of its crate that a file of `src/` is: `["broker", "hold"]`.
pub(crate) fn module_of(path: &str) -> Vec<String> {
    let Some((_, inside)) = path.split_once("src/") else {
        return vec![];
    };
    let inside = inside.trim_end_matches(".rs");
    let mut parts: Vec<String> = inside.split('/').map(str::to_owned).collect();
    if matches!(
        parts.last().map(String::as_str),
        Some("mod" | "lib" | "main")
    ) {
        parts.pop();
    }
    parts
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package
        .parent()
        .expect("the package lies in the workspace")
        .to_path_buf()
}

/// Every text file of the workspace, in the order of their paths.
pub(crate) fn load() -> Vec<File> {
    let root = root();
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        // What is not UTF-8 is data.
        if let Ok(text) = fs::read_to_string(&path) {
            let name = path.strip_prefix(&root).expect("collected below the root");
            files.push(File::new(&name.to_string_lossy().replace('\\', "/"), &text));
        }
    }
    files
}

fn collect(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a readable folder") {
        let entry = entry.expect("a readable entry");
        let kind = entry.file_type().expect("a file type");
        let name = entry.file_name();
        if SKIPPED.iter().any(|skipped| name == *skipped) {
            continue;
        }
        if kind.is_dir() {
            collect(&entry.path(), out);
        } else if kind.is_file() {
            out.push(entry.path());
        }
    }
}

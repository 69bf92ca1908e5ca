//! Every source file is part of a crate.

use std::collections::{BTreeMap, BTreeSet};

use crate::tree::File;

/// Files with this path are crate roots of the package in `dir`.
fn is_root(dir: &str, path: &str, manifest: &str) -> bool {
    let Some(inside) = path.strip_prefix(dir) else {
        return false;
    };
    let named = manifest.lines().any(|line| {
        line.trim()
            .strip_prefix("path = ")
            .is_some_and(|value| value.trim_matches('"') == inside)
    });
    let parts: Vec<&str> = inside.split('/').collect();
    let conventional = matches!(
        parts.as_slice(),
        ["build.rs"]
            | ["src", "lib.rs" | "main.rs"]
            | ["src", "bin", _]
            | ["src", "bin", _, "main.rs"]
            | ["tests" | "benches" | "examples", _]
            | ["tests" | "benches" | "examples", _, "main.rs"]
    );
    named || conventional
}

/// Joins `relative` to a folder, resolving `..`.
fn join(dir: &str, relative: &str) -> String {
    let mut parts: Vec<&str> = dir.split('/').filter(|part| !part.is_empty()).collect();
    for part in relative.split('/') {
        match part {
            ".." => {
                parts.pop();
            }
            "." | "" => {}
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

pub(crate) fn check(files: &[File]) -> Vec<String> {
    let rust: BTreeMap<&str, &File> = files
        .iter()
        .filter(|f| f.source.is_some())
        .map(|f| (&*f.path, f))
        .collect();
    let mut waiting: Vec<(&str, bool)> = Vec::new();
    for manifest in files.iter().filter(|f| f.path.ends_with("Cargo.toml")) {
        let dir = manifest.path.trim_end_matches("Cargo.toml");
        let roots = rust
            .keys()
            .filter(|path| is_root(dir, path, &manifest.text));
        waiting.extend(roots.map(|path| (*path, true)));
    }
    let mut live = BTreeSet::new();
    while let Some((path, is_root)) = waiting.pop() {
        if !live.insert(path) {
            continue;
        }
        let Some(source) = rust.get(path).and_then(|file| file.source.as_ref()) else {
            continue;
        };
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        let children = match name {
            _ if is_root => dir.to_owned(),
            "mod.rs" => dir.to_owned(),
            _ => path.trim_end_matches(".rs").to_owned(),
        };
        let mut found: Vec<String> = source.included.iter().map(|file| join(dir, file)).collect();
        for module in &source.mod_files {
            let folder = join(&children, &module.scope.join("/"));
            match &module.path {
                Some(file) if module.scope.is_empty() => found.push(join(dir, file)),
                Some(file) => found.push(join(&folder, file)),
                None => {
                    found.push(join(&folder, &format!("{}.rs", module.name)));
                    found.push(join(&folder, &format!("{}/mod.rs", module.name)));
                }
            }
        }
        for child in found {
            if let Some((&path, _)) = rust.get_key_value(child.as_str()) {
                waiting.push((path, false));
            }
        }
    }
    let dead = rust.keys().filter(|path| !live.contains(*path));
    dead.map(|path| format!("{path}: no module leads to this file"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dead(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<File> = files
            .iter()
            .map(|(path, text)| File::new(path, text))
            .collect();
        check(&files)
    }

    #[test]
    fn orphans_are_caught() {
        let files = [
            ("p/Cargo.toml", ""),
            ("p/src/lib.rs", "mod a;"),
            ("p/src/a/mod.rs", "mod b;"),
            ("p/src/a/b.rs", ""),
            ("p/src/a/orphan.rs", ""),
            ("q/src/lib.rs", ""),
        ];
        let expected = [
            "p/src/a/orphan.rs: no module leads to this file",
            "q/src/lib.rs: no module leads to this file",
        ];
        assert_eq!(dead(&files), expected);
    }

    #[test]
    fn every_way_to_a_file_is_followed() {
        let files = [
            ("p/Cargo.toml", "[[bin]]\npath = \"odd/x.rs\""),
            ("p/build.rs", ""),
            ("p/odd/x.rs", "mod y;"),
            ("p/odd/y.rs", ""),
            ("p/src/lib.rs", "mod a; mod c { mod d; }"),
            ("p/src/a.rs", "#[cfg(test)] mod tests;"),
            ("p/src/a/tests.rs", ""),
            ("p/src/c/d.rs", "const X: &str = include_str!(\"../e.rs\");"),
            ("p/src/e.rs", ""),
            ("p/src/bin/tool.rs", ""),
            ("p/tests/t.rs", "#[path = \"t/u.rs\"] mod u; mod support;"),
            ("p/tests/t/u.rs", ""),
            ("p/tests/support/mod.rs", ""),
        ];
        assert_eq!(dead(&files), Vec::<String>::new());
    }
}

//! Reads the golden files.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::Value;

/// Releases whose frames and bodies are there.
pub(crate) const RELEASES: [&str; 2] = ["5.3.3", "5.5.0"];

/// A line of a golden file.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) place: String,
    value: Value,
}

/// The lines of a file; there are some.
pub(crate) fn lines(release: &str, name: &str) -> Vec<Line> {
    let path: PathBuf = [
        env!("CARGO_MANIFEST_DIR"),
        "tests/golden/data",
        release,
        name,
    ]
    .iter()
    .collect::<PathBuf>()
    .with_extension("jsonl");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path:?}: {e}"));
    let lines: Vec<Line> = text
        .lines()
        .enumerate()
        .map(|(i, line)| Line {
            place: format!("{release}/{name}:{}", i + 1),
            value: serde_json::from_str(line).expect("golden files are JSON"),
        })
        .collect();
    assert!(!lines.is_empty(), "{path:?} is empty");
    lines
}

impl Line {
    pub(crate) fn value(&self, name: &str) -> &Value {
        let value = self.value.get(name);
        value.unwrap_or_else(|| panic!("{} has no {name}", self.place))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.value.get(name).is_some()
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        self.value(name).as_str().expect("a string")
    }

    pub(crate) fn optional_text(&self, name: &str) -> Option<&str> {
        self.value(name).as_str()
    }

    pub(crate) fn int(&self, name: &str) -> i64 {
        self.value(name).as_i64().expect("an integer")
    }

    pub(crate) fn int32(&self, name: &str) -> i32 {
        i32::try_from(self.int(name)).expect("32 bits")
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.value(name).as_bool().expect("a boolean")
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        let text = self.text(name);
        let digits: Vec<u8> = text
            .chars()
            .map(|c| c.to_digit(16).expect("hexadecimal digits") as u8)
            .collect();
        digits
            .chunks(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect()
    }

    pub(crate) fn texts(&self, name: &str) -> Vec<&str> {
        let array = self.value(name).as_array().expect("an array");
        array
            .iter()
            .map(|element| element.as_str().expect("a string"))
            .collect()
    }

    pub(crate) fn ints(&self, name: &str) -> Vec<i64> {
        let array = self.value(name).as_array().expect("an array");
        array
            .iter()
            .map(|element| element.as_i64().expect("an integer"))
            .collect()
    }

    /// An object of strings; a `null` is an empty string.
    pub(crate) fn map(&self, name: &str) -> BTreeMap<String, String> {
        let object = self.value(name).as_object().expect("an object");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        object
            .iter()
            .map(|(key, value)| (key.clone(), text(value)))
            .collect()
    }

    pub(crate) fn host(&self, host: &str, port: &str) -> SocketAddr {
        let port = u16::try_from(self.int(port)).expect("a port");
        SocketAddr::new(self.text(host).parse().expect("an address"), port)
    }
}

//! Headers for property tests: usual ones, odd ones and broken ones, in both serializations.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::protocol::frame::{FrameRef, Serialize};

/// One field of a header: its key and how its value is written.
pub(super) type Pair = (String, Written);

/// How a value is written.
#[derive(Clone, Debug)]
pub(super) enum Written {
    /// As a string.
    Text(String),
    /// As this JSON, whatever it is; as text in binary.
    Raw(String),
}

/// A header in bytes.
#[derive(Clone, Debug)]
pub(super) struct TestHeader {
    pub(super) serialize: Serialize,
    pub(super) bytes: Vec<u8>,
}

impl TestHeader {
    pub(super) fn frame(&self) -> FrameRef<'_> {
        FrameRef {
            serialize: self.serialize,
            header: &self.bytes,
            body: b"",
        }
    }
}

const NUMBERS: &str = "0 3 -1 2147483647 -2147483648 007 -0 true";
const ODD_NUMBERS: &str = "|_5|+5|1.0|1e3|2147483648|1795357533837|9223372036854775807|\
    9223372036854775808|-9223372036854775808|99999999999999999999|-|abc|True|TRUE|false_|null";
const TEXTS: [&str; 7] = [
    "T",
    "true",
    "",
    "a\u{1}b\u{2}",
    "\"\\/\u{7f}",
    "\u{4e2d}\u{1f600}",
    "'",
];
const RAW: &str = r#"1 true null 1.5 {"a":[1]} [] 'x' "\q" "\ud800" "\ud83d\ude00" "\u00e9\x41" -"#;
const UNKNOWN: [&str; 7] = ["x", "topicx", "", "a\"b", "\u{e9}", "lo", "A"];

/// Values for a field that should be a number or a text; most of them are right.
fn value(number: bool) -> impl Strategy<Value = Written> {
    let raw: Vec<&str> = RAW.split(' ').collect();
    let odd: Vec<String> = ODD_NUMBERS
        .split('|')
        .map(|odd| odd.replace('_', " "))
        .collect();
    let numbers: Vec<&str> = NUMBERS.split(' ').collect();
    let text = |text: &str| Written::Text(text.to_owned());
    let (number_weight, text_weight) = if number { (120, 0) } else { (2, 120) };
    prop_oneof![
        number_weight => select(numbers).prop_map(text),
        text_weight => select(TEXTS.to_vec()).prop_map(text),
        1 => select(odd).prop_map(Written::Text),
        1 => any::<String>().prop_map(Written::Text),
        1 => select(raw).prop_map(text_of_raw),
    ]
}

fn text_of_raw(raw: &str) -> Written {
    Written::Raw(raw.to_owned())
}

/// Some of the keys, in any order, and a few that nobody knows.
pub(super) fn pairs(
    texts: Vec<&'static str>,
    numbers: Vec<&'static str>,
) -> impl Strategy<Value = Vec<Pair>> {
    let unknown = vec((select(UNKNOWN.to_vec()), value(false)), 0..3);
    let doubled = prop::option::weighted(0.05, any::<Index>());
    let missing = vec(prop::bool::weighted(0.01), texts.len() + numbers.len());
    let values = (
        vec(value(false), texts.len()),
        vec(value(true), numbers.len()),
    );
    (values, missing, unknown, doubled)
        .prop_map(
            move |((text_values, number_values), missing, unknown, doubled)| {
                let texts = texts.iter().copied().zip(text_values);
                let known = texts.chain(numbers.iter().copied().zip(number_values));
                let kept = known
                    .zip(missing)
                    .filter(|(_, missing)| !missing)
                    .map(|(pair, _)| pair);
                let mut pairs: Vec<Pair> = kept
                    .chain(unknown)
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect();
                if let Some(index) = doubled.filter(|_| !pairs.is_empty()) {
                    pairs.push(index.get(&pairs).clone());
                }
                pairs
            },
        )
        .prop_shuffle()
}

/// Fields with values of the right kinds only, so that decoding must succeed.
pub(super) fn good_pairs(
    texts: Vec<&'static str>,
    numbers: Vec<&'static str>,
) -> impl Strategy<Value = Vec<Pair>> {
    let text_values = vec(
        "[a-zA-Z0-9_%\u{1}\u{2}\"\\\\\u{e9}\u{4e2d}]{1,40}",
        texts.len(),
    );
    let number_values = vec(any::<i32>(), numbers.len());
    (text_values, number_values)
        .prop_map(move |(text_values, number_values)| {
            let texts = texts.iter().zip(text_values);
            let numbers = numbers
                .iter()
                .zip(number_values.into_iter().map(|n| n.to_string()));
            let pair = |(key, value): (&&str, String)| ((*key).to_owned(), Written::Text(value));
            texts.map(pair).chain(numbers.map(pair)).collect::<Vec<_>>()
        })
        .prop_shuffle()
}

/// The pairs in a header of one of `codes`, sometimes with a spoilt byte.
pub(super) fn header(
    codes: Vec<i32>,
    pairs: impl Strategy<Value = Vec<Pair>>,
    may_spoil: bool,
) -> impl Strategy<Value = TestHeader> {
    let spoilt = prop::option::weighted(0.2, (any::<Index>(), any::<u8>()));
    (
        select(codes),
        pairs,
        any::<bool>(),
        select(vec![0_u8, 0, 0, 1, 1, 1, 2, 3]),
        spoilt,
    )
        .prop_map(move |(code, pairs, binary, layout, spoilt)| {
            let (serialize, mut bytes) = if binary {
                (Serialize::Rocketmq, binary_header(code, &pairs))
            } else {
                (
                    Serialize::Json,
                    json_header(code, &pairs, layout).into_bytes(),
                )
            };
            if let Some((at, byte)) = spoilt.filter(|_| may_spoil) {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            TestHeader { serialize, bytes }
        })
}

fn binary_header(code: i32, pairs: &[Pair]) -> Vec<u8> {
    let mut ext = Vec::new();
    for (key, value) in pairs {
        let (Written::Text(value) | Written::Raw(value)) = value;
        ext.extend_from_slice(&(key.len() as u16).to_be_bytes());
        ext.extend_from_slice(key.as_bytes());
        ext.extend_from_slice(&(value.len() as u32).to_be_bytes());
        ext.extend_from_slice(value.as_bytes());
    }
    let mut header = (code as u16).to_be_bytes().to_vec();
    header.extend_from_slice(&[9, 1, 0xdf, 0, 0, 0, 7, 0, 0, 0, 2, 0, 0, 0, 0]);
    header.extend_from_slice(&(ext.len() as u32).to_be_bytes());
    header.extend_from_slice(&ext);
    header
}

/// Layout 0 is the order of fastjson, 1 that of the Go client, 2 has spaces, 3 the fields first.
fn json_header(code: i32, pairs: &[Pair], layout: u8) -> String {
    let fields: Vec<String> = pairs
        .iter()
        .map(|(key, value)| {
            let value = match value {
                Written::Text(text) => quoted(text),
                Written::Raw(raw) => raw.clone(),
            };
            format!("{}:{value}", quoted(key))
        })
        .collect();
    let ext = format!("{{{}}}", fields.join(","));
    match layout {
        0 => format!(
            "{{\"code\":{code},\"extFields\":{ext},\"flag\":2,\"language\":\"JAVA\",\"opaque\":-7,\
             \"serializeTypeCurrentRPC\":\"JSON\",\"version\":479}}"
        ),
        1 => format!(
            "{{\"code\":{code},\"language\":\"GO\",\"version\":317,\"opaque\":7,\"flag\":0,\
             \"remark\":\"\",\"extFields\":{ext}}}\n"
        ),
        2 => format!("{{ \"code\" : {code}, \"extFields\" : {ext}, \"opaque\" : 1 }}"),
        _ => format!("{{\"extFields\":{ext},\"code\":{code}}}"),
    }
}

/// Escapes what must be escaped, in another way than the encoder under test does.
fn quoted(text: &str) -> String {
    let escaped: String = text
        .chars()
        .map(|c| match c {
            '"' | '\\' => format!("\\{c}"),
            c if c.is_control() => format!("\\u{:04x}", u32::from(c)),
            c => c.to_string(),
        })
        .collect();
    format!("\"{escaped}\"")
}

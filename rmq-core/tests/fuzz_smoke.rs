//! Every fuzz target for a bounded time, from fixed seeds: random bytes, and sound inputs changed
//! at random. The same bodies run without bound under `cargo fuzz`.

#[path = "support/fuzz_bodies.rs"]
mod fuzz_bodies;

use fuzz_bodies::{BODIES, Body};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

/// Inputs that each target gets; `RMQ_FUZZ_CASES` sets another number.
const CASES: u32 = 4000;

/// A change of an input.
#[derive(Clone, Debug)]
enum Change {
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Truncate(Index),
    /// Copies a piece of the input to another place of it.
    Splice(Index, Index, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let borders = vec![
        0_u8, 1, 0x7f, 0x80, 0xff, b'"', b'\\', b'{', b'}', b',', b':', b'0', b'n',
    ];
    let byte = prop_oneof![select(borders), any::<u8>()];
    let index = any::<Index>;
    prop_oneof![
        4 => (index(), byte.clone()).prop_map(|(at, byte)| Change::Set(at, byte)),
        2 => (index(), vec(byte, 1..6)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        2 => (index(), 1..12_usize).prop_map(|(at, len)| Change::Remove(at, len)),
        1 => index().prop_map(Change::Truncate),
        1 => (index(), index(), 1..40_usize)
            .prop_map(|(from, to, len)| Change::Splice(from, to, len)),
    ]
}

fn apply(mut bytes: Vec<u8>, change: Change) -> Vec<u8> {
    if bytes.is_empty() {
        return bytes;
    }
    let end = |at: usize, len: usize| (at + len).min(bytes.len());
    match change {
        Change::Set(at, byte) => {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        Change::Insert(at, new) => {
            let at = at.index(bytes.len());
            bytes.splice(at..at, new);
        }
        Change::Remove(at, len) => {
            let at = at.index(bytes.len());
            let end = end(at, len);
            bytes.drain(at..end);
        }
        Change::Truncate(at) => bytes.truncate(at.index(bytes.len())),
        Change::Splice(from, to, len) => {
            let from = from.index(bytes.len());
            let piece = bytes[from..end(from, len)].to_vec();
            let to = to.index(bytes.len());
            bytes.splice(to..to, piece);
        }
    }
    bytes
}

fn inputs(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let changed = (select(seeds), vec(change(), 0..6))
        .prop_map(|(seed, changes)| changes.into_iter().fold(seed, apply));
    prop_oneof![1 => vec(any::<u8>(), 0..200), 6 => changed]
}

fn smoke(body: &Body) {
    let cases = std::env::var("RMQ_FUZZ_CASES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(CASES);
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let outcome = runner.run(&inputs((body.seeds)()), |bytes| {
        (body.run)(&bytes);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{}: {error}", body.name);
    }
}

#[test]
fn every_body_survives() {
    for body in BODIES {
        for seed in (body.seeds)() {
            (body.run)(&seed);
        }
        smoke(body);
    }
}

#[test]
fn every_body_has_a_fuzz_target() {
    let targets = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/fuzz_targets");
    let mut files: Vec<String> = std::fs::read_dir(targets)
        .expect("the fuzz crate is there")
        .map(|entry| {
            entry
                .expect("and readable")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    files.sort();
    let mut expected: Vec<String> = BODIES
        .iter()
        .map(|body| format!("{}.rs", body.name))
        .collect();
    expected.sort();
    assert_eq!(files, expected);
}

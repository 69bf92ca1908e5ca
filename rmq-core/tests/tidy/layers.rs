//! Which module may use which: the architecture as a table.

use crate::tree::{File, module_of};

/// Each module of rmq-core, lowest layer first, with the modules that it may use. `a::b` allows
/// that one child of `a`: `client::raw` is the only edge that runs sideways.
pub(crate) const LAYERS: [(&str, &[&str]); 13] = [
    ("base", &[]),
    ("protocol", &["base"]),
    ("config", &["base", "protocol"]),
    ("store", &["base", "protocol", "config"]),
    ("net", &["base", "protocol", "config"]),
    ("ha", &["base", "protocol", "config", "store", "net"]),
    ("route", &["base", "protocol", "config"]),
    (
        "namesrv",
        &["base", "protocol", "config", "store", "net", "route"],
    ),
    ("client", &["base", "protocol", "config", "net", "route"]),
    (
        "broker",
        &[
            "base",
            "protocol",
            "config",
            "store",
            "net",
            "ha",
            "route",
            "client::raw",
        ],
    ),
    (
        "embed",
        &[
            "base", "protocol", "config", "store", "net", "ha", "route", "namesrv", "client",
            "broker",
        ],
    ),
    ("bin", &["base", "config", "embed"]),
    // The C library and the bindings.
    ("skin", &["embed"]),
];

/// Crates that only some modules may use.
const CRATES: [(&str, &[&str]); 14] = [
    ("mio", &["net", "ha"]),
    ("socket2", &["net"]),
    ("memmap2", &["store"]),
    ("clap", &["bin"]),
    ("signal_hook", &["bin"]),
    ("tracing_subscriber", &["bin", "skin"]),
    ("tracing_appender", &["bin"]),
    ("pyo3", &["skin"]),
    ("napi", &["skin"]),
    ("napi_derive", &["skin"]),
    ("tokio", &[]),
    ("async_std", &[]),
    ("smol", &[]),
    ("futures", &[]),
];

/// All that the pure codec may use: no file, socket, clock, thread or log is among it.
const PROTOCOL_CRATES: [&str; 14] = [
    "alloc",
    "bytes",
    "core",
    "crate",
    "crc32fast",
    "flate2",
    "lz4_flex",
    "ruzstd",
    "serde",
    "serde_json",
    "std",
    // In its tests.
    "proptest",
    "tempfile",
    "rmq_core",
];
const PROTOCOL_BANNED: [&str; 12] = [
    "std::env",
    "std::fs",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::UdpSocket",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "crate::base::clock",
    "crate::base::queue",
    "crate::base::thread",
];

/// The row of the table that a file belongs to.
fn layer_of(path: &str) -> Option<String> {
    if path.starts_with("rmq-core/src/") {
        return module_of(path).into_iter().next();
    }
    let skin =
        path.starts_with("rmq-ffi/src/") || path.starts_with("bindings/") && path.contains("/src/");
    skin.then(|| "skin".to_owned())
}

pub(crate) fn check(file: &File) -> Vec<String> {
    let (Some(source), Some(layer)) = (&file.source, layer_of(&file.path)) else {
        return vec![];
    };
    let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
        return vec![file.at(1, format!("module {layer} is not in the table of layers"))];
    };
    let mut wrong = Vec::new();
    for path in &source.paths {
        let first = path.segments[0].as_str();
        let outside = matches!(layer.as_str(), "bin" | "skin");
        if first == if outside { "rmq_core" } else { "crate" }
            && let Some(target) = path.segments.get(1)
            && *target != layer
        {
            let known = LAYERS.iter().any(|(name, _)| name == target);
            let child = path
                .segments
                .get(2)
                .map(|child| format!("{target}::{child}"));
            let fine = allowed.contains(&target.as_str())
                || child.is_some_and(|child| allowed.contains(&child.as_str()))
                // What the crate re-exports at its root is the facade.
                || outside && !known;
            if !fine {
                let message = format!("{layer} may not use {}", path.segments.join("::"));
                wrong.push(file.at(path.line, message));
            }
        }
        if let Some((_, users)) = CRATES.iter().find(|(name, _)| *name == first)
            && !users.contains(&layer.as_str())
        {
            wrong.push(file.at(path.line, format!("{layer} may not use the crate {first}")));
        }
    }
    if layer == "protocol" {
        wrong.extend(check_purity(file));
    }
    wrong
}

fn check_purity(file: &File) -> Vec<String> {
    let Some(source) = &file.source else {
        return vec![];
    };
    let mut wrong = Vec::new();
    for path in source.paths.iter().filter(|p| !p.in_test) {
        let text = path.segments.join("::");
        let first = path.segments[0].as_str();
        // A lower-case first word with something behind it is a crate or a module in scope.
        let is_crate = DEPENDENCIES.contains(&first);
        let foreign = is_crate && !PROTOCOL_CRATES.contains(&first);
        if foreign || PROTOCOL_BANNED.iter().any(|banned| path.contains(banned)) {
            wrong.push(file.at(
                path.line,
                format!("protocol is pure and may not use {text}"),
            ));
        }
    }
    wrong
}

/// Crates that rmq-core depends on, or might.
const DEPENDENCIES: [&str; 16] = [
    "bytes",
    "crc32fast",
    "flate2",
    "hdrhistogram",
    "libc",
    "memmap2",
    "mio",
    "nix",
    "parking_lot",
    "rand",
    "serde",
    "serde_json",
    "socket2",
    "std",
    "tokio",
    "tracing",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(path: &str, text: &str) -> usize {
        check(&File::new(path, text)).len()
    }

    #[test]
    fn upward_and_sideways_uses_are_caught() {
        let bad = [
            ("rmq-core/src/store/mod.rs", "use crate::net::Server;"),
            (
                "rmq-core/src/store/mod.rs",
                "use crate::{base::clock, broker::hold};",
            ),
            (
                "rmq-core/src/store/log.rs",
                "fn f() { crate::ha::master::go(); }",
            ),
            ("rmq-core/src/store/a/b.rs", "use super::super::super::net;"),
            ("rmq-core/src/broker/mod.rs", "use crate::client::producer;"),
            ("rmq-core/src/broker/mod.rs", "use crate::client;"),
            (
                "rmq-core/src/base/mod.rs",
                "pub use crate::protocol::frame;",
            ),
            ("rmq-core/src/base/mod.rs", "use crate::*;"),
            ("rmq-core/src/novel/mod.rs", ""),
            (
                "rmq-core/src/bin/mqbroker.rs",
                "use rmq_core::store::Store;",
            ),
            ("rmq-ffi/src/lib.rs", "use rmq_core::broker;"),
            ("bindings/node/src/lib.rs", "use rmq_core::protocol::code;"),
        ];
        for (path, text) in bad {
            assert_eq!(wrong(path, text), 1, "{path}: {text}");
        }
    }

    #[test]
    fn foreign_crates_are_held_to_their_layers() {
        assert_eq!(wrong("rmq-core/src/store/a.rs", "use mio::Poll;"), 1);
        assert_eq!(wrong("rmq-core/src/net/a.rs", "use mio::Poll;"), 0);
        assert_eq!(
            wrong("rmq-core/src/net/a.rs", "use tokio::net::TcpStream;"),
            1
        );
        assert_eq!(
            wrong("rmq-core/src/broker/a.rs", "fn f() { clap::parse(); }"),
            1
        );
    }

    #[test]
    fn protocol_is_pure() {
        let path = "rmq-core/src/protocol/frame.rs";
        let bad = [
            "use tracing::warn;",
            "use std::{fs, io};",
            "fn f() { std::thread::sleep(d); }",
            "use std::time; fn f() { time::Instant::now(); }",
            "use crate::base::clock::Clock;",
        ];
        for text in bad {
            assert_eq!(wrong(path, text), 1, "{text}");
        }
        assert_eq!(
            wrong(path, "use bytes::Bytes; use crate::base::error::Result;"),
            0
        );
    }

    #[test]
    fn downward_uses_pass() {
        let good = [
            (
                "rmq-core/src/broker/mod.rs",
                "use crate::client::raw::Raw; use crate::store::Store;",
            ),
            (
                "rmq-core/src/broker/a.rs",
                "use super::hold; use crate::broker::hold::Table;",
            ),
            ("rmq-core/src/lib.rs", "pub use crate::embed::Broker;"),
            (
                "rmq-core/src/bin/mqbroker.rs",
                "use rmq_core::embed::Broker;",
            ),
            (
                "rmq-ffi/src/lib.rs",
                "use rmq_core::Broker; mod x; use crate::x::y;",
            ),
            ("benches/src/lib.rs", "use rmq_core::protocol::frame;"),
        ];
        for (path, text) in good {
            assert_eq!(
                check(&File::new(path, text)),
                Vec::<String>::new(),
                "{path}: {text}"
            );
        }
    }

    #[test]
    fn no_cycle_is_in_the_table() {
        for (i, (name, allowed)) in LAYERS.iter().enumerate() {
            for target in *allowed {
                let module = target.split("::").next().unwrap_or_default();
                let lower = LAYERS[..i].iter().any(|(lower, _)| *lower == module);
                assert!(lower, "{name} uses {target}, which is not below it");
            }
        }
    }
}

//! Holds docs/COMPATIBILITY.md to what the servers answer and to what the interop suites run.
//! `RMQ_BLESS=1` writes the table of requests anew.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/peer.rs"]
mod peer;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use rmq_core::embed::{Broker, BrokerConfig, NameServer, NamesrvConfig, ServerSettings, Storage};
use rmq_core::net::Client;
use rmq_core::protocol::code::{RequestCode, ResponseCode};
use rmq_core::protocol::command::Command;
use rmq_core::protocol::unserved;

const BEGIN: &str = "<!-- requests: made by the test `compatibility` -->\n";
const END: &str = "<!-- end of requests -->\n";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn page() -> String {
    fs::read_to_string(root().join("docs/COMPATIBILITY.md")).unwrap()
}

/// What a server says to a request without fields and body.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    code: ResponseCode,
    remark: String,
}

impl Said {
    fn is_served(&self) -> bool {
        self.code != ResponseCode::REQUEST_CODE_NOT_SUPPORTED
    }
}

fn ask_all(client: &Client, address: &str) -> BTreeMap<RequestCode, Said> {
    let ask = |code: &RequestCode| {
        let request = Command::bare_request(*code);
        let reply = client.call(address, request, peer::ANSWER);
        let reply = reply.unwrap_or_else(|error| panic!("{code}: {error}"));
        let said = Said {
            code: reply.response_code(),
            remark: reply.remark.unwrap_or_default(),
        };
        (*code, said)
    };
    RequestCode::ALL.iter().map(ask).collect()
}

fn served_by_both() -> [BTreeMap<RequestCode, Said>; 2] {
    let storage = Storage::temporary().unwrap();
    let root = storage.path().to_string_lossy().into_owned();
    let (config, _) =
        BrokerConfig::from_properties(&BrokerConfig::embedded_defaults(root).to_properties())
            .unwrap();
    let broker = Broker::start(config).unwrap();
    let namesrv = NameServer::start(NamesrvConfig::embedded_defaults()).unwrap();
    let client = peer::client();
    let said = [
        ask_all(&client, &broker.address().to_string()),
        ask_all(&client, &namesrv.address().to_string()),
    ];
    broker.close(peer::ANSWER).unwrap();
    namesrv.close(peer::ANSWER).unwrap();
    said
}

/// The codes that a folder of sources names.
fn named_in(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            named_in(&path, names);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for part in text.split("RequestCode::").skip(1) {
            let is_name =
                |one: char| one.is_ascii_uppercase() || one.is_ascii_digit() || one == '_';
            let end = part.find(|one| !is_name(one)).unwrap_or(part.len());
            names.insert(part[..end].to_owned());
        }
    }
}

/// What a served request depends on.
fn note_on(code: RequestCode) -> &'static str {
    match code {
        RequestCode::RECALL_MESSAGE => "with `recallMessageEnable`; 16 without",
        RequestCode::LITE_PULL_MESSAGE => "with `litePullMessageEnable`; 16 without",
        RequestCode::INVOKE_BROKER_TO_RESET_OFFSET => {
            "by the broker, or by consumers without `useServerSideResetOffset`"
        }
        _ => "",
    }
}

fn render([broker, namesrv]: &[BTreeMap<RequestCode, Said>; 2]) -> String {
    let mut by_client = BTreeSet::new();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/client");
    named_in(&sources, &mut by_client);
    let mut out = String::from(
        "| code | name | broker | nameserver | rmq's client | note |\n|---|---|---|---|---|---|\n",
    );
    for code in RequestCode::ALL {
        let mark = |said: &Said| match said.is_served() {
            true => "yes",
            false => "3",
        };
        let served = broker[code].is_served() || namesrv[code].is_served();
        let why = match (served, unserved::reason(*code)) {
            (true, _) => note_on(*code),
            (false, Some(reason)) => reason,
            (false, None) => "not built yet",
        };
        let client = match by_client.contains(code.name()) {
            true => "yes",
            false => "",
        };
        let (number, name) = (code.value(), code.name());
        let (at_broker, at_namesrv) = (mark(&broker[code]), mark(&namesrv[code]));
        writeln!(
            out,
            "| {number} | {name} | {at_broker} | {at_namesrv} | {client} | {why} |"
        )
        .unwrap();
    }
    out
}

#[test]
fn the_table_of_requests_is_what_the_servers_answer() {
    let said = served_by_both();
    for code in RequestCode::ALL {
        let served = said.iter().any(|server| server[code].is_served());
        let reason = unserved::reason(*code);
        assert!(
            !(served && reason.is_some()),
            "{code} is served, but has a reason not to be"
        );
        for server in &said {
            if !server[code].is_served() {
                assert_eq!(server[code].remark, unserved::remark(*code), "{code}");
            }
        }
    }
    let page = page();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (table, after) = rest.split_once(END).unwrap();
    let made = format!("\n{}\n", render(&said));
    if std::env::var_os("RMQ_BLESS").is_some() {
        let page = format!("{before}{BEGIN}{made}{END}{after}");
        fs::write(root().join("docs/COMPATIBILITY.md"), page).unwrap();
        return;
    }
    assert!(
        table == made,
        "docs/COMPATIBILITY.md is old: run this test with RMQ_BLESS=1"
    );
}

/// Every command that is said to work or to be refused is run by the interop suites.
#[test]
fn what_is_said_of_mqadmin_is_tested() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/java/src/rmq/interop");
    let sources: String = [
        "AdminTool",
        "AdminCommands",
        "AdminConsumers",
        "AdminQueries",
    ]
    .iter()
    .map(|name| fs::read_to_string(folder.join(format!("{name}.java"))).unwrap())
    .collect();
    let page = page();
    let (_, commands) = page.split_once("| command | |").unwrap();
    let commands = commands.split("\n\n").next().unwrap();
    let mut seen = BTreeSet::new();
    for row in commands.lines().skip(2) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let (name, state) = (cells[1].trim_matches('`'), cells[2]);
        assert!(seen.insert(name), "{name} is there twice");
        let is_run = sources.contains(&format!("\"{name}\""));
        match state {
            "works" | "refused" | "answers nothing" => {
                assert!(is_run, "{name} is said to be tested");
            }
            "local" | "untested" => assert!(!is_run, "{name} is tested after all"),
            other => panic!("{name}: {other}"),
        }
    }
    assert_eq!(seen.len(), 96, "mqadmin 5.5.0 has so many commands");
}

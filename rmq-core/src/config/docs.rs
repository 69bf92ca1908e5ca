//! `docs/configuration.md`, made from the table.

use std::collections::HashSet;
use std::fmt::Write as _;

use crate::config::auth::AuthKeys;
use crate::config::broker::BrokerConfig;
use crate::config::controller::ControllerKeys;
use crate::config::namesrv::NamesrvConfig;
use crate::config::server::{ClientConfig, ServerConfig};
use crate::config::store::StoreConfig;
use crate::config::table::{Change, Kind, Preset, Row, Unit};

const HEAD: &str = "\
# Configuration keys

This page is made from the tables in `rmq-core/src/config`; a test holds it equal to them
(`RMQ_BLESS=1 cargo test -p rmq-core --test config` writes it anew).

The commands read Java properties files: `key=value` lines, `#` comments. Keys and defaults are
Apache RocketMQ's; keys that start with `rmq.` are rmq's own. Values apply in this order: default,
file, command line. An unknown key is reported once and ignored. A value that is not allowed ends
the start with one line that names file, line, key, value and what is allowed.

Sizes may carry k, m or g (`16m`), times ms, s, m, h or d (`5s`), as long as the result is whole in
the unit of the key. Words may be written in any case.

The column *Change* says what a change at run time (`mqadmin updateBrokerConfig`,
`updateNamesrvConfig`) does: *at once* takes effect at once; *restart* is written to the file and
takes effect at the next start; *never* is refused with NO_PERMISSION. *None yet* marks a key that
rmq knows, checks and accepts, and that has no effect yet.
";

/// A heading and the rows under it.
type Rows = (&'static str, &'static [Row]);

/// Renders the page.
#[must_use]
pub fn render() -> String {
    let mut page = HEAD.to_owned();
    let sections: [(&str, &str, &[Rows]); 2] = [
        (
            "Nameserver",
            "Read by `mqnamesrv -c FILE`.",
            &[
                ("Nameserver", NamesrvConfig::ROWS),
                ("Connections", ServerConfig::ROWS),
                ("Outgoing connections", ClientConfig::ROWS),
                ("Controller", ControllerKeys::ROWS),
            ],
        ),
        (
            "Broker",
            "Read by `mqbroker -c FILE`. *(important)* keys are those that `mqbroker -m` prints.",
            &[
                ("Broker", BrokerConfig::ROWS),
                ("Store", StoreConfig::ROWS),
                ("Connections", ServerConfig::ROWS),
                ("Outgoing connections", ClientConfig::ROWS),
                ("Users and permissions", AuthKeys::ROWS),
            ],
        ),
    ];
    for (server, intro, groups) in sections {
        let _ = write!(page, "\n## {server}\n\n{intro}\n");
        let mut seen = HashSet::new();
        for (group, rows) in groups {
            let _ = write!(page, "\n### {server}: {}\n\n", group.to_lowercase());
            page.push_str("| Key | Type | Default | Allowed | Change | What it does |\n");
            page.push_str("|---|---|---|---|---|---|\n");
            for row in rows.iter().filter(|row| seen.insert(row.key)) {
                push_row(&mut page, row);
            }
        }
    }
    page
}

fn push_row(page: &mut String, row: &Row) {
    let change = match (row.change, row.field) {
        (Change::Immutable, _) => "never",
        (_, None) => "none yet",
        (Change::Reload, _) => "at once",
        (Change::Restart, _) => "restart",
    };
    let default = match row.preset {
        Preset::Absent => String::new(),
        Preset::Text("") => "(empty)".to_owned(),
        Preset::Text(text) => format!("`{text}`"),
        Preset::Computed { says, .. } => says.to_owned(),
    };
    let allowed = match (row.kind, row.range) {
        (Kind::Int | Kind::Long, Some((least, i64::MAX))) => format!("{least} or more"),
        (Kind::Int | Kind::Long, Some((least, most))) => format!("{least} to {most}"),
        (Kind::Choice(words), _) => words.join(", "),
        (Kind::Form(form), _) => form.to_owned(),
        _ => String::new(),
    };
    let also = row
        .alias
        .map(|alias| format!(" (or `{alias}`)"))
        .unwrap_or_default();
    let important = if row.important { " *(important)*" } else { "" };
    let effect = if row.field.is_none() {
        " Accepted, no effect yet."
    } else {
        ""
    };
    let _ = writeln!(
        page,
        "| `{}`{also} | {} | {default} | {allowed} | {change} | {}{effect}{important} |",
        row.key,
        type_name(row),
        row.doc,
    );
}

fn type_name(row: &Row) -> String {
    let plain = match row.kind {
        Kind::Bool => "bool",
        Kind::Int => "int",
        Kind::Long => "long",
        Kind::Double => "double",
        Kind::Text | Kind::Form(_) => "text",
        Kind::List => "list",
        Kind::Choice(_) => "word",
    };
    match row.unit {
        Unit::None => plain.to_owned(),
        Unit::Bytes => "size (bytes)".to_owned(),
        Unit::Milliseconds | Unit::Seconds | Unit::Hours => {
            format!("duration ({})", row.unit.name())
        }
        Unit::Percent | Unit::Pages => format!("{plain} ({})", row.unit.name()),
    }
}

//! Administration by the names of `mqadmin`'s commands, with JSON in and out: for callers that have
//! no types for requests and answers. docs/ADMIN.md lists the commands.

mod arguments;
mod brokers;
mod groups;
mod messages;
mod nameservers;
mod progress;
mod topics;
mod tree;

use self::arguments::Arguments;
use crate::base::clock::{Clock, SystemClock};
use crate::base::{Error, ErrorKind, Result};
use crate::client::Admin;
use crate::protocol::code::RequestCode;
use crate::protocol::command::Command as Request;
use crate::protocol::json::{self, Flavour, Json};
use crate::protocol::request::{EncodeHeader, NoHeader};

const OP: &str = "admin invoke";
/// Longest text of arguments, bytes.
const ARGS_MAX_BYTES: usize = 1 << 20;

/// A command: its name, what it takes (optional arguments in brackets), what it answers.
struct Entry {
    name: &'static str,
    takes: &'static str,
    answers: &'static str,
    run: fn(&Call<'_>) -> Result<Json>,
}

/// A call of a command.
struct Call<'a> {
    admin: &'a Admin,
    arguments: Arguments,
}

const HELP: &[Entry] = &[Entry {
    name: "help",
    takes: "",
    answers: "for each command `name`, `takes` and `answers`: this table",
    run: help,
}];

fn help(_: &Call<'_>) -> Result<Json> {
    let rows = entries().map(|entry| {
        object([
            ("name", text(entry.name)),
            ("takes", text(entry.takes)),
            ("answers", text(entry.answers)),
        ])
    });
    Ok(Json::Array(rows.collect()))
}

/// Every command, by the files that hold them.
fn entries() -> impl Iterator<Item = &'static Entry> {
    let families = [
        HELP,
        nameservers::COMMANDS,
        topics::COMMANDS,
        groups::COMMANDS,
        progress::COMMANDS,
        brokers::COMMANDS,
        messages::COMMANDS,
    ];
    families.into_iter().flatten()
}

/// Runs a command of `mqadmin` by its name. `args_json` is an object of its arguments, by their
/// long names (`{"topic":"T"}`); an empty text stands for none. Answers JSON, `null` where there is
/// nothing to tell. Blocks for at most a few times the admin client's `request_timeout_ms` for each
/// server that is asked.
///
/// `Invalid`: no command has that name, or it does not take these arguments; `Limit`: the arguments
/// are longer than a mebibyte; else the errors of [`Admin`].
pub fn admin_invoke(admin: &Admin, command: &str, args_json: &str) -> Result<String> {
    let entry = entries().find(|entry| entry.name == command);
    let entry = entry.ok_or_else(|| unknown(command))?;
    if args_json.len() > ARGS_MAX_BYTES {
        let context = format!("the arguments are longer than {ARGS_MAX_BYTES} bytes");
        return Err(Error::new(ErrorKind::Limit, OP, context));
    }
    let arguments = Arguments::read(entry, args_json)?.with_names(|name| admin.outer(name));
    let answer = (entry.run)(&Call { admin, arguments })?;
    Ok(json::to_text(&tree::plain(answer), Flavour::Standard))
}

fn unknown(command: &str) -> Error {
    let shown: String = command.chars().take(64).collect();
    let names = entries().map(|entry| entry.name);
    let alike = names
        .into_iter()
        .find(|name| name.eq_ignore_ascii_case(command));
    let meant = alike.map_or_else(String::new, |name| format!(" (did you mean {name}?)"));
    invalid(format!(
        "there is no command \"{}\"{meant}",
        shown.escape_debug()
    ))
}

fn invalid(context: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, OP, context.into())
}

fn unreadable(address: &str, error: impl std::fmt::Display) -> Error {
    let context = format!("the answer of {address}: {error}");
    Error::new(ErrorKind::Corrupt, OP, context)
}

impl Call<'_> {
    /// The brokers that a command is for: `brokerAddr`, or the masters of `clusterName`, or all.
    fn brokers(&self) -> Result<Vec<String>> {
        if let Some(address) = self.arguments.text("brokerAddr")? {
            return Ok(vec![address]);
        }
        let Some(cluster) = self.arguments.text("clusterName")? else {
            return self.admin.masters();
        };
        let mut info = self.admin.cluster()?;
        let names = info.clusters.remove(&cluster).unwrap_or_default();
        if names.is_empty() {
            let context = format!("there is no cluster {cluster}");
            return Err(Error::new(ErrorKind::NotFound, OP, context));
        }
        let brokers = names.iter().filter_map(|name| info.brokers.remove(name));
        let masters = brokers.filter_map(|mut broker| broker.broker_addrs.remove(&0));
        Ok(masters.collect())
    }

    /// The masters of a topic, or `brokerAddr`.
    fn brokers_of(&self, topic: &str) -> Result<Vec<String>> {
        match self.arguments.text("brokerAddr")? {
            Some(address) => Ok(vec![address]),
            None => self.admin.masters_of(topic),
        }
    }

    fn ask(&self, address: &str, code: RequestCode, header: &impl EncodeHeader) -> Result<Request> {
        self.admin.ask(address, Request::request(code, header))
    }

    /// The body of an answer.
    fn body(&self, address: &str, code: RequestCode, header: &impl EncodeHeader) -> Result<Json> {
        let answer = self.ask(address, code, header)?;
        Json::parse(&answer.body).map_err(|error| unreadable(address, error))
    }

    /// Asks each server; the answers by address.
    fn each(&self, addresses: &[String], ask: impl Fn(&str) -> Result<Json>) -> Result<Json> {
        let answers = addresses.iter().map(|address| {
            let answer = ask(address)?;
            Ok((Json::String(address.clone()), answer))
        });
        Ok(Json::Object(answers.collect::<Result<_>>()?))
    }

    /// The same for a request without arguments, whose answer is its body.
    fn each_body(&self, code: RequestCode) -> Result<Json> {
        self.each(&self.brokers()?, |address| {
            self.body(address, code, &NoHeader)
        })
    }

    /// Asks servers one after the other until one knows the answer.
    fn first(&self, addresses: &[String], ask: impl Fn(&str) -> Result<Json>) -> Result<Json> {
        let mut outcome = Err(Error::new(ErrorKind::NotFound, OP, "there is no broker"));
        for address in addresses {
            outcome = ask(address);
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }
}

fn now_ms() -> i64 {
    SystemClock::new().wall_ms()
}

fn text(value: impl Into<String>) -> Json {
    Json::String(value.into())
}

/// An object of these members.
fn object<const N: usize>(members: [(&str, Json); N]) -> Json {
    let members = members.into_iter().map(|(name, value)| (text(name), value));
    Json::Object(members.collect())
}

/// A value of the protocol as a tree.
fn tree_of(value: &impl serde::Serialize) -> Result<Json> {
    let written = json::to_vec(value, Flavour::Fastjson);
    Json::parse(&written).map_err(|error| Error::new(ErrorKind::Corrupt, OP, error.to_string()))
}

#[cfg(test)]
mod tests;

//! The arguments of a command.

use super::{Entry, invalid};
use crate::base::Result;
use crate::protocol::json::Json;

/// Other names that `mqadmin` has for an argument.
const OTHER_NAMES: [(&str, &str); 8] = [
    ("groupName", "group"),
    ("consumerGroup", "group"),
    ("producerGroup", "group"),
    ("topicName", "topic"),
    ("broker", "brokerAddr"),
    ("cluster", "clusterName"),
    ("queue", "queueId"),
    ("notifyConsumerIdsChangedEnable", "notifyConsumerIdsChanged"),
];

/// The arguments of one call, by their names; known to be taken, and to be there if they must.
#[derive(Debug)]
pub(super) struct Arguments(Vec<(String, Json)>);

impl Arguments {
    pub(super) fn read(entry: &Entry, args_json: &str) -> Result<Self> {
        let tree = match args_json.trim() {
            "" => Json::Object(Vec::new()),
            text => Json::parse(text.as_bytes())
                .map_err(|error| invalid(format!("the arguments are no JSON: {error}")))?,
        };
        let Json::Object(members) = tree else {
            return Err(invalid("the arguments are no JSON object"));
        };
        let mut taken = Vec::with_capacity(members.len());
        for (name, value) in members {
            let given = name.as_str().unwrap_or("?");
            let name = usual_name(given);
            if !entry.takes_argument(name) {
                let shown: String = given.chars().take(64).collect();
                return Err(entry.refusal(&format!("does not take \"{}\"", shown.escape_debug())));
            }
            if taken.iter().any(|(known, _)| known == name) {
                return Err(entry.refusal(&format!("is given {name} twice")));
            }
            if value != Json::Null {
                taken.push((name.to_owned(), value));
            }
        }
        let arguments = Self(taken);
        let missing = entry.needed().find(|name| arguments.get(name).is_none());
        match missing {
            Some(name) => Err(entry.refusal(&format!("needs {name}"))),
            None => Ok(arguments),
        }
    }

    /// With the names of topics and groups as brokers know them.
    pub(super) fn with_names(mut self, outer: impl Fn(&str) -> String) -> Self {
        for (argument, value) in &mut self.0 {
            if let ("topic" | "group" | "srcGroup" | "destGroup", Json::String(name)) =
                (argument.as_str(), value)
            {
                *name = outer(name);
            }
        }
        self
    }

    pub(super) fn get(&self, name: &str) -> Option<&Json> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value)
    }

    /// A text; numbers and booleans are taken as they are written.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>> {
        match self.get(name) {
            None => Ok(None),
            Some(Json::String(text)) => Ok(Some(text.clone())),
            Some(Json::Int(number)) => Ok(Some(number.to_string())),
            Some(Json::Bool(value)) => Ok(Some(value.to_string())),
            Some(_) => Err(invalid(format!("{name} is no text"))),
        }
    }

    /// A text that has to be there.
    pub(super) fn needed(&self, name: &str) -> Result<String> {
        self.text(name)?
            .ok_or_else(|| invalid(format!("{name} is missing")))
    }

    pub(super) fn integer(&self, name: &str) -> Result<Option<i64>> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let number = match value {
            Json::Int(number) => Some(*number),
            Json::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        match number {
            Some(number) => Ok(Some(number)),
            None => Err(invalid(format!("{name} is no whole number"))),
        }
    }

    pub(super) fn int(&self, name: &str) -> Result<Option<i32>> {
        let Some(number) = self.integer(name)? else {
            return Ok(None);
        };
        let number = i32::try_from(number);
        number
            .map(Some)
            .map_err(|_| invalid(format!("{name} is too large")))
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>> {
        match self.get(name) {
            None => Ok(None),
            Some(Json::Bool(value)) => Ok(Some(*value)),
            Some(Json::String(text)) if text == "true" => Ok(Some(true)),
            Some(Json::String(text)) if text == "false" => Ok(Some(false)),
            Some(_) => Err(invalid(format!("{name} is neither true nor false"))),
        }
    }

    /// Changes of attributes in `mqadmin`'s form, `+name=value,-name`, or an object of values.
    pub(super) fn attributes(&self) -> Result<Vec<(String, String)>> {
        let wrong = || invalid("attributes are written as +name=value or -name");
        match self.get("attributes") {
            None => Ok(Vec::new()),
            Some(Json::Object(members)) => {
                let pairs = members.iter().map(|(name, value)| {
                    let name = name.as_str().ok_or_else(wrong)?;
                    let value = value.as_str().ok_or_else(wrong)?;
                    Ok((format!("+{name}"), value.to_owned()))
                });
                pairs.collect()
            }
            Some(Json::String(text)) => {
                let changes = text.split(',').map(str::trim).filter(|one| !one.is_empty());
                let pairs = changes.map(|change| match change.split_once('=') {
                    Some((name, value)) if name.starts_with('+') => {
                        Ok((name.to_owned(), value.to_owned()))
                    }
                    None if change.starts_with('-') => Ok((change.to_owned(), String::new())),
                    _ => Err(wrong()),
                });
                pairs.collect()
            }
            Some(_) => Err(wrong()),
        }
    }

    /// A time: `now`, or ms since the epoch.
    pub(super) fn time_ms(&self, name: &str) -> Result<Option<i64>> {
        match self.get(name).and_then(Json::as_str) {
            Some("now" | "currentTimeMillis") => Ok(Some(super::now_ms())),
            _ => self.integer(name),
        }
    }
}

fn usual_name(name: &str) -> &str {
    let found = OTHER_NAMES.iter().find(|(other, _)| *other == name);
    found.map_or(name, |(_, usual)| usual)
}

impl Entry {
    fn words(&self) -> impl Iterator<Item = &'static str> {
        self.takes.split_whitespace()
    }

    fn needed(&self) -> impl Iterator<Item = &'static str> {
        self.words().filter(|word| !word.starts_with('['))
    }

    fn takes_argument(&self, name: &str) -> bool {
        self.words()
            .any(|word| word.trim_matches(['[', ']']) == name)
    }

    fn refusal(&self, why: &str) -> crate::base::Error {
        let takes = match self.takes {
            "" => "nothing",
            takes => takes,
        };
        invalid(format!("{} {why}; it takes {takes}", self.name))
    }
}

//! Layers of properties over defaults, into a typed snapshot, and changes at run time.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use crate::base::{Error, ErrorKind, Result};
use crate::config::environment::Environment;
use crate::config::properties::Properties;
use crate::config::table::{Change, Group, Row, Settings};

const OP: &str = "read configuration";
const MASK: &str = "******";

/// Something in a configuration that has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// File and line, or what the layer is called.
    pub position: String,
    /// The key.
    pub key: String,
    /// A key that may have been meant.
    pub meant: Option<&'static str>,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: the key {} is unknown and ignored",
            self.position, self.key
        )?;
        match self.meant {
            Some(meant) => write!(f, " (did you mean {meant}?)"),
            None => Ok(()),
        }
    }
}

/// What became of one key of a change at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// In effect now.
    Applied,
    /// It had this value already.
    Unchanged,
    /// Noted; it takes effect at the next start.
    NeedsRestart,
    /// Noted; rmq accepts the key and does nothing with it yet.
    NoEffect,
    /// No such key; ignored.
    Unknown,
}

/// One key of a change at run time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyChange {
    /// The key as given.
    pub key: String,
    /// What became of it.
    pub outcome: Outcome,
}

impl KeyChange {
    /// One line for a person: `applied: a, b; needs a restart: c`.
    #[must_use]
    pub fn summary(changes: &[Self]) -> String {
        let words = [
            (Outcome::Applied, "applied"),
            (Outcome::NeedsRestart, "needs a restart"),
            (Outcome::NoEffect, "accepted without effect"),
            (Outcome::Unknown, "unknown"),
            (Outcome::Unchanged, "unchanged"),
        ];
        let mut parts = Vec::new();
        for (outcome, word) in words {
            let keys: Vec<&str> = changes
                .iter()
                .filter(|c| c.outcome == outcome)
                .map(|c| c.key.as_str())
                .collect();
            if !keys.is_empty() {
                parts.push(format!("{word}: {}", keys.join(", ")));
            }
        }
        parts.join("; ")
    }
}

/// Properties that lie over the defaults; the later ones win.
#[derive(Clone, Copy, Debug)]
pub struct Layers<'a>(pub &'a [&'a Properties]);

impl Layers<'_> {
    /// An error that names where `key` was set and its value.
    #[must_use]
    pub fn refuse(&self, key: &str, why: &str) -> Error {
        match self.0.iter().rev().find(|layer| layer.contains(key)) {
            Some(layer) => refusal(layer, key, why),
            None => Error::new(ErrorKind::Invalid, OP, format!("{key}: {why}")),
        }
    }
}

fn refusal(layer: &Properties, key: &str, why: &str) -> Error {
    let (position, value) = (layer.position(key), layer.get(key).unwrap_or_default());
    Error::new(
        ErrorKind::Invalid,
        OP,
        format!("{position}: {key}={value}: {why}"),
    )
}

/// The configuration of one kind of server.
pub trait ServerSettings: Settings + Default + Clone {
    /// The port it listens on unless it is told another.
    const LISTEN_PORT: u16;

    /// Derives and checks what depends on several keys.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`], naming the key.
    fn finish(&mut self, layers: &Layers<'_>) -> Result<()>;

    /// Keys that the operator forbids to change at run time.
    fn black_list(&self) -> &[String];

    /// The defaults alone.
    #[must_use]
    fn defaults(environment: &Environment) -> Self {
        let (config, _) = Self::load(environment, &[]).expect("the defaults are allowed values");
        config
    }

    /// Reads one set of properties over the defaults of this process.
    ///
    /// # Errors
    /// As [`ServerSettings::load`].
    fn from_properties(properties: &Properties) -> Result<(Self, Vec<Warning>)> {
        Self::load(&Environment::of_process(), &[properties])
    }

    /// Reads `layers` over the defaults; the later ones win. Each unknown key is one warning.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a value that is not allowed, naming file, line, key, value and
    /// what is allowed.
    fn load(environment: &Environment, layers: &[&Properties]) -> Result<(Self, Vec<Warning>)> {
        let mut environment = environment.clone();
        if environment.listen_port == 0 {
            environment.listen_port = Self::LISTEN_PORT;
        }
        let mut config = Self::default();
        let mut wrong = Vec::new();
        let mut known = HashSet::new();
        config.visit_mut(&mut |group| {
            for row in group.rows() {
                known.extend(row.alias.into_iter().chain([row.key]));
                let given = layers.iter().rev().find_map(|layer| given(layer, row));
                if let Some((layer, key, text)) = given {
                    if let Err(why) = group.set(row, text) {
                        wrong.push(refusal(layer, key, &why));
                    }
                } else if let Some(text) = row.default_text(&environment) {
                    group
                        .set(row, &text)
                        .expect("a default is an allowed value");
                }
            }
        });
        let more = wrong.len().saturating_sub(1);
        match wrong.into_iter().next() {
            Some(first) if more == 0 => return Err(first),
            Some(first) => {
                let context = format!("{} (and {more} more wrong values)", first.context());
                return Err(Error::new(ErrorKind::Invalid, OP, context));
            }
            None => config.finish(&Layers(layers))?,
        }
        Ok((config, unknown(&known, layers)))
    }

    /// Every key with the value in use, by Apache's names; secrets are masked.
    #[must_use]
    fn to_properties(&self) -> Properties {
        shown(self, |_| true)
    }

    /// The same for the keys that operators look at first.
    #[must_use]
    fn to_important_properties(&self) -> Properties {
        shown(self, |row| row.important)
    }

    /// The configuration after a change at run time, and what became of each key. Keys that need a
    /// restart keep their value here and show the new one in [`ServerSettings::to_properties`].
    ///
    /// # Errors
    /// [`ErrorKind::Permission`] when a key must not be changed, [`ErrorKind::Invalid`] when a
    /// value is not allowed; nothing is changed then.
    fn reload(&self, update: &Properties) -> Result<(Self, Vec<KeyChange>)> {
        let mut config = self.clone();
        let mut outcomes: HashMap<&str, Outcome> = HashMap::new();
        let mut failure = None;
        for (key, _) in update.iter() {
            if self.black_list().iter().any(|black| black == key) {
                return Err(forbidden(key));
            }
        }
        config.visit_mut(&mut |group| {
            for row in group.rows() {
                let Some((_, key, text)) = given(update, row) else {
                    continue;
                };
                match change(group, row, key, text) {
                    Ok(outcome) => drop(outcomes.insert(key, outcome)),
                    Err(error) => failure = failure.take().or(Some(error)),
                }
            }
        });
        if let Some(error) = failure {
            return Err(error);
        }
        config.finish(&Layers(&[update]))?;
        let outcome = |key: &str| outcomes.get(key).copied().unwrap_or(Outcome::Unknown);
        let changes = update
            .iter()
            .map(|(key, _)| KeyChange {
                key: key.to_owned(),
                outcome: outcome(key),
            })
            .collect();
        Ok((config, changes))
    }
}

fn shown(config: &impl Settings, wanted: impl Fn(&Row) -> bool) -> Properties {
    let mut values = BTreeMap::new();
    config.visit(&mut |group| {
        for row in group.rows().iter().filter(|row| wanted(row)) {
            let text = group.extras().pending(row).or_else(|| group.text(row));
            let Some(text) = text else { continue };
            values.insert(row.key, if row.secret { MASK.to_owned() } else { text });
        }
    });
    let mut properties = Properties::new("configuration");
    properties.extend(values);
    properties
}

/// The entry of `layer` for `row`, under its key or its alias.
fn given<'a>(layer: &'a Properties, row: &Row) -> Option<(&'a Properties, &'static str, &'a str)> {
    [Some(row.key), row.alias]
        .into_iter()
        .flatten()
        .find_map(|key| layer.get(key).map(|text| (layer, key, text)))
}

fn forbidden(key: &str) -> Error {
    let context = format!("{key} must not be changed at run time");
    Error::new(ErrorKind::Permission, "change configuration", context)
}

fn change(group: &mut dyn Group, row: &Row, key: &str, text: &str) -> Result<Outcome> {
    if row.change == Change::Immutable {
        return Err(forbidden(key));
    }
    let wrong = |why: String| {
        Error::new(
            ErrorKind::Invalid,
            "change configuration",
            format!("{key}={text}: {why}"),
        )
    };
    let before = group.extras().pending(row).or_else(|| group.text(row));
    let in_use = group.text(row);
    group.set(row, text).map_err(wrong)?;
    let after = group.text(row);
    let outcome = match (row.field, row.change) {
        _ if after == before => Outcome::Unchanged,
        (None, _) => Outcome::NoEffect,
        (Some(_), Change::Reload) => Outcome::Applied,
        (Some(_), _) => Outcome::NeedsRestart,
    };
    if row.field.is_some() && row.change != Change::Reload {
        // The running server keeps what it was started with.
        group
            .set(row, in_use.as_deref().unwrap_or_default())
            .map_err(wrong)?;
        group
            .extras_mut()
            .pend(row, after.filter(|after| Some(after) != in_use.as_ref()));
    }
    Ok(outcome)
}

fn unknown(known: &HashSet<&'static str>, layers: &[&Properties]) -> Vec<Warning> {
    let mut seen = HashSet::new();
    let mut warnings = Vec::new();
    for layer in layers {
        for (key, _) in layer.iter() {
            if !known.contains(key) && seen.insert(key.to_owned()) {
                warnings.push(Warning {
                    position: layer.position(key),
                    key: key.to_owned(),
                    meant: nearest(known, key),
                });
            }
        }
    }
    warnings
}

/// The known key that differs in at most two letters, or only in their case.
fn nearest(known: &HashSet<&'static str>, key: &str) -> Option<&'static str> {
    if key.len() < 4 || key.len() > 64 {
        return None;
    }
    let lower = key.to_ascii_lowercase();
    let near = |name: &&&'static str| distance(&name.to_ascii_lowercase(), &lower);
    known
        .iter()
        .min_by_key(|name| (near(name), **name))
        .filter(|name| near(name) <= 2)
        .copied()
}

/// The number of letters to insert, delete or replace to make one text of the other.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

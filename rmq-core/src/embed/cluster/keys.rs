//! Options of a cluster from keys alone, for callers that have no types for them.

use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use super::options::{ClusterClock, ClusterOptions, ClusterStorage, Deployment, Keys, invalid};
use crate::base::Result;
use crate::config::{FlushDiskType, Properties};

const OWN: &str = "rmq.cluster.";
const MEMBER: &str = "rmq.member.";

/// Most masters, slaves or nameservers that are read; fewer fit into one cluster.
const COUNT_MAX: usize = 10_000;

impl ClusterOptions {
    /// Options from keys.
    ///
    /// - `rmq.cluster.deployment`: `SINGLE_MASTER` (the default), `MASTERS`, `ASYNC_SLAVES` or
    ///   `SYNC_DOUBLE_WRITE`; `rmq.cluster.masters` (2 unless single) and
    ///   `rmq.cluster.slavesEach` (1 where there are slaves) say how many;
    /// - `rmq.cluster.nameservers`: 1 unless said;
    /// - `rmq.cluster.storage`: `TEMPORARY` (the default), `MEMORY`, or the path of a folder, with
    ///   a `/` in it;
    /// - `rmq.cluster.clock`: `SYSTEM` (the default) or `MANUAL`;
    /// - `flushDiskType`, `brokerClusterName` and `autoCreateTopicEnable` as Apache has them;
    /// - `rmq.member.NAME.KEY`: a key of one member, for example
    ///   `rmq.member.broker-a-s.slaveReadEnable`;
    /// - every other key is one of every broker.
    ///
    /// `Invalid`: a key or value of these is wrong; other keys are looked at by `Cluster::start`.
    pub fn from_keys(keys: &Properties) -> Result<Self> {
        let mut options = Self::default();
        let mut counts = Counts::default();
        for (key, value) in keys.iter() {
            if let Some(own) = key.strip_prefix(OWN) {
                options.set_own(own, value, &mut counts)?;
            } else if let Some(rest) = key.strip_prefix(MEMBER) {
                let (member, key) = rest
                    .split_once('.')
                    .ok_or_else(|| invalid(format!("{key} is not {MEMBER}NAME.KEY")))?;
                let settings: &mut Keys = options
                    .member_settings
                    .entry(member.to_owned())
                    .or_default();
                settings.insert(key.to_owned(), value.to_owned());
            } else {
                match key {
                    "flushDiskType" => options.flush = flush(value)?,
                    "brokerClusterName" => options.cluster_name = value.to_owned(),
                    "autoCreateTopicEnable" => options.auto_create_topics = read(key, value)?,
                    _ => drop(options.settings.insert(key.to_owned(), value.to_owned())),
                }
            }
        }
        options.deployment = counts.deployment()?;
        Ok(options)
    }

    fn set_own(&mut self, key: &str, value: &str, counts: &mut Counts) -> Result<()> {
        match key {
            "deployment" => counts.kind = Some(value.to_owned()),
            "masters" => counts.masters = Some(count(key, value)?),
            "slavesEach" => counts.slaves_each = Some(count(key, value)?),
            "nameservers" => self.nameservers = count(key, value)?,
            "storage" => {
                self.storage = match value {
                    "TEMPORARY" => ClusterStorage::Temporary,
                    "MEMORY" => ClusterStorage::Memory,
                    path if path.contains('/') => ClusterStorage::Directory(PathBuf::from(path)),
                    _ => return Err(wrong(key, value, "TEMPORARY, MEMORY or a path with a /")),
                }
            }
            "clock" => {
                self.clock = match value {
                    "SYSTEM" => ClusterClock::System,
                    "MANUAL" => ClusterClock::Manual,
                    _ => return Err(wrong(key, value, "SYSTEM or MANUAL")),
                }
            }
            _ => return Err(invalid(format!("there is no key {OWN}{key}"))),
        }
        Ok(())
    }
}

#[derive(Default)]
struct Counts {
    kind: Option<String>,
    masters: Option<usize>,
    slaves_each: Option<usize>,
}

impl Counts {
    fn deployment(self) -> Result<Deployment> {
        let masters = self.masters.unwrap_or(2);
        let slaves_each = self.slaves_each.unwrap_or(1);
        let kind = self.kind.as_deref().unwrap_or("SINGLE_MASTER");
        let (deployment, has_slaves) = match kind {
            "SINGLE_MASTER" => (Deployment::SingleMaster, false),
            "MASTERS" => (Deployment::Masters(masters), false),
            "ASYNC_SLAVES" => (
                Deployment::AsyncSlaves {
                    masters,
                    slaves_each,
                },
                true,
            ),
            "SYNC_DOUBLE_WRITE" => (
                Deployment::SyncDoubleWrite {
                    masters,
                    slaves_each,
                },
                true,
            ),
            _ => {
                let allowed = "SINGLE_MASTER, MASTERS, ASYNC_SLAVES or SYNC_DOUBLE_WRITE";
                return Err(wrong("deployment", kind, allowed));
            }
        };
        if self
            .masters
            .is_some_and(|given| given != deployment.masters())
            || self
                .slaves_each
                .is_some_and(|given| given > 0 && !has_slaves)
        {
            let why = "has no room for the masters or slaves that are asked for";
            return Err(invalid(format!("{OWN}deployment={kind} {why}")));
        }
        Ok(deployment)
    }
}

fn wrong(key: &str, value: &str, allowed: &str) -> crate::base::Error {
    invalid(format!("{OWN}{key}={value}: allowed is {allowed}"))
}

fn read<T: FromStr<Err: Display>>(key: &str, value: &str) -> Result<T> {
    let parsed = value.trim().parse();
    parsed.map_err(|why| invalid(format!("{key}={value}: {why}")))
}

fn count(key: &str, value: &str) -> Result<usize> {
    let number: usize = read(&format!("{OWN}{key}"), value)?;
    match number <= COUNT_MAX {
        true => Ok(number),
        false => Err(wrong(key, value, &format!("at most {COUNT_MAX}"))),
    }
}

fn flush(value: &str) -> Result<FlushDiskType> {
    [FlushDiskType::AsyncFlush, FlushDiskType::SyncFlush]
        .into_iter()
        .find(|one| one.word() == value)
        .ok_or_else(|| invalid(format!("flushDiskType={value}: no such type")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> Result<ClusterOptions> {
        let mut keys = Properties::new("test");
        keys.extend(pairs.iter().copied());
        ClusterOptions::from_keys(&keys)
    }

    #[test]
    fn keys_become_options() {
        let none = options(&[]).unwrap();
        assert_eq!(none.deployment, Deployment::SingleMaster);
        let all = options(&[
            ("rmq.cluster.deployment", "SYNC_DOUBLE_WRITE"),
            ("rmq.cluster.masters", "3"),
            ("rmq.cluster.nameservers", "2"),
            ("rmq.cluster.storage", "MEMORY"),
            ("rmq.cluster.clock", "MANUAL"),
            ("flushDiskType", "SYNC_FLUSH"),
            ("brokerClusterName", "C"),
            ("autoCreateTopicEnable", "false"),
            ("rmq.member.broker-a-s.slaveReadEnable", "false"),
            ("maxMessageSize", "1024"),
        ])
        .unwrap();
        let deployment = Deployment::SyncDoubleWrite {
            masters: 3,
            slaves_each: 1,
        };
        assert_eq!(all.deployment, deployment);
        assert_eq!((all.nameservers, all.storage), (2, ClusterStorage::Memory));
        assert_eq!(
            (all.clock, all.flush),
            (ClusterClock::Manual, FlushDiskType::SyncFlush)
        );
        assert_eq!(
            (all.cluster_name.as_str(), all.auto_create_topics),
            ("C", false)
        );
        assert_eq!(
            all.member_settings["broker-a-s"]["slaveReadEnable"],
            "false"
        );
        assert_eq!(all.settings["maxMessageSize"], "1024");
    }

    #[test]
    fn wrong_keys_and_values_are_refused() {
        for pair in [
            ("rmq.cluster.deployment", "masters"),
            ("rmq.cluster.masters", "10001"),
            ("rmq.cluster.masters", "-1"),
            ("rmq.cluster.masters", "2"),
            ("rmq.cluster.slavesEach", "1"),
            ("rmq.cluster.storage", "here"),
            ("rmq.cluster.clock", ""),
            ("rmq.cluster.clok", "MANUAL"),
            ("rmq.member.broker-a", "x"),
            ("flushDiskType", "SOMETIMES"),
            ("autoCreateTopicEnable", "yes"),
        ] {
            let error = options(&[pair]).unwrap_err();
            assert_eq!(error.kind(), crate::base::ErrorKind::Invalid, "{pair:?}");
        }
    }
}

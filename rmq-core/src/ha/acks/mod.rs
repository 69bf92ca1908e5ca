//! Which slaves keep up, and what enough of them hold.
//!
//! A slave is in sync by time: it is as long as, not longer ago than the time that senders are made
//! to wait, everything that the log then held had reached it, and no more than a number of bytes is
//! missing. What enough slaves hold is a fact that only moves forward, whoever is in sync.

mod history;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use history::History;

/// A slave that is not in sync joins when it lags by no more than this.
const JOIN_LAG_MS: u64 = 1_000;

/// How many copies a synchronous master wants. All numbers count the master itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InSync {
    /// Copies that a sender waits for; 2 at least.
    pub replicas: usize,
    /// Copies that a sender waits for at least when `auto` lowers the number.
    pub min: usize,
    /// Wait for those that are in sync when they are fewer than `replicas`.
    pub auto: bool,
}

impl InSync {
    /// How many slaves senders wait for while `in_sync` of them keep up.
    fn needed(&self, in_sync: usize) -> usize {
        let most = self.replicas.saturating_sub(1).max(1);
        if !self.auto {
            return most;
        }
        let least = self.min.saturating_sub(1).max(1).min(most);
        in_sync.clamp(least, most)
    }
}

/// What decides whether a slave is in sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    /// Longest lag of a slave in sync, ms.
    pub(super) ack_timeout_ms: u64,
    /// Most bytes that a slave in sync lacks.
    pub(super) max_gap_bytes: i64,
    /// What senders wait for; `None` when they do not wait.
    pub(super) in_sync: Option<InSync>,
}

/// What an event changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub(super) struct Change {
    /// Enough slaves hold the log up to here now.
    pub(super) replicated: Option<i64>,
    /// There are enough slaves in sync now, or no longer.
    pub(super) enough: Option<bool>,
}

/// How far one slave is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    /// It holds the log up to here.
    pub(super) ack: i64,
    /// Bytes that it lacks.
    pub(super) gap_bytes: i64,
    /// Time since it had all of the log, ms; 0 when it has. `None`: never since it connected.
    pub(super) lag_ms: Option<u64>,
    /// Whether it keeps up.
    pub(super) in_sync: bool,
}

/// The acknowledgements of all connected slaves. Every event carries the end of the log and the
/// time in ms, neither of which goes back.
#[derive(Debug)]
pub(super) struct Acks {
    rules: Rules,
    history: History,
    slaves: Vec<Slave>,
    replicated: i64,
    enough: bool,
}

#[derive(Debug)]
struct Slave {
    id: u64,
    host: IpAddr,
    ack: i64,
    /// What it reported first. It has shown nothing of it: the log before may be another one.
    first: i64,
    /// Its connection counts when it acknowledges more than this.
    proven_above: i64,
    /// When the log last held no more than what it has acknowledged, ms.
    caught_up_ms: Option<u64>,
    in_sync: bool,
}

impl Slave {
    /// What it surely holds of this log.
    fn counted(&self) -> Option<i64> {
        (self.ack > self.first.max(self.proven_above)).then_some(self.ack)
    }

    fn lag_ms(&self, now_ms: u64) -> Option<u64> {
        Some(now_ms.saturating_sub(self.caught_up_ms?))
    }

    fn update(&mut self, rules: &Rules, history: &History, end: i64, now_ms: u64) {
        let at = match self.ack >= end {
            true => Some(now_ms),
            false => history.last_at(self.ack),
        };
        self.caught_up_ms = self.caught_up_ms.max(at);
        let within = |ms| self.lag_ms(now_ms).is_some_and(|lag| lag <= ms);
        let near = end - self.ack <= rules.max_gap_bytes;
        self.in_sync = near
            && match self.in_sync {
                true => within(rules.ack_timeout_ms),
                false => {
                    let shown = self.ack > self.first || self.ack >= end;
                    at.is_some() && shown && within(rules.ack_timeout_ms.min(JOIN_LAG_MS))
                }
            };
    }
}

impl Acks {
    /// No slaves.
    #[must_use]
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rules,
            history: History::new(rules.ack_timeout_ms),
            slaves: Vec::new(),
            replicated: 0,
            enough: false,
        }
    }

    /// A slave connected from `host` and reported `first`. `id` is its name from now on.
    pub(super) fn join(
        &mut self,
        id: u64,
        host: IpAddr,
        first: i64,
        end: i64,
        now_ms: u64,
    ) -> Change {
        // It may be the same slave again, its earlier connection not yet known to be dead. That one
        // counts as another slave only when it acknowledges what nobody had before.
        for slave in self.slaves.iter_mut().filter(|slave| slave.host == host) {
            slave.proven_above = end;
        }
        self.slaves.push(Slave {
            id,
            host,
            ack: first.min(end),
            first,
            proven_above: 0,
            caught_up_ms: None,
            in_sync: false,
        });
        self.settle(end, now_ms)
    }

    /// The slave acknowledged the log up to `ack`. What is behind the end of the log is ignored.
    pub(super) fn ack(&mut self, id: u64, ack: i64, end: i64, now_ms: u64) -> Change {
        if ack <= end
            && let Some(slave) = self.slaves.iter_mut().find(|slave| slave.id == id)
        {
            slave.ack = slave.ack.max(ack);
        }
        self.settle(end, now_ms)
    }

    /// The slave's connection ended.
    pub(super) fn leave(&mut self, id: u64, end: i64, now_ms: u64) -> Change {
        self.slaves.retain(|slave| slave.id != id);
        self.settle(end, now_ms)
    }

    /// Time passed.
    pub(super) fn tick(&mut self, end: i64, now_ms: u64) -> Change {
        self.settle(end, now_ms)
    }

    /// Slaves in sync.
    #[must_use]
    pub(super) fn in_sync(&self) -> usize {
        self.slaves.iter().filter(|slave| slave.in_sync).count()
    }

    /// Whether any slave in sync lacks something.
    #[must_use]
    pub(super) fn any_behind(&self, end: i64) -> bool {
        self.slaves.iter().any(|s| s.in_sync && s.ack < end)
    }

    /// How far the slave is. `None` when it is not connected.
    #[must_use]
    pub(super) fn progress(&self, id: u64, end: i64, now_ms: u64) -> Option<Progress> {
        let slave = self.slaves.iter().find(|slave| slave.id == id)?;
        let gap_bytes = (end - slave.ack).max(0);
        let lag_ms = match gap_bytes {
            0 => Some(0),
            _ => slave.lag_ms(now_ms),
        };
        Some(Progress {
            ack: slave.ack,
            gap_bytes,
            lag_ms,
            in_sync: slave.in_sync,
        })
    }

    fn settle(&mut self, end: i64, now_ms: u64) -> Change {
        self.history.observe(now_ms, end);
        for slave in &mut self.slaves {
            slave.update(&self.rules, &self.history, end, now_ms);
        }
        let Some(wanted) = self.rules.in_sync else {
            return Change::default();
        };
        let in_sync = self.in_sync();
        let needed = wanted.needed(in_sync);
        let mut change = Change::default();
        if let Some(held) = self.held_by(needed).map(|held| held.min(end))
            && held > self.replicated
        {
            self.replicated = held;
            change.replicated = Some(held);
        }
        let enough = in_sync >= needed;
        if enough != self.enough {
            self.enough = enough;
            change.enough = Some(enough);
        }
        change
    }

    /// What at least `count` slaves hold.
    fn held_by(&self, count: usize) -> Option<i64> {
        let counted = self.slaves.iter().filter_map(Slave::counted);
        if count == 1 {
            return counted.max();
        }
        let mut acks: Vec<i64> = counted.collect();
        acks.sort_unstable_by(|a, b| b.cmp(a));
        acks.get(count.checked_sub(1)?).copied()
    }
}

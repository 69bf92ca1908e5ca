//! What a broker knows of the other brokers of its name: a slave follows its master by what the
//! nameservers say and by whether the replication stream is connected.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::base::backoff::{Backoff, BackoffConfig};
use crate::config::{BrokerConfig, BrokerRole};

/// How soon a slave asks the nameservers again while its master is not known or not connected.
const LOOK_UP: BackoffConfig = BackoffConfig {
    initial: Duration::from_secs(1),
    max: Duration::from_secs(5),
    jitter_percent: 20,
};

/// The id of a master.
const MASTER_ID: i64 = 0;

/// The master of a group, as a nameserver tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Master {
    /// Where it serves clients, host:port.
    pub(crate) address: String,
    /// Where it is replicated from, host:port.
    pub(crate) ha_address: String,
}

/// Decides which master a slave follows.
#[derive(Debug)]
struct MasterWatch {
    /// What each nameserver said last.
    told: BTreeMap<String, Option<Master>>,
    /// The last master that one of them knew; kept when they lose sight of it, because it most
    /// often comes back where it was.
    followed: Option<Master>,
    look_up: Backoff,
    look_up_ms: u64,
}

impl MasterWatch {
    fn new() -> Self {
        Self {
            told: BTreeMap::new(),
            followed: None,
            look_up: Backoff::new(LOOK_UP),
            look_up_ms: 0,
        }
    }

    /// Takes what a nameserver said; returns whether another master is followed now.
    fn told(&mut self, nameserver: &str, master: Option<Master>) -> bool {
        self.told.insert(nameserver.to_owned(), master);
        let mut known = self.told.values().flatten();
        let still = self
            .followed
            .as_ref()
            .is_some_and(|followed| known.clone().any(|master| master == followed));
        if still {
            return false;
        }
        let Some(first) = known.next() else {
            return false;
        };
        self.followed = Some(first.clone());
        true
    }

    fn is_listed(&self) -> bool {
        self.told.values().any(Option::is_some)
    }

    /// How long until the nameservers are to be asked again, other than by the period; `None`
    /// while there is nothing to find out.
    fn due_in_ms(&mut self, connected: bool, now_ms: u64) -> Option<u64> {
        if connected && self.is_listed() {
            self.look_up.reset();
            self.look_up_ms = 0;
            return None;
        }
        Some(self.look_up_ms.saturating_sub(now_ms))
    }

    fn asked(&mut self, now_ms: u64) {
        let pause_ms = u64::try_from(self.look_up.fail().as_millis()).unwrap_or(u64::MAX);
        self.look_up_ms = now_ms.saturating_add(pause_ms);
    }
}

/// The group of one broker. Every method may be called from any thread.
pub(crate) struct Members {
    is_slave: bool,
    id: i64,
    watch: Mutex<MasterWatch>,
    /// Whether a nameserver knows the master.
    listed: AtomicBool,
    min_id: AtomicI64,
}

impl std::fmt::Debug for Members {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Members")
            .field("is_slave", &self.is_slave)
            .field("watch", &self.watch)
            .finish_non_exhaustive()
    }
}

impl Members {
    /// The group of a broker that knows nobody yet.
    #[must_use]
    pub(crate) fn new(config: &BrokerConfig) -> Self {
        Self {
            is_slave: config.store.broker_role == BrokerRole::Slave,
            id: config.broker_id,
            watch: Mutex::new(MasterWatch::new()),
            listed: AtomicBool::new(false),
            min_id: AtomicI64::new(config.broker_id),
        }
    }

    /// Whether this broker is a slave.
    #[must_use]
    pub(crate) fn is_slave(&self) -> bool {
        self.is_slave
    }

    /// Whether a nameserver knows the master of this slave.
    #[must_use]
    pub(crate) fn is_master_listed(&self) -> bool {
        self.listed.load(Ordering::Relaxed)
    }

    /// The master that this slave follows, or followed last.
    #[must_use]
    pub(crate) fn master(&self) -> Option<Master> {
        self.watch.lock().followed.clone()
    }

    /// The lowest id in the group, as it was told last.
    #[must_use]
    pub(crate) fn min_id(&self) -> i64 {
        self.min_id.load(Ordering::Relaxed)
    }

    /// Takes the lowest id that a nameserver tells.
    pub(crate) fn set_min_id(&self, id: i64) {
        self.min_id.store(id, Ordering::Relaxed);
    }

    /// Takes what the answer to a registration says of the master; `None` when it names none, or
    /// when there was no answer. Returns the master when another one is followed now.
    pub(crate) fn told(&self, nameserver: &str, master: Option<Master>) -> Option<Master> {
        if !self.is_slave {
            return None;
        }
        let mut watch = self.watch.lock();
        let changed = watch.told(nameserver, master);
        let listed = watch.is_listed();
        let was_listed = self.listed.swap(listed, Ordering::Relaxed);
        if listed != was_listed {
            let min_id = if listed { MASTER_ID } else { self.id };
            self.set_min_id(min_id);
            let master = watch.followed.as_ref().map(|master| &master.address);
            tracing::info!(?master, listed, "what the nameservers say of the master");
        }
        changed.then(|| watch.followed.clone()).flatten()
    }

    /// Forgets what nameservers said that are configured no more.
    pub(crate) fn keep_nameservers(&self, nameservers: &[String]) {
        let mut watch = self.watch.lock();
        watch.told.retain(|name, _| nameservers.contains(name));
        self.listed.store(watch.is_listed(), Ordering::Relaxed);
    }

    /// How long until the nameservers are to be asked for the master again, other than by the
    /// period; `None` while there is nothing to find out. `connected`: the replication stream is.
    #[must_use]
    pub(crate) fn look_up_in_ms(&self, connected: bool, now_ms: u64) -> Option<u64> {
        if !self.is_slave {
            return None;
        }
        self.watch.lock().due_in_ms(connected, now_ms)
    }

    /// Takes note that the nameservers are asked now.
    pub(crate) fn asked(&self, now_ms: u64) {
        self.watch.lock().asked(now_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn master(name: &str) -> Master {
        Master {
            address: format!("{name}:10911"),
            ha_address: format!("{name}:10912"),
        }
    }

    fn slave() -> Members {
        let mut config = BrokerConfig::embedded_defaults("/store");
        config.store.broker_role = BrokerRole::Slave;
        config.broker_id = 1;
        Members::new(&config)
    }

    #[test]
    fn a_slave_follows_the_master_that_a_nameserver_names() {
        let members = slave();
        assert_eq!((members.is_master_listed(), members.min_id()), (false, 1));
        assert_eq!(members.told("n1", None), None);
        assert_eq!(members.told("n2", Some(master("a"))), Some(master("a")));
        assert_eq!((members.is_master_listed(), members.min_id()), (true, 0));
        // The other nameserver is late, and then says the same.
        assert_eq!(members.told("n1", None), None);
        assert_eq!(members.told("n1", Some(master("a"))), None);
        // A new master is followed when nobody names the old one any more.
        assert_eq!(members.told("n1", Some(master("b"))), None);
        assert_eq!(members.told("n2", Some(master("b"))), Some(master("b")));
        // One that is gone is kept in mind.
        assert_eq!(members.told("n1", None), None);
        assert!(members.is_master_listed());
        assert_eq!(members.told("n2", None), None);
        assert_eq!((members.is_master_listed(), members.min_id()), (false, 1));
        assert_eq!(members.master(), Some(master("b")));
        assert_eq!(members.told("n1", Some(master("b"))), None);
        assert!(members.is_master_listed());
        members.keep_nameservers(&["n2".to_owned()]);
        assert!(!members.is_master_listed());
    }

    #[test]
    fn nameservers_are_asked_more_often_until_the_stream_is_there() {
        let members = slave();
        assert_eq!(members.look_up_in_ms(false, 7), Some(0));
        let mut now_ms = 1_000_000;
        let mut pauses = Vec::new();
        for _ in 0..6 {
            members.asked(now_ms);
            let pause_ms = members.look_up_in_ms(false, now_ms).unwrap();
            pauses.push(pause_ms);
            now_ms += pause_ms;
            assert_eq!(members.look_up_in_ms(false, now_ms), Some(0));
        }
        assert!((800..=1_000).contains(&pauses[0]), "{pauses:?}");
        assert!((4_000..=5_000).contains(&pauses[5]), "{pauses:?}");
        // A master that is named but not connected, and the other way round, is not enough.
        assert!(members.look_up_in_ms(true, now_ms).is_some());
        members.told("n", Some(master("a")));
        assert!(members.look_up_in_ms(false, now_ms).is_some());
        assert_eq!(members.look_up_in_ms(true, now_ms), None);
        // Lost again: at once, and then from the shortest pause.
        assert_eq!(members.look_up_in_ms(false, now_ms), Some(0));
        members.asked(now_ms);
        assert!(members.look_up_in_ms(false, now_ms).unwrap() <= 1_000);
    }

    #[test]
    fn a_master_looks_for_nobody() {
        let members = Members::new(&BrokerConfig::embedded_defaults("/store"));
        assert_eq!(members.told("n", Some(master("a"))), None);
        assert_eq!(members.look_up_in_ms(false, 0), None);
        assert!(!members.is_master_listed());
    }
}

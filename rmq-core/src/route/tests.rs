use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::protocol::body::data_version::DataVersion;

const RULES: Rules = Rules {
    delete_absent_topics: false,
    topics_max: usize::MAX,
    brokers_max: usize::MAX,
};

fn queues(count: i32) -> Queues {
    Queues {
        read: count,
        write: count,
        perm: 6,
        sys_flag: 0,
    }
}

fn topics(names: &[&str]) -> Vec<Topic> {
    names
        .iter()
        .map(|name| Topic {
            name: (*name).to_owned(),
            queues: queues(4),
        })
        .collect()
}

/// A registration of `name` with `id` at an address that follows from both, with two topics.
fn broker(name: &str, id: i64) -> Registration<u32> {
    Registration {
        cluster: "c".to_owned(),
        broker_name: name.to_owned(),
        broker_id: id,
        address: format!("{name}-{id}:10911"),
        ha_address: format!("{name}-{id}:10912"),
        zone: None,
        timeout: None,
        acting_master: Some(false),
        version: DataVersion {
            state_version: 0,
            timestamp_ms: 1,
            counter: 1,
        },
        topics: topics(&["T", "U"]),
        mappings: Vec::new(),
        filter_servers: None,
        connection: 1,
    }
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

struct Fixture(RouteTable<u32>);

impl Fixture {
    fn new() -> Self {
        Self(RouteTable::new())
    }

    fn register(&mut self, registration: Registration<u32>) -> Result<Registered, Refusal> {
        let result = self.0.register(registration, &RULES, at(0));
        self.0.check();
        result
    }

    fn names(&self, topic: &str) -> Vec<String> {
        let route = self.0.route(topic, false);
        route.map_or_else(Vec::new, |r| {
            r.queues.iter().map(|(n, _)| n.to_string()).collect()
        })
    }

    fn perm(&self, topic: &str, name: &str) -> i32 {
        let route = self.0.route(topic, false).unwrap();
        route
            .queues
            .iter()
            .find(|(n, _)| **n == *name)
            .unwrap()
            .1
            .perm
    }

    fn members(&self, name: &str) -> Vec<(i64, String)> {
        self.0
            .members(name)
            .into_iter()
            .map(|(id, a)| (id, a.to_string()))
            .collect()
    }
}

#[test]
fn a_master_registers_and_is_routed_to() {
    let mut f = Fixture::new();
    let registered = f.register(broker("a", 0)).unwrap();
    assert_eq!(
        registered,
        Registered {
            new: true,
            ..Registered::default()
        }
    );
    let route = f.0.route("T", false).unwrap();
    assert_eq!(route.queues, [("a".into(), queues(4))]);
    assert_eq!(&*route.brokers[0].addresses[&0], "a-0:10911");
    assert_eq!(&*route.brokers[0].cluster, "c");
    assert!(f.0.route("X", false).is_none());
    assert!(!f.register(broker("a", 0)).unwrap().new);
    assert_eq!((f.0.topic_count(), f.0.broker_count()), (2, 1));
}

#[test]
fn topics_are_taken_from_the_master_and_the_prime_slave_only() {
    let mut f = Fixture::new();
    f.register(broker("a", 0)).unwrap();
    let mut slave = broker("a", 2);
    slave.topics = topics(&["S", "V"]);
    let registered = f.register(slave.clone()).unwrap();
    let master = Master {
        address: "a-0:10911".to_owned(),
        ha_address: "a-0:10912".to_owned(),
    };
    assert_eq!(registered.master, Some(master));
    assert!(f.names("S").is_empty());

    // A group without a master: topics come from its lowest id, if the broker is new enough.
    let mut old = broker("b", 3);
    old.acting_master = None;
    f.register(old).unwrap();
    assert!(!f.names("T").contains(&"b".to_owned()));
    f.register(broker("b", 2)).unwrap();
    assert!(f.names("T").contains(&"b".to_owned()));
    slave.broker_name = "b".to_owned();
    slave.broker_id = 4;
    slave.address = "b-4".to_owned();
    assert_eq!(f.register(slave).unwrap().master, None);
    assert!(f.names("S").is_empty());
}

#[test]
fn topics_change_with_the_version_or_when_they_are_missing() {
    let mut f = Fixture::new();
    f.register(broker("a", 0)).unwrap();
    let mut same = broker("a", 0);
    same.topics[0].queues = queues(8);
    same.topics.push(Topic {
        name: "N".to_owned(),
        queues: queues(1),
    });
    let before = f.0.route_stamp("T");
    f.register(same.clone()).unwrap();
    assert_eq!(f.0.route("T", false).unwrap().queues[0].1, queues(4));
    assert_eq!(f.0.route_stamp("T"), before);
    assert_eq!(f.names("N"), ["a"]);
    same.version.counter += 1;
    f.register(same.clone()).unwrap();
    assert_eq!(f.0.route("T", false).unwrap().queues[0].1, queues(8));
    assert!(f.0.route_stamp("T") > before);
    assert_eq!(f.0.version("c", "a-0:10911"), Some(same.version));
    assert_eq!(f.0.version("d", "a-0:10911"), None);
    // The same again is no change that anybody could see.
    let stamp = f.0.stamp();
    f.register(same).unwrap();
    assert_eq!(f.0.stamp(), stamp);
}

#[test]
fn an_address_has_one_id_of_its_group() {
    let mut f = Fixture::new();
    f.register(broker("a", 0)).unwrap();
    f.register(broker("a", 1)).unwrap();
    // The slave becomes the master: its address moves, the old master's is replaced.
    let mut promoted = broker("a", 0);
    promoted.address = "a-1:10911".to_owned();
    f.register(promoted).unwrap();
    assert_eq!(f.members("a"), [(0, "a-1:10911".to_owned())]);
    assert_eq!(f.0.version("c", "a-0:10911"), None);
}

#[test]
fn a_newcomer_with_older_state_is_refused() {
    let mut f = Fixture::new();
    let mut newer = broker("a", 0);
    newer.version.state_version = 2;
    f.register(newer).unwrap();
    f.register(broker("a", 1)).unwrap();
    let mut stale = broker("a", 0);
    stale.address = "a-1:10911".to_owned();
    stale.version.state_version = 1;
    assert_eq!(f.register(stale.clone()), Err(Refusal::Stale));
    assert_eq!(f.members("a"), [(0, "a-0:10911".to_owned())]);
    assert_eq!(f.0.version("c", "a-1:10911"), None);
    stale.version.state_version = 2;
    f.register(stale).unwrap();
    assert_eq!(f.members("a"), [(0, "a-1:10911".to_owned())]);
}

#[test]
fn one_topic_of_an_unknown_broker_is_refused_and_leaves_nothing() {
    let mut f = Fixture::new();
    let mut single = broker("a", 0);
    single.topics.truncate(1);
    assert_eq!(f.register(single.clone()), Err(Refusal::Incomplete));
    assert!(f.0.clusters().is_empty());
    assert_eq!(f.0.broker_count(), 0);
    f.register(broker("a", 0)).unwrap();
    single.topics[0].name = "New".to_owned();
    f.register(single).unwrap();
    assert_eq!(f.names("New"), ["a"]);
}

#[test]
fn limits_hold() {
    let mut f = Fixture::new();
    let rules = Rules {
        topics_max: 1,
        brokers_max: 1,
        ..RULES
    };
    assert_eq!(
        f.0.register(broker("a", 0), &rules, at(0))
            .unwrap()
            .topics_dropped,
        1
    );
    assert_eq!(f.0.topic_count(), 1);
    assert_eq!(
        f.0.register(broker("b", 0), &rules, at(0)),
        Err(Refusal::Full)
    );
    assert_eq!(
        f.0.register(broker("a", 0), &rules, at(0))
            .unwrap()
            .topics_dropped,
        1
    );
    assert!(!f.0.register_topic("Z", &[("a".to_owned(), queues(1))], 1));
    f.0.check();
}

#[test]
fn unregistration_takes_everything_that_is_left_alone() {
    let mut f = Fixture::new();
    f.register(broker("a", 0)).unwrap();
    f.register(broker("b", 0)).unwrap();
    f.0.unregister("c", "nobody:1", "a");
    f.0.unregister("other", "a-0:10911", "a");
    assert_eq!(f.names("T"), ["a", "b"]);
    f.0.unregister("c", "a-0:10911", "a");
    f.0.check();
    assert_eq!(f.names("T"), ["b"]);
    f.0.unregister("c", "b-0:10911", "b");
    f.0.check();
    assert!(f.0.clusters().is_empty() && f.0.topics().is_empty() && f.0.broker_count() == 0);
}

#[test]
fn a_closed_connection_takes_the_brokers_that_registered_on_it_last() {
    let mut f = Fixture::new();
    f.register(broker("a", 0)).unwrap();
    f.register(broker("b", 0)).unwrap();
    let mut again = broker("a", 0);
    again.connection = 2;
    f.register(again).unwrap();
    f.0.connection_closed(1);
    f.0.check();
    assert_eq!(f.names("T"), ["a"]);
    f.0.connection_closed(7);
    f.0.connection_closed(2);
    f.0.check();
    assert_eq!(f.0.broker_count(), 0);
}

#[test]
fn silent_brokers_expire_and_heartbeats_keep_them() {
    let mut f = Fixture::new();
    f.register(broker("a", 0)).unwrap();
    let mut brief = broker("b", 0);
    brief.timeout = Some(at(10));
    f.register(brief).unwrap();
    assert!(f.0.expire(at(10)).0.is_empty());
    let (expired, _) = f.0.expire(Duration::from_millis(10_001));
    assert_eq!(expired.len(), 1);
    assert_eq!(
        (expired[0].address.as_str(), expired[0].timeout),
        ("b-0:10911", at(10))
    );
    assert!(f.0.heartbeat("c", "a-0:10911", at(100)));
    assert!(!f.0.heartbeat("c", "b-0:10911", at(100)));
    assert!(f.0.expire(at(220)).0.is_empty());
    assert_eq!(f.0.expire(at(221)).0.len(), 1);
    f.0.check();
    assert_eq!(f.0.topic_count(), 0);
}

#[test]
fn the_lowest_slave_acts_as_a_read_only_master() {
    let mut f = Fixture::new();
    for id in [0, 1, 2] {
        let mut registration = broker("a", id);
        registration.acting_master = Some(true);
        f.register(registration).unwrap();
    }
    f.register(broker("b", 0)).unwrap();
    assert_eq!(f.perm("T", "a"), 6);
    let change = f.0.unregister("c", "a-0:10911", "a").unwrap();
    f.0.check();
    assert_eq!(
        (change.min_id, change.min_address.as_str()),
        (1, "a-1:10911")
    );
    assert_eq!(change.offline_address.as_deref(), Some("a-0:10911"));
    assert_eq!(change.tell, ["a-1:10911", "a-2:10911"]);
    assert_eq!(f.perm("T", "a"), 4);
    let plain = f.0.route("T", false).unwrap();
    assert_eq!(
        plain.brokers[0]
            .addresses
            .keys()
            .copied()
            .collect::<Vec<_>>(),
        [1, 2]
    );
    let acting = f.0.route("T", true).unwrap();
    assert_eq!(&*acting.brokers[0].addresses[&0], "a-1:10911");
    assert!(!acting.brokers[0].addresses.contains_key(&1));
    // What the acting master registers is read-only as well.
    let mut prime = broker("a", 1);
    prime.acting_master = Some(true);
    prime.version.counter = 9;
    f.register(prime).unwrap();
    assert_eq!(f.perm("U", "a"), 4);
    // The master comes back: those who were there are told.
    let mut master = broker("a", 0);
    master.acting_master = Some(true);
    master.version.counter = 10;
    let change = f.register(master).unwrap().min_id.unwrap();
    assert_eq!(
        (change.min_id, change.ha_address.as_deref()),
        (0, Some("a-0:10912"))
    );
    assert_eq!(change.tell, ["a-1:10911", "a-2:10911"]);
    assert_eq!(f.perm("T", "a"), 6);
}

#[test]
fn member_topics_and_groups_that_do_not_want_it_have_no_acting_master() {
    let mut f = Fixture::new();
    let mut slave = broker("a", 1);
    slave.acting_master = Some(true);
    slave.topics = topics(&["rmq_sys_SYNC_BROKER_MEMBER_a", "T"]);
    f.register(slave).unwrap();
    let route = f.0.route("rmq_sys_SYNC_BROKER_MEMBER_a", true).unwrap();
    assert!(route.brokers[0].addresses.contains_key(&1));
    let mut plain = broker("b", 1);
    plain.topics = topics(&["P", "Q"]);
    f.register(plain).unwrap();
    assert!(
        f.0.route("P", true).unwrap().brokers[0]
            .addresses
            .contains_key(&1)
    );
}

#[test]
fn permissions_lists_and_deletion() {
    let mut f = Fixture::new();
    let mut a = broker("a", 0);
    a.topics[0].queues.sys_flag = 1;
    a.topics[1].queues.sys_flag = 2;
    a.topics.push(Topic {
        name: "Both".to_owned(),
        queues: Queues {
            sys_flag: 3,
            ..queues(1)
        },
    });
    f.register(a).unwrap();
    let mut b = broker("b", 0);
    b.cluster = "d".to_owned();
    b.topics = topics(&["T", "W"]);
    f.register(b).unwrap();

    let stamp = f.0.route_stamp("T");
    assert_eq!(f.0.wipe_write_permission("a"), 3);
    assert_eq!((f.perm("T", "a"), f.perm("T", "b")), (4, 6));
    assert!(f.0.route_stamp("T") > stamp);
    assert_eq!(f.0.add_write_permission("a"), 3);
    assert_eq!(f.perm("T", "a"), 6);
    assert_eq!(f.0.wipe_write_permission("nobody"), 0);

    let sorted = |list: Vec<std::sync::Arc<str>>| {
        let mut list: Vec<String> = list.iter().map(ToString::to_string).collect();
        list.sort();
        list
    };
    assert_eq!(sorted(f.0.topics()), ["Both", "T", "U", "W"]);
    assert_eq!(sorted(f.0.topics_of_cluster("d")), ["T", "W"]);
    assert!(f.0.topics_of_cluster("x").is_empty());
    assert_eq!(sorted(f.0.unit_topics(UnitTopics::Unit)), ["Both", "T"]);
    assert_eq!(
        sorted(f.0.unit_topics(UnitTopics::Subscribed)),
        ["Both", "U"]
    );
    assert_eq!(sorted(f.0.unit_topics(UnitTopics::SubscribedOnly)), ["U"]);
    let (system, address) = f.0.system_topics();
    assert_eq!(sorted(system), ["a", "b", "c", "d"]);
    assert_eq!(address.as_deref(), Some("a-0:10911"));

    f.0.delete_topic("T", Some("d"));
    assert_eq!(f.names("T"), ["a"]);
    f.0.delete_topic("T", None);
    f.0.delete_topic("T", None);
    f.0.check();
    assert!(f.names("T").is_empty());
    assert!(f.0.register_topic("T", &[("a".to_owned(), queues(2))], 100));
    assert!(!f.0.register_topic(
        "T",
        &[("a".to_owned(), queues(3)), ("x".into(), queues(1))],
        9
    ));
    assert!(!f.0.register_topic("T", &[], 9));
    f.0.check();
    assert_eq!(f.0.route("T", false).unwrap().queues[0].1.read, 2);
}

#[test]
fn absent_topics_are_deleted_when_asked_for() {
    let mut f = Fixture::new();
    f.register(broker("a", 0)).unwrap();
    let mut fewer = broker("a", 0);
    fewer.topics = topics(&["U", "V"]);
    let rules = Rules {
        delete_absent_topics: true,
        ..RULES
    };
    f.0.register(fewer, &rules, at(0)).unwrap();
    f.0.check();
    assert!(f.names("T").is_empty());
    assert_eq!(f.names("V"), ["a"]);
}

#[test]
fn zones_and_filter_servers() {
    let mut f = Fixture::new();
    let mut a = broker("a", 0);
    a.zone = Some("East".to_owned());
    a.filter_servers = Some(vec!["f:1".to_owned()]);
    f.register(a).unwrap();
    let mut b = broker("b", 0);
    b.zone = Some("west".to_owned());
    b.filter_servers = Some(vec!["f:2".to_owned()]);
    f.register(b).unwrap();
    f.register(broker("d", 1)).unwrap();
    let route = f.0.route("T", false).unwrap();
    assert_eq!(route.filter_servers.len(), 2);
    let mut east = route.clone();
    east.keep_zone("east");
    let names: Vec<&str> = east.brokers.iter().map(|broker| &*broker.name).collect();
    // The group without a master may be read from any zone.
    assert_eq!(names, ["a", "d"]);
    assert_eq!(east.queues.len(), 2);
    assert_eq!(
        east.filter_servers.keys().map(|a| &**a).collect::<Vec<_>>(),
        ["a-0:10911"]
    );
    // Absent keeps, empty removes.
    f.register(broker("b", 0)).unwrap();
    assert_eq!(f.0.route("T", false).unwrap().filter_servers.len(), 2);
    let mut none = broker("b", 0);
    none.filter_servers = Some(Vec::new());
    f.register(none).unwrap();
    assert_eq!(f.0.route("T", false).unwrap().filter_servers.len(), 1);
}

#[test]
fn a_broker_that_changes_its_cluster_leaves_the_old_one() {
    let mut f = Fixture::new();
    f.register(broker("a", 0)).unwrap();
    let mut moved = broker("a", 0);
    moved.cluster = "d".to_owned();
    moved.connection = 2;
    f.register(moved).unwrap();
    assert_eq!(f.0.clusters().len(), 2);
    f.0.connection_closed(1);
    f.0.check();
    assert_eq!(
        f.0.clusters().keys().map(|c| &**c).collect::<Vec<_>>(),
        ["d"]
    );
    assert_eq!(&*f.0.brokers()[0].cluster, "d");
    assert_eq!(f.names("T"), ["a"]);
}

#[derive(Clone, Debug)]
enum Op {
    Register {
        cluster: u8,
        name: u8,
        id: i64,
        address: u8,
        connection: u32,
        state: i64,
        topics: u8,
    },
    Unregister {
        cluster: u8,
        name: u8,
        address: u8,
    },
    Close(u32),
    Heartbeat {
        cluster: u8,
        address: u8,
    },
    Wait(u64),
    DeleteTopic(u8),
    Wipe(u8),
}

fn op() -> impl Strategy<Value = Op> {
    let register = (0..2u8, 0..3u8, 0..3i64, 0..4u8, 0..4u32, 0..2i64, 1..8u8);
    prop_oneof![
        6 => register.prop_map(|(cluster, name, id, address, connection, state, topics)| {
            Op::Register { cluster, name, id, address, connection, state, topics }
        }),
        2 => (0..2u8, 0..3u8, 0..4u8)
            .prop_map(|(cluster, name, address)| Op::Unregister { cluster, name, address }),
        1 => (0..4u32).prop_map(Op::Close),
        1 => (0..2u8, 0..4u8).prop_map(|(cluster, address)| Op::Heartbeat { cluster, address }),
        1 => (1..100u64).prop_map(Op::Wait),
        1 => (0..3u8).prop_map(Op::DeleteTopic),
        1 => (0..3u8).prop_map(Op::Wipe),
    ]
}

/// The same rules over plain sets: who is listed where, and who is alive.
#[derive(Default)]
struct Model {
    now: u64,
    members: BTreeMap<String, BTreeMap<i64, String>>,
    /// Cluster and address, to connection, last sign of life and state version.
    live: BTreeMap<(String, String), (u32, u64, i64)>,
    /// Cluster, address and name.
    alive: BTreeSet<(String, String, String)>,
    /// Topic and name.
    topics: BTreeSet<(String, String)>,
}

impl Model {
    fn register(&mut self, r: &Registration<u32>) {
        let members = self.members.entry(r.broker_name.clone()).or_default();
        let holder = members.get(&r.broker_id).cloned();
        match holder {
            Some(holder) if holder != r.address => {
                let live = self.live.get(&(r.cluster.clone(), holder.clone()));
                if live.is_some_and(|live| live.2 > r.version.state_version) {
                    self.withdraw(&r.cluster, &r.address, &r.broker_name);
                    return self.clean();
                }
                self.alive
                    .retain(|(_, address, name)| *address != holder || *name != r.broker_name);
            }
            None if r.topics.len() == 1 => return self.clean(),
            _ => {}
        }
        let members = self.members.entry(r.broker_name.clone()).or_default();
        members.retain(|_, address| *address != r.address);
        members.insert(r.broker_id, r.address.clone());
        if r.broker_id == 0 || members.keys().min() == Some(&r.broker_id) {
            let names = r
                .topics
                .iter()
                .map(|t| (t.name.clone(), r.broker_name.clone()));
            self.topics.extend(names);
        }
        let key = (r.cluster.clone(), r.address.clone());
        self.live
            .insert(key, (r.connection, self.now, r.version.state_version));
        self.alive
            .insert((r.cluster.clone(), r.address.clone(), r.broker_name.clone()));
        self.clean();
    }

    fn withdraw(&mut self, cluster: &str, address: &str, name: &str) {
        self.alive
            .remove(&(cluster.to_owned(), address.to_owned(), name.to_owned()));
        if !self.alive.iter().any(|(_, a, n)| a == address && n == name)
            && let Some(members) = self.members.get_mut(name)
        {
            members.retain(|_, listed| listed != address);
        }
    }

    fn drop_live(&mut self, gone: impl Fn(&(u32, u64, i64)) -> bool) {
        let keys: Vec<_> = self
            .live
            .iter()
            .filter(|(_, live)| gone(live))
            .map(|(key, _)| key.clone())
            .collect();
        for (cluster, address) in keys {
            for name in ["n0", "n1", "n2"] {
                if self
                    .alive
                    .contains(&(cluster.clone(), address.clone(), name.to_owned()))
                {
                    self.withdraw(&cluster, &address, name);
                }
            }
        }
        self.clean();
    }

    fn clean(&mut self) {
        self.members.retain(|_, members| !members.is_empty());
        let alive = &self.alive;
        self.live
            .retain(|(c, a), _| alive.iter().any(|(x, y, _)| x == c && y == a));
        let members = &self.members;
        self.topics.retain(|(_, name)| members.contains_key(name));
    }

    fn clusters(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut clusters: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (cluster, _, name) in &self.alive {
            clusters
                .entry(cluster.clone())
                .or_default()
                .insert(name.clone());
        }
        clusters
    }
}

fn registration_of(op: &Op) -> Registration<u32> {
    let Op::Register {
        cluster,
        name,
        id,
        address,
        connection,
        state,
        topics: bits,
    } = op
    else {
        panic!("not a registration")
    };
    let wanted = (0..3).filter(|bit| bits & (1 << bit) != 0);
    Registration {
        cluster: format!("c{cluster}"),
        broker_id: *id,
        address: format!("a{address}"),
        connection: *connection,
        version: DataVersion {
            state_version: *state,
            timestamp_ms: 0,
            counter: i64::from(*bits),
        },
        topics: wanted
            .map(|t| Topic {
                name: format!("t{t}"),
                queues: queues(1),
            })
            .collect(),
        ..broker(&format!("n{name}"), *id)
    }
}

fn apply(table: &mut RouteTable<u32>, model: &mut Model, op: &Op) {
    match op {
        Op::Register { .. } => {
            let registration = registration_of(op);
            model.register(&registration);
            let _ = table.register(registration, &RULES, at(model.now));
        }
        Op::Unregister {
            cluster,
            name,
            address,
        } => {
            let (c, n, a) = (
                format!("c{cluster}"),
                format!("n{name}"),
                format!("a{address}"),
            );
            if model.alive.contains(&(c.clone(), a.clone(), n.clone())) {
                model.withdraw(&c, &a, &n);
                model.clean();
            }
            table.unregister(&c, &a, &n);
        }
        Op::Close(connection) => {
            model.drop_live(|live| live.0 == *connection);
            table.connection_closed(*connection);
        }
        Op::Heartbeat { cluster, address } => {
            let (c, a) = (format!("c{cluster}"), format!("a{address}"));
            table.heartbeat(&c, &a, at(model.now));
            let now = model.now;
            if let Some(live) = model.live.get_mut(&(c, a)) {
                live.1 = now;
            }
        }
        Op::Wait(seconds) => {
            model.now += seconds;
            let now = model.now;
            model.drop_live(|live| live.1 + 120 < now);
            table.expire(at(now));
        }
        Op::DeleteTopic(topic) => {
            let topic = format!("t{topic}");
            model.topics.retain(|(name, _)| *name != topic);
            table.delete_topic(&topic, None);
        }
        Op::Wipe(name) => drop(table.wipe_write_permission(&format!("n{name}"))),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn the_table_equals_the_model(ops in proptest::collection::vec(op(), 1..60)) {
        let (mut table, mut model) = (RouteTable::new(), Model::default());
        for op in &ops {
            let before: Vec<_> = ["t0", "t1", "t2"]
                .map(|topic| (table.route_stamp(topic), table.route(topic, true)))
                .into();
            apply(&mut table, &mut model, op);
            table.check();
            for name in ["n0", "n1", "n2"] {
                let members: BTreeMap<i64, String> =
                    table.members(name).into_iter().map(|(id, a)| (id, a.to_string())).collect();
                prop_assert_eq!(members, model.members.get(name).cloned().unwrap_or_default());
            }
            let clusters: BTreeMap<String, BTreeSet<String>> = table.clusters().into_iter()
                .map(|(c, names)| (c.to_string(), names.iter().map(ToString::to_string).collect()))
                .collect();
            prop_assert_eq!(clusters, model.clusters());
            for (topic, (stamp, old)) in ["t0", "t1", "t2"].into_iter().zip(before) {
                let route = table.route(topic, true);
                let names: Vec<String> = route.iter()
                    .flat_map(|r| r.queues.iter().map(|(name, _)| name.to_string())).collect();
                let expected: Vec<String> = model.topics.iter()
                    .filter(|(name, _)| name == topic).map(|(_, name)| name.clone()).collect();
                prop_assert_eq!(names, expected);
                // A cached route is good exactly as long as its stamp.
                prop_assert!(stamp != table.route_stamp(topic) || old == route);
            }
        }
    }
}

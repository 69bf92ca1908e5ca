//! Who is connected: consumer groups with their members and subscriptions, and producer groups.
//!
//! Plain state machines: callers bring the time and send the notifications that come back.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::net::ConnectionId;
use crate::protocol::body::heartbeat::{ConsumeFromWhere, ConsumeType, ConsumerData, MessageModel};
use crate::protocol::filter::tag::SubscriptionData;
use crate::protocol::language::Language;

/// One client of a group on one connection.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// The connection it heartbeats on.
    pub(crate) conn: ConnectionId,
    /// Its address, as statistics show it.
    pub(crate) address: String,
    /// The id it gave itself; unique within the group.
    pub(crate) client_id: String,
    /// The language it said it is written in.
    pub(crate) language: Language,
    /// The protocol version it speaks.
    pub(crate) version: i32,
    /// Monotonic time of its last heartbeat.
    pub(crate) seen_ms: u64,
}

/// A consumer group with at least one member.
#[derive(Debug)]
pub(crate) struct ConsumerGroup {
    /// How its members fetch.
    pub(crate) consume_type: ConsumeType,
    /// Clustering or broadcasting.
    pub(crate) message_model: MessageModel,
    /// Where a new queue is started.
    pub(crate) from_where: ConsumeFromWhere,
    members: HashMap<ConnectionId, Member>,
    subscriptions: BTreeMap<String, Arc<SubscriptionData>>,
    /// The heartbeat fingerprint seen last; 0 for the plain form.
    fingerprint: i32,
}

impl ConsumerGroup {
    /// The group's members in no particular order.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// Its subscriptions by topic.
    #[must_use]
    pub(crate) fn subscriptions(&self) -> &BTreeMap<String, Arc<SubscriptionData>> {
        &self.subscriptions
    }

    fn connections(&self) -> Vec<ConnectionId> {
        self.members.keys().copied().collect()
    }
}

/// The members of a group that changed, to be told so by request 40: none if the group is gone.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct GroupChange {
    /// The group.
    pub(crate) group: String,
    /// Who is to be told.
    pub(crate) members: Vec<ConnectionId>,
}

/// Whether a heartbeat carries the group's subscriptions or only says that the client lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heartbeat {
    /// Subscriptions are given and replace the group's.
    Full,
    /// Subscriptions were left out; the group keeps its own.
    WithoutSubscriptions,
}

/// All consumer groups of a broker.
#[derive(Debug, Default)]
pub(crate) struct Consumers {
    groups: HashMap<String, ConsumerGroup>,
    member_count: usize,
    revision: Arc<AtomicU64>,
}

impl Consumers {
    /// A number that moves whenever a subscription of any group changes.
    #[must_use]
    pub(crate) fn revision(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.revision)
    }

    /// The group, if it has members.
    #[must_use]
    pub(crate) fn group(&self, name: &str) -> Option<&ConsumerGroup> {
        self.groups.get(name)
    }

    /// How many memberships there are over all groups.
    #[must_use]
    pub(crate) fn member_count(&self) -> usize {
        self.member_count
    }

    /// Groups that subscribe to a topic, sorted.
    #[must_use]
    pub(crate) fn groups_of_topic(&self, topic: &str) -> Vec<String> {
        let mut names: Vec<String> = self
            .groups
            .iter()
            .filter(|(_, group)| group.subscriptions.contains_key(topic))
            .map(|(name, _)| name.clone())
            .collect();
        names.sort_unstable();
        names
    }

    /// Takes a heartbeat. Returns the members to notify when the group changed, that is when a
    /// member joined or a topic was subscribed or given up.
    pub(crate) fn register(
        &mut self,
        data: &ConsumerData,
        member: Member,
        heartbeat: Heartbeat,
        fingerprint: i32,
    ) -> Option<GroupChange> {
        let group = self
            .groups
            .entry(data.group_name.clone())
            .or_insert_with(|| ConsumerGroup {
                consume_type: data.consume_type,
                message_model: data.message_model,
                from_where: data.consume_from_where,
                members: HashMap::new(),
                subscriptions: BTreeMap::new(),
                fingerprint,
            });
        group.consume_type = data.consume_type;
        group.message_model = data.message_model;
        group.from_where = data.consume_from_where;
        group.fingerprint = fingerprint;
        let joined = group.members.insert(member.conn, member).is_none();
        self.member_count += usize::from(joined);
        let update = match heartbeat {
            Heartbeat::Full => update_subscriptions(group, &data.subscriptions),
            Heartbeat::WithoutSubscriptions => Update::default(),
        };
        if update.any {
            self.revision.fetch_add(1, Ordering::Release);
        }
        let tell = (joined || update.topics) && group.message_model != MessageModel::Broadcasting;
        tell.then(|| GroupChange {
            group: data.group_name.clone(),
            members: group.connections(),
        })
    }

    /// The fingerprint of the group's last heartbeat; `None` before the first.
    #[must_use]
    pub(crate) fn fingerprint(&self, group: &str) -> Option<i32> {
        Some(self.groups.get(group)?.fingerprint)
    }

    /// Takes a client out of one group.
    pub(crate) fn unregister(&mut self, name: &str, conn: ConnectionId) -> Option<GroupChange> {
        let group = self.groups.get_mut(name)?;
        group.members.remove(&conn)?;
        self.member_count -= 1;
        self.settle(name)
    }

    /// Takes a closed connection out of every group it was in.
    pub(crate) fn close(&mut self, conn: ConnectionId) -> Vec<GroupChange> {
        self.remove_members(|member| member.conn == conn).0
    }

    /// Takes out members that were silent too long. Returns the changes and the connections to
    /// close.
    pub(crate) fn expire(
        &mut self,
        now_ms: u64,
        expiry_ms: u64,
    ) -> (Vec<GroupChange>, Vec<ConnectionId>) {
        self.remove_members(|member| now_ms.saturating_sub(member.seen_ms) > expiry_ms)
    }

    fn remove_members(
        &mut self,
        gone: impl Fn(&Member) -> bool,
    ) -> (Vec<GroupChange>, Vec<ConnectionId>) {
        let mut touched = Vec::new();
        let mut removed = Vec::new();
        for (name, group) in &mut self.groups {
            let before = group.members.len();
            group.members.retain(|conn, member| {
                let keep = !gone(member);
                if !keep {
                    removed.push(*conn);
                }
                keep
            });
            if group.members.len() != before {
                touched.push(name.clone());
            }
        }
        self.member_count -= removed.len();
        (
            touched
                .iter()
                .filter_map(|name| self.settle(name))
                .collect(),
            removed,
        )
    }

    /// Drops the group when it is empty; says who is to hear of the change.
    fn settle(&mut self, name: &str) -> Option<GroupChange> {
        let group = self.groups.get(name)?;
        if group.members.is_empty() {
            self.groups.remove(name);
            return Some(GroupChange {
                group: name.to_owned(),
                members: Vec::new(),
            });
        }
        if group.message_model == MessageModel::Broadcasting {
            return None;
        }
        Some(GroupChange {
            group: name.to_owned(),
            members: group.connections(),
        })
    }
}

/// What a heartbeat changed.
#[derive(Clone, Copy, Debug, Default)]
struct Update {
    /// Some subscription is another.
    any: bool,
    /// A topic is subscribed to that was not before, or no longer.
    topics: bool,
}

fn update_subscriptions(group: &mut ConsumerGroup, given: &[SubscriptionData]) -> Update {
    let mut update = Update::default();
    for subscription in given {
        match group.subscriptions.get(&subscription.topic) {
            Some(old) if old.sub_version >= subscription.sub_version => continue,
            Some(_) => {}
            None => update.topics = true,
        }
        update.any = true;
        group
            .subscriptions
            .insert(subscription.topic.clone(), Arc::new(subscription.clone()));
    }
    let before = group.subscriptions.len();
    group
        .subscriptions
        .retain(|topic, _| given.iter().any(|one| &one.topic == topic));
    update.topics |= group.subscriptions.len() != before;
    update.any |= update.topics;
    update
}

/// All producer groups of a broker.
#[derive(Debug, Default)]
pub(crate) struct Producers {
    groups: HashMap<String, HashMap<ConnectionId, Member>>,
    /// The connection on which a client of this id came last.
    by_client: HashMap<String, ConnectionId>,
}

impl Producers {
    /// Takes a heartbeat of a member of `group`.
    pub(crate) fn register(&mut self, group: &str, member: Member) {
        if self.by_client.get(&member.client_id) != Some(&member.conn) {
            self.by_client.insert(member.client_id.clone(), member.conn);
        }
        self.groups
            .entry(group.to_owned())
            .or_default()
            .insert(member.conn, member);
    }

    /// The connection of the client of this id.
    #[must_use]
    pub(crate) fn find_client(&self, client_id: &str) -> Option<ConnectionId> {
        self.by_client.get(client_id).copied()
    }

    /// Takes a client out of one group.
    pub(crate) fn unregister(&mut self, group: &str, conn: ConnectionId) {
        self.retain(|name, member| name != group || member.conn != conn);
    }

    /// Takes a closed connection out of every group.
    pub(crate) fn close(&mut self, conn: ConnectionId) {
        self.retain(|_, member| member.conn != conn);
    }

    /// Takes out members that were silent too long; returns their connections.
    pub(crate) fn expire(&mut self, now_ms: u64, expiry_ms: u64) -> Vec<ConnectionId> {
        let mut removed = Vec::new();
        self.retain(|_, member| {
            let keep = now_ms.saturating_sub(member.seen_ms) <= expiry_ms;
            if !keep {
                removed.push(member.conn);
            }
            keep
        });
        removed
    }

    /// The members of a group.
    #[must_use]
    pub(crate) fn members(&self, group: &str) -> Vec<&Member> {
        self.groups
            .get(group)
            .map(|members| members.values().collect())
            .unwrap_or_default()
    }

    /// The connection of one of a group; another one with the next `turn`.
    #[must_use]
    pub(crate) fn pick(&self, group: &str, turn: usize) -> Option<ConnectionId> {
        let members = self.groups.get(group)?;
        let index = turn.checked_rem(members.len())?;
        members.keys().nth(index).copied()
    }

    /// All groups with their members.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = &Member>)> {
        self.groups
            .iter()
            .map(|(name, members)| (&**name, members.values()))
    }

    /// How many memberships there are over all groups.
    #[must_use]
    pub(crate) fn member_count(&self) -> usize {
        self.groups.values().map(HashMap::len).sum()
    }

    fn retain(&mut self, mut keep: impl FnMut(&str, &Member) -> bool) {
        let mut removed = Vec::new();
        for (name, members) in &mut self.groups {
            let gone = members.extract_if(|_, member| !keep(name, member));
            removed.extend(gone.map(|(_, member)| member));
        }
        self.groups.retain(|_, members| !members.is_empty());
        for member in removed {
            self.forget_client(&member);
        }
    }

    /// A membership ended; the client may still be there by another one.
    fn forget_client(&mut self, gone: &Member) {
        if self.by_client.get(&gone.client_id) != Some(&gone.conn) {
            return;
        }
        let others = self.groups.values().flat_map(HashMap::values);
        let still = others
            .filter(|one| one.client_id == gone.client_id)
            .map(|one| one.conn)
            .max_by_key(|conn| *conn == gone.conn);
        match still {
            Some(conn) => self.by_client.insert(gone.client_id.clone(), conn),
            None => self.by_client.remove(&gone.client_id),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::slots::Key;

    const CLIENT_EXPIRY_MS: u64 = 120_000;

    fn conn(slot: u32) -> ConnectionId {
        ConnectionId::new(
            0,
            Key {
                slot,
                generation: 1,
            },
        )
    }

    fn member(slot: u32, seen_ms: u64) -> Member {
        Member {
            conn: conn(slot),
            address: String::new(),
            client_id: format!("client-{slot}"),
            language: Language::JAVA,
            version: 0,
            seen_ms,
        }
    }

    fn data(topics: &[(&str, i64)]) -> ConsumerData {
        let subscription = |(topic, sub_version): &(&str, i64)| SubscriptionData {
            sub_version: *sub_version,
            ..SubscriptionData::from_tags(topic, None).unwrap()
        };
        ConsumerData {
            group_name: "g".into(),
            consume_type: ConsumeType::Passively,
            message_model: MessageModel::Clustering,
            consume_from_where: ConsumeFromWhere::LastOffset,
            subscriptions: topics.iter().map(subscription).collect(),
            unit_mode: false,
        }
    }

    fn told(change: Option<GroupChange>) -> Vec<ConnectionId> {
        let mut members = change.map(|change| change.members).unwrap_or_default();
        members.sort_unstable();
        members
    }

    #[test]
    fn members_hear_of_joins_leaves_and_new_topics_only() {
        let mut consumers = Consumers::default();
        let mut beat = |slot, topics: &[(&str, i64)]| {
            told(consumers.register(&data(topics), member(slot, 0), Heartbeat::Full, 0))
        };
        assert_eq!(beat(1, &[("T", 1)]), [conn(1)]);
        assert_eq!(beat(1, &[("T", 1)]), []);
        assert_eq!(
            beat(1, &[("T", 2)]),
            [],
            "a newer version of the same topic changes no queue"
        );
        assert_eq!(beat(2, &[("T", 2)]), [conn(1), conn(2)]);
        assert_eq!(beat(1, &[("T", 2), ("U", 3)]), [conn(1), conn(2)]);
        assert_eq!(beat(1, &[("T", 2)]), [conn(1), conn(2)]);
        assert_eq!(told(consumers.unregister("g", conn(1))), [conn(2)]);
        assert_eq!(consumers.unregister("g", conn(1)), None);
        let gone = GroupChange {
            group: "g".into(),
            members: vec![],
        };
        assert_eq!(consumers.close(conn(2)), [gone]);
        assert!(consumers.group("g").is_none());
    }

    #[test]
    fn an_older_subscription_does_not_replace_a_newer_one() {
        let mut consumers = Consumers::default();
        let revision = consumers.revision();
        consumers.register(&data(&[("T", 5)]), member(1, 0), Heartbeat::Full, 0);
        assert_eq!(revision.load(Ordering::Relaxed), 1);
        consumers.register(&data(&[("T", 4)]), member(2, 0), Heartbeat::Full, 0);
        assert_eq!(revision.load(Ordering::Relaxed), 1);
        assert_eq!(
            consumers.group("g").unwrap().subscriptions()["T"].sub_version,
            5
        );
    }

    #[test]
    fn a_heartbeat_without_subscriptions_keeps_them() {
        let mut consumers = Consumers::default();
        consumers.register(&data(&[("T", 1)]), member(1, 0), Heartbeat::Full, 7);
        let heartbeat = Heartbeat::WithoutSubscriptions;
        assert_eq!(
            consumers.register(&data(&[]), member(1, 9), heartbeat, 7),
            None
        );
        assert!(
            consumers
                .group("g")
                .unwrap()
                .subscriptions()
                .contains_key("T")
        );
        assert_eq!(consumers.fingerprint("g"), Some(7));
    }

    #[test]
    fn silent_members_are_taken_out_and_the_others_told() {
        let mut consumers = Consumers::default();
        consumers.register(&data(&[("T", 1)]), member(1, 0), Heartbeat::Full, 0);
        consumers.register(&data(&[("T", 1)]), member(2, 10), Heartbeat::Full, 0);
        assert_eq!(
            consumers.expire(CLIENT_EXPIRY_MS, CLIENT_EXPIRY_MS),
            (vec![], vec![])
        );
        let (changes, gone) = consumers.expire(CLIENT_EXPIRY_MS + 1, CLIENT_EXPIRY_MS);
        assert_eq!(gone, [conn(1)]);
        assert_eq!(
            changes,
            [GroupChange {
                group: "g".into(),
                members: vec![conn(2)]
            }]
        );
    }

    #[test]
    fn nobody_is_told_in_a_broadcasting_group() {
        let mut consumers = Consumers::default();
        let broadcast = ConsumerData {
            message_model: MessageModel::Broadcasting,
            ..data(&[("T", 1)])
        };
        assert_eq!(
            consumers.register(&broadcast, member(1, 0), Heartbeat::Full, 0),
            None
        );
        consumers.register(&broadcast, member(2, 0), Heartbeat::Full, 0);
        assert_eq!(consumers.close(conn(1)), []);
    }

    #[test]
    fn producers_of_a_group_take_turns() {
        let mut producers = Producers::default();
        assert_eq!(producers.pick("p", 0), None);
        for slot in 1..=3 {
            producers.register("p", member(slot, 0));
        }
        let mut picked: Vec<_> = (7..10)
            .filter_map(|turn| producers.pick("p", turn))
            .collect();
        picked.sort_unstable();
        assert_eq!(picked, [conn(1), conn(2), conn(3)]);
        producers.close(conn(2));
        assert!((0..4).all(|turn| producers.pick("p", turn) != Some(conn(2))));
    }

    #[test]
    fn producers_come_and_go() {
        let mut producers = Producers::default();
        producers.register("p", member(1, 0));
        producers.register("q", member(1, 0));
        producers.unregister("p", conn(1));
        assert!(producers.members("p").is_empty());
        assert_eq!(
            producers.expire(CLIENT_EXPIRY_MS + 1, CLIENT_EXPIRY_MS),
            [conn(1)]
        );
        assert!(producers.groups.is_empty());
    }

    #[test]
    fn a_producer_is_found_by_its_id_where_it_came_last() {
        let mut producers = Producers::default();
        let named = |slot| Member {
            client_id: "same".into(),
            ..member(slot, 0)
        };
        producers.register("a", named(1));
        producers.register("b", named(1));
        assert_eq!(producers.find_client("same"), Some(conn(1)));
        // It connects again before its old connection is gone.
        producers.register("a", named(2));
        assert_eq!(producers.find_client("same"), Some(conn(2)));
        producers.unregister("a", conn(2));
        assert_eq!(producers.find_client("same"), Some(conn(1)));
        producers.unregister("a", conn(1));
        assert_eq!(
            producers.find_client("same"),
            Some(conn(1)),
            "still in the other group"
        );
        producers.close(conn(1));
        assert_eq!(producers.find_client("same"), None);
        assert!(producers.by_client.is_empty());
    }
}

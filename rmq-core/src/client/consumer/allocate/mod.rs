//! Which queues of a topic a member of a group has. Every member works this out by itself, so all
//! must come to the same answer, members of other implementations included.

mod md5;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crate::base::{Error, ErrorKind, Result};
use crate::protocol::body::message_queue::MessageQueue;

/// More places would only cost memory.
const VIRTUAL_NODES_MAX: u32 = 100_000;

/// Where brokers and members stand. All members of a group must answer the same.
pub trait MachineRooms: Send + Sync {
    /// The room of a queue's broker; `None` when it is not known, and nothing is divided then.
    fn of_queue(&self, queue: &MessageQueue) -> Option<String>;

    /// The room of a member, by its client id; `None` when it is not known.
    fn of_member(&self, client_id: &str) -> Option<String>;
}

/// Rooms by name: a broker and a client id begin with their room and a `-`, as in `east-broker-1`.
/// A member says so by `ClientOptions::client_ip`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoomPrefix;

impl RoomPrefix {
    fn of(name: &str) -> Option<String> {
        let room = name.split('-').next().unwrap_or_default();
        (!room.is_empty()).then(|| room.to_owned())
    }
}

impl MachineRooms for RoomPrefix {
    fn of_queue(&self, queue: &MessageQueue) -> Option<String> {
        Self::of(&queue.broker_name)
    }

    fn of_member(&self, client_id: &str) -> Option<String> {
        Self::of(client_id)
    }
}

/// How the queues of a topic are divided among the members of a group. All members must use the
/// same.
#[derive(Clone, Default)]
pub enum Allocation {
    /// Neighbouring queues together, as Java clients do unless told otherwise. `AVG`.
    #[default]
    Average,
    /// One queue after the other round the members. `AVG_BY_CIRCLE`.
    Circle,
    /// By places on a ring, so that few queues change hands when a member comes or goes.
    /// `CONSISTENT_HASH`.
    ConsistentHash {
        /// Places of each member; Java clients have 10 unless told otherwise.
        virtual_nodes: u32,
    },
    /// Only queues of brokers in these rooms, as `ROOM@NAME` says, by average. `MACHINE_ROOM`.
    MachineRoom(BTreeSet<String>),
    /// These queues and no others, whatever members there are. What failed comes again only if the
    /// queues of the group's retry topic are among them. `CONFIG`.
    Config(Vec<MessageQueue>),
    /// Queues stay in their room as long as a member is there, and are shared by all otherwise;
    /// `divided` says how in both. `MACHINE_ROOM_NEARBY-` and the name of that.
    Nearby {
        /// Who is where.
        rooms: Arc<dyn MachineRooms>,
        /// How the queues of a room are divided.
        divided: Box<Self>,
    },
}

impl Allocation {
    /// Places of a member that Java clients have on the ring unless told otherwise.
    pub const VIRTUAL_NODES: u32 = 10;

    /// The name that Java clients have for it.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Average => "AVG".to_owned(),
            Self::Circle => "AVG_BY_CIRCLE".to_owned(),
            Self::ConsistentHash { .. } => "CONSISTENT_HASH".to_owned(),
            Self::MachineRoom(_) => "MACHINE_ROOM".to_owned(),
            Self::Config(_) => "CONFIG".to_owned(),
            Self::Nearby { divided, .. } => format!("MACHINE_ROOM_NEARBY-{}", divided.name()),
        }
    }

    /// The queues of the member `own`, of all `queues` of a topic, among `members`; both are
    /// in their natural order. `Invalid`: the room of a queue or a member is not known.
    pub fn allocate(
        &self,
        own: &str,
        queues: &[MessageQueue],
        members: &[String],
    ) -> Result<Vec<MessageQueue>> {
        if let Self::Config(own_queues) = self {
            return Ok(own_queues.clone());
        }
        let Some(index) = members.iter().position(|member| member == own) else {
            return Ok(Vec::new());
        };
        Ok(match self {
            Self::Average => average(index, queues, members.len()),
            Self::Circle => {
                let own = queues.iter().skip(index).step_by(members.len());
                own.cloned().collect()
            }
            Self::ConsistentHash { virtual_nodes } => {
                on_ring(index, queues, members, *virtual_nodes)
            }
            Self::MachineRoom(rooms) => {
                let inside = |queue: &&MessageQueue| in_rooms(&queue.broker_name, rooms);
                let queues: Vec<_> = queues.iter().filter(inside).cloned().collect();
                rest_apart(index, &queues, members.len())
            }
            Self::Nearby { rooms, divided } => near(&**rooms, divided, own, queues, members)?,
            Self::Config(own_queues) => own_queues.clone(),
        })
    }

    /// The same with other names for the queues that the program gave.
    pub(crate) fn renamed(self, rename: &dyn Fn(&MessageQueue) -> MessageQueue) -> Self {
        match self {
            Self::Config(queues) => Self::Config(queues.iter().map(rename).collect()),
            Self::Nearby { rooms, divided } => Self::Nearby {
                rooms,
                divided: Box::new(divided.renamed(rename)),
            },
            other => other,
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        let wrong = match self {
            Self::ConsistentHash { virtual_nodes } if *virtual_nodes == 0 => {
                "virtual_nodes is 0: nobody would have a queue"
            }
            Self::ConsistentHash { virtual_nodes } if *virtual_nodes > VIRTUAL_NODES_MAX => {
                "virtual_nodes is above 100000"
            }
            Self::MachineRoom(rooms) if rooms.is_empty() => "no machine room is named",
            Self::Nearby { divided, .. } => return divided.check(),
            _ => return Ok(()),
        };
        Err(Error::new(ErrorKind::Invalid, "allocation", wrong))
    }
}

/// The first members have one more when it does not come out even, and the queues of each are
/// neighbours.
fn average(index: usize, queues: &[MessageQueue], count: usize) -> Vec<MessageQueue> {
    let (share, rest) = (queues.len() / count, queues.len() % count);
    let start = index * share + index.min(rest);
    let len = share + usize::from(index < rest);
    queues[start..start + len].to_vec()
}

/// Each has as many, and the first ones have one more of those at the end.
fn rest_apart(index: usize, queues: &[MessageQueue], count: usize) -> Vec<MessageQueue> {
    let share = queues.len() / count;
    let mut own = queues[index * share..(index + 1) * share].to_vec();
    own.extend(queues.get(share * count + index).cloned());
    own
}

/// Whether a broker's name is one of the rooms, an `@`, and no other one behind. Empty parts at
/// the end do not count, for Java's clients.
fn in_rooms(broker: &str, rooms: &BTreeSet<String>) -> bool {
    match broker.trim_end_matches('@').split_once('@') {
        Some((room, rest)) => !rest.contains('@') && rooms.contains(room),
        None => false,
    }
}

/// A queue is of the member whose place follows its own on a ring of 32 bits.
fn on_ring(
    index: usize,
    queues: &[MessageQueue],
    members: &[String],
    virtual_nodes: u32,
) -> Vec<MessageQueue> {
    let mut ring: BTreeMap<u32, usize> = BTreeMap::new();
    for (member, id) in members.iter().enumerate() {
        for node in 0..virtual_nodes {
            // Who comes later takes a place that is taken.
            ring.insert(md5::first_bytes(&format!("{id}-{node}")), member);
        }
    }
    let is_own = |queue: &&MessageQueue| {
        let MessageQueue {
            broker_name,
            queue_id,
            topic,
        } = queue;
        let place = md5::first_bytes(&format!(
            "MessageQueue [topic={topic}, brokerName={broker_name}, queueId={queue_id}]"
        ));
        let next = ring.range(place..).next().or_else(|| ring.iter().next());
        next.is_some_and(|(_, member)| *member == index)
    };
    queues.iter().filter(is_own).cloned().collect()
}

/// The own room's queues among those who are there, then those of rooms where nobody is among all.
fn near(
    rooms: &dyn MachineRooms,
    divided: &Allocation,
    own: &str,
    queues: &[MessageQueue],
    members: &[String],
) -> Result<Vec<MessageQueue>> {
    let unknown = |who: &str| {
        let context = format!("the machine room of {who} is not known");
        Error::new(ErrorKind::Invalid, "allocation", context)
    };
    let mut queues_in: BTreeMap<String, Vec<MessageQueue>> = BTreeMap::new();
    for queue in queues {
        let room = rooms.of_queue(queue).filter(|room| !room.is_empty());
        let room = room.ok_or_else(|| unknown(&queue.broker_name))?;
        queues_in.entry(room).or_default().push(queue.clone());
    }
    let mut members_in: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for member in members {
        let room = rooms.of_member(member).filter(|room| !room.is_empty());
        let room = room.ok_or_else(|| unknown(member))?;
        members_in.entry(room).or_default().push(member.clone());
    }
    let mut share = Vec::new();
    for (room, here) in &members_in {
        if here.iter().any(|member| member == own)
            && let Some(queues) = queues_in.remove(room)
        {
            share.extend(divided.allocate(own, &queues, here)?);
        }
    }
    for (room, queues) in &queues_in {
        if !members_in.contains_key(room) {
            share.extend(divided.allocate(own, queues, members)?);
        }
    }
    Ok(share)
}

impl PartialEq for Allocation {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Average, Self::Average) | (Self::Circle, Self::Circle) => true,
            (
                Self::ConsistentHash { virtual_nodes },
                Self::ConsistentHash {
                    virtual_nodes: others,
                },
            ) => virtual_nodes == others,
            (Self::MachineRoom(rooms), Self::MachineRoom(others)) => rooms == others,
            (Self::Config(queues), Self::Config(others)) => queues == others,
            (
                Self::Nearby { rooms, divided },
                Self::Nearby {
                    rooms: other_rooms,
                    divided: otherwise,
                },
            ) => Arc::ptr_eq(rooms, other_rooms) && divided == otherwise,
            _ => false,
        }
    }
}

impl Eq for Allocation {}

impl fmt::Debug for Allocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(how: &Allocation, queue_nums: i32, member_count: usize) -> Vec<Vec<i32>> {
        let queues: Vec<MessageQueue> = (0..queue_nums)
            .map(|queue_id| MessageQueue {
                topic: "T".to_owned(),
                broker_name: "room@a".to_owned(),
                queue_id,
            })
            .collect();
        let members: Vec<String> = (0..member_count).map(|i| format!("c{i}")).collect();
        let of = |own: &String| how.allocate(own, &queues, &members).unwrap();
        let ids = |queues: Vec<MessageQueue>| queues.iter().map(|q| q.queue_id).collect();
        members.iter().map(of).map(ids).collect()
    }

    fn all() -> [Allocation; 5] {
        [
            Allocation::Average,
            Allocation::Circle,
            Allocation::ConsistentHash { virtual_nodes: 10 },
            Allocation::MachineRoom(["room".to_owned()].into()),
            Allocation::Nearby {
                rooms: Arc::new(RoomPrefix),
                divided: Box::new(Allocation::Average),
            },
        ]
    }

    #[test]
    fn shares_are_those_of_java_clients() {
        let average = |queues, members| shares(&Allocation::Average, queues, members);
        assert_eq!(average(8, 3), [vec![0, 1, 2], vec![3, 4, 5], vec![6, 7]]);
        assert_eq!(average(4, 4), [[0], [1], [2], [3]]);
        assert_eq!(average(2, 3), [vec![0], vec![1], vec![]]);
        assert_eq!(average(0, 2), [vec![], Vec::<i32>::new()]);
        let circle = |queues, members| shares(&Allocation::Circle, queues, members);
        assert_eq!(circle(8, 3), [vec![0, 3, 6], vec![1, 4, 7], vec![2, 5]]);
        assert_eq!(circle(1, 2), [vec![0], vec![]]);
    }

    #[test]
    fn every_queue_has_one_owner() {
        for how in all() {
            for (queues, members) in [(1, 1), (7, 2), (16, 5), (3, 9), (100, 7)] {
                let mut all: Vec<i32> = shares(&how, queues, members).concat();
                all.sort_unstable();
                assert_eq!(all, (0..queues).collect::<Vec<_>>(), "{how:?}");
            }
        }
    }

    #[test]
    fn who_is_not_a_member_has_nothing() {
        let members = ["a".to_owned()];
        let queues = [MessageQueue::default()];
        for how in all().iter().take(4) {
            assert_eq!(how.allocate("b", &queues, &members).unwrap(), []);
            assert_eq!(how.allocate("b", &queues, &[]).unwrap(), []);
        }
        let own = Allocation::Config(queues.to_vec());
        assert_eq!(own.allocate("b", &[], &[]).unwrap(), queues);
    }

    #[test]
    fn a_member_that_goes_moves_its_own_queues_alone() {
        let how = Allocation::ConsistentHash { virtual_nodes: 10 };
        let (before, after) = (shares(&how, 64, 4), shares(&how, 64, 3));
        for (before, after) in before.iter().zip(&after) {
            assert!(before.iter().all(|queue| after.contains(queue)));
        }
    }

    #[test]
    fn nothing_is_divided_while_a_room_is_not_known() {
        let how = &all()[4];
        let members = ["-a".to_owned()];
        let queues = [MessageQueue {
            broker_name: "east-a".to_owned(),
            ..MessageQueue::default()
        }];
        let error = how.allocate("-a", &queues, &members).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }

    #[test]
    fn what_gives_nobody_a_queue_is_refused() {
        for how in all() {
            how.check().unwrap();
        }
        for virtual_nodes in [0, VIRTUAL_NODES_MAX + 1] {
            let ring = Allocation::ConsistentHash { virtual_nodes };
            let nearby = Allocation::Nearby {
                rooms: Arc::new(RoomPrefix),
                divided: Box::new(ring.clone()),
            };
            assert!(ring.check().is_err() && nearby.check().is_err());
        }
        assert!(Allocation::MachineRoom(BTreeSet::new()).check().is_err());
    }
}

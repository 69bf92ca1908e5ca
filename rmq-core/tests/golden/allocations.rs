//! Which queues each member of a group has.

use std::sync::Arc;

use rmq_core::client::{Allocation, MessageQueue, RoomPrefix};

use crate::data::lines;

fn strategy(name: &str, virtual_nodes: u32) -> Allocation {
    match name {
        "AVG" => Allocation::Average,
        "AVG_BY_CIRCLE" => Allocation::Circle,
        "CONSISTENT_HASH" => Allocation::ConsistentHash { virtual_nodes },
        "MACHINE_ROOM" => Allocation::MachineRoom(["", "east", "west"].map(str::to_owned).into()),
        other => {
            let divided = other.strip_prefix("MACHINE_ROOM_NEARBY-").unwrap();
            Allocation::Nearby {
                rooms: Arc::new(RoomPrefix),
                divided: Box::new(strategy(divided, virtual_nodes)),
            }
        }
    }
}

#[test]
fn members_agree_with_java_clients() {
    for line in lines("5.3.3", "allocations") {
        let how = strategy(line.text("strategy"), line.int("nodes").try_into().unwrap());
        assert_eq!(how.name(), line.text("strategy"));
        let queue = |text: &str| {
            let (broker, id) = text.split_once(' ').unwrap();
            MessageQueue {
                topic: line.text("topic").to_owned(),
                broker_name: broker.to_owned(),
                queue_id: id.parse().unwrap(),
            }
        };
        let queues: Vec<MessageQueue> = line.texts("queues").into_iter().map(queue).collect();
        let members: Vec<String> = line.texts("members").iter().map(|m| (*m).into()).collect();
        let shares = line.value("shares").as_array().unwrap();
        for (member, share) in members.iter().zip(shares) {
            let at = |index: &serde_json::Value| {
                queues[usize::try_from(index.as_u64().unwrap()).unwrap()].clone()
            };
            let share: Vec<_> = share.as_array().unwrap().iter().map(at).collect();
            let own = how.allocate(member, &queues, &members).unwrap();
            assert_eq!(own, share, "{} {member}", line.place);
        }
    }
}

//! Which queues of a topic a member of a group has. Every member works this out by itself, so all
//! must come to the same answer, members of other implementations included.

use crate::protocol::body::message_queue::MessageQueue;

/// How the queues of a topic are divided among the members of a group. All members must use the
/// same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Allocation {
    /// Neighbouring queues together, as Java clients do unless told otherwise.
    #[default]
    Average,
    /// One queue after the other round the members.
    Circle,
}

impl Allocation {
    /// The queues of `own`, of all `queues`, among `members`; both are in their natural order.
    pub(crate) fn allocate(
        self,
        own: &str,
        queues: &[MessageQueue],
        members: &[String],
    ) -> Vec<MessageQueue> {
        let Some(index) = members.iter().position(|member| member == own) else {
            return Vec::new();
        };
        let (count, queue_count) = (members.len(), queues.len());
        match self {
            Self::Average => {
                let (share, rest) = (queue_count / count, queue_count % count);
                // The first members have one more when it does not come out even.
                let start = index * share + index.min(rest);
                let len = share + usize::from(index < rest);
                queues[start..start + len].to_vec()
            }
            Self::Circle => queues.iter().skip(index).step_by(count).cloned().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(how: Allocation, queue_nums: i32, member_count: usize) -> Vec<Vec<i32>> {
        let queues: Vec<MessageQueue> = (0..queue_nums)
            .map(|queue_id| MessageQueue {
                topic: "T".to_owned(),
                broker_name: "a".to_owned(),
                queue_id,
            })
            .collect();
        let members: Vec<String> = (0..member_count).map(|i| format!("c{i}")).collect();
        let of = |own: &String| how.allocate(own, &queues, &members);
        let ids = |queues: Vec<MessageQueue>| queues.iter().map(|q| q.queue_id).collect();
        members.iter().map(of).map(ids).collect()
    }

    #[test]
    fn shares_are_those_of_java_clients() {
        let average = |queues, members| shares(Allocation::Average, queues, members);
        assert_eq!(average(8, 3), [vec![0, 1, 2], vec![3, 4, 5], vec![6, 7]]);
        assert_eq!(average(4, 4), [[0], [1], [2], [3]]);
        assert_eq!(average(2, 3), [vec![0], vec![1], vec![]]);
        assert_eq!(average(0, 2), [vec![], Vec::<i32>::new()]);
        let circle = |queues, members| shares(Allocation::Circle, queues, members);
        assert_eq!(circle(8, 3), [vec![0, 3, 6], vec![1, 4, 7], vec![2, 5]]);
        assert_eq!(circle(1, 2), [vec![0], vec![]]);
    }

    #[test]
    fn every_queue_has_one_owner() {
        for how in [Allocation::Average, Allocation::Circle] {
            for (queues, members) in [(1, 1), (7, 2), (16, 5), (3, 9), (100, 7)] {
                let mut all: Vec<i32> = shares(how, queues, members).concat();
                all.sort_unstable();
                assert_eq!(all, (0..queues).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn who_is_not_a_member_has_nothing() {
        let members = ["a".to_owned()];
        let queues = [MessageQueue::default()];
        assert!(
            Allocation::Average
                .allocate("b", &queues, &members)
                .is_empty()
        );
        assert!(Allocation::Average.allocate("b", &queues, &[]).is_empty());
    }
}

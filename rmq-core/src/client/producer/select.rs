//! Which queue a message goes to.

use crate::protocol::body::message_queue::MessageQueue;
use crate::protocol::filter::tag::java_hash_code;

/// The next queue from `start` on, round and round: on a broker that is well and not `avoid`, else
/// on any but `avoid`, else on any at all. `None` when there is no queue.
pub(crate) fn next<'a>(
    queues: &'a [MessageQueue],
    start: usize,
    avoid: &[String],
    is_well: impl Fn(&str) -> bool,
) -> Option<&'a MessageQueue> {
    let from_start = || {
        let start = start % queues.len().max(1);
        queues[start..].iter().chain(&queues[..start])
    };
    let fresh = |queue: &&MessageQueue| !avoid.contains(&queue.broker_name);
    from_start()
        .filter(fresh)
        .find(|queue| is_well(&queue.broker_name))
        .or_else(|| from_start().find(fresh))
        .or_else(|| from_start().next())
}

/// The queue of a sharding key: the same that Java clients choose by the hash of a string.
pub(crate) fn by_key<'a>(queues: &'a [MessageQueue], key: &str) -> Option<&'a MessageQueue> {
    let count = i64::try_from(queues.len())
        .ok()
        .filter(|count| *count > 0)?;
    let index = (i64::from(java_hash_code(key)) % count).unsigned_abs();
    queues.get(usize::try_from(index).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queues() -> Vec<MessageQueue> {
        let of = |broker: &str, queue_id| MessageQueue {
            broker_name: broker.to_owned(),
            queue_id,
            topic: "T".to_owned(),
        };
        vec![of("a", 0), of("a", 1), of("b", 0), of("b", 1)]
    }

    fn chosen(start: usize, avoid: &[&str], ill: &[&str]) -> String {
        let avoid: Vec<String> = avoid.iter().map(|b| (*b).to_owned()).collect();
        let queues = queues();
        let queue = next(&queues, start, &avoid, |broker| !ill.contains(&broker)).unwrap();
        format!("{}{}", queue.broker_name, queue.queue_id)
    }

    #[test]
    fn queues_take_turns() {
        let order: Vec<String> = (0..5).map(|start| chosen(start, &[], &[])).collect();
        assert_eq!(order, ["a0", "a1", "b0", "b1", "a0"]);
        assert_eq!(chosen(usize::MAX, &[], &[]), "b1");
    }

    #[test]
    fn brokers_are_avoided_while_there_are_others() {
        assert_eq!(chosen(0, &["a"], &[]), "b0");
        assert_eq!(chosen(1, &[], &["a"]), "b0");
        assert_eq!(chosen(1, &["b"], &["a"]), "a1");
        assert_eq!(chosen(1, &["a", "b"], &["a", "b"]), "a1");
        assert!(next(&[], 3, &[], |_| true).is_none());
    }

    #[test]
    fn keys_choose_as_java_does() {
        // "order-1".hashCode() is -1207110391, the remainder by 4 is -3.
        let queues = queues();
        let hash = i64::from(java_hash_code("order-1"));
        assert_eq!(
            by_key(&queues, "order-1"),
            queues.get((hash % 4).unsigned_abs() as usize)
        );
        assert_eq!(by_key(&queues, "").unwrap(), &queues[0]);
        // Java's hash of this string is Integer.MIN_VALUE.
        assert_eq!(by_key(&queues, "polygenelubricants").unwrap(), &queues[0]);
        assert!(by_key(&[], "k").is_none());
    }
}

//! Options of consumers from keys alone.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::client_keys::{Keys, set_client};
use crate::base::Result;
use crate::client::{
    Allocation, ConsumerOptions, MessageModel, MessageQueue, RoomPrefix, StartFrom,
};
use crate::config::Properties;

const KEYS: Keys = Keys {
    op: "consumer options",
    of: "consumers",
};

/// A consumer's options from keys, named as the fields of Apache's Java clients: `namesrvAddr`,
/// `consumerGroup`, `messageModel`, `consumeFromWhere`, `consumeTimestamp` (in UTC),
/// `allocateMessageQueueStrategy` (by name: `AVG`, `AVG_BY_CIRCLE`, `CONSISTENT_HASH`,
/// `MACHINE_ROOM`, `CONFIG`, or `MACHINE_ROOM_NEARBY-` and another name, see `RoomPrefix`),
/// `virtualNodeCnt`, `consumeridcs` (rooms separated by commas), `messageQueueList`
/// (`TOPIC@BROKER@NUMBER` separated by commas), `consumeThreadMin`, `consumeThreadMax`,
/// `consumeMessageBatchMaxSize`, `pullBatchSize`, `brokerSuspendMaxTimeMillis`,
/// `pullThresholdForQueue`, `pullThresholdSizeForQueue` (MiB), `pullThresholdForTopic`,
/// `pullThresholdSizeForTopic` (MiB), `pullInterval`, `consumeTimeout` (minutes),
/// `consumeConcurrentlyMaxSpan`,
/// `maxReconsumeTimes`, `suspendCurrentQueueTimeMillis`, `persistConsumerOffsetInterval`,
/// `clientRebalance`, `popInvisibleTime`, `popBatchNums`, `popThresholdForQueue`, `autoCommit`,
/// `autoCommitIntervalMillis`, `rocketmq.client.rebalance.waitInterval`,
/// `rocketmq.client.localOffsetStoreDir`, and those of every client, as `producer_options`
/// has them; and `rmq.consumeTimeoutMillis` (instead of `consumeTimeout`; 0: no limit),
/// `rmq.maxMessageBytes`, and `rmq.popRetryDelays` (ms, separated by commas).
///
/// `Invalid`: a key is unknown, or a value is not allowed.
pub fn consumer_options(keys: &Properties) -> Result<ConsumerOptions> {
    let mut options = ConsumerOptions::default();
    for (key, value) in keys.iter() {
        let known = set_client(&KEYS, &mut options.client, key, value)?
            || set_consumer(&mut options, key, value)?
            || set_limit(&mut options, key, value)?;
        // What they mean depends on each other.
        if !known && !STRATEGY.contains(&key) && !BEGIN.contains(&key) {
            return Err(KEYS.unknown(key));
        }
    }
    options.start_from = start_from(keys)?;
    options.allocation = allocation(keys)?;
    Ok(options)
}

fn set_consumer(options: &mut ConsumerOptions, key: &str, value: &str) -> Result<bool> {
    match key {
        "consumerGroup" => options.group = value.to_owned(),
        "messageModel" => {
            options.message_model = match value {
                "CLUSTERING" => MessageModel::Clustering,
                "BROADCASTING" => MessageModel::Broadcasting,
                _ => return Err(KEYS.wrong(key, value, "CLUSTERING or BROADCASTING")),
            };
        }
        "autoCommit" => options.auto_commit = KEYS.read(key, value)?,
        "persistConsumerOffsetInterval" | "autoCommitIntervalMillis" => {
            options.commit_interval_ms = KEYS.positive(key, value)?;
        }
        "rocketmq.client.rebalance.waitInterval" => {
            options.rebalance_interval_ms = KEYS.positive(key, value)?;
        }
        "rocketmq.client.localOffsetStoreDir" => options.offset_dir = Some(PathBuf::from(value)),
        _ => return Ok(false),
    }
    Ok(true)
}

fn set_limit(options: &mut ConsumerOptions, key: &str, value: &str) -> Result<bool> {
    match key {
        // Threads are started as they are needed.
        "consumeThreadMin" => drop(KEYS.positive(key, value)?),
        "consumeThreadMax" => options.consume_threads = KEYS.read(key, value)?,
        "consumeMessageBatchMaxSize" => options.consume_batch_max = KEYS.read(key, value)?,
        "pullBatchSize" => options.pull_batch_max = KEYS.read(key, value)?,
        "brokerSuspendMaxTimeMillis" => options.pull_hold_ms = KEYS.positive(key, value)?,
        "pullThresholdForQueue" => options.max_messages_per_queue = KEYS.read(key, value)?,
        "pullThresholdSizeForQueue" => options.max_bytes_per_queue = mebibytes(key, value)?,
        "pullThresholdForTopic" => {
            let most: i64 = KEYS.read(key, value)?;
            options.max_messages = usize::try_from(most).ok();
        }
        "pullThresholdSizeForTopic" => {
            options.max_bytes = match value.trim() {
                "-1" => None,
                _ => Some(mebibytes(key, value)?),
            };
        }
        "pullInterval" => options.pull_interval_ms = KEYS.read(key, value)?,
        "consumeTimeout" => {
            let minutes = KEYS.positive(key, value)?;
            options.consume_timeout_ms = minutes.saturating_mul(60_000);
        }
        "rmq.consumeTimeoutMillis" => options.consume_timeout_ms = KEYS.read(key, value)?,
        "consumeConcurrentlyMaxSpan" => options.max_span_per_queue = KEYS.read(key, value)?,
        "maxReconsumeTimes" => {
            options.max_reconsume_times = match KEYS.read(key, value)? {
                -1 => None,
                times if times >= 0 => Some(times),
                _ => return Err(KEYS.wrong(key, value, "-1 or more")),
            };
        }
        "suspendCurrentQueueTimeMillis" => options.suspend_queue_ms = KEYS.positive(key, value)?,
        "clientRebalance" => options.broker_rebalance = !KEYS.read::<bool>(key, value)?,
        "popInvisibleTime" => options.pop_invisible_ms = KEYS.positive(key, value)?,
        "popBatchNums" => options.pop_batch_max = KEYS.read(key, value)?,
        "popThresholdForQueue" => options.max_popped_per_queue = KEYS.read(key, value)?,
        "rmq.popRetryDelays" => {
            let delays_ms = list(Some(value)).map(|part| KEYS.read(key, part));
            options.pop_retry_delays_ms = delays_ms.collect::<Result<_>>()?;
        }
        "rmq.maxMessageBytes" => options.max_message_bytes = KEYS.read(key, value)?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn mebibytes(key: &str, value: &str) -> Result<usize> {
    let mebibytes: usize = KEYS.read(key, value)?;
    let bytes = mebibytes.checked_mul(1 << 20).filter(|bytes| *bytes > 0);
    bytes.ok_or_else(|| KEYS.wrong(key, value, "1 MiB or more"))
}

const BEGIN: [&str; 2] = ["consumeFromWhere", "consumeTimestamp"];

fn start_from(keys: &Properties) -> Result<StartFrom> {
    let at = keys.get(BEGIN[1]).map(|value| {
        let allowed = "a time as yyyyMMddHHmmss";
        timestamp_ms(value).ok_or_else(|| KEYS.wrong(BEGIN[1], value, allowed))
    });
    let at = at.transpose()?;
    match (keys.get(BEGIN[0]).unwrap_or("CONSUME_FROM_LAST_OFFSET"), at) {
        ("CONSUME_FROM_LAST_OFFSET", _) => Ok(StartFrom::Last),
        ("CONSUME_FROM_FIRST_OFFSET", _) => Ok(StartFrom::First),
        ("CONSUME_FROM_TIMESTAMP", Some(at)) => Ok(StartFrom::Timestamp(at)),
        ("CONSUME_FROM_TIMESTAMP", None) => {
            Err(KEYS.invalid("CONSUME_FROM_TIMESTAMP needs consumeTimestamp".to_owned()))
        }
        (value, _) => {
            let allowed = "CONSUME_FROM_LAST_OFFSET, CONSUME_FROM_FIRST_OFFSET or \
                           CONSUME_FROM_TIMESTAMP";
            Err(KEYS.wrong(BEGIN[0], value, allowed))
        }
    }
}

const STRATEGY: [&str; 4] = [
    "allocateMessageQueueStrategy",
    "virtualNodeCnt",
    "consumeridcs",
    "messageQueueList",
];

fn allocation(keys: &Properties) -> Result<Allocation> {
    let name = keys.get(STRATEGY[0]).unwrap_or("AVG");
    named_allocation(keys, name)
}

fn named_allocation(keys: &Properties, name: &str) -> Result<Allocation> {
    if let Some(divided) = name.strip_prefix("MACHINE_ROOM_NEARBY-")
        && !divided.starts_with("MACHINE_ROOM_NEARBY-")
    {
        return Ok(Allocation::Nearby {
            rooms: Arc::new(RoomPrefix),
            divided: Box::new(named_allocation(keys, divided)?),
        });
    }
    Ok(match name {
        "AVG" => Allocation::Average,
        "AVG_BY_CIRCLE" => Allocation::Circle,
        "CONSISTENT_HASH" => Allocation::ConsistentHash {
            virtual_nodes: match keys.get("virtualNodeCnt") {
                Some(value) => KEYS.read("virtualNodeCnt", value)?,
                None => Allocation::VIRTUAL_NODES,
            },
        },
        "MACHINE_ROOM" => {
            let rooms = list(keys.get("consumeridcs"));
            Allocation::MachineRoom(rooms.map(str::to_owned).collect::<BTreeSet<_>>())
        }
        "CONFIG" => {
            let queues = list(keys.get("messageQueueList")).map(|text| {
                let allowed = "TOPIC@BROKER@NUMBER";
                queue(text).ok_or_else(|| KEYS.wrong("messageQueueList", text, allowed))
            });
            Allocation::Config(queues.collect::<Result<_>>()?)
        }
        _ => {
            let allowed = "AVG, AVG_BY_CIRCLE, CONSISTENT_HASH, MACHINE_ROOM, CONFIG or \
                           MACHINE_ROOM_NEARBY-NAME";
            return Err(KEYS.wrong(STRATEGY[0], name, allowed));
        }
    })
}

fn list(value: Option<&str>) -> impl Iterator<Item = &str> {
    let parts = value.unwrap_or_default().split(',').map(str::trim);
    parts.filter(|part| !part.is_empty())
}

/// Names of brokers may have an `@`, those of topics not.
fn queue(text: &str) -> Option<MessageQueue> {
    let (topic, rest) = text.split_once('@')?;
    let (broker_name, queue_id) = rest.rsplit_once('@')?;
    Some(MessageQueue {
        topic: topic.to_owned(),
        broker_name: broker_name.to_owned(),
        queue_id: queue_id.parse().ok()?,
    })
}

/// A time of day of the proleptic Gregorian calendar, in UTC, as ms since the epoch.
fn timestamp_ms(text: &str) -> Option<i64> {
    if text.len() != 14 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize, to: usize| text[from..to].parse::<i64>().ok();
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_in = |month: i64| match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let legal = year >= 1 && (1..=12).contains(&month) && (1..=days_in(month)).contains(&day);
    if !legal || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let before = year - 1;
    let leaps = before / 4 - before / 100 + before / 400;
    // 719,162 days lie between the first of January of the year 1 and of 1970.
    let days = before * 365 + leaps + (1..month).map(days_in).sum::<i64>() + day - 1 - 719_162;
    Some(((days * 24 + hour) * 60 + minute) * 60_000 + second * 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ErrorKind;

    fn options(pairs: &[(&str, &str)]) -> Result<ConsumerOptions> {
        let mut keys = Properties::new("test");
        keys.extend(pairs.iter().copied());
        consumer_options(&keys)
    }

    #[test]
    fn keys_of_the_java_client_are_known() {
        assert_eq!(options(&[]).unwrap(), ConsumerOptions::default());
        let made = options(&[
            ("namesrvAddr", "a:1"),
            ("consumerGroup", "g"),
            ("messageModel", "BROADCASTING"),
            ("consumeFromWhere", "CONSUME_FROM_FIRST_OFFSET"),
            ("consumeThreadMin", "3"),
            ("consumeThreadMax", "7"),
            ("pullThresholdSizeForQueue", "2"),
            ("maxReconsumeTimes", "0"),
            ("persistConsumerOffsetInterval", "9"),
            ("clientRebalance", "false"),
            ("consumeTimeout", "2"),
            ("pullThresholdForTopic", "-1"),
            ("pullThresholdSizeForTopic", "1"),
            ("rmq.popRetryDelays", "1000, 2000"),
        ])
        .unwrap();
        assert_eq!(
            (made.client.nameservers.as_str(), made.group.as_str()),
            ("a:1", "g")
        );
        assert!(made.is_broadcast() && made.start_from == StartFrom::First);
        assert_eq!((made.consume_threads, made.commit_interval_ms), (7, 9));
        assert_eq!(made.max_bytes_per_queue, 2 << 20);
        assert_eq!(made.max_reconsume_times, Some(0));
        assert!(made.broker_rebalance && made.pop_retry_delays_ms == [1_000, 2_000]);
        assert_eq!(
            (made.consume_timeout_ms, made.max_messages),
            (120_000, None)
        );
        assert_eq!(made.max_bytes, Some(1 << 20));
        let endless = options(&[
            ("maxReconsumeTimes", "-1"),
            ("rmq.consumeTimeoutMillis", "0"),
        ])
        .unwrap();
        assert_eq!(endless.max_reconsume_times, None);
        assert_eq!(endless.consume_timeout_ms, 0);
    }

    #[test]
    fn allocations_have_the_names_of_java_clients() {
        let by = |pairs: &[(&str, &str)]| options(pairs).unwrap().allocation;
        let strategy = |name: &str| by(&[("allocateMessageQueueStrategy", name)]);
        for name in ["AVG", "AVG_BY_CIRCLE", "CONSISTENT_HASH", "CONFIG"] {
            assert_eq!(strategy(name).name(), name);
            let nearby = format!("MACHINE_ROOM_NEARBY-{name}");
            assert_eq!(strategy(&nearby).name(), nearby);
        }
        let ring = by(&[
            ("virtualNodeCnt", "33"),
            ("allocateMessageQueueStrategy", "CONSISTENT_HASH"),
        ]);
        assert_eq!(ring, Allocation::ConsistentHash { virtual_nodes: 33 });
        let rooms = by(&[
            ("allocateMessageQueueStrategy", "MACHINE_ROOM"),
            ("consumeridcs", "east, west"),
        ]);
        let wanted = ["east", "west"].map(str::to_owned);
        assert_eq!(rooms, Allocation::MachineRoom(wanted.into()));
        let config = by(&[
            ("allocateMessageQueueStrategy", "CONFIG"),
            ("messageQueueList", "T@east@a@3,%RETRY%g@b@0"),
        ]);
        let queues = [("T", "east@a", 3), ("%RETRY%g", "b", 0)];
        let queues = queues.map(|(topic, broker, queue_id)| MessageQueue {
            topic: topic.to_owned(),
            broker_name: broker.to_owned(),
            queue_id,
        });
        assert_eq!(config, Allocation::Config(queues.to_vec()));
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        for (text, seconds) in [
            ("19700101000000", 0),
            ("20000229235959", 951_868_799),
            ("20240301000000", 1_709_251_200),
            ("19000301000000", -2_203_891_200),
        ] {
            assert_eq!(timestamp_ms(text), Some(seconds * 1_000), "{text}");
        }
        for text in [
            "20230229000000",
            "20240001000000",
            "2024010100000",
            "20240101240000",
        ] {
            assert_eq!(timestamp_ms(text), None, "{text}");
        }
        let made = options(&[
            ("consumeTimestamp", "19700101000001"),
            ("consumeFromWhere", "CONSUME_FROM_TIMESTAMP"),
        ]);
        assert_eq!(made.unwrap().start_from, StartFrom::Timestamp(1_000));
        // The time alone says nothing.
        let made = options(&[("consumeTimestamp", "19700101000001")]).unwrap();
        assert_eq!(made.start_from, StartFrom::Last);
    }

    #[test]
    fn wrong_keys_and_values_are_refused() {
        for pair in [
            ("consumerGrup", "g"),
            ("producerGroup", "g"),
            ("messageModel", "clustering"),
            ("consumeFromWhere", "LAST"),
            ("consumeFromWhere", "CONSUME_FROM_TIMESTAMP"),
            ("consumeTimestamp", "now"),
            ("consumeThreadMin", "0"),
            ("pullThresholdSizeForQueue", "0"),
            ("maxReconsumeTimes", "-2"),
            ("allocateMessageQueueStrategy", "RANDOM"),
            (
                "allocateMessageQueueStrategy",
                "MACHINE_ROOM_NEARBY-MACHINE_ROOM_NEARBY-AVG",
            ),
        ] {
            assert_eq!(
                options(&[pair]).unwrap_err().kind(),
                ErrorKind::Invalid,
                "{pair:?}"
            );
        }
        let list = [
            ("allocateMessageQueueStrategy", "CONFIG"),
            ("messageQueueList", "T@b"),
        ];
        assert_eq!(options(&list).unwrap_err().kind(), ErrorKind::Invalid);
    }
}

//! Options of clients from keys alone, for callers that have no types for them.

use std::fmt::Display;
use std::str::FromStr;

use crate::base::{Error, ErrorKind, Result};
use crate::client::{ClientOptions, Compression, ProducerOptions};
use crate::config::Properties;

const KEYS: Keys = Keys {
    op: "producer options",
    of: "producers",
};

/// Reads values of keys, and says what is wrong with them.
pub(super) struct Keys {
    pub(super) op: &'static str,
    /// Whose keys these are.
    pub(super) of: &'static str,
}

impl Keys {
    pub(super) fn invalid(&self, context: String) -> Error {
        Error::new(ErrorKind::Invalid, self.op, context)
    }

    pub(super) fn unknown(&self, key: &str) -> Error {
        self.invalid(format!("there is no key {key} of {}", self.of))
    }

    pub(super) fn wrong(&self, key: &str, value: &str, allowed: &str) -> Error {
        self.invalid(format!("{key}={value}: allowed is {allowed}"))
    }

    pub(super) fn read<T: FromStr<Err: Display>>(&self, key: &str, value: &str) -> Result<T> {
        let parsed = value.trim().parse();
        parsed.map_err(|why| self.invalid(format!("{key}={value}: {why}")))
    }

    pub(super) fn positive(&self, key: &str, value: &str) -> Result<u64> {
        match self.read(key, value)? {
            0 => Err(self.wrong(key, value, "1 or more")),
            number => Ok(number),
        }
    }
}

/// A producer's options from keys, named as the fields of Apache's Java client: `namesrvAddr`,
/// `producerGroup`, `sendMsgTimeout`, `retryTimesWhenSendFailed`,
/// `retryAnotherBrokerWhenNotStoreOK`, `compressMsgBodyOverHowmuch`, `compressType`,
/// `compressLevel`, `maxMessageSize`, `defaultTopicQueueNums`, `sendLatencyFaultEnable`,
/// `autoBatch`, `batchMaxDelayMs`, `batchMaxBytes`, `totalBatchMaxBytes`,
/// `backPressureForAsyncSendNum` (also `rmq.maxInFlight`: the asynchronous sends under way at a
/// time) and `backPressureForAsyncSendSize` (the bytes of sends under way); and those of every
/// client: `clientIP`, `instanceName`, `unitName`, `namespace`, `namespaceV2`,
/// `pollNameServerInterval`, `heartbeatBrokerInterval`, `mqClientApiTimeout`, `enableTrace` (also
/// `enableMsgTrace`), `traceTopic`, `traceMsgBatchNum`.
///
/// `Invalid`: a key is unknown, or a value is not allowed.
pub fn producer_options(keys: &Properties) -> Result<ProducerOptions> {
    let mut options = ProducerOptions::default();
    for (key, value) in keys.iter() {
        set(&mut options, key, value)?;
    }
    Ok(options)
}

/// An admin client's options from the keys that all clients have: `namesrvAddr`, `clientIP`,
/// `instanceName`, `unitName`, `namespace`, `namespaceV2`, `pollNameServerInterval`,
/// `heartbeatBrokerInterval`, `mqClientApiTimeout`, which bounds each of its requests.
///
/// `Invalid`: a key is unknown, or a value is not allowed.
pub fn admin_options(keys: &Properties) -> Result<ClientOptions> {
    const KEYS: Keys = Keys {
        op: "admin options",
        of: "admin clients",
    };
    let mut options = ClientOptions::default();
    for (key, value) in keys.iter() {
        if !set_client(&KEYS, &mut options, key, value)? {
            return Err(KEYS.unknown(key));
        }
    }
    Ok(options)
}

/// Sets what every client has; false when it is another key.
pub(super) fn set_client(
    keys: &Keys,
    client: &mut ClientOptions,
    key: &str,
    value: &str,
) -> Result<bool> {
    match key {
        "namesrvAddr" => client.nameservers = value.to_owned(),
        "clientIP" => client.client_ip = Some(value.to_owned()),
        "instanceName" => client.instance_name = Some(value.to_owned()),
        "unitName" => client.unit_name = Some(value.to_owned()),
        "pollNameServerInterval" => client.route_poll_interval_ms = keys.positive(key, value)?,
        "heartbeatBrokerInterval" => client.heartbeat_interval_ms = keys.positive(key, value)?,
        "mqClientApiTimeout" => client.request_timeout_ms = keys.positive(key, value)?,
        "namespace" => client.namespace = value.to_owned(),
        "namespaceV2" => client.namespace_v2 = value.to_owned(),
        "enableTrace" | "enableMsgTrace" => client.trace = keys.read(key, value)?,
        "traceTopic" => client.trace_topic = value.to_owned(),
        "traceMsgBatchNum" => client.trace_batch_max = keys.read(key, value)?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn set(options: &mut ProducerOptions, key: &str, value: &str) -> Result<()> {
    if set_client(&KEYS, &mut options.client, key, value)? {
        return Ok(());
    }
    match key {
        "producerGroup" => options.group = value.to_owned(),
        "sendMsgTimeout" => options.send_timeout_ms = KEYS.positive(key, value)?,
        "retryTimesWhenSendFailed" => options.retry_times = KEYS.read(key, value)?,
        "retryAnotherBrokerWhenNotStoreOK" => {
            options.retry_not_stored_ok = KEYS.read(key, value)?
        }
        "compressMsgBodyOverHowmuch" => options.compress_over_bytes = KEYS.read(key, value)?,
        "compressType" => options.compression = compression(key, value)?,
        "compressLevel" => options.compress_level = KEYS.read(key, value)?,
        "maxMessageSize" => options.max_message_bytes = KEYS.read(key, value)?,
        "defaultTopicQueueNums" => options.new_topic_queue_nums = KEYS.read(key, value)?,
        "sendLatencyFaultEnable" => options.avoid_slow_brokers = KEYS.read(key, value)?,
        "rmq.maxInFlight" | "backPressureForAsyncSendNum" => {
            options.max_in_flight = KEYS.read(key, value)?;
        }
        "backPressureForAsyncSendSize" => {
            options.max_in_flight_bytes = KEYS.read(key, value)?;
        }
        "autoBatch" => options.auto_batch = KEYS.read(key, value)?,
        "batchMaxDelayMs" => options.batch_hold_ms = KEYS.positive(key, value)?,
        "batchMaxBytes" => options.batch_max_bytes = KEYS.read(key, value)?,
        "totalBatchMaxBytes" => options.batch_total_bytes = KEYS.read(key, value)?,
        _ => return Err(KEYS.unknown(key)),
    }
    Ok(())
}

fn compression(key: &str, value: &str) -> Result<Compression> {
    match value {
        "ZLIB" => Ok(Compression::Zlib),
        "LZ4" => Ok(Compression::Lz4),
        "ZSTD" => Ok(Compression::Zstd),
        _ => Err(KEYS.wrong(key, value, "ZLIB, LZ4 or ZSTD")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> Result<ProducerOptions> {
        let mut keys = Properties::new("test");
        keys.extend(pairs.iter().copied());
        producer_options(&keys)
    }

    #[test]
    fn keys_of_the_java_client_are_known() {
        assert_eq!(options(&[]).unwrap(), ProducerOptions::default());
        let made = options(&[
            ("namesrvAddr", "a:1"),
            ("producerGroup", "g"),
            ("sendMsgTimeout", "50"),
            ("retryAnotherBrokerWhenNotStoreOK", "true"),
            ("compressType", "LZ4"),
            ("rmq.maxInFlight", "7"),
            ("namespace", "ns"),
            ("namespaceV2", "tenant"),
            ("enableMsgTrace", "true"),
            ("traceTopic", "traces"),
            ("traceMsgBatchNum", "5"),
            ("autoBatch", "true"),
            ("batchMaxDelayMs", "20"),
            ("batchMaxBytes", "100"),
            ("totalBatchMaxBytes", "1000"),
            ("backPressureForAsyncSendSize", "2000"),
        ])
        .unwrap();
        let (client, held) = (&made.client, made.held_limits());
        assert_eq!((&*client.namespace, &*client.trace_topic), ("ns", "traces"));
        assert_eq!(client.namespace_v2, "tenant");
        assert_eq!((client.trace, client.trace_batch_max), (true, 5));
        assert_eq!((made.auto_batch, held.hold.as_millis()), (true, 20));
        assert_eq!((held.batch_bytes, held.total_bytes), (100, 1000));
        assert_eq!(made.max_in_flight_bytes, 2000);
        assert_eq!(
            (made.client.nameservers.as_str(), made.group.as_str()),
            ("a:1", "g")
        );
        assert_eq!((made.send_timeout_ms, made.max_in_flight), (50, 7));
        assert!(made.retry_not_stored_ok && made.compression == Compression::Lz4);
    }

    #[test]
    fn wrong_keys_and_values_are_refused() {
        for pair in [
            ("sendMsgTimeot", "1"),
            ("sendMsgTimeout", "0"),
            ("sendMsgTimeout", "soon"),
            ("retryTimesWhenSendFailed", "-1"),
            ("compressType", "zip"),
            ("sendLatencyFaultEnable", "yes"),
        ] {
            assert_eq!(
                options(&[pair]).unwrap_err().kind(),
                ErrorKind::Invalid,
                "{pair:?}"
            );
        }
    }
}

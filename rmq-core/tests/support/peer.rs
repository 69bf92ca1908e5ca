//! What tests say to servers: whole requests through rmq's own client, and bare frames.

#![allow(
    dead_code,
    reason = "each test crate uses its own part of the support modules"
)]

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use rmq_core::base::Result;
use rmq_core::base::clock::{Clock, SystemClock};
use rmq_core::client::raw::{self, SendReceipt};
use rmq_core::net::{Client, ClientConfig};
use rmq_core::protocol::body::cluster::ClusterInfo;
use rmq_core::protocol::body::ha_status::HaStatus;
use rmq_core::protocol::code::{RequestCode, ResponseCode};
use rmq_core::protocol::command::Command;
use rmq_core::protocol::frame;
use rmq_core::protocol::message::record::{CheckLevel, RecordRef, Records};
use rmq_core::protocol::request::pull::PullRequest;
use rmq_core::protocol::request::send::SendRequest;

/// Longest time a server may take for one request.
pub(crate) const ANSWER: Duration = Duration::from_secs(10);

/// A client of its own.
pub(crate) fn client() -> Client {
    let clock = SystemClock::shared();
    Client::start(ClientConfig::default(), clock).unwrap()
}

/// The header of a message to one queue; an unknown topic is made with four queues.
pub(crate) fn message<'a>(topic: &'a str, queue_id: i32) -> SendRequest<'a> {
    SendRequest {
        producer_group: "test-producer",
        topic,
        default_topic: "TBW102",
        default_topic_queue_nums: 4,
        queue_id,
        sys_flag: 0,
        born_timestamp_ms: SystemClock::new().wall_ms(),
        flag: 0,
        properties: None,
        reconsume_times: 0,
        unit_mode: false,
        batch: false,
        max_reconsume_times: None,
        broker_name: None,
    }
}

/// Sends one message.
pub(crate) fn send(
    client: &Client,
    broker: &str,
    (topic, queue_id): (&str, i32),
    body: impl Into<Bytes>,
) -> Result<SendReceipt> {
    raw::send(
        client,
        broker,
        &message(topic, queue_id),
        body.into(),
        ANSWER,
    )
}

/// The header of a pull that is answered at once.
pub(crate) fn pull_from(topic: &str, queue_id: i32, queue_offset: i64) -> PullRequest<'_> {
    PullRequest {
        consumer_group: "test-consumer",
        topic,
        queue_id,
        queue_offset,
        max_msg_nums: 32,
        sys_flag: 4,
        commit_offset: 0,
        suspend_timeout_ms: 0,
        subscription: Some("*"),
        sub_version: 0,
        expression_type: None,
        max_msg_bytes: None,
        request_source: None,
        proxy_forward_client_id: None,
    }
}

/// One message as a broker has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) queue_offset: i64,
    pub(crate) physical_offset: i64,
    pub(crate) body: Vec<u8>,
}

/// Shows each message of one queue, whose offsets must follow each other.
pub(crate) fn visit_queue(
    client: &Client,
    broker: &str,
    topic: &str,
    queue_id: i32,
    mut visit: impl FnMut(&RecordRef<'_>),
) -> Result<()> {
    let end = raw::max_offset(client, broker, topic, queue_id, ANSWER)?;
    let mut at = raw::min_offset(client, broker, topic, queue_id, ANSWER)?;
    while at < end {
        let reply = raw::pull(client, broker, &pull_from(topic, queue_id, at), ANSWER)?;
        if reply.code != ResponseCode::SUCCESS {
            // What is on its way from the disk is asked for again.
            assert_eq!(
                reply.code,
                ResponseCode::PULL_RETRY_IMMEDIATELY,
                "{reply:?}"
            );
            at = reply.header.next_begin_offset.max(at);
            continue;
        }
        for record in Records::new(&reply.records, CheckLevel::AllCrc) {
            let record: RecordRef<'_> = record.unwrap();
            assert_eq!(record.topic(), topic);
            assert_eq!(record.queue_id(), queue_id);
            assert_eq!(record.queue_offset(), at, "a hole in {topic} {queue_id}");
            visit(&record);
            at += 1;
        }
        assert_eq!(reply.header.next_begin_offset, at);
    }
    Ok(())
}

/// Everything in one queue.
pub(crate) fn read_queue(
    client: &Client,
    broker: &str,
    topic: &str,
    queue_id: i32,
) -> Result<Vec<Stored>> {
    let mut found = Vec::new();
    visit_queue(client, broker, topic, queue_id, |record| {
        found.push(Stored {
            queue_offset: record.queue_offset(),
            physical_offset: record.physical_offset(),
            body: record.body().to_vec(),
        });
    })?;
    Ok(found)
}

/// The broker names that a nameserver knows.
pub(crate) fn brokers(client: &Client, nameserver: &str) -> Result<BTreeSet<String>> {
    let request = Command::bare_request(RequestCode::GET_BROKER_CLUSTER_INFO);
    let reply = client.call(nameserver, request, ANSWER)?;
    assert_eq!(reply.response_code(), ResponseCode::SUCCESS, "{reply:?}");
    let info = ClusterInfo::decode(&reply.body).unwrap();
    Ok(info.brokers.into_keys().collect())
}

/// How a broker's replication goes.
pub(crate) fn ha_status(client: &Client, broker: &str) -> Result<HaStatus> {
    let request = Command::bare_request(RequestCode::GET_BROKER_HA_STATUS);
    let reply = client.call(broker, request, ANSWER)?;
    assert_eq!(reply.response_code(), ResponseCode::SUCCESS, "{reply:?}");
    Ok(HaStatus::decode(&reply.body).unwrap())
}

/// A bare connection.
pub(crate) fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(ANSWER)).unwrap();
    stream.set_write_timeout(Some(ANSWER)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// A frame from its parts, which need not fit each other.
pub(crate) fn frame_of(kind: u8, header: &[u8], body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(4 + header.len() + body.len()).unwrap();
    let word = u32::from(kind) << 24 | u32::try_from(header.len()).unwrap();
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend_from_slice(&word.to_be_bytes());
    bytes.extend_from_slice(header);
    bytes.extend_from_slice(body);
    bytes
}

/// What came of waiting for a frame.
#[derive(Debug)]
pub(crate) enum Got {
    Frame(Box<Command>),
    /// The other side closed the connection.
    Closed,
    /// Nothing within the read timeout of the stream.
    Silence,
}

/// Reads one response; what a server asks on its own is passed over.
pub(crate) fn receive(stream: &mut TcpStream) -> Got {
    match try_receive(stream) {
        Ok(command) if !command.is_response() => receive(stream),
        Ok(command) => Got::Frame(Box::new(command)),
        Err(error) => match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Got::Silence,
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe => Got::Closed,
            _ => panic!("{error}"),
        },
    }
}

/// Reads one frame, whatever it is.
pub(crate) fn try_receive(stream: &mut TcpStream) -> io::Result<Command> {
    let mut bytes = vec![0; 4];
    stream.read_exact(&mut bytes)?;
    let length = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
    bytes.resize(4 + length, 0);
    stream.read_exact(&mut bytes[4..])?;
    let (frame, _) = frame::next_frame(&bytes, 64 << 20).unwrap().unwrap();
    Ok(Command::decode(frame).unwrap())
}

/// Sends bytes and tells what came back; a connection closed while writing is closed.
pub(crate) fn exchange(stream: &mut TcpStream, bytes: &[u8]) -> Got {
    match stream.write_all(bytes) {
        Ok(()) => receive(stream),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
            ) =>
        {
            Got::Closed
        }
        Err(error) => panic!("{error}"),
    }
}

/// How often a test is to kill: RMQ_KILLS, or so often.
pub(crate) fn kills(usual: u64) -> u64 {
    let given = std::env::var("RMQ_KILLS");
    given.map_or(usual, |text| text.parse().expect("RMQ_KILLS is a number"))
}

/// Has the threads of a test stop also when an assertion fails, so that they can be joined.
pub(crate) struct StopAtEnd<'a>(pub(crate) &'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Dice that fall the same way again for the same seed.
#[derive(Clone, Debug)]
pub(crate) struct Dice {
    state: u64,
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        }
    }

    /// The seed from RMQ_SEED, or of this moment; it is printed.
    #[allow(clippy::print_stdout, reason = "a failure is repeated by its seed")]
    pub(crate) fn seed() -> u64 {
        let given = std::env::var("RMQ_SEED").ok();
        let seed = given.map_or_else(
            || SystemClock::new().wall_ms().unsigned_abs(),
            |text| text.parse().expect("RMQ_SEED is a number"),
        );
        println!("RMQ_SEED={seed}");
        seed
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| (self.next() >> 32) as u8).collect()
    }
}

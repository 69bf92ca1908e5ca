//! Synchronous double write in one process: two masters with a slave each, senders that go on
//! while one master is killed and its disk wiped, and a reader that finds everything that was
//! acknowledged on the slave.
//!
//! Run it with `cargo run -p rmq-examples --bin cluster`. `RMQ_DEMO_SECONDS` (default 4) is how
//! long messages are sent.

#![allow(
    clippy::print_stdout,
    reason = "a demo talks to the person who runs it"
)]

use std::collections::HashSet;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use rmq_core::base::ErrorKind;
use rmq_core::base::clock::SystemClock;
use rmq_core::client::raw::{self, SendStatus};
use rmq_core::embed::{Cluster, ClusterOptions, Deployment};
use rmq_core::net::{Client, ClientConfig};
use rmq_core::protocol::code::ResponseCode;
use rmq_core::protocol::message::record::{CheckLevel, Records};
use rmq_core::protocol::request::pull::{FLAG_SUBSCRIPTION, PullRequest};
use rmq_core::protocol::request::send::SendRequest;

const TOPIC: &str = "Demo";
const MASTERS: [&str; 2] = ["broker-a", "broker-b"];
const SENDERS: u64 = 16;
const TIMEOUT: Duration = Duration::from_secs(3);

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Sends one message to the only queue of the topic on a master; true when it was promised.
fn send(client: &Client, address: &str, id: u64) -> bool {
    let header = SendRequest {
        producer_group: "demo-producer",
        topic: TOPIC,
        default_topic: "TBW102",
        default_topic_queue_nums: 1,
        queue_id: 0,
        sys_flag: 0,
        born_timestamp_ms: 0,
        flag: 0,
        properties: Some(""),
        reconsume_times: 0,
        unit_mode: false,
        batch: false,
        max_reconsume_times: None,
        broker_name: None,
    };
    let body = Bytes::from(format!("{id:016x}"));
    let sent = raw::send(client, address, &header, body, TIMEOUT);
    sent.is_ok_and(|receipt| receipt.status == SendStatus::Ok)
}

const UNKNOWN_TOPIC: ErrorKind = ErrorKind::Remote(ResponseCode::TOPIC_NOT_EXIST.value());
const PAUSE: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(20);

/// Every message that a broker holds, master or slave.
fn read_all(client: &Client, address: &str) -> Outcome<HashSet<u64>> {
    let mut seen = HashSet::new();
    let mut offset = 0;
    let mut waited = Duration::ZERO;
    loop {
        let header = PullRequest {
            consumer_group: "demo-consumer",
            topic: TOPIC,
            queue_id: 0,
            queue_offset: offset,
            max_msg_nums: 32,
            sys_flag: FLAG_SUBSCRIPTION,
            commit_offset: 0,
            suspend_timeout_ms: 0,
            subscription: Some("*"),
            sub_version: 0,
            expression_type: None,
            max_msg_bytes: None,
            request_source: None,
            proxy_forward_client_id: None,
        };
        let reply = match raw::pull(client, address, &header, TIMEOUT) {
            // A slave may have a topic's first messages some seconds before it knows the topic.
            Err(error) if error.kind() == UNKNOWN_TOPIC && waited < PATIENCE => {
                waited += PAUSE;
                thread::sleep(PAUSE);
                continue;
            }
            reply => reply?,
        };
        if reply.code != ResponseCode::SUCCESS {
            return Ok(seen);
        }
        for record in Records::new(&reply.records, CheckLevel::BodyCrc) {
            let record = record?;
            seen.insert(u64::from_str_radix(
                std::str::from_utf8(record.body())?,
                16,
            )?);
        }
        offset = reply.header.next_begin_offset;
    }
}

/// What one sender was promised, by master.
type Promised = [Vec<u64>; 2];

fn start_sender(
    index: u64,
    client: &Arc<Client>,
    addresses: &[String; 2],
    (sent, stop): &(Arc<AtomicU64>, Arc<AtomicBool>),
) -> thread::JoinHandle<Promised> {
    let (client, addresses) = (Arc::clone(client), addresses.clone());
    let (sent, stop) = (Arc::clone(sent), Arc::clone(stop));
    #[expect(
        clippy::disallowed_methods,
        reason = "the demo's own threads, not the library's"
    )]
    thread::spawn(move || {
        let mut promised = Promised::default();
        for turn in 0.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let id = turn * SENDERS + index;
            let master = (id % 2) as usize;
            sent.fetch_add(1, Ordering::Relaxed);
            if send(&client, &addresses[master], id) {
                promised[master].push(id);
            }
        }
        promised
    })
}

/// How long messages are sent: four seconds, or RMQ_DEMO_SECONDS.
fn sending_time() -> Duration {
    let seconds = std::env::var("RMQ_DEMO_SECONDS").ok();
    let seconds = seconds.and_then(|text| text.parse().ok());
    Duration::from_secs_f64(seconds.unwrap_or(4.0))
}

fn show_members(cluster: &Cluster) {
    for member in cluster.members() {
        let runs = if member.running { "runs" } else { "is gone" };
        println!("  {:<12} {:<22} {runs}", member.name, member.address);
    }
}

fn main() -> Outcome<()> {
    let options = ClusterOptions::new(Deployment::SyncDoubleWrite {
        masters: 2,
        slaves_each: 1,
    });
    let cluster = Cluster::start(options)?;
    println!(
        "synchronous double write at {}",
        cluster.nameserver_addresses()
    );
    show_members(&cluster);
    let config = ClientConfig::default();
    let client = Arc::new(Client::start(config, SystemClock::shared())?);
    let mut addresses = [String::new(), String::new()];
    for (address, master) in addresses.iter_mut().zip(MASTERS) {
        *address = cluster.address(master)?.to_string();
        raw::create_topic(&client, address, TOPIC, 1, TIMEOUT)?;
    }

    let total = sending_time();
    let counts = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
    let senders = (0..SENDERS).map(|index| start_sender(index, &client, &addresses, &counts));
    let senders: Vec<_> = senders.collect();
    thread::sleep(total / 2);
    cluster.wipe("broker-a")?;
    println!("broker-a is gone, and its disk with it");
    thread::sleep(total / 2);
    counts.1.store(true, Ordering::Relaxed);
    let mut promised = Promised::default();
    for sender in senders {
        let of_sender = sender.join().map_err(|_| "a sender panicked")?;
        for (all, some) in promised.iter_mut().zip(of_sender) {
            all.extend(some);
        }
    }
    show_members(&cluster);

    println!("\nsent {} messages", counts.0.load(Ordering::Relaxed));
    println!(
        "{:<10} {:>12} {:>14} {:>6}",
        "master", "acknowledged", "on its slave", "lost"
    );
    let mut lost_all = 0;
    for (master, promised) in MASTERS.iter().zip(&promised) {
        let slave = cluster.address((*master, 1))?.to_string();
        let seen = read_all(&client, &slave)?;
        let lost = promised.iter().filter(|id| !seen.contains(id)).count();
        lost_all += lost;
        println!(
            "{master:<10} {:>12} {:>14} {lost:>6}",
            promised.len(),
            seen.len()
        );
    }
    client.close(TIMEOUT)?;
    cluster.close(Duration::from_secs(10))?;
    match lost_all {
        0 => Ok(()),
        lost => Err(format!("{lost} acknowledged messages were lost").into()),
    }
}

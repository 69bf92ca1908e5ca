//! The main job in one process: a nameserver, two synchronous-flush masters, senders that go on
//! while one master crashes and comes back, and a reader that shows that nothing was lost.
//!
//! Run it with `make demo`. `RMQ_DEMO_SECONDS` (default 6) is how long messages are sent.

#![allow(
    clippy::print_stdout,
    reason = "a demo talks to the person who runs it"
)]

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rmq_core::base::clock::SystemClock;
use rmq_core::client::raw::{self, SendStatus};
use rmq_core::config::FlushDiskType;
use rmq_core::embed::{Broker, BrokerConfig, NameServer, NamesrvConfig, Storage};
use rmq_core::net::{Client, ClientConfig};
use rmq_core::protocol::code::ResponseCode;
use rmq_core::protocol::message::record::{CheckLevel, Records};
use rmq_core::protocol::request::pull::PullRequest;
use rmq_core::protocol::request::send::SendRequest;

const TOPIC: &str = "Demo";
const QUEUES: i32 = 4;
const SENDERS: u64 = 32;
const BODY_BYTES: usize = 256;
const TIMEOUT: Duration = Duration::from_secs(3);

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// What the senders and the reader count.
#[derive(Default)]
struct Counts {
    sent: AtomicU64,
    acknowledged: AtomicU64,
    retried: AtomicU64,
    consumed: AtomicU64,
}

fn start_broker(name: &str, storage: &Storage, nameserver: &str) -> Outcome<Broker> {
    let mut config = BrokerConfig::embedded_defaults(storage.path().to_string_lossy());
    config.cluster_name = "DemoCluster".to_owned();
    config.broker_name = name.to_owned();
    config.namesrv_addr = vec![nameserver.to_owned()];
    config.store.flush_disk_type = FlushDiskType::SyncFlush;
    Ok(Broker::start(config)?)
}

/// The masters that a route names: broker name and address.
fn masters(client: &Client, nameserver: &str) -> Vec<(String, String)> {
    let Ok(route) = raw::route(client, nameserver, TOPIC, TIMEOUT) else {
        return Vec::new();
    };
    let brokers = route.brokers.into_iter();
    brokers
        .filter_map(|one| Some((one.broker_name, one.broker_addrs.get(&0)?.clone())))
        .collect()
}

/// Sends one message until some master acknowledges it. Returns how often it was tried.
fn send_until_stored(client: &Client, nameserver: &str, id: u64) -> u64 {
    let mut body = format!("{id:016x}").into_bytes();
    body.resize(BODY_BYTES, b'.');
    let body = Bytes::from(body);
    for attempt in 1.. {
        let masters = masters(client, nameserver);
        let at = (id + attempt) as usize;
        if let Some((_, address)) = masters.get(at % masters.len().max(1)) {
            let header = SendRequest {
                producer_group: "demo-producer",
                topic: TOPIC,
                default_topic: "TBW102",
                default_topic_queue_nums: QUEUES,
                queue_id: (id % QUEUES as u64) as i32,
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
            let sent = raw::send(client, address, &header, body.clone(), TIMEOUT);
            if sent.is_ok_and(|receipt| receipt.status == SendStatus::Ok) {
                return attempt;
            }
        }
        thread::sleep(Duration::from_millis(20));
    }
    0
}

fn start_senders(
    client: &Arc<Client>,
    nameserver: &str,
    counts: &Arc<Counts>,
    stop: &Arc<AtomicBool>,
) -> Vec<thread::JoinHandle<Vec<u64>>> {
    let sender = |index: u64| {
        let (client, counts) = (Arc::clone(client), Arc::clone(counts));
        let (stop, nameserver) = (Arc::clone(stop), nameserver.to_owned());
        #[expect(
            clippy::disallowed_methods,
            reason = "the demo's own threads, not the library's"
        )]
        thread::spawn(move || {
            let mut acknowledged = Vec::new();
            for turn in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let id = turn * SENDERS + index;
                counts.sent.fetch_add(1, Ordering::Relaxed);
                let attempts = send_until_stored(&client, &nameserver, id);
                counts.retried.fetch_add(attempts - 1, Ordering::Relaxed);
                counts.acknowledged.fetch_add(1, Ordering::Relaxed);
                acknowledged.push(id);
            }
            acknowledged
        })
    };
    (0..SENDERS).map(sender).collect()
}

/// Reads every queue of a broker from its beginning to its end.
fn consume_all(client: &Client, address: &str, seen: &mut HashMap<u64, u64>) -> Outcome<u64> {
    let mut count = 0;
    for queue_id in 0..QUEUES {
        let mut offset = raw::min_offset(client, address, TOPIC, queue_id, TIMEOUT)?.max(0);
        let end = raw::max_offset(client, address, TOPIC, queue_id, TIMEOUT)?;
        while offset < end {
            let header = PullRequest {
                consumer_group: "demo-consumer",
                topic: TOPIC,
                queue_id,
                queue_offset: offset,
                max_msg_nums: 32,
                sys_flag: rmq_core::protocol::request::pull::FLAG_SUBSCRIPTION,
                commit_offset: 0,
                suspend_timeout_ms: 0,
                subscription: Some("*"),
                sub_version: 0,
                expression_type: None,
                max_msg_bytes: None,
                request_source: None,
                proxy_forward_client_id: None,
            };
            let reply = raw::pull(client, address, &header, TIMEOUT)?;
            if reply.code != ResponseCode::SUCCESS {
                return Err(format!("{address}: the pull answered {}", reply.code).into());
            }
            for record in Records::new(&reply.records, CheckLevel::BodyCrc) {
                let record = record?;
                let id = std::str::from_utf8(&record.body()[..16])?;
                *seen.entry(u64::from_str_radix(id, 16)?).or_default() += 1;
                count += 1;
            }
            offset = reply.header.next_begin_offset;
        }
    }
    Ok(count)
}

/// Consumes everything of these brokers: how often each message was seen.
fn consume_from(
    client: &Client,
    brokers: [&Broker; 2],
    counts: &Counts,
) -> Outcome<HashMap<u64, u64>> {
    let mut seen = HashMap::new();
    for broker in brokers {
        let count = consume_all(client, &broker.address().to_string(), &mut seen)?;
        counts.consumed.fetch_add(count, Ordering::Relaxed);
        println!("{} held {count} messages", broker.name());
    }
    Ok(seen)
}

/// How long messages are sent: six seconds, or RMQ_DEMO_SECONDS.
fn sending_time() -> Duration {
    let seconds = std::env::var("RMQ_DEMO_SECONDS").ok();
    let seconds = seconds.and_then(|text| text.parse().ok());
    Duration::from_secs_f64(seconds.unwrap_or(6.0))
}

/// Shows one line of progress for every half second.
fn watch(counts: &Counts, began: Instant, until: Duration, note: &str) {
    while began.elapsed() < until {
        thread::sleep(Duration::from_millis(500).min(until.saturating_sub(began.elapsed())));
        println!(
            "{:5.1} s  sent {:>7}  acknowledged {:>7}  {note}",
            began.elapsed().as_secs_f64(),
            counts.sent.load(Ordering::Relaxed),
            counts.acknowledged.load(Ordering::Relaxed),
        );
    }
}

#[expect(clippy::disallowed_methods, reason = "a demo may look at the clock")]
fn main() -> Outcome<()> {
    let total = sending_time();
    let began = Instant::now();
    let namesrv = NameServer::start(NamesrvConfig::embedded_defaults())?;
    let nameserver = namesrv.address().to_string();
    let (storage_a, storage_b) = (Storage::temporary()?, Storage::temporary()?);
    let broker_a = start_broker("broker-a", &storage_a, &nameserver)?;
    let mut broker_b = start_broker("broker-b", &storage_b, &nameserver)?;
    println!(
        "nameserver {nameserver}, broker-a {}, broker-b {}: up in {:.1} ms, SYNC_FLUSH",
        broker_a.address(),
        broker_b.address(),
        began.elapsed().as_secs_f64() * 1e3
    );
    let client = Arc::new(Client::start(
        ClientConfig::default(),
        SystemClock::shared(),
    )?);
    for broker in [&broker_a, &broker_b] {
        raw::create_topic(
            &client,
            &broker.address().to_string(),
            TOPIC,
            QUEUES,
            TIMEOUT,
        )?;
    }
    while masters(&client, &nameserver).len() < 2 {
        thread::sleep(Duration::from_millis(1));
    }

    let (counts, stop) = (
        Arc::new(Counts::default()),
        Arc::new(AtomicBool::new(false)),
    );
    let began = Instant::now();
    let senders = start_senders(&client, &nameserver, &counts, &stop);
    watch(&counts, began, total / 3, "");
    broker_b.kill();
    println!("broker-b is gone without warning");
    watch(&counts, began, total * 2 / 3, "on broker-a alone");
    let restarted = Instant::now();
    broker_b = start_broker("broker-b", &storage_b, &nameserver)?;
    println!(
        "broker-b is back after {:.1} ms",
        restarted.elapsed().as_secs_f64() * 1e3
    );
    watch(&counts, began, total, "");
    stop.store(true, Ordering::Relaxed);
    let mut acknowledged = Vec::new();
    for sender in senders {
        acknowledged.extend(sender.join().map_err(|_| "a sender panicked")?);
    }
    let sending = began.elapsed();

    let began = Instant::now();
    let seen = consume_from(&client, [&broker_a, &broker_b], &counts)?;
    let consuming = began.elapsed();

    let lost = acknowledged
        .iter()
        .filter(|id| !seen.contains_key(id))
        .count();
    report(&counts, &seen, lost, sending, consuming);
    for broker in [broker_a, broker_b] {
        broker.close(Duration::from_secs(5))?;
    }
    client.close(Duration::from_secs(5))?;
    namesrv.close(Duration::from_secs(5))?;
    if lost > 0 {
        Err(format!("{lost} acknowledged messages were lost").into())
    } else {
        Ok(())
    }
}

fn report(
    counts: &Counts,
    seen: &HashMap<u64, u64>,
    lost: usize,
    sending: Duration,
    consuming: Duration,
) {
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let duplicates: u64 = seen.values().map(|times| times - 1).sum();
    println!();
    println!("sent          {:>9}", load(&counts.sent));
    println!("acknowledged  {:>9}", load(&counts.acknowledged));
    println!(
        "sent again    {:>9}  (no answer, or the master was gone)",
        load(&counts.retried)
    );
    println!("consumed      {:>9}", load(&counts.consumed));
    println!("lost          {lost:>9}");
    println!("duplicates    {duplicates:>9}  (stored, but the crash took the answer)");
    let rate = |count: u64, time: Duration| count as f64 / time.as_secs_f64();
    println!(
        "send rate     {:>9.0}  messages/s, each on disk",
        rate(load(&counts.acknowledged), sending)
    );
    println!(
        "consume rate  {:>9.0}  messages/s",
        rate(load(&counts.consumed), consuming)
    );
}

//! `rmq-topics`: what many topics cost.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program")]

use std::fs;
use std::process::ExitCode;
use std::sync::mpsc::channel;
use std::time::Duration;

use clap::Parser;
use clap::builder::RangedI64ValueParser;
use rmq_benches::compare::machine::{self, Memory};
use rmq_benches::compare::server::{OneMaker, Pair};
use rmq_benches::peer::Peer;
use rmq_core::base::clock::{Clock, SystemClock};
use rmq_core::base::crc::crc32;
use rmq_core::base::error::{Error, ErrorKind, Result};
use rmq_core::net::{Client, ClientConfig};
use rmq_core::protocol::body::register::RegisterBrokerBody;
use rmq_core::protocol::body::topic::TopicTable;
use rmq_core::protocol::code::{RequestCode, ResponseCode};
use rmq_core::protocol::command::Command;
use rmq_core::protocol::request::broker::RegisterBrokerRequest;
use rmq_core::protocol::request::send::SendRequest;
use rmq_core::protocol::request::topic::CreateTopicRequest;

const ANSWER: Duration = Duration::from_secs(60);
/// Topics that are made one after the other, and registrations that are timed.
const SINGLE: u32 = 50;

fn at_most(most: i64) -> RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=most)
}

/// Makes topics at a broker with a nameserver, sends a message to each queue, and tells times,
/// memory and sizes; then the time of a restart after a stop and after a kill.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Topics
    #[arg(long, default_value_t = 10_000, value_parser = at_most(90_000))]
    topics: u32,
    /// Queues of each
    #[arg(long, default_value_t = 4, value_parser = at_most(1024))]
    queues: u32,
    /// Requests in flight
    #[arg(long, default_value_t = 64)]
    window: usize,
    #[command(flatten)]
    servers: OneMaker,
}

fn new_topic(number: u32, queues: u32) -> Command {
    let header = CreateTopicRequest {
        topic: format!("topic-of-a-usual-length-{number}"),
        default_topic: "TBW102".to_owned(),
        read_queue_nums: queues.cast_signed(),
        write_queue_nums: queues.cast_signed(),
        perm: 6,
        topic_filter_type: "SINGLE_TAG".to_owned(),
        topic_sys_flag: Some(0),
        order: false,
        attributes: None,
        force: false,
    };
    Command::request(RequestCode::UPDATE_AND_CREATE_TOPIC, &header)
}

fn message(number: u32, queue: u32) -> Command {
    let topic = format!("topic-of-a-usual-length-{number}");
    let header = SendRequest {
        producer_group: "topics",
        topic: &topic,
        default_topic: "TBW102",
        default_topic_queue_nums: 4,
        queue_id: queue.cast_signed(),
        sys_flag: 0,
        born_timestamp_ms: SystemClock::new().wall_ms(),
        flag: 0,
        properties: None,
        reconsume_times: 0,
        unit_mode: false,
        batch: false,
        max_reconsume_times: None,
        broker_name: None,
    };
    let command = header.command(RequestCode::SEND_MESSAGE_V2);
    command.with_body(vec![b'x'; 128])
}

/// Sends the requests, so many in flight, and returns how long that took until the last answer.
fn all(
    client: &Client,
    address: &str,
    window: usize,
    requests: impl Iterator<Item = Command>,
) -> Result<Duration> {
    let clock = SystemClock::new();
    let (answers, answered) = channel::<Result<Command>>();
    let mut in_flight = 0;
    let check = || {
        let gone = |_| Error::new(ErrorKind::Closed, "call", address);
        let reply = answered.recv().map_err(gone)??;
        if reply.response_code() == ResponseCode::SUCCESS {
            return Ok(());
        }
        let context = format!("{}: {:?}", reply.response_code(), reply.remark);
        Err(Error::new(ErrorKind::Remote(reply.code), "call", context))
    };
    for request in requests {
        if in_flight == window.max(1) {
            check()?;
            in_flight -= 1;
        }
        let answers = answers.clone();
        client.call_async(address, request, ANSWER, move |answer| {
            // The receiver is gone only after an error.
            let _ = answers.send(answer);
        });
        in_flight += 1;
    }
    while in_flight > 0 {
        check()?;
        in_flight -= 1;
    }
    Ok(clock.monotonic())
}

/// The median and the longest of `SINGLE` calls, one after the other.
fn one_by_one(
    client: &Client,
    address: &str,
    request: impl Fn(u32) -> Command,
) -> Result<(Duration, Duration)> {
    let mut times = Vec::new();
    for number in 0..SINGLE {
        times.push(all(client, address, 1, std::iter::once(request(number)))?);
    }
    times.sort_unstable();
    let at = |index: usize| times.get(index).copied().unwrap_or_default();
    Ok((at(times.len() / 2), at(times.len().saturating_sub(1))))
}

/// A whole registration of the broker's topics, as another broker's.
fn registration(table: TopicTable, number: u32) -> Command {
    let bytes = RegisterBrokerBody::new(table, 6).encode();
    let header = RegisterBrokerRequest {
        broker_name: "broker-z".to_owned(),
        broker_addr: format!("127.0.0.1:{}", 40_000 + number),
        cluster_name: "topics".to_owned(),
        ha_server_addr: "127.0.0.1:2".to_owned(),
        broker_id: i64::from(number),
        enable_acting_master: Some(false),
        compressed: false,
        heartbeat_timeout_ms: None,
        body_crc32: crc32(&bytes),
    };
    Command::request(RequestCode::REGISTER_BROKER, &header).with_body(bytes)
}

fn line(what: &str, figure: impl std::fmt::Display) {
    println!("| {what} | {figure} |");
}

fn show((namesrv, broker): (Memory, Memory)) -> String {
    format!(
        "nameserver {:.1} MiB, broker {:.1} MiB ({:.1} MiB its own)",
        namesrv.resident_mib, broker.resident_mib, broker.anonymous_mib
    )
}

fn ready(pair: &Pair, topic: &str) -> Result<Duration> {
    let clock = SystemClock::new();
    loop {
        let mut peer = Peer::connect(pair.namesrv_address)?;
        let fields = [("topic", topic)];
        let reply = peer.call(RequestCode::GET_ROUTEINFO_BY_TOPIC, &fields)?;
        if reply.response_code() == ResponseCode::SUCCESS {
            return Ok(clock.monotonic());
        }
        if clock.monotonic() > ANSWER {
            return Err(Error::new(ErrorKind::Timeout, "await the route", topic));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn measure(args: &Args) -> Result<()> {
    let (maker, programs) = (args.servers.maker, args.servers.programs()?);
    let load = machine::load();
    println!("{}, load {load:.1} at the start\n", machine::describe());
    let mut pair = Pair::start(maker, &programs, false)?;
    let client = Client::start(ClientConfig::default(), SystemClock::shared())?;
    let (broker, namesrv) = (pair.address.to_string(), pair.namesrv_address.to_string());
    let (topics, queues) = (args.topics, args.queues);
    println!("| {topics} topics of {queues} queues | {} |", maker.name());
    println!("|---|---|");
    line("started in", format!("{:.0?}", pair.broker_start));
    line("memory before", show(pair.memory()));

    let create = (0..topics).map(|number| new_topic(number, queues));
    let took = all(&client, &broker, args.window, create)?;
    let rate = f64::from(topics) / took.as_secs_f64();
    let window = args.window;
    line(
        &format!("created, {window} in flight"),
        format!("{took:.2?}, {rate:.0} /s"),
    );
    line("memory with the topics", show(pair.memory()));
    let single = one_by_one(&client, &broker, |n| new_topic(topics + n, queues))?;
    line(
        "one more topic, median and longest",
        format!("{:.1?}, {:.1?}", single.0, single.1),
    );

    let file = pair.store("config/topics.json");
    let bytes = fs::read(&file).map_err(|e| Error::io("read", "topics.json", e))?;
    line("topics.json", format!("{} bytes", bytes.len()));
    let unread = |e| Error::new(ErrorKind::Corrupt, "read topics.json", format!("{e}"));
    let table = TopicTable::decode(&bytes).map_err(unread)?;
    let body = registration(table.clone(), 0).body.len();
    line("body of a whole registration", format!("{body} bytes"));
    let told = one_by_one(&client, &namesrv, |n| registration(table.clone(), n))?;
    line(
        "a whole registration, median and longest",
        format!("{:.1?}, {:.1?}", told.0, told.1),
    );

    let each = (0..topics).flat_map(|topic| (0..queues).map(move |queue| message(topic, queue)));
    let took = all(&client, &broker, args.window, each)?;
    line("a message to each queue", format!("{took:.2?}"));
    line("memory with the queues", show(pair.memory()));
    let last = format!("topic-of-a-usual-length-{}", topics - 1);
    for (what, kill) in [("stop", false), ("kill", true)] {
        let (ended, started) = pair.restart_broker(maker, &programs, kill)?;
        let routed = ready(&pair, &last)?;
        line(
            &format!("restart after a {what}"),
            format!("ended in {ended:.0?}, answers after {started:.0?}, routes {routed:.0?} later"),
        );
    }
    line("memory after it", show(pair.memory()));
    pair.stop();
    Ok(())
}

fn main() -> ExitCode {
    match measure(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rmq-topics: {error}");
            ExitCode::FAILURE
        }
    }
}

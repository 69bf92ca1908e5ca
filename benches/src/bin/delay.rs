//! `rmq-delay`: how late delayed messages come.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program")]

use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use clap::Parser;
use hdrhistogram::Histogram;
use rmq_benches::compare::machine;
use rmq_benches::compare::server::OneMaker;
use rmq_benches::replicate::Group;
use rmq_core::base::clock::{Clock, SystemClock};
use rmq_core::base::error::{Error, ErrorKind, Result};
use rmq_core::client::raw;
use rmq_core::net::{Client, ClientConfig};
use rmq_core::protocol::code::ResponseCode;
use rmq_core::protocol::message::record::{CheckLevel, Records};
use rmq_core::protocol::request::pull::PullRequest;
use rmq_core::protocol::request::send::SendRequest;

const TOPIC: &str = "delayed";
const QUEUES: i32 = 4;
const ANSWER: Duration = Duration::from_secs(10);

/// The delay of the messages, and the levels that give it.
const DELAY_MS: i64 = 2_000;
const LEVELS: &str = "messageDelayLevel=1s 2s 3s\n";
const PROPERTIES: &str = "DELAY\u{1}2\u{2}";

/// Sends messages with a delay of two seconds, evenly, and tells how long after their time they
/// were in their topic. A message that was there early is an error.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Messages a second
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=50_000))]
    rate: u64,
    /// Seconds
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Lines for the broker's configuration, for example flushDiskType=SYNC_FLUSH
    #[arg(long)]
    set: Vec<String>,
    #[command(flatten)]
    servers: OneMaker,
}

/// Sends each message at its moment; its body is when it was sent, in ms.
fn send(client: &Client, broker: &str, args: &Args) -> Result<u64> {
    let clock = SystemClock::new();
    let count = args.rate * args.seconds;
    for number in 0..count {
        let moment = Duration::from_secs_f64(1.0 / args.rate as f64 * number as f64);
        if let Some(early) = moment.checked_sub(clock.monotonic()) {
            sleep(early);
        }
        let now = clock.wall_ms();
        let header = SendRequest {
            producer_group: "rmq-delay",
            topic: TOPIC,
            default_topic: "TBW102",
            default_topic_queue_nums: QUEUES,
            queue_id: (number % 4) as i32,
            sys_flag: 0,
            born_timestamp_ms: now,
            flag: 0,
            properties: Some(PROPERTIES),
            reconsume_times: 0,
            unit_mode: false,
            batch: false,
            max_reconsume_times: None,
            broker_name: None,
        };
        let body = now.to_be_bytes().to_vec();
        raw::send(client, broker, &header, body.into(), ANSWER)?;
    }
    Ok(count)
}

/// Reads a queue to its end, and notes for each message how late it was put there, in ms.
fn read(
    client: &Client,
    broker: &str,
    queue_id: i32,
    at: &mut i64,
    late_ms: &mut Histogram<u64>,
) -> Result<()> {
    let corrupt = |e: &dyn std::fmt::Display| Error::new(ErrorKind::Corrupt, "read", e.to_string());
    loop {
        let header = PullRequest {
            consumer_group: "rmq-delay",
            topic: TOPIC,
            queue_id,
            queue_offset: *at,
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
        };
        let reply = raw::pull(client, broker, &header, ANSWER)?;
        if reply.code != ResponseCode::SUCCESS {
            return Ok(());
        }
        for record in Records::new(&reply.records, CheckLevel::BodyCrc) {
            let record = record.map_err(|e| corrupt(&e))?;
            let sent = record.body().try_into().map_err(|e| corrupt(&e))?;
            let late = record.store_timestamp_ms() - i64::from_be_bytes(sent) - DELAY_MS;
            let late = u64::try_from(late).map_err(|_| {
                Error::new(ErrorKind::Invalid, "read", format!("{} ms early", -late))
            })?;
            late_ms.record(late).map_err(|e| corrupt(&e))?;
        }
        *at = reply.header.next_begin_offset;
    }
}

fn measure(args: &Args) -> Result<()> {
    let (maker, programs) = (args.servers.maker, args.servers.programs()?);
    let set: String = args.set.iter().map(|line| format!("{line}\n")).collect();
    let group = Group::start(maker, &programs, &format!("{LEVELS}{set}"))?;
    let broker = group.master.to_string();
    let clock = SystemClock::shared();
    let client = Client::start(ClientConfig::default(), clock.clone())?;
    raw::create_topic(&client, &broker, TOPIC, QUEUES, ANSWER)?;
    println!("{}, load {:.1}", machine::describe(), machine::load());
    let count = send(&client, &broker, args)?;
    let mut late_ms = Histogram::<u64>::new(3)
        .map_err(|e| Error::new(ErrorKind::Invalid, "measure", e.to_string()))?;
    let mut at = [0_i64; QUEUES as usize];
    let deadline = clock.monotonic() + Duration::from_secs(60);
    while late_ms.len() < count && clock.monotonic() < deadline {
        sleep(Duration::from_millis(50));
        for (queue_id, at) in (0..).zip(&mut at) {
            read(&client, &broker, queue_id, at, &mut late_ms)?;
        }
    }
    let of = |part| late_ms.value_at_quantile(part);
    println!("| sent | came | late by p50 | p99 | p99.9 | at most |\n|---|---|---|---|---|---|");
    println!(
        "| {count} | {} | {} ms | {} ms | {} ms | {} ms |",
        late_ms.len(),
        of(0.5),
        of(0.99),
        of(0.999),
        late_ms.max()
    );
    match late_ms.len() == count {
        true => Ok(()),
        false => Err(Error::new(
            ErrorKind::Timeout,
            "measure",
            "messages are missing",
        )),
    }
}

fn main() -> ExitCode {
    match measure(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("rmq-delay: {e}");
            ExitCode::FAILURE
        }
    }
}

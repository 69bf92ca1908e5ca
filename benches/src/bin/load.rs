//! `rmq-load`: measures any RocketMQ server over plain TCP.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program")]
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use rmq_benches::load::frames::SendKind;
use rmq_benches::load::{Operation, Plan, run};
use rmq_benches::null::NullServer;
use rmq_benches::peer::{Peer, resolve};
use rmq_core::base::error::{Error, ErrorKind, Result};
use rmq_core::protocol::frame::Serialize;
use serde_json::json;

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Op {
    /// One message a request (310, or 10 with --code 10)
    Send,
    /// --batch messages a request (320)
    Batch,
    /// Up to --batch messages a request (11), round and round over what is there
    Pull,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Header {
    Rocketmq,
    Json,
}

/// Measures a RocketMQ server, rmq's or Apache's, with one thread over plain TCP.
///
/// Without --rate it is a closed loop: every answer starts the next request. With --rate it is an
/// open loop: requests leave at that rate and latency counts from the time they were due.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Nameserver to ask for masters, host:port
    #[arg(long, short, conflicts_with = "broker")]
    nameserver: Option<String>,
    /// Brokers, host:port, separated by commas
    #[arg(
        long,
        short,
        value_delimiter = ',',
        required_unless_present_any = ["nameserver", "null_server"]
    )]
    broker: Vec<String>,
    /// What to do
    #[arg(value_enum, default_value = "send")]
    op: Op,
    /// How headers are written
    #[arg(long, value_enum, default_value = "rocketmq")]
    serialize: Header,
    /// Send request code: 310 or 10
    #[arg(long, default_value_t = 310, value_parser = clap::value_parser!(i32).range(10..=310))]
    code: i32,
    /// Topic; created first, but for a pull
    #[arg(long, short, default_value = "rmq-load")]
    topic: String,
    /// Queues of the topic
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1024))]
    queues: u32,
    /// Bytes of a message's body
    #[arg(long, default_value_t = 128)]
    body: usize,
    /// Messages a request of batch and pull
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=4096))]
    batch: u32,
    /// Connections
    #[arg(long, short, default_value_t = 4)]
    connections: usize,
    /// Requests in flight on each connection; the limit of an open loop, too
    #[arg(long, short)]
    window: Option<usize>,
    /// Requests a second (open loop)
    #[arg(long, short)]
    rate: Option<f64>,
    /// Seconds before anything counts
    #[arg(long, default_value_t = 2.0)]
    warm_up: f64,
    /// Seconds that count
    #[arg(long, short, default_value_t = 10.0)]
    seconds: f64,
    /// Stop after this many requests, if that comes before --seconds
    #[arg(long)]
    count: Option<u64>,
    /// Be a server that stores nothing and answers at once, on this port, instead
    #[arg(long, conflicts_with_all = ["nameserver", "broker"])]
    null_server: Option<u16>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Args {
    fn plan(&self) -> Result<Plan> {
        let invalid = |what: &str| Error::new(ErrorKind::Invalid, "rmq-load", what);
        if !matches!(self.code, 10 | 310) {
            return Err(invalid("--code is 310 or 10"));
        }
        if self.connections == 0 || self.window == Some(0) {
            return Err(invalid("--connections and --window are at least 1"));
        }
        if self.rate.is_some_and(|rate| !(rate > 0.0 && rate < 1e9)) {
            return Err(invalid("--rate is above 0"));
        }
        let brokers = match &self.nameserver {
            Some(address) => Peer::connect(resolve(address)?)?.masters()?,
            None => self
                .broker
                .iter()
                .map(|broker| resolve(broker))
                .collect::<Result<_>>()?,
        };
        let operation = match self.op {
            Op::Send if self.code == 10 => Operation::Send(SendKind::V1),
            Op::Send => Operation::Send(SendKind::V2),
            Op::Batch => Operation::Send(SendKind::Batch(self.batch)),
            Op::Pull => Operation::Pull(self.batch),
        };
        let window = if self.rate.is_some() { 65_536 } else { 64 };
        Ok(Plan {
            serialize: match self.serialize {
                Header::Rocketmq => Serialize::Rocketmq,
                Header::Json => Serialize::Json,
            },
            topic: self.topic.clone(),
            queues: self.queues,
            body: self.body,
            connections: self.connections,
            window: self.window.unwrap_or(window),
            rate: self.rate,
            warm_up: Duration::from_secs_f64(self.warm_up.max(0.0)),
            measure: Duration::from_secs_f64(self.seconds.max(0.1)),
            count: self.count,
            ..Plan::new(brokers, operation)
        })
    }
}

fn measure(args: &Args) -> Result<bool> {
    if let Some(port) = args.null_server {
        let server = NullServer::start(port)?;
        println!("{}", server.address());
        server.wait();
        return Ok(true);
    }
    let plan = args.plan()?;
    if !matches!(plan.operation, Operation::Pull(_)) {
        plan.create_topic()?;
    }
    let report = run(&plan)?;
    if args.json {
        let mut out = report.to_json();
        out["plan"] = json!({
            "op": format!("{:?}", args.op).to_lowercase(),
            "serialize": plan.serialize.name(),
            "brokers": plan.brokers,
            "topic": plan.topic,
            "queues": plan.queues,
            "body": plan.body,
            "batch": args.batch,
            "connections": plan.connections,
            "window": plan.window,
            "rate": plan.rate,
        });
        println!("{out}");
    } else {
        println!("{report}");
    }
    Ok(report.is_clean())
}

/// 0: every request succeeded. 1: some did not. 2: nothing was measured.
fn main() -> ExitCode {
    match measure(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(e) => {
            eprintln!("rmq-load: {e}");
            ExitCode::from(2)
        }
    }
}

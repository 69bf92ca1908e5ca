//! What is measured, row by row.

use std::time::Duration;

use rmq_core::base::error::Result;
use rmq_core::protocol::frame::Serialize;

use super::disk::fdatasync_per_s;
use super::server::{Maker, Pair, Programs};
use crate::load::frames::SendKind;
use crate::load::{Operation, Plan, Report, run};
use crate::peer::Peer;

/// What a row counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Messages a second: more is better.
    Messages,
    /// Requests a second: more is better.
    Requests,
    /// The 99.9th percentile of the latency at a fixed rate in microseconds: less is better.
    TailUs,
    /// Milliseconds: less is better.
    Ms,
    /// MiB: less is better.
    Mib,
    /// Syncs a second of the disk, no server's doing.
    Syncs,
}

impl Unit {
    /// Whether a larger figure is a better one.
    #[must_use]
    pub fn more_is_better(self) -> bool {
        matches!(self, Self::Messages | Self::Requests | Self::Syncs)
    }
}

/// One figure, with the latencies behind it where there are any.
#[derive(Clone, Debug)]
pub struct Figure {
    /// The row.
    pub row: &'static str,
    /// What `value` is.
    pub unit: Unit,
    /// The figure.
    pub value: f64,
    /// The measurement.
    pub report: Option<Report>,
}

/// Every row: name and what it is.
pub const ROWS: [(&str, &str); 16] = [
    ("send-128", "send 128 B, ROCKETMQ header"),
    ("send-128-json", "send 128 B, JSON header"),
    ("send-1k", "send 1 KiB"),
    ("batch-32", "batch of 32, 4 x 16 in flight"),
    ("one-in-flight", "one connection, one in flight"),
    ("rate-5000", "5,000/s fixed rate, 1 KiB: p99.9 us"),
    ("pull-32", "pull, 32 a request, log of single messages"),
    ("pull-32-batch", "pull, 32 a request, log of batches"),
    ("sync-256", "sync flush, 256 in flight"),
    ("sync-1", "sync flush, one in flight"),
    ("fdatasync", "raw fdatasync of the same disk"),
    ("start-namesrv", "start of the nameserver, ms"),
    ("start-broker", "start of the broker, ms"),
    ("memory-idle", "resident, idle pair, MiB"),
    ("memory-after", "resident, broker after the runs, MiB"),
    ("memory-own", "of that without mapped files, MiB"),
];

/// How long and which.
#[derive(Clone, Debug)]
pub struct Options {
    /// Time that counts of each row.
    pub measure: Duration,
    /// Time before it.
    pub warm_up: Duration,
    /// Substrings of row names; empty for all.
    pub only: Vec<String>,
}

impl Options {
    fn wants(&self, row: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| row.contains(only.as_str()))
    }
}

/// Measures one maker's servers once; `each` hears of every figure as it is had.
///
/// # Errors
/// When the servers do not start, or refuse to make a topic.
pub fn measure(
    maker: Maker,
    programs: &Programs,
    options: &Options,
    each: &mut dyn FnMut(Figure),
) -> Result<()> {
    let mut out = |row, unit, value, report| {
        if options.wants(row) {
            each(Figure {
                row,
                unit,
                value,
                report,
            });
        }
    };
    let is_sync = |row: &str| matches!(row, "sync-256" | "sync-1" | "fdatasync");
    if ROWS
        .iter()
        .any(|(row, _)| options.wants(row) && !is_sync(row))
    {
        let pair = Pair::start(maker, programs, false)?;
        let ms = |d: Duration| d.as_secs_f64() * 1e3;
        out("start-namesrv", Unit::Ms, ms(pair.namesrv_start), None);
        out("start-broker", Unit::Ms, ms(pair.broker_start), None);
        std::thread::sleep(Duration::from_secs(2));
        let (namesrv, broker) = pair.memory();
        let idle = namesrv.resident_mib + broker.resident_mib;
        out("memory-idle", Unit::Mib, idle, None);
        throughput(&pair, options, &mut out)?;
        let (_, broker) = pair.memory();
        out("memory-after", Unit::Mib, broker.resident_mib, None);
        out("memory-own", Unit::Mib, broker.anonymous_mib, None);
        pair.stop();
        settle();
    }
    if ROWS
        .iter()
        .any(|(row, _)| options.wants(row) && is_sync(row))
    {
        if options.wants("fdatasync") {
            let rate = fdatasync_per_s(&programs.stores, Duration::from_secs(2))?;
            out("fdatasync", Unit::Syncs, rate, None);
        }
        let pair = Pair::start(maker, programs, true)?;
        synchronous(&pair, options, &mut out)?;
        pair.stop();
        settle();
    }
    Ok(())
}

type Out<'a> = dyn FnMut(&'static str, Unit, f64, Option<Report>) + 'a;

fn plan(pair: &Pair, options: &Options, row: &str, operation: Operation) -> Plan {
    Plan {
        topic: row.to_owned(),
        warm_up: options.warm_up,
        measure: options.measure,
        ..Plan::new(vec![pair.address], operation)
    }
}

fn measure_row(
    plan: &Plan,
    row: &'static str,
    unit: Unit,
    options: &Options,
    out: &mut Out<'_>,
) -> Result<()> {
    if !options.wants(row) {
        return Ok(());
    }
    if matches!(plan.operation, Operation::Send(_)) {
        plan.create_topic()?;
    }
    let report = run(plan)?;
    let value = match unit {
        Unit::Messages => report.messages_per_s(),
        Unit::TailUs => report.latency.p99_9,
        _ => report.requests_per_s(),
    };
    out(row, unit, value, Some(report));
    Ok(())
}

fn throughput(pair: &Pair, options: &Options, out: &mut Out<'_>) -> Result<()> {
    let send = Operation::Send(SendKind::V2);
    let batch = Operation::Send(SendKind::Batch(32));
    let with = |row, operation| plan(pair, options, row, operation);
    let rows = [
        ("send-128", Unit::Messages, with("send-128", send)),
        (
            "send-128-json",
            Unit::Messages,
            Plan {
                serialize: Serialize::Json,
                ..with("send-128-json", send)
            },
        ),
        (
            "send-1k",
            Unit::Messages,
            Plan {
                body: 1024,
                ..with("send-1k", send)
            },
        ),
        (
            "batch-32",
            Unit::Messages,
            Plan {
                window: 16,
                ..with("batch-32", batch)
            },
        ),
        (
            "one-in-flight",
            Unit::Requests,
            Plan {
                connections: 1,
                window: 1,
                ..with("one-in-flight", send)
            },
        ),
        (
            "rate-5000",
            Unit::TailUs,
            Plan {
                body: 1024,
                rate: Some(5000.0),
                window: 65_536,
                ..with("rate-5000", send)
            },
        ),
    ];
    for (row, unit, plan) in &rows {
        measure_row(plan, row, *unit, options, out)?;
    }
    let pulls = [("pull-32", send, 400_000), ("pull-32-batch", batch, 12_500)];
    for (row, operation, requests) in pulls {
        if options.wants(row) {
            fill(&with(row, operation), requests)?;
            let pull = with(row, Operation::Pull(32));
            measure_row(&pull, row, Unit::Messages, options, out)?;
        }
    }
    Ok(())
}

/// Fills a topic for pulls, and waits until all of it can be consumed.
fn fill(plan: &Plan, requests: u64) -> Result<()> {
    let plan = Plan {
        warm_up: Duration::ZERO,
        measure: Duration::from_secs(120),
        count: Some(requests),
        ..plan.clone()
    };
    plan.create_topic()?;
    run(&plan)?;
    let mut peer = Peer::connect(plan.brokers[0])?;
    let mut before = -1;
    loop {
        let mut sum = 0;
        for queue in 0..plan.queues {
            sum += peer.offsets(&plan.topic, queue)?.1;
        }
        if sum == before {
            return Ok(());
        }
        before = sum;
        std::thread::sleep(Duration::from_millis(500));
    }
}

fn synchronous(pair: &Pair, options: &Options, out: &mut Out<'_>) -> Result<()> {
    let send = Operation::Send(SendKind::V2);
    let many = plan(pair, options, "sync-256", send);
    measure_row(&many, "sync-256", Unit::Messages, options, out)?;
    let one = Plan {
        connections: 1,
        window: 1,
        ..plan(pair, options, "sync-1", send)
    };
    measure_row(&one, "sync-1", Unit::Requests, options, out)
}

/// Lets the disk finish what earlier runs left, so that it does not count against the next.
fn settle() {
    nix::unistd::sync();
    std::thread::sleep(Duration::from_millis(500));
}

//! `rmq-replicate`: what synchronous double write costs beside asynchronous replication.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program")]

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use rmq_benches::compare::disk::write_mib_per_s;
use rmq_benches::compare::machine;
use rmq_benches::compare::server::{OneMaker, Programs};
use rmq_benches::load::{Plan, Report, run};
use rmq_benches::replicate::{Group, Lag};
use rmq_core::base::clock::{Clock, SystemClock};
use rmq_core::base::error::Result;

/// A slave that lacks no more than this counts as caught up: sends go on meanwhile.
const NEAR_BYTES: i64 = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Asynchronous,
    Synchronous,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::Asynchronous => "asynchronous",
            Self::Synchronous => "double write",
        }
    }

    /// Apache's broker waits for a slave only with inSyncReplicas=2.
    fn lines(self) -> &'static str {
        match self {
            Self::Asynchronous => "brokerRole=ASYNC_MASTER\n",
            Self::Synchronous => "brokerRole=SYNC_MASTER\ninSyncReplicas=2\n",
        }
    }
}

/// Measures a master with one slave: sends a second with asynchronous replication and with
/// synchronous double write by turns, the lag meanwhile, and how fast an empty slave catches up.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Rounds; the table has the medians
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// Seconds that count of each row
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Seconds before them
    #[arg(long, default_value_t = 2.0)]
    warm_up: f64,
    /// Bytes of a message's body
    #[arg(long, value_delimiter = ',', default_values_t = [128, 1024])]
    body: Vec<usize>,
    /// Requests in flight on each of four connections
    #[arg(long, default_value_t = 64)]
    window: usize,
    /// MiB of messages that an empty slave has to copy; 0 leaves that out
    #[arg(long, default_value_t = 2048)]
    catch_up_mib: u32,
    /// Lines for the master's and the slave's configuration, for example flushDiskType=SYNC_FLUSH
    #[arg(long)]
    set: Vec<String>,
    #[command(flatten)]
    servers: OneMaker,
}

impl Args {
    fn lines(&self, lines: &str) -> String {
        let set: String = self.set.iter().map(|line| format!("{line}\n")).collect();
        format!("{lines}{set}")
    }
}

/// The median; of an even number, the lower of the middle two.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len().saturating_sub(1) / 2;
    values.get(middle).copied().unwrap_or_default()
}

fn throughput(args: &Args, programs: &Programs, mode: Mode) -> Result<Vec<(Report, Lag)>> {
    let mut group = Group::start(args.servers.maker, programs, &args.lines(mode.lines()))?;
    group.start_slave(&args.lines(""))?;
    group.caught_up(0)?;
    let seconds = |value: f64| Duration::from_secs_f64(value.max(0.1));
    let mut found = Vec::new();
    for &body in &args.body {
        let plan = Plan {
            window: args.window.max(1),
            ..group.plan(body, seconds(args.warm_up), seconds(args.seconds))
        };
        found.push(group.measure(&plan)?);
        group.caught_up(0)?;
    }
    Ok(found)
}

/// MiB a second at which an empty slave copies what its master has, and that of the disk alone.
fn catch_up(args: &Args, programs: &Programs) -> Result<(f64, f64)> {
    let mut group = Group::start(args.servers.maker, programs, &args.lines(""))?;
    let body = 4096;
    let plan = Plan {
        count: Some(u64::from(args.catch_up_mib) * 256),
        ..group.plan(body, Duration::ZERO, Duration::from_secs(600))
    };
    plan.create_topic()?;
    run(&plan)?;
    nix::unistd::sync();
    let clock = SystemClock::new();
    group.start_slave(&args.lines(""))?;
    group.caught_up(NEAR_BYTES)?;
    let took = clock.monotonic().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let copied = group.standing()?.end as f64 / f64::from(1 << 20);
    let disk = write_mib_per_s(&programs.stores, args.catch_up_mib)?;
    Ok((copied / took, disk))
}

fn measure(args: &Args) -> Result<()> {
    let programs = args.servers.programs()?;
    let load = machine::load();
    println!("{}, load {load:.1} at the start\n", machine::describe());
    let modes = [Mode::Asynchronous, Mode::Synchronous];
    let mut found: Vec<(Mode, Vec<(Report, Lag)>)> = Vec::new();
    for round in 1..=args.rounds {
        // By turns: who goes first changes with every round.
        for index in 0..modes.len() {
            let mode = modes[(index + round as usize) % modes.len()];
            let reports = throughput(args, &programs, mode)?;
            for (body, (report, lag)) in args.body.iter().zip(&reports) {
                eprintln!(
                    "round {round} {:<13} {body:>5} B {:>9.0} msg/s p99 {:.0} us, lag {lag:?}{}",
                    mode.name(),
                    report.messages_per_s(),
                    report.latency.p99,
                    if report.is_clean() {
                        ""
                    } else {
                        ", WITH ERRORS"
                    }
                );
            }
            found.push((mode, reports));
        }
    }
    println!("| body | replication | msg/s | p50, p99 us | lag p50, p99, max MiB |");
    println!("|---|---|---|---|---|");
    for (index, body) in args.body.iter().enumerate() {
        let mut rates = Vec::new();
        for mode in modes {
            let of = |pick: &dyn Fn(&(Report, Lag)) -> f64| {
                let own = found.iter().filter(|(of, _)| *of == mode);
                median(own.map(|(_, reports)| pick(&reports[index])).collect())
            };
            rates.push(of(&|(report, _)| report.messages_per_s()));
            println!(
                "| {body} B | {} | {:.0} | {:.0}, {:.0} | {:.2}, {:.2}, {:.2} |",
                mode.name(),
                rates.last().copied().unwrap_or_default(),
                of(&|(report, _)| report.latency.p50),
                of(&|(report, _)| report.latency.p99),
                of(&|(_, lag)| lag.p50_mib),
                of(&|(_, lag)| lag.p99_mib),
                of(&|(_, lag)| lag.max_mib),
            );
        }
        println!(
            "| {body} B | ratio | {:.0}% | | |",
            rates[1] / rates[0] * 100.0
        );
    }
    if args.catch_up_mib > 0 {
        let (slave, disk) = catch_up(args, &programs)?;
        println!("\nan empty slave copies {slave:.0} MiB/s; the disk takes {disk:.0} MiB/s");
    }
    Ok(())
}

fn main() -> ExitCode {
    match measure(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("rmq-replicate: {e}");
            ExitCode::FAILURE
        }
    }
}

//! `rmq-compare`: rmq and Apache RocketMQ by turns on this machine.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program")]

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use rmq_benches::compare::machine;
use rmq_benches::compare::rows::{Options, ROWS, measure};
use rmq_benches::compare::server::{Maker, Places, Programs};
use rmq_benches::compare::table::Results;
use rmq_core::base::error::{Error, Result};

/// Measures rmq and Apache RocketMQ by turns, and prints the medians of the rounds as Markdown.
///
/// Every round starts a nameserver and a broker of each on free ports and in a folder that goes
/// away, with default configurations. Apache's jars come by Maven.
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
    #[arg(long, default_value_t = 3.0)]
    warm_up: f64,
    /// Rows: parts of their names, separated by commas (--list shows them)
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Servers
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["apache", "rmq"])]
    servers: Vec<Maker>,
    #[command(flatten)]
    places: Places,
    /// Writes everything here as JSON
    #[arg(long)]
    json: Option<PathBuf>,
    /// Shows the rows
    #[arg(long)]
    list: bool,
}

fn compare(args: &Args) -> Result<()> {
    let programs = Programs::locate(&args.servers, &args.places)?;
    let options = Options {
        measure: Duration::from_secs_f64(args.seconds.max(0.1)),
        warm_up: Duration::from_secs_f64(args.warm_up.max(0.0)),
        only: args.only.clone(),
    };
    let load = machine::load();
    let machine = format!("{}, load {load:.1} at the start", machine::describe());
    if load > 0.7 {
        eprintln!("the machine does other work (load {load:.1}): only ratios will mean something");
    }
    let mut results = Results::default();
    for round in 1..=args.rounds {
        // By turns: who goes first changes with every round.
        let mut servers = args.servers.clone();
        if round % 2 == 0 {
            servers.reverse();
        }
        for maker in servers {
            measure(maker, &programs, &options, &mut |figure| {
                eprintln!(
                    "round {round} {:<14} {:<16} {:>12.1}{}",
                    maker.name(),
                    figure.row,
                    figure.value,
                    figure
                        .report
                        .as_ref()
                        .map_or(String::new(), |report| format!(
                            "  p50 {:.0} us p99 {:.0} p99.9 {:.0}  generator {:.0}%{}",
                            report.latency.p50,
                            report.latency.p99,
                            report.latency.p99_9,
                            report.own_cpu * 100.0,
                            if report.is_clean() {
                                ""
                            } else {
                                "  WITH ERRORS"
                            }
                        ))
                );
                results.add(maker, figure);
            })?;
        }
    }
    println!("{machine}\n\n{}", results.markdown());
    if let Some(path) = &args.json {
        let text = format!("{:#}\n", results.to_json(&machine));
        fs::write(path, text).map_err(|e| Error::io("write", path.display().to_string(), e))?;
    }
    Ok(())
}

fn main() -> ExitCode {
    let args = Args::parse();
    if args.list {
        for (row, title) in ROWS {
            println!("{row:<16} {title}");
        }
        return ExitCode::SUCCESS;
    }
    match compare(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("rmq-compare: {e}");
            ExitCode::FAILURE
        }
    }
}

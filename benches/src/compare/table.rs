//! Medians of the rounds, as a table for people and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::rows::{Figure, ROWS, Unit};
use super::server::Maker;

/// Every figure of every round.
#[derive(Debug, Default)]
pub struct Results {
    figures: BTreeMap<(&'static str, Maker), Vec<Figure>>,
}

/// The median; of an even number, the lower of the middle two.
fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len().checked_sub(1)? / 2).copied()
}

/// A number with commas, or with one decimal when it is small.
fn number(value: f64) -> String {
    if value < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn spelled(value: f64, unit: Unit) -> String {
    let value = number(value);
    match unit {
        Unit::Messages => format!("{value} msg/s"),
        Unit::Requests => format!("{value}/s"),
        Unit::Syncs => format!("{value} syncs/s"),
        Unit::TailUs => format!("{value} us"),
        Unit::Ms => format!("{value} ms"),
        Unit::Mib => format!("{value} MiB"),
    }
}

impl Results {
    /// Adds a figure of one round.
    pub fn add(&mut self, maker: Maker, figure: Figure) {
        self.figures
            .entry((figure.row, maker))
            .or_default()
            .push(figure);
    }

    fn of(&self, row: &'static str, maker: Maker) -> Option<(f64, Unit, &[Figure])> {
        let figures = self.figures.get(&(row, maker))?;
        let value = median(figures.iter().map(|figure| figure.value))?;
        Some((value, figures[0].unit, figures))
    }

    /// The ratio by which rmq is better.
    fn ratio(&self, row: &'static str) -> Option<f64> {
        let (apache, unit, _) = self.of(row, Maker::Apache)?;
        let (rmq, ..) = self.of(row, Maker::Rmq)?;
        match unit {
            Unit::Syncs => None,
            _ if unit.more_is_better() => Some(rmq / apache.max(1e-9)),
            _ => Some(apache / rmq.max(1e-9)),
        }
    }

    /// The table in Markdown, medians of the rounds.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut out = format!(
            "| work | {} | {} | rmq is better by |\n|---|---|---|---|\n",
            Maker::Apache.name(),
            Maker::Rmq.name()
        );
        for (row, title) in ROWS {
            let cell = |maker| {
                self.of(row, maker)
                    .map_or("-".to_owned(), |(value, unit, figures)| {
                        spelled(value, unit) + &latencies(unit, figures)
                    })
            };
            let (apache, rmq) = (cell(Maker::Apache), cell(Maker::Rmq));
            if apache != "-" || rmq != "-" {
                let ratio = self
                    .ratio(row)
                    .map_or("-".to_owned(), |r| format!("{r:.1}x"));
                let _ = writeln!(out, "| {title} | {apache} | {rmq} | {ratio} |");
            }
        }
        out
    }

    /// Everything, every round with its latencies.
    #[must_use]
    pub fn to_json(&self, machine: &str) -> Value {
        let rows = ROWS.iter().map(|(row, title)| {
            let side = |maker| {
                let Some((value, _, figures)) = self.of(row, maker) else {
                    return Value::Null;
                };
                let rounds = figures.iter().map(|figure| {
                    let report = figure
                        .report
                        .as_ref()
                        .map(super::super::load::Report::to_json);
                    json!({ "value": figure.value, "report": report })
                });
                json!({ "median": value, "rounds": rounds.collect::<Vec<_>>() })
            };
            json!({
                "row": row,
                "title": title,
                "apache": side(Maker::Apache),
                "rmq": side(Maker::Rmq),
                "ratio": self.ratio(row),
            })
        });
        json!({ "machine": machine, "rows": rows.collect::<Vec<_>>() })
    }
}

/// The latencies worth a place beside the figure.
fn latencies(unit: Unit, figures: &[Figure]) -> String {
    let at = |pick: fn(&crate::load::Latency) -> f64| {
        let reports = figures.iter().filter_map(|figure| figure.report.as_ref());
        median(reports.map(|report| pick(&report.latency))).map(number)
    };
    let failed = figures
        .iter()
        .filter_map(|f| f.report.as_ref())
        .any(|report| !report.is_clean());
    let mark = if failed { ", with errors" } else { "" };
    let (p50, p99, tail) = (at(|l| l.p50), at(|l| l.p99), at(|l| l.p99_9));
    match (unit, p50, p99, tail) {
        (Unit::Messages, _, Some(p99), _) => format!(", p99 {p99} us{mark}"),
        (Unit::Requests, Some(p50), _, Some(tail)) => format!(", p50 {p50} us, p99.9 {tail}{mark}"),
        (Unit::TailUs, Some(p50), Some(p99), _) => format!(" (p50 {p50}, p99 {p99}){mark}"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(row: &'static str, unit: Unit, value: f64) -> Figure {
        Figure {
            row,
            unit,
            value,
            report: None,
        }
    }

    #[test]
    fn medians_and_ratios() {
        let mut results = Results::default();
        for value in [10.0, 1000.0, 20.0] {
            results.add(Maker::Apache, figure("send-128", Unit::Messages, value));
        }
        results.add(Maker::Rmq, figure("send-128", Unit::Messages, 100.0));
        results.add(Maker::Apache, figure("start-broker", Unit::Ms, 4500.0));
        results.add(Maker::Rmq, figure("start-broker", Unit::Ms, 45.0));
        assert_eq!(results.ratio("send-128"), Some(5.0));
        assert_eq!(results.ratio("start-broker"), Some(100.0));
        assert_eq!(results.ratio("send-1k"), None);
        let table = results.markdown();
        assert!(
            table.contains("| 20.0 msg/s | 100 msg/s | 5.0x |"),
            "{table}"
        );
        assert!(table.contains("| 4,500 ms | 45.0 ms | 100.0x |"), "{table}");
        assert!(!table.contains("1 KiB"));
        assert_eq!(
            results.to_json("m")["rows"][0]["apache"]["median"],
            json!(20.0)
        );
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!(number(12.34), "12.3");
        assert_eq!(number(1_234_567.0), "1,234,567");
        assert_eq!(median([3.0, 1.0].into_iter()), Some(1.0));
        assert_eq!(median(std::iter::empty()), None);
    }
}

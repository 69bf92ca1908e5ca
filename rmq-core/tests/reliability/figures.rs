//! What the faults of a run cost, from its history, as rows of a table.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::faults::Fault;
use crate::history::{Answer, History, Micros, Status};
use crate::stage::{Lag, Record};

/// What one fault, or several of a kind, cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) times: u32,
    pub(crate) ok: u64,
    /// Stored, but not promised: FLUSH_DISK_TIMEOUT, FLUSH_SLAVE_TIMEOUT, SLAVE_NOT_AVAILABLE.
    pub(crate) weaker: u64,
    pub(crate) refused: u64,
    pub(crate) unanswered: u64,
    /// Longest time in which nobody was answered SEND_OK.
    pub(crate) silence: Micros,
    /// Longest time from the end of a master until its messages were delivered from its slave.
    pub(crate) from_slave: Option<Micros>,
    /// Longest time from the mending until the cluster was whole again.
    pub(crate) whole: Micros,
    /// The most that went with a lost disk.
    pub(crate) lag: Option<Lag>,
}

impl Figures {
    pub(crate) fn of(history: &History, record: &Record) -> Self {
        let mut figures = Self {
            times: 1,
            whole: record.whole - record.mended,
            lag: record.lag,
            ..Self::default()
        };
        let during = record.from..=record.whole;
        let mut answered = vec![record.from, record.whole];
        for attempt in &history.attempts {
            if !during.contains(&attempt.end) {
                continue;
            }
            let count = match attempt.answer {
                Answer::Refused => &mut figures.refused,
                Answer::Unknown => &mut figures.unanswered,
                Answer::Stored {
                    status: Status::Ok, ..
                } => {
                    answered.push(attempt.end);
                    &mut figures.ok
                }
                Answer::Stored { .. } => &mut figures.weaker,
            };
            *count += 1;
        }
        answered.sort_unstable();
        let gaps = answered.windows(2).map(|pair| pair[1] - pair[0]);
        figures.silence = gaps.max().unwrap_or(0);
        figures.from_slave = first_from_slave(history, record);
        figures
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.times += other.times;
        self.ok += other.ok;
        self.weaker += other.weaker;
        self.refused += other.refused;
        self.unanswered += other.unanswered;
        self.silence = self.silence.max(other.silence);
        self.from_slave = self.from_slave.max(other.from_slave);
        self.whole = self.whole.max(other.whole);
        self.lag = self.lag.max(other.lag);
    }
}

/// While a master is gone, what comes of its queues comes from its slave.
fn first_from_slave(history: &History, record: &Record) -> Option<Micros> {
    let broker = record.master_gone?;
    let gone = record.from + 1..record.mended;
    let mut times = history.deliveries.iter().filter_map(|delivery| {
        let from_slave = delivery.place.queue.broker == broker && gone.contains(&delivery.at);
        from_slave.then_some(delivery.at - record.from)
    });
    let first = times.next()?;
    Some(times.fold(first, Micros::min))
}

fn seconds(time: Micros) -> String {
    format!("{}.{} s", time / 1_000_000, time % 1_000_000 / 100_000)
}

pub(crate) const HEAD: &str = "\
| fault | times | SEND_OK | weaker | refused | no answer | longest without SEND_OK | \
from the slave after | whole again after | lag lost (told) |\n\
|---|---|---|---|---|---|---|---|---|---|\n";

/// A line for each kind of fault, in the order of the kinds.
pub(crate) fn table(history: &History, records: &[Record]) -> String {
    let mut kinds: BTreeMap<Fault, Figures> = BTreeMap::new();
    for record in records {
        let figures = Figures::of(history, record);
        kinds.entry(record.fault).or_default().add(&figures);
    }
    let mut lines = HEAD.to_owned();
    for (fault, figures) in kinds {
        let Figures {
            times,
            ok,
            weaker,
            refused,
            unanswered,
            silence,
            from_slave,
            whole,
            lag,
        } = figures;
        let silence = seconds(silence);
        let from_slave = from_slave.map_or("-".to_owned(), seconds);
        let whole = seconds(whole);
        let told = |lag: Lag| format!("{} B ({} B)", lag.lost, lag.told);
        let lag = lag.map_or("-".to_owned(), told);
        let fault = fault.name();
        let _infallible = writeln!(
            lines,
            "| {fault} | {times} | {ok} | {weaker} | {refused} | {unanswered} | {silence} | \
             {from_slave} | {whole} | {lag} |"
        );
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_the_time_of_the_fault() {
        let mut history = History::default();
        for line in [
            "S 0 900000 1.0.0 broker-a 0 0 0 SEND_OK",
            "S 0 1200000 1.0.1 broker-a 0 1 100 SEND_OK",
            "S 0 1300000 1.0.2 broker-a 0 2 200 SLAVE_NOT_AVAILABLE",
            "R 0 1400000 1.0.3 2",
            "U 0 2500000 1.0.4 timeout",
            "S 0 2600000 1.0.5 broker-b 0 0 0 SEND_OK",
            "D 1000000 1 0 1.0.0 broker-a 0 0",
            "D 1700000 1 0 1.0.5 broker-b 0 0",
            "D 1800000 1 0 1.0.1 broker-a 0 1",
            "D 1900000 1 0 1.0.2 broker-a 0 2",
            "S 0 9000000 1.0.6 broker-b 0 1 100 SEND_OK",
        ] {
            history.add(line).unwrap();
        }
        let mut record = Record {
            fault: Fault::MasterKilled,
            master_gone: Some(0),
            from: 1_000_000,
            mended: 2_000_000,
            whole: 3_000_000,
            lag: None,
        };
        let figures = Figures::of(&history, &record);
        let expected = Figures {
            times: 1,
            ok: 2,
            weaker: 1,
            refused: 1,
            unanswered: 1,
            silence: 1_400_000,
            from_slave: Some(800_000),
            whole: 1_000_000,
            lag: None,
        };
        assert_eq!(figures, expected);
        record.mended = 1_750_000;
        record.lag = Some(Lag { lost: 7, told: 5 });
        let table = table(&history, &[record.clone(), record]);
        let line =
            "| master killed (SIGKILL) | 2 | 4 | 2 | 2 | 2 | 1.4 s | - | 1.2 s | 7 B (5 B) |\n";
        assert!(table.ends_with(line), "{table}");
    }
}

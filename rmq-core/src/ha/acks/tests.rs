use proptest::prelude::*;

use super::*;

const GAP: i64 = 10_000;

fn host(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

fn rules(in_sync: Option<InSync>) -> Rules {
    Rules {
        ack_timeout_ms: 3_000,
        max_gap_bytes: GAP,
        in_sync,
    }
}

fn acks(replicas: usize) -> Acks {
    Acks::new(rules(Some(InSync {
        replicas,
        min: 1,
        auto: false,
    })))
}

fn change(replicated: Option<i64>, enough: Option<bool>) -> Change {
    Change { replicated, enough }
}

const NOTHING: Change = Change {
    replicated: None,
    enough: None,
};

#[test]
fn needed_counts_the_master_and_waits_for_one_slave_at_least() {
    let needed = |replicas, min, auto, in_sync| {
        let wanted = InSync {
            replicas,
            min,
            auto,
        };
        wanted.needed(in_sync)
    };
    for replicas in [0, 1, 2] {
        assert_eq!(needed(replicas, 1, false, 5), 1);
    }
    assert_eq!(needed(3, 1, false, 0), 2);
    assert_eq!(needed(4, 1, true, 0), 1);
    assert_eq!(needed(4, 1, true, 2), 2);
    assert_eq!(needed(4, 1, true, 9), 3);
    assert_eq!(needed(4, 3, true, 0), 2);
    assert_eq!(needed(2, 9, true, 0), 1, "more at least than at most");
}

#[test]
fn a_slave_that_has_all_is_in_sync_until_it_stalls_and_joins_again() {
    let mut acks = acks(2);
    assert_eq!(acks.join(1, host(1), 100, 100, 0), change(None, Some(true)));
    assert_eq!(acks.tick(200, 10), NOTHING);
    assert_eq!(acks.ack(1, 200, 200, 20), change(Some(200), None));
    // Silence with nothing to acknowledge is no lag.
    assert_eq!(acks.tick(200, 60_000), NOTHING);
    assert_eq!(acks.tick(300, 60_010), NOTHING);
    assert_eq!(acks.tick(300, 63_000), NOTHING);
    assert_eq!(acks.progress(1, 300, 63_000).unwrap().lag_ms, Some(3_000));
    assert_eq!(acks.tick(300, 63_001), change(None, Some(false)));
    assert_eq!(acks.in_sync(), 0);
    // What it holds counts all the same.
    assert_eq!(acks.ack(1, 250, 300, 64_000), change(Some(250), None));
    assert_eq!(acks.ack(1, 300, 300, 65_000), change(Some(300), Some(true)));
    assert_eq!(acks.leave(1, 300, 65_001), change(None, Some(false)));
}

#[test]
fn a_steady_lag_below_the_limit_is_in_sync_but_joining_takes_a_second() {
    let mut acks = acks(2);
    let _ = acks.join(1, host(1), 1, 1, 0);
    for second in 1..60 {
        // Two to three seconds behind, always.
        let _ = acks.tick(second * 100, second as u64 * 1_000);
        let behind = (second * 100 - 150).max(1);
        let _ = acks.ack(1, behind, second * 100, second as u64 * 1_000);
        assert_eq!(acks.in_sync(), 1, "{second}");
    }
    let _ = acks.join(2, host(2), 1, 5_900, 59_000);
    let _ = acks.ack(2, 5_700, 5_900, 59_000);
    assert_eq!(acks.in_sync(), 1, "two seconds");
    let _ = acks.ack(2, 5_800, 5_900, 59_000);
    assert_eq!(acks.in_sync(), 2, "one second");
}

#[test]
fn a_gap_of_too_many_bytes_is_out_of_sync_at_once() {
    let mut acks = acks(2);
    let _ = acks.join(1, host(1), 50, 50, 0);
    assert_eq!(acks.tick(50 + GAP, 1), NOTHING);
    assert_eq!(acks.tick(51 + GAP, 2), change(None, Some(false)));
}

#[test]
fn what_a_slave_reports_first_proves_nothing() {
    let mut acks = acks(2);
    assert_eq!(acks.join(1, host(1), 600, 1_000, 0), NOTHING);
    // The log was at 600 a moment ago as far as the history knows, but it may be another log.
    assert_eq!(acks.ack(1, 600, 1_000, 10), NOTHING);
    assert_eq!(
        acks.ack(1, 1_000, 1_000, 20),
        change(Some(1_000), Some(true))
    );
}

#[test]
fn acknowledgements_beyond_the_end_never_count() {
    let mut acks = acks(2);
    let _ = acks.join(1, host(1), 1, 0, 0);
    assert_eq!(acks.ack(1, 500, 499, 1), NOTHING);
    assert_eq!(acks.ack(1, i64::MAX, 499, 2), NOTHING);
    assert_eq!(acks.ack(1, -1, 499, 2), NOTHING);
    assert_eq!(acks.ack(1, 499, 499, 3), change(Some(499), None));
}

#[test]
fn the_second_highest_counts_when_two_are_needed() {
    let mut acks = acks(3);
    let _ = acks.join(1, host(1), 10, 10, 0);
    assert_eq!(acks.in_sync(), 1);
    assert_eq!(acks.join(2, host(2), 10, 10, 0), change(None, Some(true)));
    assert_eq!(acks.ack(1, 90, 100, 1), NOTHING);
    assert_eq!(acks.ack(2, 70, 100, 1), change(Some(70), None));
    assert_eq!(acks.ack(2, 80, 100, 1), change(Some(80), None));
    assert_eq!(acks.leave(2, 100, 2), change(None, Some(false)));
    assert_eq!(acks.ack(1, 100, 100, 2), NOTHING);
    assert_eq!(acks.join(2, host(2), 50, 100, 3), NOTHING);
    // Both hold 60 now, but 80 was held by two before.
    assert_eq!(acks.ack(2, 60, 100, 3), change(None, Some(true)));
    assert_eq!(acks.ack(2, 100, 100, 4), change(Some(100), None));
}

#[test]
fn one_slave_with_two_connections_counts_once() {
    let mut acks = acks(3);
    let _ = acks.join(1, host(1), 10, 10, 0);
    let _ = acks.ack(1, 100, 100, 1);
    // The same host again; whether the first connection lives is not known.
    let _ = acks.join(2, host(1), 50, 100, 2);
    assert_eq!(acks.ack(2, 100, 100, 2).replicated, None);
    assert_eq!(acks.ack(1, 100, 100, 2).replicated, None, "nothing new");
    // Two slaves on one host acknowledge what came after.
    assert_eq!(acks.ack(1, 200, 200, 3).replicated, Some(100));
    assert_eq!(acks.ack(2, 200, 200, 3).replicated, Some(200));
}

#[test]
fn auto_waits_for_those_that_are_there() {
    let wanted = InSync {
        replicas: 3,
        min: 1,
        auto: true,
    };
    let mut acks = Acks::new(rules(Some(wanted)));
    assert_eq!(acks.join(1, host(1), 10, 10, 0), change(None, Some(true)));
    assert_eq!(acks.join(2, host(2), 10, 10, 0), NOTHING);
    assert_eq!(acks.ack(1, 100, 100, 1), NOTHING);
    assert_eq!(acks.leave(2, 100, 2), change(Some(100), None));
    assert_eq!(acks.leave(1, 100, 2), change(None, Some(false)));
}

#[test]
fn an_asynchronous_master_only_looks_on() {
    let mut acks = Acks::new(rules(None));
    assert_eq!(acks.join(1, host(1), 10, 10, 0), NOTHING);
    assert_eq!(acks.ack(1, 100, 100, 1), NOTHING);
    assert_eq!(acks.in_sync(), 1);
    let progress = acks.progress(1, 150, 31).unwrap();
    assert_eq!((progress.ack, progress.gap_bytes), (100, 50));
    assert_eq!((progress.lag_ms, progress.in_sync), (Some(30), true));
    assert!(acks.progress(2, 150, 31).is_none());
    assert!(acks.any_behind(150) && !acks.any_behind(100));
}

/// The rules written down a second time, with everything remembered and nothing clever.
struct Model {
    rules: Rules,
    seen: Vec<(u64, i64)>,
    slaves: Vec<ModelSlave>,
    replicated: i64,
}

struct ModelSlave {
    id: u64,
    host: IpAddr,
    first: i64,
    acks: Vec<i64>,
    must_pass: i64,
    in_sync: bool,
    /// Times at which it was known to have had all of the log.
    had_all: Vec<u64>,
}

impl Model {
    fn settle(&mut self, end: i64, now: u64) -> (usize, i64, bool) {
        self.seen.push((now, end));
        for slave in &mut self.slaves {
            let ack = *slave.acks.iter().max().unwrap();
            let known = self
                .seen
                .iter()
                .filter(|(at, e)| *e <= ack && *at + self.rules.ack_timeout_ms + 1_000 >= now);
            let moment = known.map(|(at, _)| *at).max();
            slave.had_all.extend(moment);
            let lag = slave.had_all.iter().max().map_or(u64::MAX, |at| now - at);
            let near = end - ack <= self.rules.max_gap_bytes;
            let shown = ack > slave.first || ack >= end;
            slave.in_sync = near
                && if slave.in_sync {
                    lag <= self.rules.ack_timeout_ms
                } else {
                    shown && moment.is_some() && lag <= self.rules.ack_timeout_ms.min(1_000)
                };
        }
        let in_sync = self.slaves.iter().filter(|s| s.in_sync).count();
        let wanted = self.rules.in_sync.unwrap();
        let most = std::cmp::max(wanted.replicas - 1, 1);
        let least = std::cmp::max(wanted.min - 1, 1).min(most);
        let needed = match wanted.auto {
            true => in_sync.max(least).min(most),
            false => most,
        };
        for offset in self.replicated..=end {
            let holders = self.slaves.iter().filter(|s| {
                let ack = *s.acks.iter().max().unwrap();
                ack >= offset && ack > s.first && ack > s.must_pass
            });
            if holders.count() >= needed {
                self.replicated = offset;
            }
        }
        (in_sync, self.replicated, in_sync >= needed)
    }
}

#[derive(Clone, Debug)]
enum Step {
    Join { host: u8, back: i64 },
    Ack { which: usize, part: u8 },
    Leave { which: usize },
    Append { bytes: i64 },
    Wait { ticks: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => (0u8..3, 0i64..300).prop_map(|(host, back)| Step::Join { host, back }),
        6 => (0usize..5, 0u8..=110).prop_map(|(which, part)| Step::Ack { which, part }),
        1 => (0usize..5).prop_map(|which| Step::Leave { which }),
        4 => (0i64..300).prop_map(|bytes| Step::Append { bytes }),
        4 => (0u64..150).prop_map(|ticks| Step::Wait { ticks }),
    ]
}

proptest! {
    #[test]
    fn does_what_the_model_does(
        steps in prop::collection::vec(step(), 1..120),
        replicas in 1usize..5,
        min in 1usize..4,
        auto in any::<bool>(),
    ) {
        let rules = Rules {
            ack_timeout_ms: 2_000,
            max_gap_bytes: 700,
            in_sync: Some(InSync { replicas, min, auto }),
        };
        let mut acks = Acks::new(rules);
        let mut model = Model { rules, seen: Vec::new(), slaves: Vec::new(), replicated: 0 };
        let (mut end, mut now, mut next_id) = (0i64, 0u64, 0u64);
        let (mut replicated, mut enough) = (0, false);
        for step in steps {
            let nth = |model: &Model, which: usize| {
                (!model.slaves.is_empty()).then(|| which % model.slaves.len())
            };
            let change = match step {
                Step::Join { host: last, back } => {
                    let first = (end - back).max(0);
                    for slave in model.slaves.iter_mut().filter(|s| s.host == host(last)) {
                        slave.must_pass = end;
                    }
                    model.slaves.push(ModelSlave {
                        id: next_id,
                        host: host(last),
                        first,
                        acks: vec![first],
                        must_pass: 0,
                        in_sync: false,
                        had_all: Vec::new(),
                    });
                    next_id += 1;
                    acks.join(next_id - 1, host(last), first, end, now)
                }
                Step::Ack { which, part } => match nth(&model, which) {
                    Some(index) => {
                        let slave = &mut model.slaves[index];
                        // Up to a tenth beyond the end: a lie.
                        let from = slave.acks[0];
                        let ack = from + (end - from) * i64::from(part) / 100;
                        slave.acks.extend(Some(ack).filter(|ack| *ack <= end));
                        acks.ack(slave.id, ack, end, now)
                    }
                    None => acks.ack(next_id, end, end, now),
                },
                Step::Leave { which } => match nth(&model, which) {
                    Some(index) => acks.leave(model.slaves.remove(index).id, end, now),
                    None => acks.leave(next_id, end, now),
                },
                Step::Append { bytes } => {
                    end += bytes;
                    acks.tick(end, now)
                }
                Step::Wait { ticks } => {
                    now += ticks * 10;
                    acks.tick(end, now)
                }
            };
            if let Some(to) = change.replicated {
                prop_assert!(to > replicated && to <= end);
                replicated = to;
            }
            if let Some(now_enough) = change.enough {
                prop_assert_ne!(now_enough, enough);
                enough = now_enough;
            }
            let (want_in_sync, want_replicated, want_enough) = model.settle(end, now);
            prop_assert_eq!(acks.in_sync(), want_in_sync);
            prop_assert_eq!(replicated, want_replicated);
            prop_assert_eq!(enough, want_enough);
        }
    }
}

//! Random sends, recalls, steps, restarts and crashes against what a sender may rely on.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Op {
    Send { delay_ms: i64 },
    Recall { which: usize },
    Pass { ms: u64 },
    Step,
    Flush,
    Restart,
    Crash { seed: u64 },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (1_i64..200_000).prop_map(|delay_ms| Op::Send { delay_ms }),
        4 => (1_i64..5_000).prop_map(|delay_ms| Op::Send { delay_ms }),
        2 => any::<usize>().prop_map(|which| Op::Recall { which }),
        4 => (1_u64..20_000).prop_map(|ms| Op::Pass { ms }),
        2 => Just(Op::Step),
        2 => Just(Op::Flush),
        1 => Just(Op::Restart),
        1 => any::<u64>().prop_map(|seed| Op::Crash { seed }),
    ]
}

/// What is known of a message.
struct Known {
    out_ms: i64,
    /// The log ended here when it was stored.
    end: i64,
    /// It was recalled in time; by a message that ended here.
    recalled: Option<i64>,
    /// That message was lost, maybe after it had its effect.
    recall_lost: bool,
}

#[derive(Default)]
struct Model {
    sent: BTreeMap<String, Known>,
    crashed: bool,
}

impl Model {
    fn check(&self, broker: &Fixture) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        for record in broker.records("t", 1) {
            let record = record_of(record.as_ref());
            let id = String::from_utf8(record.body().to_vec()).unwrap();
            let known = &self.sent[&id];
            let stored_ms = record.store_timestamp_ms();
            assert!(stored_ms >= known.out_ms + 1000, "{id} is early");
            assert!(seen.insert(id.clone()) || self.crashed, "{id} came twice");
        }
        seen
    }
}

fn run(ops: &[Op], sync: bool) {
    let flush = if sync {
        FlushMode::Sync
    } else {
        FlushMode::Async
    };
    let mut broker = Fixture::new(flush, |config| config.store.timer_roll_ticks = 60);
    let mut model = Model::default();
    for (n, op) in ops.iter().enumerate() {
        match op {
            Op::Send { delay_ms } => {
                let id = format!("id{n}");
                let known = Known {
                    out_ms: broker.send(*delay_ms, "t", &id),
                    end: broker.shared.store.watermarks().appended(),
                    recalled: None,
                    recall_lost: false,
                };
                model.sent.insert(id, known);
            }
            Op::Recall { which } => {
                let count = model.sent.len().max(1);
                let Some((id, known)) = model.sent.iter_mut().nth(which % count) else {
                    continue;
                };
                if broker.now_ms() < known.out_ms {
                    broker.recall(known.out_ms, "t", id);
                    let end = broker.shared.store.watermarks().appended();
                    known.recalled.get_or_insert(end);
                }
            }
            Op::Pass { ms } => {
                broker.shared.store.flush().unwrap();
                broker.shared.timer.inbox.look();
                broker.pass(*ms);
            }
            Op::Step => drop(broker.worker.step()),
            Op::Flush => broker.shared.store.flush().unwrap(),
            Op::Restart => broker.restart(),
            Op::Crash { seed } => {
                let flushed = broker.shared.store.watermarks().flushed();
                broker.crash(Crash::Random {
                    seed: *seed,
                    torn: true,
                });
                model.crashed = true;
                let end = broker.shared.store.watermarks().appended();
                assert!(end >= flushed);
                // What was not promised may be gone, and so may be recalls of what is not.
                model.sent.retain(|_, known| known.end <= end);
                for known in model.sent.values_mut() {
                    let lost = known.recalled.take_if(|recall| *recall > end);
                    known.recall_lost |= lost.is_some();
                }
            }
        }
        model.check(&broker);
    }
    check_end(&mut broker, &model);
}

/// What is to be when everything is over.
fn check_end(broker: &mut Fixture, model: &Model) {
    for _ in 0..30 {
        broker.shared.store.flush().unwrap();
        broker.shared.timer.inbox.look();
        broker.pass(10_000);
    }
    broker.shared.store.flush().unwrap();
    let seen = model.check(broker);
    for (id, known) in &model.sent {
        let fits = known.recall_lost || seen.contains(id) == known.recalled.is_none();
        assert!(fits, "{id} was recalled: {:?}", known.recalled);
    }
    broker.pass(3_000);
    assert_eq!(broker.settle(), None, "nothing waits, but something wakes");
    assert_eq!(broker.shared.timer.waiting(), 0);
    assert_eq!(broker.count("t"), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_and_nothing_is_early(
        ops in proptest::collection::vec(op(), 1..60),
        sync in any::<bool>(),
    ) {
        run(&ops, sync);
    }
}

fn sends(delays_ms: &[i64]) -> Vec<Op> {
    let send = |&delay_ms: &i64| Op::Send { delay_ms };
    delays_ms.iter().map(send).collect()
}

fn passes(ms: &[u64]) -> Vec<Op> {
    ms.iter().map(|&ms| Op::Pass { ms }).collect()
}

#[test]
fn what_was_put_back_twice_is_taken_back_twice() {
    let mut ops = sends(&[90_751]);
    ops.extend(passes(&[10_117, 12_879, 9_310]));
    ops.push(Op::Recall { which: 0 });
    ops.extend(passes(&[9_859]));
    ops.extend(sends(&[1_586, 1]));
    ops.extend(passes(&[14_615, 15_458, 9_512]));
    ops.push(Op::Crash { seed: 0 });
    run(&ops, true);
}

#[test]
fn files_of_the_log_that_a_crash_left_half_made_do_not_hide_the_others() {
    let mut ops = sends(&[1, 1, 15_751]);
    ops.extend(passes(&[750]));
    ops.push(Op::Restart);
    ops.extend(sends(&[117_020, 25_313, 1_979, 946]));
    ops.push(Op::Flush);
    ops.extend(sends(&[
        3_972, 110_384, 129_873, 2_786, 8_995, 2_441, 77_185, 671,
    ]));
    ops.push(Op::Step);
    for seed in 0..40 {
        let mut ops = ops.clone();
        ops.push(Op::Crash { seed });
        run(&ops, false);
    }
}

#[test]
fn a_message_in_the_place_of_a_lost_one_is_not_taken_for_it() {
    let mut ops = sends(&[79_751, 1, 59_751, 1]);
    ops.push(Op::Step);
    ops.extend(passes(&[14_563]));
    ops.extend(sends(&[1, 1]));
    ops.extend(passes(&[4_337, 19_649]));
    ops.extend(sends(&[1]));
    ops.extend(passes(&[19_249, 2_952]));
    ops.extend(sends(&[1]));
    ops.push(Op::Step);
    for seed in 0..20 {
        let mut ops = ops.clone();
        ops.push(Op::Crash { seed });
        ops.extend(sends(&[20_001, 1]));
        run(&ops, false);
    }
}

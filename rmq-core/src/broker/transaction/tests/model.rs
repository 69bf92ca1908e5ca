//! Random lives of transactions, with a crash at any point and any loss that a crash may cause,
//! held against a model that knows how each was to end.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::protocol::code::ResponseCode;
use crate::protocol::request::transaction::{TRANSACTION_COMMIT, TRANSACTION_ROLLBACK};

/// What the producer of a transaction answers, whenever it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    Commit,
    RollBack,
    /// It never does.
    Silence,
}

impl Decision {
    fn code(self) -> Option<i32> {
        match self {
            Self::Commit => Some(TRANSACTION_COMMIT),
            Self::RollBack => Some(TRANSACTION_ROLLBACK),
            Self::Silence => None,
        }
    }
}

#[derive(Clone, Debug)]
enum Act {
    Send {
        decision: Decision,
        immune: bool,
        len: usize,
    },
    /// The producers end these transactions by themselves, with one batch.
    End(Vec<prop::sample::Index>),
    /// A producer answers a question, an old one perhaps.
    Answer(prop::sample::Index),
    /// An ordinary message.
    Other,
    Wait(u64),
    Flush,
    Persist,
    Full(bool),
    Restart,
    /// The process is killed.
    Kill,
    /// So many records that were not durable are lost.
    PowerLoss(usize),
}

fn act() -> impl Strategy<Value = Act> {
    let decision = prop_oneof![
        4 => Just(Decision::Commit),
        2 => Just(Decision::RollBack),
        1 => Just(Decision::Silence),
    ];
    let send = (decision, prop::bool::weighted(0.2), 1..900_usize);
    let some = prop::collection::vec(any::<prop::sample::Index>(), 1..4);
    prop_oneof![
        8 => send.prop_map(|(decision, immune, len)| Act::Send { decision, immune, len }),
        8 => some.prop_map(Act::End),
        8 => any::<prop::sample::Index>().prop_map(Act::Answer),
        2 => Just(Act::Other),
        6 => prop_oneof![Just(1_000), Just(8_000), Just(31_000)].prop_map(Act::Wait),
        3 => Just(Act::Flush),
        3 => Just(Act::Persist),
        1 => any::<bool>().prop_map(Act::Full),
        1 => Just(Act::Restart),
        2 => Just(Act::Kill),
        2 => (0..5_usize).prop_map(Act::PowerLoss),
    ]
}

/// What is known of a transaction.
#[derive(Clone, Debug)]
struct Transaction {
    decision: Decision,
    place: Place,
    body: Vec<u8>,
    questions: Vec<CheckTransactionStateRequest>,
}

struct World {
    fixture: Fixture,
    /// By the number that begins the body.
    transactions: BTreeMap<u32, Transaction>,
    next: u32,
    /// A loss of power may leave a half message that was given up, without its list: it is open
    /// then, and may be committed after all.
    power_was_lost: bool,
}

fn number_of(body: &[u8]) -> Option<u32> {
    let digits = std::str::from_utf8(body.get(1..9)?).ok()?;
    digits.parse().ok()
}

impl World {
    fn new(flush: FlushMode) -> Self {
        Self {
            fixture: Fixture::new(flush),
            transactions: BTreeMap::new(),
            next: 0,
            power_was_lost: false,
        }
    }

    fn run(&mut self, act: &Act) {
        match act {
            Act::Send {
                decision,
                immune,
                len,
            } => self.send(*decision, *immune, *len),
            Act::End(which) => {
                let requests = which
                    .iter()
                    .filter_map(|which| {
                        let number = self.pick(which)?;
                        let one = &self.transactions[&number];
                        Some(request(one.place, one.decision.code()?))
                    })
                    .collect();
                self.end(requests);
            }
            Act::Answer(which) => {
                let Some(number) = self.pick(which) else {
                    return;
                };
                let one = &self.transactions[&number];
                let Some(code) = one.decision.code() else {
                    return;
                };
                if !one.questions.is_empty() {
                    let question = which.get(&one.questions);
                    self.end(vec![answer(question, code)]);
                }
            }
            Act::Other => {
                self.fixture.put(TOPIC, 0, b"o", b"", 0, 0);
            }
            Act::Wait(ms) => {
                self.fixture.advance(*ms);
                self.fixture.tick();
            }
            Act::Flush => self.fixture.flush(),
            Act::Persist => self.fixture.persist(),
            Act::Full(full) => self.full(*full),
            Act::Restart => {
                self.full(false);
                self.fixture.restart();
            }
            Act::Kill => self.crash(0),
            Act::PowerLoss(records) => {
                self.power_was_lost = true;
                self.crash(*records);
            }
        }
        self.take_questions();
    }

    fn pick(&self, which: &prop::sample::Index) -> Option<u32> {
        let numbers: Vec<u32> = self.transactions.keys().copied().collect();
        (!numbers.is_empty()).then(|| *which.get(&numbers))
    }

    fn crash(&mut self, lost: usize) {
        // No store opens without space.
        self.full(false);
        self.fixture.crash_with_log_cut(lost);
    }

    fn full(&mut self, full: bool) {
        self.fixture.disk.set_capacity(full.then_some(0));
        if !full {
            self.fixture.store.run_allocation();
        }
    }

    fn send(&mut self, decision: Decision, immune: bool, len: usize) {
        let number = self.next;
        self.next += 1;
        let parity = number % 2;
        let body = format!("{parity}{number:08}{}", "x".repeat(len)).into_bytes();
        let properties = match immune {
            true => "CHECK_IMMUNITY_TIME_IN_SECONDS\u{1}40\u{2}",
            false => "",
        };
        if let Some(place) = self.fixture.try_send(&body, properties) {
            let one = Transaction {
                decision,
                place,
                body,
                questions: Vec::new(),
            };
            self.transactions.insert(number, one);
        }
    }

    fn end(&mut self, requests: Vec<EndTransactionRequest>) {
        for answer in self.fixture.end_all(&requests) {
            let Err(refusal) = answer else { continue };
            // Over, too late, or the disk is full; never that something does not fit together.
            let expected = match refusal.code {
                ResponseCode::SYSTEM_ERROR => refusal.remark.contains("has ended already"),
                code => matches!(
                    code,
                    ResponseCode::ILLEGAL_OPERATION | ResponseCode::SERVICE_NOT_AVAILABLE
                ),
            };
            assert!(expected, "{refusal:?}");
        }
    }

    fn take_questions(&mut self) {
        for (question, body) in std::mem::take(&mut self.fixture.questions) {
            let record = read(&body).unwrap();
            let number = number_of(record.body()).unwrap();
            let one = self.transactions.get_mut(&number).unwrap();
            assert_eq!(record.body(), one.body);
            assert_eq!(record.topic(), TOPIC);
            one.questions.push(question);
        }
    }

    /// Forgets what is not in the log any more.
    fn forget_lost(&mut self) {
        let log = self.fixture.log();
        let halves: BTreeMap<i64, Vec<u8>> = log
            .iter()
            .filter_map(|record| read(record))
            .filter(|record| record.topic_bytes() == names::HALF_TOPIC.as_bytes())
            .map(|record| (record.physical_offset(), record.body().to_vec()))
            .collect();
        self.transactions
            .retain(|_, one| halves.get(&one.place.physical) == Some(&one.body));
        for one in self.transactions.values_mut() {
            let body = one.body.clone();
            one.questions
                .retain(|question| halves.get(&question.commit_log_offset) == Some(&body));
        }
    }

    fn counts(&self, topic: &str) -> BTreeMap<u32, usize> {
        let mut counts = BTreeMap::new();
        for body in self.fixture.bodies(topic) {
            if let Some(number) = number_of(&body) {
                *counts.entry(number).or_default() += 1;
            }
        }
        counts
    }

    /// What must hold at any time.
    fn check(&self) {
        for (number, count) in self.counts(TOPIC) {
            assert_eq!(count, 1, "{number} was delivered {count} times");
            let one = &self.transactions[&number];
            assert_eq!(one.decision, Decision::Commit, "{number} was delivered");
        }
        let given_up = self.counts(names::TRANS_CHECK_MAX_TIME_TOPIC);
        for number in self.counts(TOPIC).keys() {
            let too = given_up.contains_key(number) && !self.power_was_lost;
            assert!(!too, "{number} was given up too");
        }
    }

    /// Lets everybody answer, until nothing is open.
    fn finish(&mut self) {
        self.full(false);
        for _ in 0..8 {
            self.fixture.flush();
            self.fixture.advance(31_000);
            self.fixture.tick();
            self.take_questions();
            let last = |one: &Transaction| {
                let question = one.questions.last()?;
                Some(answer(question, one.decision.code()?))
            };
            let answers = self.transactions.values().filter_map(last).collect();
            self.end(answers);
        }
        self.check();
        let (delivered, given_up) = (
            self.counts(TOPIC),
            self.counts(names::TRANS_CHECK_MAX_TIME_TOPIC),
        );
        for (number, one) in &self.transactions {
            let (delivered, given_up) = (delivered.get(number), given_up.get(number));
            let right = match one.decision {
                // Given up when its producer was not heard in time.
                Decision::Commit => delivered.is_some() || given_up.is_some(),
                Decision::RollBack => delivered.is_none(),
                Decision::Silence => delivered.is_none() && given_up.is_some(),
            };
            assert!(right, "{number}: {one:?} {delivered:?} {given_up:?}");
        }
        self.fixture.flush();
        assert!(!self.fixture.engine.awaits_store());
        self.fixture.persist();
        let end = |topic| self.fixture.store.queue(topic, 0).next_offset();
        let progress = self.fixture.persisted.unwrap_or_default();
        assert_eq!(progress.half, end(names::HALF_TOPIC));
        assert_eq!(progress.over, end(names::OP_HALF_TOPIC));
    }
}

/// How many lives: `PROPTEST_CASES`, or as many as take a few seconds.
fn cases() -> u32 {
    let given = std::env::var("PROPTEST_CASES").ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(96)
}

fn live(flush: FlushMode, acts: &[Act]) {
    let mut world = World::new(flush);
    for act in acts {
        world.run(act);
        world.forget_lost();
        world.check();
    }
    world.finish();
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        max_shrink_iters: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn none_is_lost_or_delivered_twice(
        sync in any::<bool>(),
        acts in prop::collection::vec(act(), 1..60),
    ) {
        let flush = if sync { FlushMode::Sync } else { FlushMode::Async };
        live(flush, &acts);
    }
}

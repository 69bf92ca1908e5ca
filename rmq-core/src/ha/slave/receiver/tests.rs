use std::cell::{Cell, RefCell};

use proptest::prelude::*;

use super::*;

/// A log whose records are four bytes of length and then that many bytes less four. A record that
/// begins with `ff` is none.
#[derive(Debug, Default)]
struct FakeLog {
    first: Cell<i64>,
    bytes: RefCell<Vec<u8>>,
    flushed: Cell<i64>,
    /// Bytes that fit.
    room: Cell<Option<usize>>,
}

impl FakeLog {
    fn with(first: i64, bytes: &[u8]) -> Self {
        let log = Self::default();
        log.first.set(first);
        log.bytes.borrow_mut().extend_from_slice(bytes);
        log.flushed.set(log.bounds().1);
        log
    }
}

impl Log for FakeLog {
    fn bounds(&self) -> (i64, i64) {
        let first = self.first.get();
        (first, first + self.bytes.borrow().len() as i64)
    }

    fn flushed(&self) -> i64 {
        self.flushed.get()
    }

    fn difference(&self, offset: i64, bytes: &[u8]) -> Option<i64> {
        let own = self.bytes.borrow();
        let at = usize::try_from(offset - self.first.get()).unwrap();
        (0..bytes.len())
            .find(|&i| own.get(at + i) != Some(&bytes[i]))
            .map(|i| offset + i as i64)
    }

    fn append(&self, bytes: &[u8]) -> Result<()> {
        let mut log = self.bytes.borrow_mut();
        let mut rest = bytes;
        while let Some(len) = rest.first_chunk::<4>() {
            if len[0] == 0xff {
                return Err(Error::new(ErrorKind::Corrupt, "fake", "no record"));
            }
            let len = u32::from_be_bytes(*len) as usize;
            if rest.len() < len {
                return Ok(());
            }
            if self.room.get().is_some_and(|room| log.len() + len > room) {
                return Err(Error::new(ErrorKind::DiskFull, "fake", "no room"));
            }
            log.extend_from_slice(&rest[..len]);
            rest = &rest[len..];
        }
        Ok(())
    }

    fn begin_at(&self, offset: i64) -> Result<()> {
        if offset % 1_000 != 0 || !self.bytes.borrow().is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "fake", "no beginning"));
        }
        self.first.set(offset);
        Ok(())
    }
}

fn record(len: usize, fill: u8) -> Vec<u8> {
    let mut bytes = (len as u32).to_be_bytes().to_vec();
    bytes.resize(len, fill);
    bytes
}

fn records(count: usize, len: usize) -> Vec<u8> {
    (0..count).flat_map(|n| record(len, n as u8)).collect()
}

fn frame(offset: i64, body: &[u8]) -> Vec<u8> {
    let size = body.len();
    let mut bytes = Header { offset, size }.encode().to_vec();
    bytes.extend_from_slice(body);
    bytes
}

fn receiver(log: &FakeLog) -> Receiver {
    let mut receiver = Receiver::new(false);
    receiver.begin(log, None);
    receiver
}

fn give(receiver: &mut Receiver, log: &FakeLog, bytes: &[u8]) -> Result<(), Trouble> {
    for piece in bytes.chunks(READ_BYTES_MIN) {
        receiver.space()?[..piece.len()].copy_from_slice(piece);
        receiver.filled(piece.len());
        receiver.process(log, 0)?;
    }
    Ok(())
}

fn refusal(outcome: Result<(), Trouble>) -> String {
    match outcome {
        Err(Trouble::Refused(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_empty_slave_asks_for_the_second_byte_and_knows_the_first() {
    let (log, bytes) = (FakeLog::default(), records(10, 50));
    let mut receiver = receiver(&log);
    assert_eq!(receiver.report(&log), 1);
    assert!(!receiver.is_streaming());
    give(&mut receiver, &log, &frame(1, &[])).unwrap();
    assert!(receiver.is_streaming(), "nothing is there yet");
    assert_eq!(receiver.report(&log), 1);
    give(&mut receiver, &log, &frame(1, &bytes[1..2])).unwrap();
    give(&mut receiver, &log, &frame(2, &bytes[2..60])).unwrap();
    assert_eq!(receiver.report(&log), 50);
    give(&mut receiver, &log, &frame(60, &bytes[60..])).unwrap();
    assert_eq!(*log.bytes.borrow(), bytes);
    assert_eq!((receiver.report(&log), receiver.received()), (500, 500));
}

#[test]
fn an_empty_slave_begins_where_its_master_begins() {
    for wanted in [None, Some(7_000)] {
        let (log, bytes) = (FakeLog::default(), records(3, 50));
        let mut receiver = Receiver::new(false);
        receiver.begin(&log, wanted);
        assert_eq!(receiver.report(&log), wanted.unwrap_or(1));
        give(&mut receiver, &log, &frame(7_000, &bytes)).unwrap();
        assert_eq!(log.bounds(), (7_000, 7_150));
        assert_eq!(receiver.report(&log), 7_150);
    }
    let log = FakeLog::default();
    let mut receiver = receiver(&log);
    let outcome = give(&mut receiver, &log, &frame(7_001, &records(1, 50)));
    assert!(refusal(outcome).contains("no beginning"));
}

#[test]
fn a_log_that_is_begun_and_empty_goes_on_there() {
    let log = FakeLog::with(7_000, &[]);
    let mut receiver = receiver(&log);
    assert_eq!(receiver.report(&log), 7_000);
    give(&mut receiver, &log, &frame(7_000, &records(1, 50))).unwrap();
    assert_eq!(receiver.report(&log), 7_050);
}

#[test]
fn the_end_is_compared_before_it_is_reported() {
    let bytes = records(2_000, 50);
    let log = FakeLog::with(0, &bytes);
    let mut receiver = receiver(&log);
    let from = 100_000 - OVERLAP_BYTES;
    assert_eq!(receiver.report(&log), from);
    let overlap = &bytes[usize::try_from(from).unwrap()..];
    give(&mut receiver, &log, &frame(from, &overlap[..999])).unwrap();
    assert_eq!(receiver.report(&log), from);
    assert!(!receiver.is_streaming());
    // The last frame of the overlap brings something new besides.
    let mut rest = overlap[999..].to_vec();
    rest.extend(record(70, 9));
    give(&mut receiver, &log, &frame(from + 999, &rest)).unwrap();
    assert!(receiver.is_streaming());
    assert_eq!(receiver.report(&log), 100_070);
}

#[test]
fn a_short_log_is_compared_from_its_beginning() {
    for (first, from) in [(0, 1), (3_000, 3_000)] {
        let bytes = records(3, 50);
        let log = FakeLog::with(first, &bytes);
        let mut receiver = receiver(&log);
        assert_eq!(receiver.report(&log), from);
        let offset = usize::try_from(from - first).unwrap();
        give(&mut receiver, &log, &frame(from, &bytes[offset..])).unwrap();
        assert_eq!(receiver.report(&log), first + 150);
    }
}

#[test]
fn another_log_of_the_same_length_is_refused_and_nothing_is_written() {
    let bytes = records(3, 50);
    let mut other = bytes.clone();
    other[120] ^= 1;
    let log = FakeLog::with(0, &other);
    let mut receiver = receiver(&log);
    let mut sent = bytes.clone();
    sent.extend(record(50, 9));
    let why = refusal(give(&mut receiver, &log, &frame(1, &sent[1..])));
    assert!(why.contains("at log offset 120 (it ends at 150)"), "{why}");
    assert_eq!(*log.bytes.borrow(), other);
    assert_eq!(receiver.report(&log), 1);
}

#[test]
fn a_master_that_has_less_is_refused_once_it_is_sure() {
    let bytes = records(3, 50);
    let log = FakeLog::with(0, &bytes);
    let mut receiver = receiver(&log);
    give(&mut receiver, &log, &frame(1, &bytes[1..100])).unwrap();
    assert_eq!(receiver.check_at_ms(), None);
    give(&mut receiver, &log, &frame(100, &[])).unwrap();
    receiver.check(QUIET_MS - 1).unwrap();
    // It only had to wait.
    give(&mut receiver, &log, &frame(100, &bytes[100..110])).unwrap();
    receiver.check(QUIET_MS).unwrap();
    give(&mut receiver, &log, &frame(110, &[])).unwrap();
    let why = refusal(receiver.check(QUIET_MS));
    assert!(why.contains("ends at 150, the master's at 110"), "{why}");
    // What a master of rmq says when it is asked for what is beyond its end.
    receiver.begin(&FakeLog::with(0, &records(2_000, 50)), None);
    let why = refusal(give(&mut receiver, &log, &frame(90, &[])));
    assert!(why.contains("the master's at 90"), "{why}");
}

#[test]
fn a_master_that_deleted_what_is_missing_is_refused() {
    let log = FakeLog::with(0, &records(3, 50));
    let mut receiver = receiver(&log);
    let why = refusal(give(&mut receiver, &log, &frame(5_000, &[])));
    assert!(why.contains("begins at 5000, after the end 150"), "{why}");
}

#[test]
fn frames_out_of_place_and_impossible_ones_end_the_connection() {
    let log = FakeLog::with(0, &records(3, 50));
    let mut impossible = frame(1, &[]);
    impossible[8] = 0x7f;
    for bytes in [frame(0, b"x"), impossible, vec![0xff; 12]] {
        let mut receiver = receiver(&log);
        let outcome = give(&mut receiver, &log, &bytes);
        assert!(matches!(outcome, Err(Trouble::Protocol(_))), "{outcome:?}");
    }
    let mut receiver = receiver(&log);
    give(&mut receiver, &log, &frame(1, &log.bytes.borrow()[1..])).unwrap();
    let outcome = give(&mut receiver, &log, &frame(151, b"x"));
    assert!(matches!(outcome, Err(Trouble::Protocol(_))), "{outcome:?}");
}

#[test]
fn what_is_no_record_is_refused() {
    let log = FakeLog::default();
    let mut receiver = receiver(&log);
    let mut bytes = records(2, 50);
    bytes.extend([0xff; 20]);
    let why = refusal(give(&mut receiver, &log, &frame(1, &bytes[1..])));
    assert!(why.contains("no record"), "{why}");
}

#[test]
fn a_record_without_end_is_refused_before_it_fills_the_memory() {
    let log = FakeLog::default();
    let mut receiver = receiver(&log);
    let mut body = record(1 << 20, 1);
    body[..4].copy_from_slice(&0x7fff_ffffu32.to_be_bytes());
    give(&mut receiver, &log, &frame(1, &records(1, 50)[1..])).unwrap();
    let mut outcome = Ok(());
    for part in 0..64 {
        outcome = give(&mut receiver, &log, &frame(50 + (part << 20), &body));
        if outcome.is_err() {
            break;
        }
    }
    assert!(refusal(outcome).contains("record longer than"));
    assert!(receiver.buffer.len() <= BUFFER_BYTES_MAX);
    receiver.begin(&log, None);
    assert!(receiver.buffer.capacity() <= 2 * BUFFER_BYTES);
}

#[test]
fn flushed_is_reported_when_that_is_asked_for_and_never_taken_back() {
    let bytes = records(2_000, 50);
    let log = FakeLog::with(0, &bytes);
    log.flushed.set(200);
    let mut receiver = Receiver::new(true);
    receiver.begin(&log, None);
    assert_eq!(receiver.report(&log), 200);
    give(&mut receiver, &log, &frame(200, &bytes[200..])).unwrap();
    assert!(receiver.is_streaming());
    assert_eq!(receiver.report(&log), 200);
    log.flushed.set(50_000);
    assert_eq!(receiver.report(&log), 50_000);
}

proptest! {
    #[test]
    fn any_cut_of_the_stream_gives_the_masters_log(
        lens in prop::collection::vec(4usize..3_000, 1..60),
        known in 0usize..60,
        frames in prop::collection::vec(0usize..5_000, 1..40),
        pieces in prop::collection::vec(1usize..7_000, 1..40),
        rooms in prop::collection::vec(0usize..90_000, 0..6),
    ) {
        let master: Vec<u8> = lens
            .iter()
            .enumerate()
            .flat_map(|(n, len)| record(*len, n as u8))
            .collect();
        let known: usize = lens.iter().take(known).sum();
        let log = FakeLog::with(0, &master[..known]);
        let mut receiver = receiver(&log);
        let mut at = usize::try_from(receiver.report(&log)).unwrap();
        let mut stream = Vec::new();
        let mut frames = frames.into_iter().cycle();
        // Heartbeats are among the frames, and never only they.
        let mut empty = 0;
        while at < master.len() {
            let mut len = frames.next().unwrap().min(master.len() - at);
            empty = if len == 0 { empty + 1 } else { 0 };
            len = if empty > 40 { 1 } else { len };
            stream.extend(frame(at as i64, &master[at..at + len]));
            at += len;
        }
        let (mut rest, mut pieces) = (&stream[..], pieces.into_iter().cycle());
        let mut rooms = rooms.into_iter();
        let mut reported = receiver.report(&log);
        log.room.set(rooms.next());
        while !rest.is_empty() {
            let space = receiver.space().unwrap();
            let len = pieces.next().unwrap().min(rest.len()).min(space.len());
            space[..len].copy_from_slice(&rest[..len]);
            receiver.filled(len);
            rest = &rest[len..];
            loop {
                match receiver.process(&log, 0) {
                    Ok(()) => break,
                    Err(Trouble::DiskFull(_)) => log.room.set(rooms.next()),
                    Err(other) => panic!("{other:?}"),
                }
            }
            let report = receiver.report(&log);
            prop_assert!(report >= reported);
            reported = report;
        }
        prop_assert_eq!(&*log.bytes.borrow(), &master);
        prop_assert_eq!(reported, master.len().max(1) as i64);
        prop_assert!(receiver.data.is_empty() && receiver.raw.is_empty());
    }
}

/// Frames that are nearly right, and bytes that are nothing.
fn hostile_piece() -> impl Strategy<Value = Vec<u8>> {
    let offset = prop_oneof![Just(1i64), Just(151), Just(1_000), 0i64..400, any::<i64>()];
    let body = prop::collection::vec(any::<u8>(), 0..300);
    prop_oneof![
        (offset, body).prop_map(|(offset, body)| frame(offset, &body)),
        prop::collection::vec(any::<u8>(), 0..60),
        Just(frame(1, &records(3, 50)[1..])),
    ]
}

proptest! {
    #[test]
    fn nothing_that_is_sent_does_harm(
        known in 0usize..4,
        pieces in prop::collection::vec(hostile_piece(), 1..30),
    ) {
        let own = records(known, 50);
        let log = FakeLog::with(0, &own);
        let mut receiver = receiver(&log);
        for piece in pieces {
            if give(&mut receiver, &log, &piece).is_err() {
                receiver.begin(&log, None);
            }
            let (first, end) = log.bounds();
            prop_assert!(receiver.report(&log) <= end.max(1));
            prop_assert!(first == 0 || known == 0);
            prop_assert!(log.bytes.borrow().starts_with(&own));
            prop_assert!(receiver.buffer.len() <= BUFFER_BYTES_MAX);
        }
    }
}

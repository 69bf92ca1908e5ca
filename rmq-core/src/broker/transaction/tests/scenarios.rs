//! What happens to one transaction or a few.

use super::*;
use crate::protocol::code::ResponseCode;
use crate::protocol::message::sysflag;
use crate::protocol::request::transaction::{TRANSACTION_COMMIT, TRANSACTION_ROLLBACK};

fn fixture() -> Fixture {
    Fixture::new(FlushMode::Async)
}

fn refused(answer: Result<(), Refusal>) -> (i32, String) {
    let refusal = answer.unwrap_err();
    (refusal.code.value(), refusal.remark)
}

fn property(record: &[u8], name: &str) -> Option<String> {
    let record = read(record).unwrap();
    let value = record.property(name)?;
    Some(String::from_utf8(value.to_vec()).unwrap())
}

#[test]
fn a_commit_delivers_the_message_and_lists_the_half_message_with_one_append() {
    let mut fixture = fixture();
    let place = fixture.send(b"1", "KEYS\u{1}k\u{2}");
    assert_eq!(fixture.bodies(TOPIC), Vec::<Vec<u8>>::new());
    fixture.end(request(place, TRANSACTION_COMMIT)).unwrap();
    let log = fixture.log();
    let [half, message, list] = &log[..] else {
        panic!("{log:?}");
    };
    let half_record = read(half).unwrap();
    assert_eq!(half_record.topic(), names::HALF_TOPIC);
    assert_eq!(property(half, "REAL_TOPIC").as_deref(), Some(TOPIC));
    assert_eq!(property(half, "REAL_QID").as_deref(), Some("1"));
    assert_eq!(property(half, "__transactionId__").as_deref(), Some("id-1"));

    let record = read(message).unwrap();
    assert_eq!((record.topic().as_ref(), record.queue_id()), (TOPIC, 1));
    assert_eq!(record.body(), b"1");
    assert_eq!(record.flag(), 7);
    assert_eq!(record.sys_flag(), sysflag::TRANSACTION_COMMIT);
    assert_eq!(record.prepared_transaction_offset(), place.physical);
    assert_eq!(record.born_host(), half_record.born_host());
    assert_eq!(record.born_timestamp_ms(), half_record.born_timestamp_ms());
    assert_eq!(property(message, "KEYS").as_deref(), Some("k"));
    assert_eq!(
        property(message, "__transactionId__").as_deref(),
        Some("id-1")
    );
    for gone in ["REAL_TOPIC", "REAL_QID"] {
        assert_eq!(property(message, gone), None);
    }
    let queue = fixture.store.find_queue(TOPIC, 1).unwrap();
    let tags_code = queue.entry(0).unwrap().tags_code;
    assert_eq!(tags_code, tag::tags_code(b"a"));

    let record = read(list).unwrap();
    assert_eq!(record.topic(), names::OP_HALF_TOPIC);
    assert_eq!(record.body(), b"0,");
    assert_eq!(record.tags(), Some(&b"d"[..]));
}

#[test]
fn ends_that_come_together_share_one_append_and_their_lists() {
    let mut fixture = fixture();
    let places: Vec<Place> = (0..20_u8).map(|n| fixture.send(&[b'a' + n], "")).collect();
    let decision = |n: usize| match n % 3 {
        0 => TRANSACTION_ROLLBACK,
        _ => TRANSACTION_COMMIT,
    };
    let requests: Vec<EndTransactionRequest> = places
        .iter()
        .enumerate()
        .map(|(n, place)| request(*place, decision(n)))
        .collect();
    assert!(fixture.end_all(&requests).iter().all(Result::is_ok));
    let delivered: Vec<Vec<u8>> = (0..20_u8)
        .filter(|n| n % 3 != 0)
        .map(|n| vec![b'a' + n])
        .collect();
    assert_eq!(fixture.bodies(TOPIC), delivered);
    let lists = fixture.bodies(names::OP_HALF_TOPIC);
    // 32 bytes and the one that goes beyond.
    assert_eq!(lists[0], b"0,1,2,3,4,5,6,7,8,9,10,11,12,13,");
    assert_eq!(lists[1], b"14,15,16,17,18,19,");
    fixture.flush();
    assert_eq!(fixture.noted, Some(Progress { half: 20, over: 2 }));
}

#[test]
fn a_second_end_stores_nothing() {
    let mut fixture = fixture();
    let (one, two) = (fixture.send(b"1", ""), fixture.send(b"2", ""));
    let commit = request(one, TRANSACTION_COMMIT);
    let mut answers = fixture.end_all(&[
        commit.clone(),
        commit.clone(),
        request(two, TRANSACTION_ROLLBACK),
        request(two, TRANSACTION_COMMIT),
    ]);
    let (code, remark) = refused(answers.remove(3));
    assert_eq!(answers, [Ok(()), Ok(()), Ok(())]);
    assert_eq!(code, 1);
    assert!(remark.contains("rolled back"), "{remark}");
    fixture.end(commit.clone()).unwrap();
    let (_, remark) = refused(fixture.end(request(one, TRANSACTION_ROLLBACK)));
    assert!(remark.contains("committed"), "{remark}");
    assert_eq!(fixture.bodies(TOPIC), [b"1"]);

    fixture.restart();
    assert_eq!(refused(fixture.end(commit)).0, 1);
    assert_eq!(refused(fixture.end(request(two, TRANSACTION_COMMIT))).0, 1);
    assert_eq!(fixture.bodies(TOPIC), [b"1"]);
}

#[test]
fn a_request_must_name_the_half_message_as_it_was_stored() {
    let mut fixture = fixture();
    let place = fixture.send(b"1", "");
    let ordinary = fixture.put(TOPIC, 0, b"x", b"PGROUP\x01producers\x02", 0, 0);
    let remark = |fixture: &mut Fixture, edit: fn(&mut EndTransactionRequest)| {
        let mut wrong = request(place, TRANSACTION_COMMIT);
        edit(&mut wrong);
        refused(fixture.end(wrong))
    };
    let group = remark(&mut fixture, |one| one.producer_group = "p".to_owned());
    assert_eq!(group, (1, "The producer group wrong".to_owned()));
    let offset = remark(&mut fixture, |one| one.tran_state_table_offset = 1);
    let expected = "The transaction state table offset wrong".to_owned();
    assert_eq!(offset, (1, expected));
    let not_found = (1, "Find prepared transaction message failed".to_owned());
    for edit in [
        |one: &mut EndTransactionRequest| one.commit_log_offset = -1,
        |one: &mut EndTransactionRequest| one.commit_log_offset = 1,
        |one: &mut EndTransactionRequest| one.commit_log_offset = 1 << 40,
    ] {
        assert_eq!(remark(&mut fixture, edit), not_found);
    }
    let answer = fixture.end(request(ordinary.unwrap(), TRANSACTION_COMMIT));
    assert_eq!(refused(answer), not_found);
    assert_eq!(fixture.bodies(TOPIC), [b"x"]);
    assert_eq!(fixture.bodies(names::OP_HALF_TOPIC), Vec::<Vec<u8>>::new());
    fixture.end(request(place, TRANSACTION_COMMIT)).unwrap();
}

#[test]
fn a_half_message_that_nobody_ends_is_put_back_and_asked_about() {
    let mut fixture = fixture();
    let place = fixture.send(b"1", "");
    fixture.advance(29_999);
    fixture.tick();
    assert!(fixture.questions.is_empty());
    fixture.advance(1);
    fixture.tick();
    let (question, body) = fixture.questions.remove(0);
    assert_eq!(question.tran_state_table_offset, 1);
    assert_eq!(question.topic.as_deref(), Some(names::HALF_TOPIC));
    assert_eq!(question.transaction_id.as_deref(), Some("id-1"));
    assert_eq!(question.msg_id.as_deref(), Some("id-1"));
    assert_eq!(question.broker_name.as_deref(), Some("broker-a"));
    let record = read(&body).unwrap();
    assert_eq!((record.topic().as_ref(), record.queue_id()), (TOPIC, 1));
    assert_eq!(record.queue_offset(), 1);
    assert_eq!(record.physical_offset(), question.commit_log_offset);
    assert_eq!(record.flag(), 7);
    assert_eq!(
        property(&body, "TRANSACTION_CHECK_TIMES").as_deref(),
        Some("1")
    );
    assert_eq!(
        property(&body, "TRAN_PREPARED_QUEUE_OFFSET").as_deref(),
        Some("0")
    );
    // The next check asks again, about the one that was put back.
    fixture.advance(30_000);
    fixture.tick();
    let (again, body) = fixture.questions.remove(0);
    assert_eq!(again.tran_state_table_offset, 2);
    assert_eq!(
        property(&body, "TRANSACTION_CHECK_TIMES").as_deref(),
        Some("2")
    );
    assert!(fixture.questions.is_empty());
    fixture.flush();
    assert_eq!(fixture.noted, Some(Progress { half: 2, over: 0 }));

    // The first answer comes late, and the normal end even later.
    fixture.end(answer(&question, TRANSACTION_COMMIT)).unwrap();
    fixture.end(request(place, TRANSACTION_COMMIT)).unwrap();
    fixture.end(answer(&again, TRANSACTION_COMMIT)).unwrap();
    assert_eq!(fixture.bodies(TOPIC), [b"1"]);
    assert_eq!(prepared(&fixture.log()), [question.commit_log_offset]);
    assert_eq!(fixture.bodies(names::OP_HALF_TOPIC), [b"0,2,"]);
    fixture.advance(600_000);
    fixture.tick();
    assert!(fixture.questions.is_empty());
}

#[test]
fn all_copies_count_as_one_also_after_a_restart() {
    for checks in 1..4 {
        for orderly in [true, false] {
            let mut fixture = fixture();
            let place = fixture.send(b"1", "");
            let mut questions = Vec::new();
            for _ in 0..checks {
                fixture.advance(30_000);
                fixture.tick();
                questions.append(&mut fixture.questions);
            }
            match orderly {
                true => fixture.restart(),
                false => fixture.crash_with_log_cut(0),
            }
            fixture.end(request(place, TRANSACTION_COMMIT)).unwrap();
            fixture.crash_with_log_cut(0);
            for (question, _) in &questions {
                let again = fixture.end(answer(question, TRANSACTION_COMMIT));
                assert_eq!(refused(again).0, 1);
            }
            fixture.advance(60_000);
            fixture.tick();
            assert!(fixture.questions.is_empty());
            assert_eq!(fixture.bodies(TOPIC), [b"1"]);
        }
    }
}

#[test]
fn a_message_without_its_list_is_not_delivered_again() {
    let mut fixture = fixture();
    let place = fixture.send(b"1", "");
    fixture.end(request(place, TRANSACTION_COMMIT)).unwrap();
    // The kill fell between the message and the list.
    fixture.crash_with_log_cut(1);
    assert_eq!(fixture.bodies(TOPIC), [b"1"]);
    assert_eq!(fixture.bodies(names::OP_HALF_TOPIC), Vec::<Vec<u8>>::new());
    fixture.end(request(place, TRANSACTION_COMMIT)).unwrap();
    fixture.tick();
    assert_eq!(fixture.bodies(names::OP_HALF_TOPIC), [b"0,"]);
    fixture.advance(60_000);
    fixture.tick();
    assert!(fixture.questions.is_empty());
    assert_eq!(fixture.bodies(TOPIC), [b"1"]);
    fixture.restart();
    assert_eq!(fixture.persisted, Some(Progress { half: 1, over: 1 }));
}

#[test]
fn messages_that_apache_delivered_shortly_before_are_not_delivered_again() {
    let mut fixture = fixture();
    let places: Vec<Place> = (b'1'..b'6').map(|n| fixture.send(&[n], "")).collect();
    let commit = sysflag::TRANSACTION_COMMIT;
    for (place, body) in places.iter().zip([b"1", b"2", b"3"]) {
        let queue_id = i32::from(body[0] % 2);
        fixture.put(TOPIC, queue_id, body, b"", commit, place.physical);
        fixture.advance(3_000);
    }
    // Others follow in the same queues; only the first one was listed in time, as 4.x lists.
    for queue_id in [0, 1] {
        fixture.put(TOPIC, queue_id, b"x", b"", 0, 0);
    }
    fixture.put(names::OP_HALF_TOPIC, 0, b"0", b"TAGS\x01d\x02", 0, 0);
    fixture.crash_with_log_cut(0);
    fixture.advance(30_000);
    fixture.tick();
    let asked: Vec<i64> = fixture
        .questions
        .iter()
        .map(|(question, _)| question.tran_state_table_offset)
        .collect();
    assert_eq!(asked, [5, 6]);
    assert_eq!(fixture.bodies(names::OP_HALF_TOPIC)[1..], [b"1,2,"]);
}

#[test]
fn a_half_message_is_given_up_after_its_last_check() {
    let mut fixture = fixture();
    let place = fixture.send(b"1", "");
    for _ in 0..4 {
        fixture.advance(30_000);
        fixture.tick();
    }
    assert_eq!(fixture.questions.len(), 4);
    fixture.advance(30_000);
    fixture.tick();
    assert_eq!((fixture.questions.len(), fixture.given_up), (4, 1));
    assert_eq!(fixture.bodies(names::TRANS_CHECK_MAX_TIME_TOPIC), [b"1"]);
    assert_eq!(fixture.bodies(names::OP_HALF_TOPIC), [b"0,4,"]);
    let (_, remark) = refused(fixture.end(request(place, TRANSACTION_COMMIT)));
    assert_eq!(remark, "the transaction has ended already");
    fixture.flush();
    assert_eq!(fixture.noted, Some(Progress { half: 5, over: 1 }));
}

#[test]
fn a_producer_that_named_a_time_is_left_alone_until_then() {
    let mut fixture = fixture();
    let immune = "CHECK_IMMUNITY_TIME_IN_SECONDS\u{1}100\u{2}";
    let one = fixture.send(b"1", immune);
    let two = fixture.send(b"2", immune);
    fixture.send(b"3", "");
    for _ in 0..3 {
        fixture.advance(30_000);
        fixture.tick();
        // Those behind it are checked meanwhile.
        let asked = fixture.questions.drain(..).map(|(_, body)| body);
        assert!(
            asked
                .map(|body| read(&body).unwrap().body().to_vec())
                .eq([b"3"])
        );
    }
    fixture.advance(10_000);
    fixture.end(request(one, TRANSACTION_COMMIT)).unwrap();
    fixture.advance(1);
    let (code, _) = refused(fixture.end(request(two, TRANSACTION_COMMIT)));
    assert_eq!(code, ResponseCode::ILLEGAL_OPERATION.value());
    fixture.advance(20_000);
    fixture.tick();
    let (question, _) = fixture.questions.remove(0);
    fixture.end(answer(&question, TRANSACTION_COMMIT)).unwrap();
    assert_eq!(fixture.bodies(TOPIC), [b"1", b"2"]);
}

#[test]
fn one_that_must_wait_for_long_does_not_hold_up_many() {
    let mut fixture = fixture();
    let immune = "CHECK_IMMUNITY_TIME_IN_SECONDS\u{1}100000\u{2}";
    let place = fixture.send(b"1", immune);
    for _ in 0..super::super::book::IMMUNE_BEHIND_MAX {
        let other = fixture.send(b"2", "");
        fixture.end(request(other, TRANSACTION_ROLLBACK)).unwrap();
    }
    fixture.flush();
    assert_eq!(fixture.noted, None);
    fixture.advance(30_000);
    fixture.tick();
    fixture.flush();
    let end = super::super::book::IMMUNE_BEHIND_MAX + 1;
    assert_eq!(fixture.noted.unwrap().half, end);
    assert!(fixture.questions.is_empty());
    // Being put back is no check, and the producer's own end still counts.
    fixture.restart();
    fixture.end(request(place, TRANSACTION_COMMIT)).unwrap();
    let delivered = fixture.bodies(TOPIC);
    assert_eq!(delivered, [b"1"]);
    let lists = fixture.bodies(names::OP_HALF_TOPIC);
    assert_eq!(lists.last().unwrap(), format!("0,{end},").as_bytes());
}

#[test]
fn a_full_disk_leaves_transactions_open() {
    let mut fixture = fixture();
    let places: Vec<Place> = (b'1'..b'4').map(|n| fixture.send(&[n; 1500], "")).collect();
    fixture.disk.set_capacity(Some(0));
    while fixture.try_send(&[b'9'; 500], "").is_some() {}
    for place in &places {
        let (code, remark) = refused(fixture.end(request(*place, TRANSACTION_COMMIT)));
        assert_eq!(
            code,
            ResponseCode::SERVICE_NOT_AVAILABLE.value(),
            "{remark}"
        );
    }
    fixture.disk.set_capacity(None);
    fixture.store.run_allocation();
    for place in &places {
        fixture.end(request(*place, TRANSACTION_COMMIT)).unwrap();
    }
    let delivered: Vec<u8> = fixture.bodies(TOPIC).iter().map(|body| body[0]).collect();
    assert_eq!(delivered, [b'1', b'2', b'3']);
}

#[test]
fn marks_of_an_earlier_transaction_mean_nothing_in_the_next() {
    let mut fixture = fixture();
    let forwarded = "TRANSACTION_CHECK_TIMES\u{1}15\u{2}TRAN_PREPARED_QUEUE_OFFSET\u{1}0\u{2}\
                     REAL_TOPIC\u{1}Other\u{2}REAL_QID\u{1}9\u{2}__transactionId__\u{1}x\u{2}";
    let first = fixture.send(b"1", "");
    fixture.end(request(first, TRANSACTION_COMMIT)).unwrap();
    let second = fixture.send(b"2", forwarded);
    fixture.advance(30_000);
    fixture.tick();
    assert_eq!(fixture.questions.len(), 1);
    fixture.end(request(second, TRANSACTION_COMMIT)).unwrap();
    assert_eq!(fixture.bodies(TOPIC), [b"1", b"2"]);
}

//! Frames: each is decoded by every decoder that takes it, and encoded again.

use std::collections::BTreeMap;
use std::fmt::Debug;

use rmq_core::protocol::frame::{FrameRef, next_frame};
use rmq_core::protocol::message::user::property_map;
use rmq_core::protocol::request::Scratch;
use rmq_core::protocol::request::pull::{self, PullRequest, PullResponse};
use rmq_core::protocol::request::send::{self, SendRequest, SendResponse};
use rmq_core::protocol::{Command, ExtFields, Head, Language, RequestCode, Serialize};

use crate::data::{Line, RELEASES, lines};
use crate::headers;

const LIMIT: usize = 1 << 24;

fn frame(bytes: &[u8]) -> FrameRef<'_> {
    let (frame, used) = next_frame(bytes, LIMIT).unwrap().expect("a whole frame");
    assert_eq!(used, bytes.len());
    frame
}

fn ext_map(ext: &ExtFields) -> BTreeMap<String, String> {
    ext.iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// An empty value does not survive the binary header: Apache reads it back as none.
fn comparable(ext: BTreeMap<String, String>) -> BTreeMap<String, String> {
    ext.into_iter()
        .filter(|(_, value)| !value.is_empty())
        .collect()
}

fn check(line: &Line) {
    let place = &line.place;
    let bytes = line.bytes("frame");
    let frame = frame(&bytes);
    let serialize = if line.text("serialize") == "JSON" {
        Serialize::Json
    } else {
        Serialize::Rocketmq
    };
    assert_eq!(frame.serialize, serialize, "{place}");
    let command = Command::decode(frame).unwrap_or_else(|e| panic!("{place}: {e:?}"));
    assert_eq!(command.code, line.int32("code"), "{place}");
    assert_eq!(command.version, line.int32("version"), "{place}");
    assert_eq!(command.opaque, line.int32("opaque"), "{place}");
    assert_eq!(command.flag, line.int32("flag"), "{place}");
    assert_eq!(
        command.language,
        Language::from_name(line.text("language")),
        "{place}"
    );
    assert_eq!(
        command.remark.as_deref(),
        line.optional_text("remark"),
        "{place}"
    );
    assert_eq!(
        comparable(ext_map(&command.ext)),
        comparable(line.map("ext")),
        "{place}"
    );
    assert_eq!(command.body, line.bytes("body"), "{place}");
    // Apache writes the fields in the order of their hashes, so that only the length and what is
    // read again can be the same; with up to one field it is every byte. An empty map is left out
    // by rmq, and by Apache only when there is no header at all. The newest release escapes less.
    let again = command.to_bytes();
    assert_eq!(
        Command::decode(self::frame(&again)).unwrap(),
        command,
        "{place}"
    );
    let ext = line.map("ext");
    let other_json = serialize == Serialize::Json && !place.starts_with("5.3.3");
    let empty_map = ext.is_empty() && line.text("name") != "no header";
    if !other_json && !empty_map && ext.values().all(|value| !value.is_empty()) {
        assert_eq!(again.len(), bytes.len(), "{place}");
        if ext.len() < 2 {
            assert_eq!(again, bytes, "{place}");
        }
    }
    match line.text("kind") {
        "send" => check_send(line, &command, &bytes),
        "send response" => check_send_response(line, &command),
        "pull" => check_pull(line, &command, &bytes),
        "pull response" => check_pull_response(line, &command),
        "request" => headers::check(line, &command),
        _ => {}
    }
}

/// The fast path gives what the general one does; it passes only on blank values.
fn assert_fast<T: PartialEq + Debug>(
    line: &Line,
    command: &Command,
    fast: Option<(Head, T)>,
    general: T,
) {
    match fast {
        Some(fast) => assert_eq!(fast, (command.head(), general), "{}", line.place),
        None => {
            let blank = |value: &String| value.trim().is_empty();
            assert!(line.map("ext").values().any(blank), "{}", line.place);
        }
    }
}

fn check_send(line: &Line, command: &Command, bytes: &[u8]) {
    let place = &line.place;
    let code = RequestCode::new(command.code);
    let general = SendRequest::decode(code, &command.ext).unwrap();
    let mut scratch = Scratch::default();
    let fast = send::fast::decode(frame(bytes), &mut scratch);
    assert_fast(line, command, fast, general);
    assert_eq!(general.topic, "T", "{place}");
    assert_eq!(general.default_topic, "TBW102", "{place}");
    assert_eq!(general.default_topic_queue_nums, 4, "{place}");
    assert_eq!((general.queue_id, general.sys_flag), (-1, 0x301), "{place}");
    assert_eq!(general.born_timestamp_ms, 1_795_357_533_837, "{place}");
    assert_eq!(general.flag, i32::MIN, "{place}");
    assert_eq!(general.max_reconsume_times, Some(16), "{place}");
    assert_eq!(general.batch, line.text("name") == "batch", "{place}");
    let properties = general.properties.unwrap();
    assert_eq!(property_map(properties.as_bytes())["b"], "1", "{place}");
    let odd = &properties[2..properties.len() - 5];
    assert_eq!(general.producer_group, format!("g{odd}"), "{place}");
    let mut again = Vec::new();
    let body_len = command.body.len();
    let head = command.head();
    send::fast::encode_request_head(&mut again, command.serialize, &head, &general, body_len);
    again.extend_from_slice(&command.body);
    assert_eq!(Command::decode(frame(&again)).unwrap(), *command, "{place}");
}

fn check_send_response(line: &Line, command: &Command) {
    let response = SendResponse::decode(&command.ext).unwrap();
    assert_eq!(
        response.msg_id, "0102030400002A9F0000000000000003",
        "{}",
        line.place
    );
    assert_eq!(
        (response.queue_id, response.queue_offset),
        (3, 1 << 40),
        "{}",
        line.place
    );
    assert_eq!(response.transaction_id, Some("tx"), "{}", line.place);
}

fn check_pull(line: &Line, command: &Command, bytes: &[u8]) {
    let place = &line.place;
    let general = PullRequest::decode(&command.ext).unwrap();
    let mut scratch = Scratch::default();
    let fast = pull::fast::decode(frame(bytes), &mut scratch);
    assert_fast(line, command, fast, general);
    assert_eq!(
        (general.consumer_group, general.topic),
        ("g", "T"),
        "{place}"
    );
    assert_eq!(
        (general.queue_id, general.queue_offset),
        (3, 1 << 40),
        "{place}"
    );
    assert_eq!((general.max_msg_nums, general.sys_flag), (32, 6), "{place}");
    assert_eq!(
        (general.commit_offset, general.suspend_timeout_ms),
        (-1, 15_000),
        "{place}"
    );
    assert_eq!(general.sub_version, 1_795_357_533_837, "{place}");
    assert_eq!(general.expression_type, Some("TAG"), "{place}");
}

fn check_pull_response(line: &Line, command: &Command) {
    let response = PullResponse::decode(&command.ext).unwrap();
    assert_eq!(response.next_begin_offset, 5, "{}", line.place);
    assert_eq!(response.max_offset, 1 << 33, "{}", line.place);
    assert_eq!(
        (response.min_offset, response.suggest_which_broker_id),
        (0, 0),
        "{}",
        line.place
    );
}

#[test]
fn frames() {
    for release in RELEASES {
        for line in lines(release, "frames") {
            check(&line);
        }
    }
}

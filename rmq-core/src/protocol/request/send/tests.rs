use proptest::prelude::*;

use super::super::testing::{TestHeader, good_pairs, header, pairs};
use super::super::{Reply, Scratch};
use super::*;
use crate::protocol::code::ResponseCode;
use crate::protocol::frame::{FrameRef, LIMIT_DEFAULT, Serialize, next_frame};
use crate::protocol::header::{Head, peek_code, peek_head};

/// Slots of the fields that are texts.
const TEXT_SLOTS: [usize; 5] = [0, 1, 2, 8, 13];

/// Short or long names, of texts or of all else.
fn keys(short: bool, texts: bool) -> Vec<&'static str> {
    let names = NAMES.iter().enumerate();
    let names = names.filter(|(slot, _)| TEXT_SLOTS.contains(slot) == texts);
    names
        .map(|(_, names)| if short { names.short } else { names.long })
        .collect()
}

/// The general path's result, owned by whoever holds the command.
fn general(frame: FrameRef<'_>) -> Option<(Head, Command)> {
    let command = Command::decode(frame).ok()?;
    SendRequest::decode(command.request_code(), &command.ext).ok()?;
    Some((command.head(), command))
}

fn check(header: &TestHeader) -> Result<bool, TestCaseError> {
    let mut scratch = Scratch::new();
    let command = Command::decode(header.frame()).ok();
    if let (Some(head), Some(command)) = (peek_head(header.frame()), &command) {
        prop_assert_eq!(head, command.head());
        prop_assert_eq!(peek_code(header.frame()), Some(command.code));
    }
    let Some((head, request)) = fast::decode(header.frame(), &mut scratch) else {
        return Ok(false);
    };
    let (general_head, command) = general(header.frame()).expect("the general path succeeds too");
    prop_assert_eq!(head, general_head);
    prop_assert_eq!(
        request,
        SendRequest::decode(command.request_code(), &command.ext).unwrap()
    );
    Ok(true)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2500))]

    #[test]
    fn fast_equals_general_with_short_names(
        header in header(vec![310, 320], pairs(keys(true, true), keys(true, false)), true),
    ) {
        check(&header)?;
    }

    #[test]
    fn fast_equals_general_with_long_names(
        header in header(vec![10, 10, 310, 11], pairs(keys(false, true), keys(false, false)), true),
    ) {
        check(&header)?;
    }

    #[test]
    fn fast_takes_what_official_clients_write(
        header in header(
            vec![310],
            good_pairs(keys(true, true), keys(true, false)),
            false,
        ),
    ) {
        let text = String::from_utf8_lossy(&header.bytes);
        let plain = header.serialize == Serialize::Rocketmq
            || text.starts_with("{\"code\"");
        prop_assert_eq!(check(&header)?, plain, "{}", text);
    }

    #[test]
    fn requests_survive_both_ways(
        text in "[^\u{0}]{1,20}",
        numbers in any::<(i32, i32, i32, i64, i32, i32)>(),
        properties in proptest::option::of("[a-z\u{1}\u{2}]{1,60}"),
        max in any::<Option<i32>>(),
        flags in any::<(bool, bool)>(),
        code in prop::sample::select(vec![10, 310, 320, 324, 325]),
        binary in any::<bool>(),
    ) {
        let request = SendRequest {
            producer_group: &text,
            topic: &text,
            default_topic: "TBW102",
            default_topic_queue_nums: numbers.0,
            queue_id: numbers.1,
            sys_flag: numbers.2,
            born_timestamp_ms: numbers.3,
            flag: numbers.4,
            properties: properties.as_deref(),
            reconsume_times: numbers.5,
            unit_mode: flags.0,
            batch: flags.1,
            max_reconsume_times: max,
            broker_name: properties.as_deref(),
        };
        let serialize = if binary { Serialize::Rocketmq } else { Serialize::Json };
        let mut command = request.command(RequestCode::new(code));
        command.serialize = serialize;
        let whole = command.to_bytes();
        let mut fast_bytes = Vec::new();
        fast::encode_request_head(&mut fast_bytes, serialize, &command.head(), &request, 0);
        prop_assert_eq!(&whole[..], &fast_bytes[..]);
        let (frame, _) = next_frame(&whole, LIMIT_DEFAULT).unwrap().unwrap();
        let read = Command::decode(frame).unwrap();
        prop_assert_eq!(SendRequest::decode(RequestCode::new(code), &read.ext).unwrap(), request);
        let mut scratch = Scratch::new();
        if let Some((_, fast)) = fast::decode(frame, &mut scratch) {
            prop_assert_eq!(fast, request);
        } else {
            // 19 digits are left to the general path.
            prop_assert!(code > 320 || numbers.3.unsigned_abs() >= 10_u64.pow(18));
        }
    }

    #[test]
    fn responses_are_the_same_bytes(
        msg_id in "[0-9A-F,\"]{0,70}",
        numbers in any::<(i32, i64, i32)>(),
        optional in proptest::option::of(any::<String>()),
        trace_on in any::<Option<bool>>(),
        remark in proptest::option::of(any::<String>()),
        code in any::<i16>(),
        binary in any::<bool>(),
    ) {
        let response = SendResponse {
            msg_id: &msg_id,
            queue_id: numbers.0,
            queue_offset: numbers.1,
            transaction_id: optional.as_deref(),
            batch_uniq_id: optional.as_deref(),
            recall_handle: None,
            region: optional.as_deref(),
            trace_on,
        };
        let serialize = if binary { Serialize::Rocketmq } else { Serialize::Json };
        let code = ResponseCode::new(code.into());
        let reply = Reply { serialize, opaque: numbers.2, code, remark: remark.as_deref() };
        let mut fast_bytes = Vec::new();
        fast::encode_response(&mut fast_bytes, &reply, &response);
        let command = Command::response(numbers.2, serialize, code, remark.clone())
            .with_header(&response);
        prop_assert_eq!(&command.to_bytes()[..], &fast_bytes[..]);
        prop_assert_eq!(SendResponse::decode(&command.ext).unwrap(), response);
    }
}

#[test]
fn errors_name_the_field() {
    let mut ext = ExtFields::new();
    let decode = |ext: &ExtFields, code| SendRequest::decode(code, ext).unwrap_err().to_string();
    ext.insert("a", "g");
    assert_eq!(
        decode(&ext, RequestCode::SEND_MESSAGE_V2),
        "the request lacks the field topic (b)"
    );
    assert_eq!(
        decode(&ext, RequestCode::SEND_MESSAGE),
        "the request lacks the field producerGroup"
    );
    for key in ["b", "c"] {
        ext.insert(key, "t");
    }
    ext.insert("d", "many");
    assert_eq!(
        decode(&ext, RequestCode::SEND_BATCH_MESSAGE),
        "the field defaultTopicQueueNums (d) must be a whole number of 32 bits, not \"many\""
    );
}

#[test]
fn a_scratch_forgets_the_last_request() {
    let mut scratch = Scratch::new();
    for properties in ["a\u{1}b\u{2}", "c\u{1}d\u{2}"] {
        let request = SendRequest {
            producer_group: "g",
            topic: "t",
            default_topic: "TBW102",
            default_topic_queue_nums: 4,
            queue_id: 0,
            sys_flag: 0,
            born_timestamp_ms: 0,
            flag: 0,
            properties: Some(properties),
            reconsume_times: 0,
            unit_mode: false,
            batch: false,
            max_reconsume_times: None,
            broker_name: None,
        };
        let bytes = request.command(RequestCode::SEND_MESSAGE_V2).to_bytes();
        let (frame, _) = next_frame(&bytes, LIMIT_DEFAULT).unwrap().unwrap();
        let (head, read) = fast::decode(frame, &mut scratch).unwrap();
        assert_eq!((head.code, read), (310, request));
    }
}

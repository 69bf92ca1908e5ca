use proptest::prelude::*;

use super::super::testing::{TestHeader, good_pairs, header, pairs};
use super::super::{Reply, Scratch};
use super::*;
use crate::protocol::code::{RequestCode, ResponseCode};
use crate::protocol::command::Command;
use crate::protocol::frame::{LIMIT_DEFAULT, Serialize, next_frame};

const TEXTS: [&str; 5] = [
    "consumerGroup",
    "topic",
    "subscription",
    "expressionType",
    "proxyFrowardClientId",
];
const NUMBERS: [&str; 9] = [
    "queueId",
    "queueOffset",
    "maxMsgNums",
    "sysFlag",
    "commitOffset",
    "suspendTimeoutMillis",
    "subVersion",
    "maxMsgBytes",
    "requestSource",
];

fn check(header: &TestHeader) -> Result<bool, TestCaseError> {
    let mut scratch = Scratch::new();
    let Some((head, request)) = fast::decode(header.frame(), &mut scratch) else {
        return Ok(false);
    };
    let command = Command::decode(header.frame()).expect("the general path succeeds too");
    prop_assert_eq!(head, command.head());
    prop_assert_eq!(request, PullRequest::decode(&command.ext).unwrap());
    Ok(true)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2500))]

    #[test]
    fn fast_equals_general(
        header in header(vec![11, 361, 10], pairs(TEXTS.to_vec(), NUMBERS.to_vec()), true),
    ) {
        check(&header)?;
    }

    #[test]
    fn fast_takes_what_official_clients_write(
        header in header(vec![11, 361], good_pairs(TEXTS.to_vec(), NUMBERS.to_vec()), false),
    ) {
        let plain = header.serialize == Serialize::Rocketmq
            || header.bytes.starts_with(b"{\"code\"");
        prop_assert_eq!(check(&header)?, plain);
    }

    #[test]
    fn requests_and_responses_survive_both_ways(
        text in "[^\u{0}]{1,20}",
        optional in proptest::option::of("[a-z|* ]{1,20}"),
        numbers in any::<(i32, i64, i32, i32, i64, i64, i64)>(),
        options in any::<(Option<i32>, Option<i32>, Option<i64>)>(),
        binary in any::<bool>(),
    ) {
        let serialize = if binary { Serialize::Rocketmq } else { Serialize::Json };
        let request = PullRequest {
            consumer_group: &text,
            topic: &text,
            queue_id: numbers.0,
            queue_offset: numbers.1,
            max_msg_nums: numbers.2,
            sys_flag: numbers.3,
            commit_offset: numbers.4,
            suspend_timeout_ms: numbers.5,
            subscription: optional.as_deref(),
            sub_version: numbers.6,
            expression_type: optional.as_deref(),
            max_msg_bytes: options.0,
            request_source: options.1,
            proxy_forward_client_id: optional.as_deref(),
        };
        let mut command = Command::request(RequestCode::PULL_MESSAGE, &request);
        command.serialize = serialize;
        let mut fast_bytes = Vec::new();
        fast::encode_request(&mut fast_bytes, serialize, &command.head(), &request);
        prop_assert_eq!(&command.to_bytes()[..], &fast_bytes[..]);
        let (frame, _) = next_frame(&fast_bytes, LIMIT_DEFAULT).unwrap().unwrap();
        let read = Command::decode(frame).unwrap();
        prop_assert_eq!(PullRequest::decode(&read.ext).unwrap(), request);

        let response = PullResponse {
            suggest_which_broker_id: numbers.1,
            next_begin_offset: numbers.4,
            min_offset: numbers.5,
            max_offset: numbers.6,
            offset_delta: options.2,
            topic_sys_flag: options.0,
            group_sys_flag: options.1,
            forbidden_type: options.0,
        };
        let code = ResponseCode::PULL_NOT_FOUND;
        let reply = Reply { serialize, opaque: numbers.0, code, remark: optional.as_deref() };
        let command = Command::response(numbers.0, serialize, code, optional.clone())
            .with_header(&response)
            .with_body(vec![7; 100]);
        let mut fast_bytes = Vec::new();
        fast::encode_response_head(&mut fast_bytes, &reply, &response, 100);
        fast_bytes.extend_from_slice(&[7; 100]);
        prop_assert_eq!(&command.to_bytes()[..], &fast_bytes[..]);
        prop_assert_eq!(PullResponse::decode(&command.ext).unwrap(), response);
    }
}

//! The frame and header codec against known bytes, random commands and hostile input.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use rmq_core::protocol::frame::{LIMIT_DEFAULT, next_frame};
use rmq_core::protocol::request::namesrv::GetRouteInfoRequest;
use rmq_core::protocol::{Command, Language, RequestCode, Serialize};

fn decode(bytes: &[u8]) -> Command {
    let (frame, used) = next_frame(bytes, LIMIT_DEFAULT).unwrap().unwrap();
    assert_eq!(used, bytes.len());
    Command::decode(frame).unwrap()
}

fn route_request() -> Command {
    let header = GetRouteInfoRequest {
        topic: "T".into(),
        accept_standard_json_only: None,
    };
    let mut command = Command::request(RequestCode::GET_ROUTEINFO_BY_TOPIC, &header);
    command.opaque = 7;
    command
}

/// Bytes that the official Java classes of 5.3.3 make of this request.
#[test]
fn json_frame_of_the_official_classes() {
    let mut expected = vec![0, 0, 0, 0x7f, 0, 0, 0, 0x7b];
    expected.extend_from_slice(
        br#"{"code":105,"extFields":{"topic":"T"},"flag":0,"language":"JAVA","opaque":7,"#,
    );
    expected.extend_from_slice(br#""serializeTypeCurrentRPC":"JSON","version":479}"#);
    assert_eq!(route_request().to_bytes(), expected);
    assert_eq!(decode(&expected), route_request());
}

#[test]
fn binary_frame_of_the_official_classes() {
    let expected = [
        &[0, 0, 0, 0x28, 1, 0, 0, 0x22, 0, 0x69, 0, 1, 0xdf][..],
        &[0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 1, b'r', 0, 0, 0, 0x0c],
        &[0, 5, b't', b'o', b'p', b'i', b'c', 0, 0, 0, 1, b'T', 1, 2],
    ]
    .concat();
    let command = Command {
        serialize: Serialize::Rocketmq,
        remark: Some("r".into()),
        ..route_request().with_body(vec![1, 2])
    };
    assert_eq!(command.to_bytes(), expected);
    assert_eq!(decode(&expected), command);
    assert_eq!(command.language, Language::JAVA);
}

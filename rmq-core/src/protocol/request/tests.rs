use super::namesrv::GetRouteInfoRequest;
use super::offset::{Boundary, GetMaxOffsetRequest, SearchOffsetRequest};
use super::*;
use crate::protocol::code::RequestCode;
use crate::protocol::command::Command;

fn ext(pairs: &[(&'static str, &str)]) -> ExtFields {
    pairs.iter().copied().collect()
}

fn refusal<H: Header + fmt::Debug>(pairs: &[(&'static str, &str)]) -> String {
    H::decode(&ext(pairs)).unwrap_err().to_string()
}

#[test]
fn absent_fields_are_missing_none_or_default() {
    let pairs = [("topic", "T"), ("queueId", "3")];
    let request = GetMaxOffsetRequest::decode(&ext(&pairs)).unwrap();
    assert!(request.committed);
    let request = GetRouteInfoRequest::decode(&ext(&pairs)).unwrap();
    assert_eq!(request.accept_standard_json_only, None);
    assert_eq!(
        refusal::<SearchOffsetRequest>(&pairs),
        "the request lacks the field timestamp"
    );
}

#[test]
fn values_are_read_as_java_reads_them() {
    let mut fields = ext(&[
        ("topic", "T"),
        ("queueId", " +3 "),
        ("committed", "TRUE"),
        ("timestamp", "-9223372036854775808"),
        ("boundaryType", "upper"),
        ("ns", "unknown keys are ignored"),
    ]);
    let request = SearchOffsetRequest::decode(&fields).unwrap();
    assert_eq!((request.queue_id, request.timestamp_ms), (3, i64::MIN));
    assert_eq!(request.boundary, Boundary::Upper);
    assert!(GetMaxOffsetRequest::decode(&fields).unwrap().committed);
    fields.insert("committed", "yes");
    fields.insert("boundaryType", "middle");
    assert!(!GetMaxOffsetRequest::decode(&fields).unwrap().committed);
    assert_eq!(
        SearchOffsetRequest::decode(&fields).unwrap().boundary,
        Boundary::Lower
    );
}

#[test]
fn wrong_values_are_named_and_clipped() {
    assert_eq!(
        refusal::<GetMaxOffsetRequest>(&[("topic", "T"), ("queueId", "2147483648")]),
        "the field queueId must be a whole number of 32 bits, not \"2147483648\""
    );
    let long = "\u{e9}".repeat(1000);
    let refusal = refusal::<GetMaxOffsetRequest>(&[("topic", "T"), ("queueId", &long)]);
    assert!(refusal.len() < 200, "{refusal}");
}

#[test]
fn headers_survive_a_command() {
    let header = SearchOffsetRequest {
        topic: "T".into(),
        queue_id: 3,
        timestamp_ms: 1_795_357_533_837,
        boundary: Boundary::Upper,
    };
    let command = Command::request(RequestCode::SEARCH_OFFSET_BY_TIMESTAMP, &header);
    assert_eq!(command.ext.get("boundaryType"), Some("UPPER"));
    assert_eq!(command.header::<SearchOffsetRequest>(), Ok(header));
}

#[test]
fn a_plain_reply_is_the_same_bytes() {
    for serialize in [Serialize::Json, Serialize::Rocketmq] {
        for remark in [None, Some("why \"not\"\u{1}")] {
            let code = ResponseCode::SYSTEM_BUSY;
            let mut bytes = Vec::new();
            Reply {
                serialize,
                opaque: -7,
                code,
                remark,
            }
            .encode(&mut bytes);
            let command = Command::response(-7, serialize, code, remark.map(str::to_owned));
            assert_eq!(command.to_bytes(), bytes);
        }
    }
}

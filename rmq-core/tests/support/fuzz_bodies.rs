//! What each fuzz target does with its bytes, as plain functions: the fuzz crate and
//! `tests/fuzz_smoke.rs` both include this file. A body panics when something is wrong.
//!
//! To add a target: a function here, its row in `BODIES`, and a file in `fuzz/fuzz_targets`.

#[path = "fuzz_messages.rs"]
mod fuzz_messages;

pub(crate) use fuzz_messages::{batch, body, json, properties, record, register, selector};
use rmq_core::protocol::frame::{LIMIT_DEFAULT, frame_len, next_frame};
use rmq_core::protocol::header::{peek_code, peek_head};
use rmq_core::protocol::request::pull::{self, PullRequest};
use rmq_core::protocol::request::send::{self, SendRequest};
use rmq_core::protocol::request::{Header, Scratch};
use rmq_core::protocol::{Command, FrameRef, Language, Serialize};

/// A target: its name, what it does with an input, and inputs to start from.
pub(crate) struct Body {
    /// The name of the target's file.
    pub(crate) name: &'static str,
    /// What it does with an input.
    pub(crate) run: fn(&[u8]),
    /// Sound inputs, which a fuzzer changes.
    pub(crate) seeds: fn() -> Vec<Vec<u8>>,
}

/// Every target.
pub(crate) const BODIES: &[Body] = &[
    Body {
        name: "frame",
        run: frame,
        seeds: frame_seeds,
    },
    Body {
        name: "header_json",
        run: header_json,
        seeds: header_json_seeds,
    },
    Body {
        name: "header_binary",
        run: header_binary,
        seeds: header_binary_seeds,
    },
    Body {
        name: "batch",
        run: batch,
        seeds: fuzz_messages::batch_seeds,
    },
    Body {
        name: "body",
        run: body,
        seeds: fuzz_messages::body_seeds,
    },
    Body {
        name: "json",
        run: json,
        seeds: fuzz_messages::json_seeds,
    },
    Body {
        name: "properties",
        run: properties,
        seeds: fuzz_messages::properties_seeds,
    },
    Body {
        name: "record",
        run: record,
        seeds: fuzz_messages::record_seeds,
    },
    Body {
        name: "register",
        run: register,
        seeds: fuzz_messages::register_seeds,
    },
    Body {
        name: "selector",
        run: selector,
        seeds: fuzz_messages::selector_seeds,
    },
];

/// A stream of frames, read whole and read in pieces.
pub(crate) fn frame(bytes: &[u8]) {
    for limit in [64, LIMIT_DEFAULT] {
        let mut rest = bytes;
        while let Ok(Some((frame, used))) = next_frame(rest, limit) {
            assert!(used <= limit && used <= rest.len());
            assert_eq!(used, 8 + frame.header.len() + frame.body.len());
            assert_eq!(frame_len(&rest[..8], limit), Ok(Some(used)));
            assert_eq!(next_frame(&rest[..used - 1], limit), Ok(None));
            header(frame);
            rest = &rest[used..];
        }
        // What a piece of the stream is refused for, the whole is refused for.
        for len in 0..rest.len().min(16) {
            match frame_len(&rest[..len], limit) {
                Ok(None) => assert!(len < 4),
                Ok(Some(total)) => assert!(total <= limit),
                Err(_) => assert!(next_frame(rest, limit).is_err()),
            }
        }
    }
}

/// A JSON header.
pub(crate) fn header_json(bytes: &[u8]) {
    header(FrameRef {
        serialize: Serialize::Json,
        header: bytes,
        body: b"",
    });
}

/// A binary header.
pub(crate) fn header_binary(bytes: &[u8]) {
    header(FrameRef {
        serialize: Serialize::Rocketmq,
        header: bytes,
        body: b"",
    });
}

fn header(frame: FrameRef<'_>) {
    let command = Command::decode(frame).ok();
    fast_paths_agree(frame, command.as_ref());
    let Some(command) = command else { return };
    read_typed_headers(&command);
    survives_encoding(&command);
}

fn fast_paths_agree(frame: FrameRef<'_>, command: Option<&Command>) {
    let mut scratch = Scratch::new();
    if let Some((head, request)) = send::fast::decode(frame, &mut scratch) {
        let command = command.expect("what the fast path takes, the general path takes");
        assert_eq!(head, command.head());
        assert_eq!(
            SendRequest::decode(command.request_code(), &command.ext),
            Ok(request)
        );
    }
    if let Some((head, request)) = pull::fast::decode(frame, &mut scratch) {
        let command = command.expect("what the fast path takes, the general path takes");
        assert_eq!(head, command.head());
        assert_eq!(PullRequest::decode(&command.ext), Ok(request));
    }
    if let (Some(head), Some(command)) = (peek_head(frame), command) {
        assert_eq!(head, command.head());
        assert_eq!(peek_code(frame), Some(command.code));
    }
}

/// Any typed header may be read from any fields: it is an error or it is not.
fn read_typed_headers(command: &Command) {
    use rmq_core::protocol::request::{broker, heartbeat, namesrv, offset, query, transaction};
    fn read<H: Header>(command: &Command) {
        if let Err(error) = command.header::<H>() {
            assert!(!error.to_string().is_empty());
        }
    }
    let _ = SendRequest::decode(command.request_code(), &command.ext);
    let _ = PullRequest::decode(&command.ext);
    read::<broker::RegisterBrokerRequest>(command);
    read::<heartbeat::UnregisterClientRequest>(command);
    read::<namesrv::GetRouteInfoRequest>(command);
    read::<offset::SearchOffsetRequest>(command);
    read::<query::SendMessageBackRequest>(command);
    read::<transaction::EndTransactionRequest>(command);
}

/// What was read once is written and read again the same, in both serializations.
fn survives_encoding(command: &Command) {
    let mut expected = command.clone();
    // A language without a name loses its number in JSON.
    expected.language = Language::from_name(command.language.name());
    for serialize in [Serialize::Json, Serialize::Rocketmq] {
        let mut written = expected.clone();
        written.serialize = serialize;
        let bytes = written.to_bytes();
        let (frame, used) = next_frame(&bytes, bytes.len())
            .expect("our own frame is sound")
            .expect("and whole");
        assert_eq!(used, bytes.len());
        let read = Command::decode(frame).expect("our own header is understood");
        if frame.serialize == Serialize::Json {
            expected.serialize = Serialize::Json;
            assert_eq!(read, expected);
        } else {
            // Binary has no empty strings.
            assert_eq!(read.head(), expected.head());
            assert_eq!(
                read.remark.as_deref(),
                expected.remark.as_deref().filter(|r| !r.is_empty())
            );
            let full = expected.ext.iter().filter(|(key, value)| {
                !key.is_empty() && key.len() <= i16::MAX as usize && !value.is_empty()
            });
            assert!(read.ext.iter().eq(full));
        }
    }
}

fn sample(serialize: Serialize) -> Vec<Command> {
    let send = SendRequest {
        producer_group: "group",
        topic: "topic",
        default_topic: "TBW102",
        default_topic_queue_nums: 4,
        queue_id: 3,
        sys_flag: 0,
        born_timestamp_ms: 1_795_357_533_837,
        flag: 0,
        properties: Some("UNIQ_KEY\u{1}7F00000100002A9F0000000000000003\u{2}TAGS\u{1}a\u{2}"),
        reconsume_times: 0,
        unit_mode: false,
        batch: false,
        max_reconsume_times: Some(16),
        broker_name: Some("broker-a"),
    };
    let pull = PullRequest {
        consumer_group: "group",
        topic: "topic",
        queue_id: 3,
        queue_offset: 12_345,
        max_msg_nums: 32,
        sys_flag: 3,
        commit_offset: 12_300,
        suspend_timeout_ms: 15_000,
        subscription: Some("a || b"),
        sub_version: 1_795_357_533_837,
        expression_type: Some("TAG"),
        max_msg_bytes: Some(262_144),
        request_source: None,
        proxy_forward_client_id: None,
    };
    use rmq_core::protocol::RequestCode as Code;
    let codes = [
        Code::SEND_MESSAGE,
        Code::SEND_MESSAGE_V2,
        Code::SEND_BATCH_MESSAGE,
    ];
    let mut commands: Vec<_> = codes.iter().map(|code| send.command(*code)).collect();
    commands.push(Command::request(Code::PULL_MESSAGE, &pull));
    for command in &mut commands {
        command.opaque = 7;
        command.serialize = serialize;
        command.remark = Some("why \"not\"".into());
    }
    commands
}

fn frame_seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for serialize in [Serialize::Json, Serialize::Rocketmq] {
        let mut stream = Vec::new();
        for command in sample(serialize) {
            let command = command.with_body(&b"body"[..]);
            seeds.push(command.to_bytes().to_vec());
            command.encode(&mut stream);
        }
        seeds.push(stream);
    }
    seeds
}

fn headers(serialize: Serialize) -> Vec<Vec<u8>> {
    sample(serialize)
        .iter()
        .map(|command| command.to_bytes()[8..].to_vec())
        .collect()
}

fn header_json_seeds() -> Vec<Vec<u8>> {
    let lenient =
        br#"/*c*/{,code:'310',"flag":1.0,"version":true,'extFields':{a:1,"b":null},"x":[{}]}"#;
    let mut seeds = headers(Serialize::Json);
    seeds.push(lenient.to_vec());
    seeds
}

fn header_binary_seeds() -> Vec<Vec<u8>> {
    headers(Serialize::Rocketmq)
}

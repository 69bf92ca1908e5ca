//! The frame and header codec against known bytes, random commands and hostile input.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use rmq_core::protocol::ext::EXT_FIELDS_MAX;
use rmq_core::protocol::frame::{LIMIT_DEFAULT, frame_len, next_frame};
use rmq_core::protocol::header::DEPTH_MAX;
use rmq_core::protocol::request::namesrv::GetRouteInfoRequest;
use rmq_core::protocol::{
    Command, DecodeError, ExtFields, Language, RequestCode, ResponseCode, Serialize,
};

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

/// What fastjson writes: sorted members, nothing that is null, its own escapes.
#[test]
fn json_is_spelt_as_fastjson_spells_it() {
    let mut command = Command::bare_request(RequestCode::new(0));
    command.version = 0;
    command.remark = Some("a\u{1}\tb\u{7f}\u{2028}/'".into());
    command.ext.insert("x'y", "");
    command.ext.insert("a:b", "\u{2}\"\\");
    let bytes = command.to_bytes();
    let expected = r#"{"code":0,"extFields":{"a:b":"\u0002\"\\","x'y":""},"flag":0,"language":"JAVA","opaque":0,"remark":"a\u0001\tb\u007F\u2028/'","serializeTypeCurrentRPC":"JSON","version":0}"#;
    assert_eq!(std::str::from_utf8(&bytes[8..]).unwrap(), expected);
}

fn json(text: &str) -> Result<Command, DecodeError> {
    Command::decode_header(Serialize::Json, text.as_bytes())
}

/// The members that differ from those of an empty header, in a line.
fn shown(text: &str) -> String {
    let Ok(command) = json(text) else {
        return "error".to_owned();
    };
    let mut line = String::new();
    let mut show = |name: &str, value: i32| {
        if value != 0 {
            line += &format!("{name}={value} ");
        }
    };
    show("code", command.code);
    show("version", command.version);
    show("opaque", command.opaque);
    show("flag", command.flag);
    if command.language != Language::JAVA {
        line += &format!("language={} ", command.language);
    }
    if let Some(remark) = &command.remark {
        line += &format!("remark={remark} ");
    }
    for (key, value) in command.ext.iter() {
        line += &format!("{key}:{value} ");
    }
    let spelt = |c: char| match c {
        c if !(' '..='~').contains(&c) => format!("<{:02x}>", u32::from(c)),
        c => c.to_string(),
    };
    line.trim_end().chars().map(spelt).collect()
}

/// Each row is a header and what is read of it.
#[test]
fn json_is_read_as_leniently_as_fastjson_reads_it() {
    let table = include_str!("data/fastjson_headers.txt");
    let rows = table
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut count = 0;
    for row in rows {
        let (text, expected) = row.split_once("  =>  ").unwrap();
        let marks = [
            ("<01>", "\u{1}"),
            ("<tab>", "\t"),
            ("<nl>", "\n"),
            ("<bom>", "\u{feff}"),
        ];
        let text = marks
            .iter()
            .fold(text.to_owned(), |text, (mark, c)| text.replace(mark, c));
        assert_eq!(shown(&text), expected, "{text}");
        count += 1;
    }
    assert!(count > 80, "the table is there");
}

#[test]
fn json_that_is_not_utf8_is_read_with_replacements() {
    let command = Command::decode_header(Serialize::Json, b"{\"remark\":\"a\xffb\",\"code\":3}");
    assert_eq!(command.unwrap().remark.unwrap(), "a\u{fffd}b");
}

#[test]
fn json_nests_to_the_limit_and_no_further() {
    let nested = |depth: usize| {
        format!(
            "{{\"x\":{}{},\"code\":7}}",
            "[".repeat(depth),
            "]".repeat(depth)
        )
    };
    assert_eq!(json(&nested(DEPTH_MAX)).unwrap().code, 7);
    assert!(json(&nested(DEPTH_MAX + 1)).is_err());
    assert!(json(&nested(1_000_000)).is_err());
    assert!(json(&"{\"a\":".repeat(1_000_000)).is_err());
}

#[test]
fn fields_up_to_the_limit_and_no_further() {
    let fields = |count: usize| -> ExtFields {
        (0..count)
            .map(|n| (format!("k{n:05}"), n.to_string()))
            .collect()
    };
    for serialize in [Serialize::Json, Serialize::Rocketmq] {
        let mut command = route_request();
        command.serialize = serialize;
        command.ext = fields(EXT_FIELDS_MAX);
        assert_eq!(decode(&command.to_bytes()), command);
        command.ext = fields(EXT_FIELDS_MAX + 1);
        let bytes = command.to_bytes();
        let (frame, _) = next_frame(&bytes, LIMIT_DEFAULT).unwrap().unwrap();
        assert_eq!(Command::decode(frame), Err(DecodeError::TooManyFields));
    }
}

#[test]
fn binary_lengths_stay_inside_the_header() {
    let mut command = route_request();
    command.serialize = Serialize::Rocketmq;
    command.remark = Some("remark".into());
    let header = command.to_bytes()[8..].to_vec();
    let decode = |header: &[u8]| Command::decode_header(Serialize::Rocketmq, header);
    assert!(decode(&header).is_ok());
    for len in 0..header.len() {
        assert!(decode(&header[..len]).is_err(), "cut to {len}");
    }
    // Remark length, ext length, key length, value length.
    for (at, width) in [(13, 4), (23, 4), (27, 2), (34, 4)] {
        for value in [i32::MIN, -1, 1_000, 32_767, i32::MAX] {
            let mut bad = header.clone();
            bad[at..at + width].copy_from_slice(&value.to_be_bytes()[4 - width..]);
            assert!(decode(&bad).is_err(), "{value} at {at}");
        }
    }
    let longer = [&header[..], b"x"].concat();
    assert_eq!(decode(&longer), Err(DecodeError::Trailing(1)));
}

#[test]
fn binary_without_strings() {
    let header = [
        0, 10, 127, 1, 0x3d, 0, 0, 0, 7, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    let command = Command::decode_header(Serialize::Rocketmq, &header).unwrap();
    assert_eq!((command.remark.as_deref(), command.ext.len()), (None, 0));
    assert_eq!(
        (command.version, command.language),
        (317, Language::UNKNOWN)
    );
    assert!(command.is_oneway() && !command.is_response());
}

#[test]
fn codes_that_binary_cannot_carry_are_written_as_json() {
    for (code, serialize) in [(32_767, Serialize::Rocketmq), (200_050, Serialize::Json)] {
        let mut command = Command::bare_request(RequestCode::new(code));
        command.serialize = Serialize::Rocketmq;
        let read = decode(&command.to_bytes());
        assert_eq!((read.code, read.serialize), (code, serialize));
    }
}

#[test]
fn a_response_answers_its_request() {
    for serialize in [Serialize::Json, Serialize::Rocketmq] {
        let mut request = route_request();
        request.serialize = serialize;
        let response =
            Command::response_to(&request, ResponseCode::TOPIC_NOT_EXIST, Some("no T".into()));
        let read = decode(&response.to_bytes());
        assert_eq!(read, response);
        assert_eq!((read.opaque, read.serialize, read.flag), (7, serialize, 1));
        assert_eq!(read.response_code(), ResponseCode::TOPIC_NOT_EXIST);
    }
}

#[test]
fn a_header_too_long_to_tell_keeps_its_head() {
    for serialize in [Serialize::Json, Serialize::Rocketmq] {
        // In JSON each of these characters takes six bytes.
        let remark = "\u{1}".repeat(17 * 1024 * 1024);
        let mut command = Command::response(7, serialize, ResponseCode::SYSTEM_ERROR, Some(remark));
        command.ext.insert("key", "value");
        let read = decode(&command.with_body(&b"body"[..]).to_bytes());
        assert_eq!(
            (read.opaque, read.response_code()),
            (7, ResponseCode::SYSTEM_ERROR)
        );
        assert_eq!(
            (read.remark.unwrap().len(), &read.body[..]),
            (1024, &b"body"[..])
        );
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9%_-]{1,20}",
        "[\u{0}-\u{ff}\u{2020}-\u{2030}\"\\\\]{1,20}",
        any::<String>()
    ]
}

fn command() -> impl Strategy<Value = Command> {
    let numbers = (
        any::<i32>(),
        any::<i32>(),
        any::<i32>(),
        any::<i32>(),
        0..14_u8,
    );
    let ext = vec((text(), text()), 0..8);
    let rest = (
        option::of(text()),
        ext,
        vec(any::<u8>(), 0..64),
        any::<bool>(),
        any::<bool>(),
    );
    (numbers, rest).prop_map(|(numbers, (remark, ext, body, binary, small))| {
        let clip = |value: i32| {
            if small {
                i32::from(value as i16)
            } else {
                value
            }
        };
        Command {
            code: clip(numbers.0),
            version: clip(numbers.1),
            opaque: numbers.2,
            flag: numbers.3,
            language: Language::new(numbers.4),
            remark: remark.filter(|remark| !remark.is_empty()),
            ext: ext
                .into_iter()
                .filter(|(k, v)| !k.is_empty() && !v.is_empty())
                .collect(),
            body: body.into(),
            serialize: if binary && small {
                Serialize::Rocketmq
            } else {
                Serialize::Json
            },
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn commands_survive_both_serializations(command in command()) {
        prop_assert_eq!(decode(&command.to_bytes()), command);
    }

    #[test]
    fn frames_come_whole_however_they_are_cut(commands in vec(command(), 1..4)) {
        let mut stream = Vec::new();
        for command in &commands {
            command.encode(&mut stream);
        }
        let first = commands[0].to_bytes().len();
        for cut in 0..stream.len() {
            let frame = next_frame(&stream[..cut], LIMIT_DEFAULT).unwrap();
            prop_assert_eq!(frame.map(|(_, used)| used), (cut >= first).then_some(first));
            let len = frame_len(&stream[..cut], LIMIT_DEFAULT).unwrap();
            prop_assert_eq!(len, (cut >= 4).then_some(first));
        }
        let mut rest = &stream[..];
        for command in &commands {
            let (frame, used) = next_frame(rest, LIMIT_DEFAULT).unwrap().unwrap();
            prop_assert_eq!(&Command::decode(frame).unwrap(), command);
            rest = &rest[used..];
        }
        prop_assert!(rest.is_empty());
    }

    #[test]
    fn any_bytes_are_a_command_or_an_error(bytes in vec(any::<u8>(), 0..300)) {
        for serialize in [Serialize::Json, Serialize::Rocketmq] {
            if let Err(error) = Command::decode_header(serialize, &bytes) {
                prop_assert!(!error.to_string().is_empty());
            }
        }
    }
}

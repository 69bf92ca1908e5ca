//! Bad input on the ports of both servers: they answer or close, stay up, and come back to the
//! memory and the descriptors that they had.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "a test reports what it saw")]

#[path = "hostile/input.rs"]
mod input;
#[path = "support/peer.rs"]
mod peer;
#[path = "support/process.rs"]
mod process;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use peer::{ANSWER, Dice, Got, connect, exchange, frame_of, receive};
use process::{Home, Process, eventually, free_port};
use rmq_core::base::clock::{Clock, SystemClock};
use rmq_core::base::{Error, ErrorKind};
use rmq_core::client::raw;
use rmq_core::net::Client;
use rmq_core::protocol::code::{RequestCode, ResponseCode};
use rmq_core::protocol::command::Command;
use rmq_core::protocol::frame::Serialize;

const MIB: usize = 1 << 20;
/// Memory that may stay after an attack.
const SLACK_KIB: u64 = 8 << 10;
/// After frames of many mebibytes glibc's allocator keeps up to 32 MiB at the top of each thread's
/// heap.
const SLACK_LARGE_KIB: u64 = 80 << 10;
/// Descriptors that may come and go by themselves: files of the store.
const SLACK_DESCRIPTORS: usize = 8;

/// A server under attack.
struct Target {
    process: Process,
    address: String,
    is_broker: bool,
    home: Home,
    client: Client,
}

impl Target {
    fn namesrv(more: &str) -> Self {
        let home = Home::new();
        let text = format!("bindAddress=127.0.0.1\nlistenPort=0\n{more}");
        let file = home.write("namesrv.conf", &text);
        let process = home.namesrv().config(&file).start();
        Self::new(home, process, false)
    }

    fn broker(more: &str) -> Self {
        let home = Home::new();
        let file = home.write("broker.conf", &Self::broker_text(more));
        let process = home.broker().config(&file).start();
        Self::new(home, process, true)
    }

    fn broker_text(more: &str) -> String {
        format!(
            "brokerName=broker-a\nbrokerIP1=127.0.0.1\nbindAddress=127.0.0.1\nlistenPort={}\n\
             mappedFileSizeCommitLog=64m\n{more}",
            free_port()
        )
    }

    fn new(home: Home, mut process: Process, is_broker: bool) -> Self {
        let address = process.address();
        let client = peer::client();
        let target = Self {
            process,
            address,
            is_broker,
            home,
            client,
        };
        // What is made once and kept is there before anything is measured.
        (0..20).for_each(|_| target.serves());
        target
    }

    /// It does its work.
    fn serves(&self) {
        match self.work() {
            // The server may close an idle connection in the moment in which it is used.
            Err(error) if error.kind() == ErrorKind::Unreachable => self.work().unwrap(),
            outcome => outcome.unwrap(),
        }
    }

    fn work(&self) -> Result<(), Error> {
        if self.is_broker {
            let receipt = peer::send(&self.client, &self.address, ("alive", 0), "x")?;
            let end = raw::max_offset(&self.client, &self.address, "alive", 0, ANSWER)?;
            assert!(end > receipt.queue_offset);
            return Ok(());
        }
        peer::brokers(&self.client, &self.address).map(drop)
    }

    fn connect(&self) -> TcpStream {
        connect(&self.address)
    }

    fn footprint(&self) -> Footprint {
        Footprint {
            memory_kib: self.process.memory_kib(),
            descriptors: self.process.descriptors(),
            threads: self.process.threads(),
        }
    }

    /// It serves and has come back to where it was.
    fn is_as_before(&mut self, before: &Footprint) {
        self.is_nearly_as_before(before, SLACK_KIB);
    }

    fn is_nearly_as_before(&mut self, before: &Footprint, slack_kib: u64) {
        assert!(self.process.is_running(), "it ended");
        self.serves();
        let mut now = self.footprint();
        eventually(&format!("{before:?} comes back; {:?}", &now), || {
            now = self.footprint();
            let back = now.descriptors <= before.descriptors + SLACK_DESCRIPTORS
                && now.memory_kib <= before.memory_kib + slack_kib
                && now.threads <= before.threads + 2;
            back.then_some(())
        });
    }
}

#[derive(Debug)]
struct Footprint {
    memory_kib: u64,
    descriptors: usize,
    threads: u64,
}

/// Attacks a nameserver and a broker and looks at what is left of them.
fn on_both(more: &str, attack: impl Fn(&Target)) {
    on_both_within(SLACK_KIB, more, attack);
}

fn on_both_within(slack_kib: u64, more: &str, attack: impl Fn(&Target)) {
    for mut target in [Target::namesrv(more), Target::broker(more)] {
        let before = target.footprint();
        attack(&target);
        let after = target.footprint();
        println!("{}: {before:?} then {after:?}", target.address);
        target.is_nearly_as_before(&before, slack_kib);
    }
}

fn assert_closed(what: &str, mut stream: TcpStream, bytes: &[u8]) {
    match exchange(&mut stream, bytes) {
        Got::Closed => {}
        other => panic!("{what}: {other:?} instead of a close"),
    }
}

/// The header of a request of a code that no server knows.
const UNKNOWN: &[u8] = br#"{"code":999,"flag":0,"opaque":7,"version":479}"#;

/// A connection that is served: the unknown request is told to be unknown.
fn assert_answered(stream: &mut TcpStream) {
    match exchange(stream, &frame_of(0, UNKNOWN, b"")) {
        Got::Frame(answer) => assert_eq!((answer.opaque, answer.code), (7, 3), "{answer:?}"),
        other => panic!("{other:?} instead of an answer"),
    }
}

#[test]
fn other_protocols_are_closed_and_warned_of_once() {
    let mut tls = vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    tls.extend(Dice::new(1).bytes(500));
    let strangers: [(&str, &[u8]); 7] = [
        ("TLS", &tls),
        ("GET", b"GET / HTTP/1.1\r\nHost: rmq\r\n\r\n"),
        (
            "POST",
            b"POST /v1/send HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
        ),
        (
            "PRI",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        ),
        ("HEAD", b"HEAD / HTTP/1.0\r\n\r\n"),
        ("SSH", b"SSH-2.0-OpenSSH_9.9\r\n"),
        ("Redis", b"*1\r\n$4\r\nPING\r\n"),
    ];
    on_both("", |target| {
        for round in 0..20 {
            for (name, bytes) in strangers {
                assert_closed(&format!("{name} {round}"), target.connect(), bytes);
            }
        }
        // One line tells of them, who and what; the others are counted.
        let told = target.process.stderr();
        let warnings: Vec<&str> = told.lines().filter(|line| line.contains("WARN")).collect();
        assert!((1..=5).contains(&warnings.len()), "{told}");
        assert!(
            warnings[0].contains("127.0.0.1:") && warnings[0].contains("TLS"),
            "{told}"
        );
        assert!(warnings[0].contains("160301"), "{told}");
    });
}

#[test]
fn garbage_is_closed() {
    let seed = Dice::seed();
    on_both("", |target| {
        let mut dice = Dice::new(seed);
        for _ in 0..300 {
            let count = 1 + dice.below(3_000) as usize;
            let bytes = dice.bytes(count);
            let mut stream = target.connect();
            // The server may close before all of it is written.
            let _ = stream.write_all(&bytes);
            let _ = stream.shutdown(Shutdown::Write);
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            assert_eq!(answer, b"", "an answer to garbage");
        }
    });
}

#[test]
fn lengths_that_cannot_be_are_closed() {
    let word = |length: u32, second: u32| [length.to_be_bytes(), second.to_be_bytes()].concat();
    let json = br#"{"code":105,"flag":0,"opaque":1,"version":479}"#;
    let length = u32::try_from(4 + json.len()).unwrap();
    let limit = 16 * MIB as u32;
    let cases = [
        ("length -1", word(u32::MAX, 2)),
        ("the most negative length", word(1 << 31, 2)),
        ("the largest length", word(i32::MAX as u32, 2)),
        (
            "a frame of the limit and a byte more",
            word(limit - 4 + 1, 2),
        ),
        ("no length", word(0, 0)),
        ("a length without room for the header's", word(3, 0)),
        (
            "a header longer than its frame",
            word(length, length - 4 + 1),
        ),
        ("the longest header", word(length, 0x00ff_ffff)),
        ("serialization 2", word(length, 2 << 24 | (length - 4))),
        ("serialization 255", word(length, 255 << 24 | (length - 4))),
    ];
    on_both("", |target| {
        for (what, head) in &cases {
            let bytes = [&head[..], json].concat();
            assert_closed(what, target.connect(), &bytes);
            target.serves();
        }
        // What came before it on the same connection is answered.
        let mut stream = target.connect();
        assert_answered(&mut stream);
        assert!(matches!(exchange(&mut stream, &cases[0].1), Got::Closed));
    });
}

#[test]
fn headers_that_mean_nothing_cost_their_connection_at_most() {
    let cases = input::headers();
    on_both("", |target| {
        for (what, kind, header) in &cases {
            let mut stream = target.connect();
            stream.write_all(&frame_of(*kind, header, b"body")).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            // An answer that this is wrong would do as well.
            if let Got::Silence = receive(&mut stream) {
                panic!("{what}: neither answered nor closed");
            }
            target.serves();
        }
        // The log does not grow with every attempt.
        let told = target.process.stderr();
        let lines = told.lines().filter(|line| line.contains("WARN")).count();
        assert!((1..=10).contains(&lines), "{lines} warnings:\n{told}");
    });
}

#[test]
fn half_a_frame_and_silence_is_closed() {
    let whole = frame_of(0, UNKNOWN, &[b'b'; 5_000]);
    on_both("serverChannelMaxIdleTimeSeconds=1\n", |target| {
        let streams: Vec<TcpStream> = [0, 1, 3, 4, 7, 8, 20, 60, 4_000, whole.len() - 1]
            .iter()
            .map(|&count| {
                let mut stream = target.connect();
                stream.write_all(&whole[..count]).unwrap();
                stream
            })
            .collect();
        for (index, mut stream) in streams.into_iter().enumerate() {
            assert!(matches!(receive(&mut stream), Got::Closed), "half {index}");
        }
    });
}

#[test]
fn a_frame_that_takes_too_long_is_closed() {
    let whole = frame_of(0, UNKNOWN, &[b'b'; 5_000]);
    on_both("rmq.frameTimeout=700\n", |target| {
        let mut stream = target.connect();
        let clock = SystemClock::new();
        let mut bytes = whole.chunks(1);
        // Never idle, never done.
        while bytes
            .next()
            .is_some_and(|byte| stream.write_all(byte).is_ok())
        {
            assert!(clock.monotonic() < ANSWER, "still open");
            std::thread::sleep(Duration::from_millis(50));
        }
        assert!(matches!(receive(&mut stream), Got::Closed));
    });
}

/// Bytes as JSON headers; the answer must have this code.
fn header_answers(target: &Target, header: &str, code: i32) {
    let mut stream = target.connect();
    match exchange(&mut stream, &frame_of(0, header.as_bytes(), b"")) {
        Got::Frame(answer) => {
            assert_eq!(
                (answer.opaque, answer.code),
                (7, code),
                "{header}: {answer:?}"
            );
        }
        other => panic!("{header}: {other:?}"),
    }
}

#[test]
fn lenient_headers_are_understood() {
    on_both("", |target| {
        for header in [
            r#"{"code":999,"flag":0,"opaque":7}"#,
            r#"{"code":"999","flag":"0","opaque":"7","version":"479","language":"GO"}"#,
            r#"{code:999,opaque:7,flag:0,extFields:{a:"b"}}"#,
            r#"{"code":999,"opaque":7,"remark":null,"extFields":null,"language":null}"#,
            r#"{"code":999,"opaque":7,"extFields":{"queueId":3,"ok":true,"none":null}}"#,
            r#"{"code":999,"opaque":7,"language":"KLINGON","serializeTypeCurrentRPC":"JSON"}"#,
            " { 'code' : 999 , \"opaque\" : 7 , \"later\" : { \"a\" : [ 1 , 2 ] } } ",
        ] {
            header_answers(
                target,
                header,
                ResponseCode::REQUEST_CODE_NOT_SUPPORTED.value(),
            );
        }
        // No answer to a one-way request, nor to an answer that nobody waits for.
        let mut stream = target.connect();
        for flag in [2, 1, 3] {
            let header = format!(r#"{{"code":999,"opaque":5,"flag":{flag}}}"#);
            stream
                .write_all(&frame_of(0, header.as_bytes(), b"x"))
                .unwrap();
        }
        assert_answered(&mut stream);
    });
}

fn ask(target: &Target, code: RequestCode, body: &str) -> Command {
    let request = Command::bare_request(code).with_body(body.as_bytes().to_vec());
    target
        .client
        .call(&target.address, request, ANSWER)
        .unwrap()
}

#[test]
fn bodies_as_other_clients_write_them_are_understood() {
    let target = Target::broker("");
    for lock in [
        r#"{"consumerGroup":"g","clientId":"c","mqSet":[{"topic":"alive","brokerName":"broker-a","queueId":0}]}"#,
        r#"{"consumerGroup":"g","clientId":"c","mqSet":[{"topic":"alive","brokerName":"broker-a","queueId":"0"}],"onlyThisBroker":null}"#,
        r#"{consumerGroup:"g",clientId:"c",mqSet:[{topic:"alive",brokerName:"broker-a",queueId:0}],onlyThisBroker:"false"}"#,
        r#"{'consumerGroup':'g','clientId':'c','new':{"x":[]},'mqSet':[{'topic':'alive','brokerName':'broker-a','queueId':0,'more':1}]}"#,
    ] {
        let answer = ask(&target, RequestCode::LOCK_BATCH_MQ, lock);
        assert_eq!(
            answer.response_code(),
            ResponseCode::SUCCESS,
            "{lock}: {answer:?}"
        );
        let body = std::str::from_utf8(&answer.body).unwrap();
        assert!(body.contains("alive"), "{lock}: {body}");
        let answer = ask(&target, RequestCode::UNLOCK_BATCH_MQ, lock);
        assert_eq!(
            answer.response_code(),
            ResponseCode::SUCCESS,
            "{lock}: {answer:?}"
        );
    }
    for beat in [
        r#"{"clientID":"c@1","producerDataSet":[{"groupName":"p"}],"consumerDataSet":[]}"#,
        r#"{"clientID":"c@1","producerDataSet":null,"consumerDataSet":[{"groupName":"g","consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING","consumeFromWhere":"CONSUME_FROM_LAST_OFFSET","subscriptionDataSet":[{"classFilterMode":"false","topic":"alive","subString":"A||B","tagsSet":["A","B"],"codeSet":["65","66"],"subVersion":"1"}],"unitMode":false}]}"#,
        r#"{clientID:"c@1",consumerDataSet:[{groupName:"g",consumeType:"CONSUME_PASSIVELY",messageModel:"CLUSTERING",consumeFromWhere:"CONSUME_FROM_FIRST_OFFSET",subscriptionDataSet:[{topic:"alive",subString:"*",subVersion:1700000000000}]}]}"#,
    ] {
        let answer = ask(&target, RequestCode::HEART_BEAT, beat);
        assert_eq!(
            answer.response_code(),
            ResponseCode::SUCCESS,
            "{beat}: {answer:?}"
        );
    }
    target.serves();
}

#[test]
fn wrong_bodies_cost_their_own_request_at_most() {
    // Requests whose body is read: heartbeats, locks, registrations, configuration, checks.
    let codes = [
        10, 310, 320, 25, 34, 35, 41, 42, 43, 46, 103, 104, 17, 217, 206, 318, 351, 310, 326,
    ];
    on_both("", |target| {
        let mut stream = target.connect();
        for code in codes {
            for body in input::bodies() {
                let header = format!(r#"{{"code":{code},"flag":0,"opaque":7,"version":479}}"#);
                match exchange(&mut stream, &frame_of(0, header.as_bytes(), &body)) {
                    Got::Frame(answer) => assert_eq!(answer.opaque, 7),
                    Got::Closed => stream = target.connect(),
                    Got::Silence => panic!("code {code}: no answer to {} bytes", body.len()),
                }
            }
        }
    });
}

/// Codes under which a request may be held for longer than a test waits, and 37: the end of a
/// transaction that neither commits nor rolls back is not answered, as by Apache's broker.
const HELD: [i32; 7] = [11, 37, 361, 200_050, 200_052, 200_054, 200_070];

/// Asks with one code in one serialization; says whether the connection is still good.
fn ask_code(stream: &mut TcpStream, request: &Command) -> bool {
    match exchange(stream, &request.to_bytes()) {
        Got::Frame(answer) => {
            assert!(
                answer.is_response() && answer.opaque == request.opaque,
                "{answer:?}"
            );
            true
        }
        Got::Closed => false,
        Got::Silence if HELD.contains(&request.code) => false,
        Got::Silence => panic!("no answer to {request:?}"),
    }
}

#[test]
fn every_code_is_answered_whatever_comes_with_it() {
    let seed = Dice::seed();
    on_both("", |target| {
        let mut dice = Dice::new(seed);
        let mut stream = target.connect();
        let mut opaque = 0;
        for code in (0..=1_100)
            .chain(200_040..=200_075)
            .chain([-1, i32::MIN, i32::MAX])
        {
            let count = dice.below(200) as usize;
            let random = dice.bytes(count);
            for serialize in [Serialize::Json, Serialize::Rocketmq] {
                for body in [&b""[..], &random] {
                    opaque += 1;
                    let mut request = Command::bare_request(RequestCode::new(code));
                    request.opaque = opaque;
                    request.serialize = serialize;
                    request.body = body.to_vec().into();
                    if !ask_code(&mut stream, &request) {
                        stream = target.connect();
                    }
                }
            }
        }
    });
}

#[test]
fn every_field_may_be_wrong() {
    let long = "x".repeat(2_000);
    let outside = "../../../../../../tmp/rmq-evil";
    let values = ["", "-1", "abc", "9223372036854775807", outside, &long];
    on_both("", |target| {
        let mut stream = target.connect();
        stream
            .set_read_timeout(Some(Duration::from_secs(3)))
            .unwrap();
        for code in input::codes() {
            for value in values {
                let mut request = Command::bare_request(RequestCode::new(code));
                request.opaque = 7;
                for field in input::fields() {
                    request.ext.insert(field, value);
                }
                request.body = b"x".to_vec().into();
                if !ask_code(&mut stream, &request) {
                    stream = target.connect();
                    stream
                        .set_read_timeout(Some(Duration::from_secs(3)))
                        .unwrap();
                }
            }
        }
        let outside = ["/tmp/rmq-evil".into(), target.home.join("rmq-evil")];
        assert!(
            outside
                .iter()
                .all(|path: &std::path::PathBuf| !path.exists())
        );
    });
}

#[test]
fn bodies_of_four_mebibytes_are_taken_and_no_larger() {
    let mut target = Target::broker("");
    let before = target.footprint();
    let body: Vec<u8> = (0..4 * MIB).map(|i| (i * 31 / 8) as u8).collect();
    let receipt = peer::send(&target.client, &target.address, ("big", 2), body.clone()).unwrap();
    let one_more = [&body[..], b"!"].concat();
    let refused = peer::send(&target.client, &target.address, ("big", 2), one_more).unwrap_err();
    let illegal = ErrorKind::Remote(ResponseCode::MESSAGE_ILLEGAL.value());
    assert_eq!(refused.kind(), illegal, "{refused}");
    let empty = peer::send(&target.client, &target.address, ("big", 2), "").unwrap_err();
    assert_eq!(empty.kind(), illegal, "{empty}");
    let stored = peer::read_queue(&target.client, &target.address, "big", 2).unwrap();
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].queue_offset, receipt.queue_offset);
    assert!(stored[0].body == body, "the body came back changed");
    drop(stored);
    target.is_nearly_as_before(&before, SLACK_LARGE_KIB);
}

#[test]
fn frames_of_sixteen_mebibytes_are_taken_and_no_larger() {
    let frame_of_len = |len: usize| {
        let empty = frame_of(0, UNKNOWN, b"").len();
        let frame = frame_of(0, UNKNOWN, &vec![b'f'; len - empty]);
        assert_eq!(frame.len(), len);
        frame
    };
    // Two threads keep memory, whatever the machine.
    on_both_within(SLACK_LARGE_KIB, "rmq.reactorThreads=2\n", |target| {
        let mut stream = target.connect();
        for _ in 0..3 {
            match exchange(&mut stream, &frame_of_len(16 * MIB)) {
                Got::Frame(answer) => assert_eq!((answer.opaque, answer.code), (7, 3)),
                other => panic!("{other:?}"),
            }
        }
        assert_closed(
            "one byte more",
            target.connect(),
            &frame_of_len(16 * MIB + 1),
        );
        // Announcing much costs nothing before it comes.
        let announced: Vec<TcpStream> = (0..200)
            .map(|_| {
                let mut stream = target.connect();
                stream.write_all(&frame_of_len(16 * MIB)[..1_000]).unwrap();
                stream
            })
            .collect();
        target.serves();
        let memory_kib = target.process.memory_kib();
        assert!(
            memory_kib < 200 << 10,
            "{memory_kib} KiB for 200 announcements"
        );
        drop(announced);
    });
}

#[test]
fn ten_thousand_connections() {
    let allowed = usize::try_from(process::raise_open_files()).unwrap_or(usize::MAX);
    // Beside them this process and the server need some for themselves.
    let count = 10_000.min(allowed.saturating_sub(1_000).max(100));
    println!("{count} connections");
    on_both("", |target| {
        let before = target.footprint();
        let mut streams: Vec<TcpStream> = (0..count).map(|_| target.connect()).collect();
        eventually("all are accepted", || {
            (target.process.descriptors() >= count).then_some(())
        });
        let with = target.process.memory_kib();
        let each = (with.saturating_sub(before.memory_kib) << 10) / count as u64;
        println!("{each} bytes of memory for each connection");
        assert!(each < 4_096, "{each} bytes for an idle connection");
        for stream in streams.iter_mut().step_by(97) {
            assert_answered(stream);
        }
        target.serves();
        drop(streams);
        target.serves();
        // And those that come and go.
        for _ in 0..2_000 {
            drop(target.connect());
        }
    });
}

#[test]
fn one_connection_more_than_allowed_is_closed() {
    on_both("rmq.maxConnections=50\n", |target| {
        // One is the client's own.
        let mut streams: Vec<TcpStream> = (0..49).map(|_| target.connect()).collect();
        for stream in &mut streams {
            assert_answered(stream);
        }
        for _ in 0..20 {
            assert_closed("the 51st", target.connect(), &frame_of(0, UNKNOWN, b""));
        }
        drop(streams);
        let mut stream = target.connect();
        eventually("there is room again", || {
            match exchange(&mut stream, &frame_of(0, UNKNOWN, b"")) {
                Got::Frame(_) => Some(()),
                _ => {
                    stream = target.connect();
                    None
                }
            }
        });
    });
}

/// Sends a message of which few go into one file of a small log.
fn send_large(target: &Target) -> Result<raw::SendReceipt, Error> {
    let body = vec![b'x'; 100_000];
    peer::send(&target.client, &target.address, ("large", 0), body)
}

#[test]
fn a_shortage_of_descriptors_is_waited_out() {
    const LIMIT: u64 = 100;
    let home = Home::new();
    let file = home.write("namesrv.conf", "bindAddress=127.0.0.1\nlistenPort=0\n");
    let process = home.namesrv().config(&file).open_files(LIMIT).start();
    let namesrv = Target::new(home, process, false);
    let home = Home::new();
    let file = home.write(
        "broker.conf",
        &Target::broker_text("mappedFileSizeCommitLog=1m\n"),
    );
    let process = home.broker().config(&file).open_files(LIMIT).start();
    let broker = Target::new(home, process, true);
    send_large(&broker).unwrap();
    for mut target in [namesrv, broker] {
        let before = target.footprint();
        let mut streams: Vec<TcpStream> = (0..LIMIT * 2).map(|_| target.connect()).collect();
        eventually("it is short of descriptors", || {
            let told = target.process.stderr();
            told.contains("cannot accept").then_some(())
        });
        // Those that got in are served meanwhile, by the old connection too.
        assert_answered(&mut streams[0]);
        target.serves();
        if target.is_broker {
            // Connections leave it enough for files of its own: these messages fill several.
            (0..40).for_each(|_| drop(send_large(&target).unwrap()));
            peer::send(&target.client, &target.address, ("new", 0), "a topic").unwrap();
        }
        // Those that wait get in when others leave.
        let mut last = streams.pop().unwrap();
        streams.truncate(100);
        streams.drain(..60);
        drop(streams);
        assert_answered(&mut last);
        drop(last);
        let told = target.process.stderr();
        let lines = told.lines().filter(|line| line.contains("accept")).count();
        assert!((1..=10).contains(&lines), "told {lines} times:\n{told}");
        target.is_as_before(&before);
    }
}

/// Sends many pulls on each of many connections, and reads no answer.
fn pull_and_never_read(target: &Target, topic: &str, connections: usize) -> Vec<TcpStream> {
    let header = peer::pull_from(topic, 0, 0);
    let mut request = Command::request(RequestCode::PULL_MESSAGE, &header);
    request.opaque = 7;
    let burst = request.to_bytes().repeat(400);
    (0..connections)
        .map(|_| {
            let mut stream = target.connect();
            stream.set_nonblocking(true).unwrap();
            // As much as it takes.
            for _ in 0..10 {
                if stream.write(&burst).is_err() {
                    break;
                }
            }
            stream
        })
        .collect()
}

#[test]
fn readers_that_never_read_cost_little() {
    let mut target = Target::broker("serverChannelMaxIdleTimeSeconds=3\n");
    for (topic, bytes, count) in [("large", 60_000, 100), ("small", 1_000, 200)] {
        for _ in 0..count {
            let sent = peer::send(
                &target.client,
                &target.address,
                (topic, 0),
                vec![b'x'; bytes],
            );
            sent.unwrap();
        }
    }
    let before = target.footprint();
    for topic in ["large", "small"] {
        let clock = SystemClock::new();
        let streams = pull_and_never_read(&target, topic, 20);
        let mut most = 0;
        while clock.monotonic() < Duration::from_millis(1_500) {
            most = most.max(target.process.memory_kib());
            target.serves();
            std::thread::sleep(Duration::from_millis(20));
        }
        let more = most.saturating_sub(before.memory_kib) >> 10;
        println!("{topic}: {more} MiB for 20 readers that do not read");
        assert!(more < 256, "{more} MiB");
        // They are not waited for: a connection that takes nothing is idle.
        eventually("they are closed", || {
            (target.process.descriptors() <= before.descriptors + SLACK_DESCRIPTORS).then_some(())
        });
        drop(streams);
        target.is_as_before(&before);
    }
}

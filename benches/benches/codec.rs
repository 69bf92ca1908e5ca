//! What one message costs on its way through the codec: `cargo bench -p rmq-benches`.

use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rmq_benches::load::frames::{Decimal, OPAQUE_BASE, SendKind, Template};
use rmq_core::protocol::command::Command;
use rmq_core::protocol::frame::{LIMIT_DEFAULT, Serialize, next_frame};
use rmq_core::protocol::message::record::{CheckLevel, NewRecord, Place, RecordRef, StageOptions};
use rmq_core::protocol::request::Scratch;
use rmq_core::protocol::request::send::fast;

const BODY_LEN: usize = 128;
const BORN_MS: i64 = 1_700_000_000_000;

fn frame_of(serialize: Serialize) -> Vec<u8> {
    let mut template = Template::send(SendKind::V2, serialize, "BenchmarkTest", 3, BODY_LEN);
    let mut out = Vec::new();
    template.append(&mut out, OPAQUE_BASE, &Decimal::new(BORN_MS), &mut 0);
    out
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode send");
    group.throughput(Throughput::Elements(1));
    for serialize in [Serialize::Rocketmq, Serialize::Json] {
        let bytes = frame_of(serialize);
        let mut scratch = Scratch::new();
        group.bench_function(format!("fast, {}", serialize.name()), |b| {
            b.iter(|| {
                let (frame, _) = next_frame(black_box(&bytes), LIMIT_DEFAULT)
                    .expect("a frame")
                    .expect("a whole frame");
                let (head, request) = fast::decode(frame, &mut scratch).expect("a usual request");
                black_box((head.opaque, request.queue_id, request.topic.len()))
            });
        });
        group.bench_function(format!("general, {}", serialize.name()), |b| {
            b.iter(|| {
                let (frame, _) = next_frame(black_box(&bytes), LIMIT_DEFAULT)
                    .expect("a frame")
                    .expect("a whole frame");
                black_box(Command::decode(frame).expect("a request"))
            });
        });
    }
    group.finish();
}

fn record(c: &mut Criterion) {
    let body = [b'x'; BODY_LEN];
    let host = SocketAddr::from((Ipv4Addr::LOCALHOST, 10911));
    let new = NewRecord {
        topic: "BenchmarkTest",
        queue_id: 3,
        flag: 0,
        sys_flag: 0,
        born_timestamp_ms: BORN_MS,
        born_host: host,
        store_host: host,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: &body,
        properties: b"UNIQ_KEY\x017F0000010A5C5F2D11B47D3A00000000\x02WAIT\x01true",
        extra_properties: b"MSG_REGION\x01DefaultRegion\x02TRACE_ON\x01true\x02",
    };
    let place = Place {
        queue_offset: 1,
        physical_offset: 2,
        store_timestamp_ms: BORN_MS,
    };
    let options = StageOptions::default();
    let mut staging = Vec::new();
    let mut target = vec![0; new.encoded_len(&options).expect("within the limits")];
    let mut group = c.benchmark_group("record");
    group.throughput(Throughput::Elements(1));
    group.bench_function("stage and place", |b| {
        b.iter(|| {
            staging.clear();
            let staged = black_box(&new)
                .stage(&options, &mut staging)
                .expect("within the limits");
            staged.place(&staging, &body, &place, &mut target);
            black_box(&target);
        });
    });
    group.bench_function("check with body CRC", |b| {
        b.iter(|| RecordRef::check(black_box(&target), CheckLevel::BodyCrc).is_ok());
    });
    group.finish();
}

fn generator(c: &mut Criterion) {
    let mut group = c.benchmark_group("generator");
    group.throughput(Throughput::Elements(1));
    for serialize in [Serialize::Rocketmq, Serialize::Json] {
        let mut template = Template::send(SendKind::V2, serialize, "BenchmarkTest", 3, BODY_LEN);
        let (mut out, mut unique, born) = (Vec::new(), 0, Decimal::new(BORN_MS));
        group.bench_function(format!("patch a send, {}", serialize.name()), |b| {
            b.iter(|| {
                out.clear();
                template.append(&mut out, OPAQUE_BASE + 7, &born, &mut unique);
                black_box(&out);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, decode, record, generator);
criterion_main!(benches);

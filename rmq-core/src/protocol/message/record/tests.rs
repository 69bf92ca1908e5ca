use std::net::SocketAddr;

use super::*;

fn host(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn record<'a>(topic: &'a str, body: &'a [u8]) -> NewRecord<'a> {
    NewRecord {
        topic,
        queue_id: 3,
        flag: -7,
        sys_flag: sysflag::TRANSACTION_COMMIT,
        born_timestamp_ms: 0x0000_01a2_03a5_946f,
        born_host: host("127.0.0.1:51354"),
        store_host: host("127.0.0.1:10911"),
        reconsume_times: 2,
        prepared_transaction_offset: 77,
        body,
        properties: b"TAGS\x01t\x02KEYS\x01a b",
        extra_properties: b"UNIQ_KEY\x01id\x02",
    }
}

const PLACE: Place = Place {
    queue_offset: 11,
    physical_offset: 1 << 40,
    store_timestamp_ms: 1_795_357_533_837,
};

fn encode(record: &NewRecord<'_>, options: &StageOptions) -> Vec<u8> {
    let mut out = Vec::new();
    let len = record.encode(options, &PLACE, &mut out).unwrap();
    assert_eq!(len, out.len());
    assert_eq!(len, record.encoded_len(options).unwrap());
    out
}

fn check(bytes: &[u8], level: CheckLevel) -> RecordRef<'_> {
    match RecordRef::check(bytes, level).unwrap() {
        Checked::Record(record) => record,
        other => panic!("{other:?}"),
    }
}

fn assert_reads_back(new: &NewRecord<'_>, bytes: &[u8]) {
    let read = check(bytes, CheckLevel::AllCrc);
    assert_eq!(read.topic(), new.topic);
    assert_eq!(read.queue_id(), new.queue_id);
    assert_eq!(read.flag(), new.flag);
    assert_eq!(read.born_timestamp_ms(), new.born_timestamp_ms);
    assert_eq!(read.born_host(), new.born_host);
    assert_eq!(read.store_host(), new.store_host);
    assert_eq!(read.reconsume_times(), new.reconsume_times);
    assert_eq!(
        read.prepared_transaction_offset(),
        new.prepared_transaction_offset
    );
    assert_eq!(read.body(), new.body);
    assert_eq!(read.queue_offset(), PLACE.queue_offset);
    assert_eq!(read.physical_offset(), PLACE.physical_offset);
    assert_eq!(read.store_timestamp_ms(), PLACE.store_timestamp_ms);
    assert_eq!(read.body_crc(), body_crc(new.body));
}

#[test]
fn a_record_reads_back_with_every_kind_of_host() {
    for born in ["10.1.2.3:1", "[2001:db8::7]:65535"] {
        for store in ["10.9.8.7:10911", "[::1]:9"] {
            let mut new = record("T", b"hello");
            new.born_host = host(born);
            new.store_host = host(store);
            let bytes = encode(&new, &StageOptions::default());
            assert_reads_back(&new, &bytes);
            let read = check(&bytes, CheckLevel::AllCrc);
            assert_eq!(read.tags(), Some(b"t".as_slice()));
            assert_eq!(read.keys(), Some(b"a b".as_slice()));
            assert_eq!(read.uniq_key(), Some(b"id".as_slice()));
            assert_eq!(read.magic(), MAGIC_V1);
        }
    }
}

#[test]
fn a_mapped_ipv4_address_is_stored_as_ipv4() {
    let mut new = record("T", b"");
    new.born_host = host("[::ffff:1.2.3.4]:5");
    new.sys_flag |= sysflag::STORE_HOST_V6;
    let bytes = encode(&new, &StageOptions::default());
    let read = check(&bytes, CheckLevel::AllCrc);
    assert_eq!(read.born_host(), host("1.2.3.4:5"));
    assert_eq!(read.sys_flag(), sysflag::TRANSACTION_COMMIT);
}

#[test]
fn topics_beyond_127_bytes_take_the_second_version() {
    for (len, magic) in [
        (0, MAGIC_V1),
        (127, MAGIC_V1),
        (128, MAGIC_V2),
        (32767, MAGIC_V2),
    ] {
        let topic = "x".repeat(len);
        let bytes = encode(&record(&topic, b"b"), &StageOptions::default());
        let read = check(&bytes, CheckLevel::AllCrc);
        assert_eq!((read.magic(), read.topic_bytes().len()), (magic, len));
    }
    let topic = "x".repeat(32768);
    assert_eq!(
        record(&topic, b"").encoded_len(&StageOptions::default()),
        Err(RecordError::TooLong {
            part: "topic",
            len: 32768,
            max: 32767
        })
    );
}

#[test]
fn limits_hold_at_the_limit_and_one_beyond() {
    let options = StageOptions {
        limits: RecordLimits::new(1000),
        ..StageOptions::default()
    };
    let body = vec![7; 1001];
    assert!(record("T", &body[..1000]).encoded_len(&options).is_ok());
    assert_eq!(
        record("T", &body)
            .stage(&options, &mut Vec::new())
            .unwrap_err(),
        RecordError::TooLong {
            part: "body",
            len: 1001,
            max: 1000
        }
    );
    let properties = vec![b'p'; properties::MAX_BYTES + 1];
    let mut new = record("T", b"");
    new.extra_properties = b"";
    new.properties = &properties[1..];
    assert!(new.encoded_len(&options).is_ok());
    new.properties = &properties;
    assert!(matches!(
        new.encoded_len(&options),
        Err(RecordError::TooLong {
            part: "properties",
            len: 32768,
            max: 32767
        })
    ));
    let mut options = options;
    let new = record("T", b"12345");
    options.limits.record_max_bytes = encode(&new, &options).len();
    assert!(new.encoded_len(&options).is_ok());
    options.limits.record_max_bytes -= 1;
    assert!(matches!(
        new.encoded_len(&options),
        Err(RecordError::TooLong { part: "record", .. })
    ));
    assert_eq!(
        RecordLimits::new(usize::MAX).record_max_bytes,
        i32::MAX as usize
    );
}

#[test]
fn a_borrowed_body_gives_the_same_bytes_as_an_inline_one() {
    for append_crc in [false, true] {
        for len in [0, 1, 100, 5000] {
            let body: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let new = record("Topic", &body);
            let inline = StageOptions {
                append_crc,
                inline_body_max_bytes: usize::MAX,
                ..StageOptions::default()
            };
            let apart = StageOptions {
                inline_body_max_bytes: 0,
                ..inline
            };
            let bytes = encode(&new, &inline);
            assert_eq!(bytes, encode(&new, &apart));
            let mut staged = vec![0xff];
            let parts = new.stage(&apart, &mut staged).unwrap();
            assert_eq!(parts.staged_len() + 1, staged.len());
            assert_eq!(parts.body_inline(), len == 0);
            assert_reads_back(&new, &bytes);
        }
    }
}

#[test]
fn properties_are_joined_with_exactly_the_separators_they_need() {
    let cases: [(&[u8], &[u8], &[u8]); 5] = [
        (b"", b"", b""),
        (b"a\x011", b"", b"a\x011"),
        (b"", b"b\x012\x02", b"b\x012\x02"),
        (b"a\x011", b"b\x012\x02", b"a\x011\x02b\x012\x02"),
        (b"a\x011\x02", b"b\x012", b"a\x011\x02b\x012"),
    ];
    for (own, extra, want) in cases {
        let mut new = record("T", b"x");
        (new.properties, new.extra_properties) = (own, extra);
        let bytes = encode(&new, &StageOptions::default());
        assert_eq!(check(&bytes, CheckLevel::AllCrc).properties_bytes(), want);
        let options = StageOptions {
            append_crc: true,
            ..StageOptions::default()
        };
        let bytes = encode(&new, &options);
        let read = check(&bytes, CheckLevel::AllCrc);
        let joined = read.properties_bytes();
        let (own, sum) = joined.split_at(joined.len() - CRC_PROPERTY_LEN);
        assert!(sum.starts_with(b"__CRC32#\x01"));
        assert_eq!(
            own.strip_suffix(b"\x02").unwrap_or(own),
            want.strip_suffix(b"\x02").unwrap_or(want)
        );
    }
}

#[test]
fn the_appended_check_sum_covers_every_byte_before_it() {
    let options = StageOptions {
        append_crc: true,
        ..StageOptions::default()
    };
    let new = record("Topic", b"body");
    let good = encode(&new, &options);
    let sum = body_crc(&good[..good.len() - CRC_PROPERTY_LEN]);
    let digits = &good[good.len() - 1 - CRC_DIGITS..good.len() - 1];
    assert_eq!(digits, crc_digits(sum));
    assert_eq!(parse_crc_digits(digits), Some(sum));
    for at in QUEUE_ID_AT..good.len() - CRC_PROPERTY_LEN {
        let mut bad = good.clone();
        bad[at] ^= 0x04;
        assert!(
            RecordRef::check(&bad, CheckLevel::AllCrc).is_err(),
            "byte {at}"
        );
    }
    let mut bad = good;
    let digit = bad.len() - 2;
    bad[digit] = b'x';
    assert_eq!(
        RecordRef::check(&bad, CheckLevel::AllCrc).unwrap_err(),
        RecordError::PropertyCrc {
            stated: None,
            actual: sum
        }
    );
    assert!(RecordRef::check(&bad, CheckLevel::BodyCrc).is_ok());
}

#[test]
fn check_sum_digits_are_least_significant_first() {
    assert_eq!(&crc_digits(1234), b"4321000000");
    assert_eq!(&crc_digits(0), b"0000000000");
    assert_eq!(parse_crc_digits(b"7463847412"), Some(2_147_483_647));
    assert_eq!(parse_crc_digits(b"9999999999"), None);
}

#[test]
fn a_damaged_body_is_found_only_when_asked_for() {
    let mut bytes = encode(&record("T", b"hello"), &StageOptions::default());
    bytes[body_at(0)] ^= 1;
    assert!(matches!(
        RecordRef::check(&bytes, CheckLevel::BodyCrc),
        Err(RecordError::BodyCrc { .. })
    ));
    assert!(RecordRef::check(&bytes, CheckLevel::Exact).is_ok());
}

#[test]
fn every_cut_and_every_wrong_length_is_an_error() {
    let good = encode(&record("Topic", b"hello"), &StageOptions::default());
    assert!(matches!(
        RecordRef::check(&[], CheckLevel::Exact),
        Ok(Checked::End)
    ));
    for len in 1..good.len() {
        assert!(matches!(
            RecordRef::check(&good[..len], CheckLevel::Bounds),
            Err(RecordError::Truncated { .. })
        ));
    }
    let topic_at = body_at(0) + 5;
    for (at, value) in [(0, 90), (0, i32::MIN), (0, -1), (body_len_at(0), -1)] {
        let mut bad = good.clone();
        bad[at..at + 4].copy_from_slice(&value.to_be_bytes());
        assert!(
            RecordRef::check(&bad, CheckLevel::Bounds).is_err(),
            "{at} {value}"
        );
    }
    for value in [6, i32::MAX, good.len() as i32] {
        let mut bad = good.clone();
        bad[body_len_at(0)..body_at(0)].copy_from_slice(&value.to_be_bytes());
        assert!(RecordRef::check(&bad, CheckLevel::Exact).is_err());
    }
    for (at, value) in [(topic_at, 0xff), (topic_at + 6, 0xff), (topic_at + 7, 0xff)] {
        let mut bad = good.clone();
        bad[at] = value;
        assert!(matches!(
            RecordRef::check(&bad, CheckLevel::Bounds),
            Err(RecordError::Length { .. })
        ));
    }
    let mut bad = good;
    bad[SYS_FLAG_AT + 3] |= (sysflag::BORN_HOST_V6 | sysflag::STORE_HOST_V6) as u8;
    assert!(RecordRef::check(&bad, CheckLevel::Exact).is_err());
}

#[test]
fn slack_after_the_last_part_passes_only_the_loosest_check() {
    let mut bytes = encode(&record("T", b"b"), &StageOptions::default());
    bytes.push(0);
    let total = bytes.len() as u32;
    bytes[..4].copy_from_slice(&total.to_be_bytes());
    assert_eq!(check(&bytes, CheckLevel::Bounds).len(), bytes.len());
    assert_eq!(
        RecordRef::check(&bytes, CheckLevel::Exact).unwrap_err(),
        RecordError::TotalSize {
            stated: bytes.len(),
            actual: bytes.len() - 1
        }
    );
}

#[test]
fn blanks_and_zeros_end_a_segment() {
    let mut blank = [0xee; 16];
    put_blank(&mut blank, 4096);
    assert!(matches!(
        RecordRef::check(&blank, CheckLevel::AllCrc),
        Ok(Checked::Blank { len: 4096 })
    ));
    put_blank(&mut blank, 7);
    assert!(RecordRef::check(&blank, CheckLevel::AllCrc).is_err());
    assert!(matches!(
        RecordRef::check(&[0; 4], CheckLevel::AllCrc),
        Ok(Checked::End)
    ));
    let mut unknown = [0; 200];
    unknown[3] = 100;
    assert_eq!(
        RecordRef::check(&unknown, CheckLevel::Bounds).unwrap_err(),
        RecordError::Magic(0)
    );
}

#[test]
fn records_iterate_to_the_end_or_the_first_error() {
    let mut bytes = encode(&record("T", b"1"), &StageOptions::default());
    bytes.extend(encode(&record("T", b"2"), &StageOptions::default()));
    let bodies: Vec<_> = Records::new(&bytes, CheckLevel::AllCrc)
        .map(|r| r.unwrap().body().to_vec())
        .collect();
    assert_eq!(bodies, [b"1", b"2"]);
    bytes.push(1);
    let mut records = Records::new(&bytes, CheckLevel::AllCrc);
    assert!(records.nth(1).unwrap().is_ok());
    assert!(records.next().unwrap().is_err());
    assert!(records.next().is_none());
}

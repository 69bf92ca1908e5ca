//! Records: single ones of every shape, and the segments of a store.

use bytes::Bytes;
use rmq_core::protocol::message::id::OffsetMsgId;
use rmq_core::protocol::message::record::{
    CheckLevel, Checked, NewRecord, Place, RecordError, RecordRef, StageOptions, body_crc,
    put_blank,
};
use rmq_core::protocol::message::sysflag;
use rmq_core::protocol::message::user::{ReceivedMessages, property_map};

use crate::data::{Line, lines};

fn record(bytes: &[u8], level: CheckLevel) -> RecordRef<'_> {
    match RecordRef::check(bytes, level) {
        Ok(Checked::Record(record)) => record,
        other => panic!("{other:?}"),
    }
}

fn assert_fields(record: &RecordRef<'_>, line: &Line) {
    let place = &line.place;
    assert_eq!(record.topic(), line.text("topic"), "{place}");
    assert_eq!(record.queue_id(), line.int32("queueId"), "{place}");
    assert_eq!(record.flag(), line.int32("flag"), "{place}");
    assert_eq!(record.queue_offset(), line.int("queueOffset"), "{place}");
    assert_eq!(
        record.physical_offset(),
        line.int("physicalOffset"),
        "{place}"
    );
    assert_eq!(record.sys_flag(), line.int32("sysFlag"), "{place}");
    assert_eq!(
        record.born_timestamp_ms(),
        line.int("bornTimestamp"),
        "{place}"
    );
    assert_eq!(
        record.born_host(),
        line.host("bornHost", "bornPort"),
        "{place}"
    );
    assert_eq!(
        record.store_timestamp_ms(),
        line.int("storeTimestamp"),
        "{place}"
    );
    assert_eq!(
        record.store_host(),
        line.host("storeHost", "storePort"),
        "{place}"
    );
    assert_eq!(
        record.reconsume_times(),
        line.int32("reconsumeTimes"),
        "{place}"
    );
    let prepared = line.int("preparedTransactionOffset");
    assert_eq!(record.prepared_transaction_offset(), prepared, "{place}");
    assert_eq!(i64::from(record.body_crc()), line.int("bodyCrc"), "{place}");
    assert_eq!(record.body(), line.bytes("body"), "{place}");
    assert_eq!(
        record.properties_bytes(),
        line.text("propertiesText").as_bytes(),
        "{place}"
    );
    assert_eq!(
        property_map(record.properties_bytes()),
        line.map("properties"),
        "{place}"
    );
    let id = OffsetMsgId {
        store_host: record.store_host(),
        physical_offset: record.physical_offset(),
    };
    assert_eq!(id.to_text().as_str(), line.text("msgId"), "{place}");
}

/// Encodes what `record` says again.
fn again(record: &RecordRef<'_>, options: &StageOptions) -> Vec<u8> {
    let topic = record.topic();
    // The check sum is appended by the encoder and is no property of the sender.
    let properties = record.properties_bytes();
    let properties = match properties.windows(8).rposition(|name| name == b"__CRC32#") {
        Some(at) => &properties[..at],
        None => properties,
    };
    let new = NewRecord {
        topic: &topic,
        queue_id: record.queue_id(),
        flag: record.flag(),
        sys_flag: record.sys_flag() & !(sysflag::BORN_HOST_V6 | sysflag::STORE_HOST_V6),
        born_timestamp_ms: record.born_timestamp_ms(),
        born_host: record.born_host(),
        store_host: record.store_host(),
        reconsume_times: record.reconsume_times(),
        prepared_transaction_offset: record.prepared_transaction_offset(),
        body: record.body(),
        properties,
        extra_properties: b"",
    };
    let place = Place {
        queue_offset: record.queue_offset(),
        physical_offset: record.physical_offset(),
        store_timestamp_ms: record.store_timestamp_ms(),
    };
    let mut out = Vec::new();
    new.encode(options, &place, &mut out).unwrap();
    out
}

#[test]
fn single_records() {
    for line in lines("5.3.3", "records") {
        let bytes = line.bytes("record");
        let read = record(&bytes, CheckLevel::AllCrc);
        assert_fields(&read, &line);
        assert_eq!(read.len(), bytes.len(), "{}", line.place);
        for inline_body_max_bytes in [0, usize::MAX] {
            let options = StageOptions {
                inline_body_max_bytes,
                ..StageOptions::default()
            };
            assert_eq!(again(&read, &options), bytes, "{}", line.place);
        }
        let messages: Vec<_> =
            ReceivedMessages::new(Bytes::from(bytes.clone()), CheckLevel::BodyCrc, 0)
                .collect::<Result<_, _>>()
                .unwrap();
        assert_eq!(messages.len(), 1);
        assert_eq!(messages[0].msg_id(), line.text("msgId"), "{}", line.place);
        assert_eq!(messages[0].message.tag(), Some("TagA"));
    }
}

#[test]
fn segments_of_a_store() {
    for with_crc in [false, true] {
        let options = StageOptions {
            append_crc: with_crc,
            ..StageOptions::default()
        };
        let mut records = 0;
        let mut blanks = 0;
        for line in lines("5.3.3", "log") {
            if line.flag("crc") != with_crc {
                continue;
            }
            let mut segment = line.bytes("start");
            segment.resize(usize::try_from(line.int("length")).unwrap(), 0);
            let start: usize = line.text("file").parse().unwrap();
            let mut at = 0;
            loop {
                match RecordRef::check(&segment[at..], CheckLevel::AllCrc).unwrap() {
                    Checked::Record(record) => {
                        assert_eq!(record.physical_offset(), (start + at) as i64);
                        assert_eq!(again(&record, &options), record.bytes(), "{}", line.place);
                        at += record.len();
                        records += 1;
                    }
                    Checked::Blank { len } => {
                        assert_eq!(at + len, segment.len(), "{}", line.place);
                        let mut blank = [0; 8];
                        put_blank(&mut blank, len as u32);
                        assert_eq!(segment[at..at + 8], blank);
                        blanks += 1;
                        break;
                    }
                    Checked::End => break,
                }
            }
        }
        assert_eq!(records, 18);
        assert!(blanks > 0);
    }
}

#[test]
fn damage_to_a_stored_record_is_found() {
    let line = lines("5.3.3", "log")
        .into_iter()
        .find(|line| line.flag("crc"))
        .unwrap();
    let segment = line.bytes("start");
    let good = record(&segment, CheckLevel::AllCrc).bytes();
    for at in 8..good.len() - 20 {
        let mut bad = good.to_vec();
        bad[at] ^= 0x10;
        assert!(
            RecordRef::check(&bad, CheckLevel::AllCrc).is_err(),
            "byte {at}"
        );
    }
    let mut bad = good.to_vec();
    let last = bad.len() - 2;
    bad[last] = if bad[last] == b'0' { b'1' } else { b'0' };
    assert!(matches!(
        RecordRef::check(&bad, CheckLevel::AllCrc),
        Err(RecordError::PropertyCrc { .. })
    ));
    assert_eq!(body_crc(b"123456789"), 0x4bf4_3926);
}

//! Ids, hashes, property texts, batches and compressed bodies.

use std::collections::BTreeSet;

use rmq_core::protocol::filter::tag::{SubscriptionData, java_hash_code, tags_code};
use rmq_core::protocol::message::batch::{Batch, BatchMessage};
use rmq_core::protocol::message::compress;
use rmq_core::protocol::message::id::{OffsetMsgId, UniqueId};
use rmq_core::protocol::message::properties::{self, Scanned, names};
use rmq_core::protocol::message::user::property_map;

use crate::data::lines;

#[test]
fn message_ids() {
    for line in lines("5.3.3", "ids") {
        let text = line.text("id");
        if line.text("kind") == "offset" {
            let id = OffsetMsgId {
                store_host: line.host("host", "port"),
                physical_offset: line.int("offset"),
            };
            assert_eq!(OffsetMsgId::parse(text), Ok(id), "{}", line.place);
            assert_eq!(id.to_text().as_str(), text, "{}", line.place);
        } else {
            let id = UniqueId::parse(text).unwrap();
            assert_eq!(Ok(id.ip), line.text("host").parse(), "{}", line.place);
            assert_eq!(i64::from(id.pid), line.int("pid"), "{}", line.place);
        }
    }
}

#[test]
fn tag_hashes_and_expressions() {
    for line in lines("5.3.3", "hashes") {
        if line.has("hash") {
            let text = line.text("text");
            assert_eq!(java_hash_code(text), line.int32("hash"), "{}", line.place);
            assert_eq!(
                tags_code(text.as_bytes()),
                line.int("hash"),
                "{}",
                line.place
            );
            continue;
        }
        let data = SubscriptionData::from_tags("T", Some(line.text("expression"))).unwrap();
        assert_eq!(data.sub_string, line.text("subString"), "{}", line.place);
        let tags: BTreeSet<&str> = data.tags_set.iter().map(String::as_str).collect();
        assert_eq!(
            tags,
            line.texts("tags").into_iter().collect(),
            "{}",
            line.place
        );
        let codes: BTreeSet<i64> = data.code_set.iter().copied().map(i64::from).collect();
        assert_eq!(
            codes,
            line.ints("codes").into_iter().collect(),
            "{}",
            line.place
        );
    }
}

#[test]
fn property_texts() {
    for line in lines("5.3.3", "properties") {
        let text = line.text("text").as_bytes();
        let want = line.map("properties");
        assert_eq!(property_map(text), want, "{}", line.place);
        for (name, value) in &want {
            assert_eq!(
                properties::find_str(text, name),
                Some(value.as_str()),
                "{}",
                line.place
            );
        }
        assert_eq!(properties::find(text, "absent"), None);
    }
}

#[test]
fn names_of_properties_are_distinct() {
    let all: BTreeSet<&str> = names::ALL.iter().copied().collect();
    assert_eq!(all.len(), names::ALL.len());
    assert!(
        Scanned::ALL
            .iter()
            .all(|scanned| all.contains(scanned.name()))
    );
}

#[test]
fn batches() {
    for line in lines("5.3.3", "batches") {
        let bytes = line.bytes("batch");
        let (bodies, texts) = (line.texts("bodies"), line.texts("properties"));
        let want: Vec<BatchMessage<'_>> = line
            .ints("flags")
            .into_iter()
            .zip(bodies.iter().zip(&texts))
            .map(|(flag, (body, properties))| BatchMessage {
                flag: i32::try_from(flag).unwrap(),
                body: body.as_bytes(),
                properties: properties.as_bytes(),
            })
            .collect();
        let read: Vec<_> = Batch::new(&bytes).collect::<Result<_, _>>().unwrap();
        assert_eq!(read, want, "{}", line.place);
        let mut written = Vec::new();
        for message in &want {
            message.encode(&mut written).unwrap();
        }
        assert_eq!(written, bytes, "{}", line.place);
    }
}

#[test]
fn compressed_bodies() {
    for line in lines("5.3.3", "bodies-compressed") {
        let (body, compressed) = (line.bytes("body"), line.bytes("compressed"));
        let inflated = compress::inflate_body(&compressed, line.int32("sysFlag"), body.len());
        assert_eq!(inflated, Ok(Some(body.clone())), "{}", line.place);
        // Two implementations of zlib choose different bytes; both read each other's.
        let level = u32::try_from(line.int("level")).unwrap();
        let again = compress::deflate(&body, level);
        assert_eq!(
            compress::inflate(&again, body.len()),
            Ok(body),
            "{}",
            line.place
        );
    }
}

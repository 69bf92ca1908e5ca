//! What is told of one message, in the text that RocketMQ's tools read.

use crate::protocol::message::properties::KEY_SEPARATOR;

const FIELD: char = '\u{1}';
const RECORD: char = '\u{2}';
/// What stands where there is nothing: readers lose fields that are empty at the end.
const NOTHING: &str = "null";
/// The region of brokers that name none.
pub(crate) const DEFAULT_REGION: &str = "DefaultRegion";

/// What kind of message was sent; the values are those of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal = 0,
    Half = 1,
    Committed = 2,
    Delayed = 3,
}

/// A message as traces name it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traced {
    pub(crate) topic: String,
    pub(crate) msg_id: String,
    pub(crate) tags: Option<String>,
    /// Joined by spaces.
    pub(crate) keys: Option<String>,
}

/// What happened to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Sent {
        kind: Kind,
        broker: String,
        body_bytes: usize,
        took_ms: u64,
        offset_msg_id: String,
        success: bool,
    },
    /// It is given to a listener.
    Consuming {
        request_id: String,
        times: i32,
    },
    /// The listener is done with it.
    Consumed {
        request_id: String,
        took_ms: u64,
        success: bool,
        code: i32,
    },
    TransactionEnded {
        broker: String,
        transaction_id: String,
        state: &'static str,
        from_check: bool,
    },
    Recalled {
        success: bool,
    },
}

/// One event of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// Ms since the epoch.
    pub(crate) time_ms: i64,
    pub(crate) region: String,
    pub(crate) group: String,
    pub(crate) message: Traced,
    pub(crate) event: Event,
}

fn or_nothing(text: &Option<String>) -> &str {
    text.as_deref()
        .filter(|text| !text.is_empty())
        .unwrap_or(NOTHING)
}

impl Record {
    /// Appends the text.
    pub(crate) fn write(&self, out: &mut String) {
        let message = &self.message;
        let (time, keys) = (self.time_ms.to_string(), or_nothing(&message.keys));
        let (region, group) = (self.region.as_str(), self.group.as_str());
        let (topic, id) = (message.topic.as_str(), message.msg_id.as_str());
        let tags = or_nothing(&message.tags);
        let text = |number: &dyn ToString| number.to_string();
        let fields: Vec<String> = match &self.event {
            Event::Sent {
                kind,
                broker,
                body_bytes,
                took_ms,
                offset_msg_id,
                success,
            } => {
                let head = ["Pub", &time, region, group, topic, id, tags, keys, broker];
                let kind = *kind as i32;
                let numbers = [text(body_bytes), text(took_ms), text(&kind)];
                let tail = [offset_msg_id.clone(), text(success)];
                owned(&head).chain(numbers).chain(tail).collect()
            }
            Event::Consuming { request_id, times } => {
                let head = ["SubBefore", &time, region, group, request_id, id];
                let times = text(times);
                owned(&head).chain(owned(&[&times, keys])).collect()
            }
            Event::Consumed {
                request_id,
                took_ms,
                success,
                code,
            } => {
                let (took, success, code) = (text(took_ms), text(success), text(code));
                let all = [
                    "SubAfter", request_id, id, &took, &success, keys, &code, &time, group,
                ];
                owned(&all).collect()
            }
            Event::TransactionEnded {
                broker,
                transaction_id,
                state,
                from_check,
            } => {
                let head = [
                    "EndTransaction",
                    &time,
                    region,
                    group,
                    topic,
                    id,
                    tags,
                    keys,
                ];
                let (kind, check) = (text(&(Kind::Committed as i32)), text(from_check));
                let tail = [broker, &kind, transaction_id, *state, &check];
                owned(&head).chain(owned(&tail)).collect()
            }
            Event::Recalled { success } => {
                let success = text(success);
                owned(&["Recall", &time, region, group, topic, id, &success]).collect()
            }
        };
        for (i, field) in fields.iter().enumerate() {
            if i > 0 {
                out.push(FIELD);
            }
            out.push_str(field);
        }
        out.push(RECORD);
    }

    /// What the record is found by.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        let keys = self.message.keys.as_deref().unwrap_or_default();
        let keys = keys.split(KEY_SEPARATOR).filter(|key| !key.is_empty());
        std::iter::once(self.message.msg_id.as_str()).chain(keys)
    }
}

fn owned<'a>(fields: &'a [&'a str]) -> impl Iterator<Item = String> + 'a {
    fields.iter().map(|field| (*field).to_owned())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A record of this event.
    pub(crate) fn record(event: Event) -> Record {
        Record {
            time_ms: 1700,
            region: DEFAULT_REGION.to_owned(),
            group: "g".to_owned(),
            message: Traced {
                topic: "T".to_owned(),
                msg_id: "ID".to_owned(),
                tags: None,
                keys: Some("k1 k2".to_owned()),
            },
            event,
        }
    }

    fn shown(event: Event) -> String {
        let mut out = String::new();
        record(event).write(&mut out);
        out.replace(FIELD, "|").replace(RECORD, ";")
    }

    #[test]
    fn records_have_the_fields_that_tools_read_by_place() {
        let sent = Event::Sent {
            kind: Kind::Delayed,
            broker: "1.2.3.4:10911".to_owned(),
            body_bytes: 5,
            took_ms: 7,
            offset_msg_id: "OFF".to_owned(),
            success: true,
        };
        assert_eq!(
            shown(sent),
            "Pub|1700|DefaultRegion|g|T|ID|null|k1 k2|1.2.3.4:10911|5|7|3|OFF|true;"
        );
        let consuming = Event::Consuming {
            request_id: "R".to_owned(),
            times: 2,
        };
        assert_eq!(
            shown(consuming),
            "SubBefore|1700|DefaultRegion|g|R|ID|2|k1 k2;"
        );
        let consumed = Event::Consumed {
            request_id: "R".to_owned(),
            took_ms: 9,
            success: false,
            code: 4,
        };
        assert_eq!(shown(consumed), "SubAfter|R|ID|9|false|k1 k2|4|1700|g;");
        let ended = Event::TransactionEnded {
            broker: "b:1".to_owned(),
            transaction_id: "X".to_owned(),
            state: "COMMIT_MESSAGE",
            from_check: true,
        };
        assert_eq!(
            shown(ended),
            "EndTransaction|1700|DefaultRegion|g|T|ID|null|k1 k2|b:1|2|X|COMMIT_MESSAGE|true;"
        );
        assert_eq!(
            shown(Event::Recalled { success: true }),
            "Recall|1700|DefaultRegion|g|T|ID|true;"
        );
    }
}

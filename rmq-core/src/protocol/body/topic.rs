//! The settings of topics.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::data_version::DataVersion;
use super::mapping::{TopicQueueMappingDetail, TopicQueueMappingInfo};
use crate::base::error::{Error, ErrorKind};
use crate::protocol::json::{self, Flavour, Json};

/// Queues of a topic whose settings do not say.
pub const DEFAULT_QUEUE_NUMS: i32 = 16;
/// Readable and writeable.
pub const DEFAULT_PERM: i32 = 4 | 2;

super::json_enum! {
    /// How many tags a message may have.
    TopicFilterType default SingleTag {
        /// One.
        SingleTag = "SINGLE_TAG",
        /// Several.
        MultiTag = "MULTI_TAG",
    }
}

/// The settings of a topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicConfig {
    /// Attributes by name, such as `message.type`.
    pub attributes: BTreeMap<String, String>,
    /// Messages are kept in order; producers stop rather than move to another queue.
    pub order: bool,
    /// Permission bits.
    pub perm: i32,
    /// How many queues are read.
    pub read_queue_nums: i32,
    /// How many tags a message may have.
    pub topic_filter_type: TopicFilterType,
    /// The name.
    pub topic_name: String,
    /// Flags.
    pub topic_sys_flag: i32,
    /// How many queues are written.
    pub write_queue_nums: i32,
    /// Members that this release does not know; they are written back.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, Json>,
}

impl Default for TopicConfig {
    fn default() -> Self {
        Self {
            attributes: BTreeMap::new(),
            order: false,
            perm: DEFAULT_PERM,
            read_queue_nums: DEFAULT_QUEUE_NUMS,
            topic_filter_type: TopicFilterType::SingleTag,
            topic_name: String::new(),
            topic_sys_flag: 0,
            write_queue_nums: DEFAULT_QUEUE_NUMS,
            unknown: BTreeMap::new(),
        }
    }
}

/// A text that is no topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicTextError(String);

impl fmt::Display for TopicTextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" does not describe a topic", self.0)
    }
}

impl std::error::Error for TopicTextError {}

impl From<TopicTextError> for Error {
    fn from(error: TopicTextError) -> Self {
        Self::new(ErrorKind::Corrupt, "topic", error.to_string())
    }
}

impl TopicConfig {
    /// A topic with the default settings.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            topic_name: name.into(),
            ..Self::default()
        }
    }

    /// The short text form: `name readQueues writeQueues perm filterType attributes`.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!(
            "{} {} {} {} {} {}",
            self.topic_name,
            self.read_queue_nums,
            self.write_queue_nums,
            self.perm,
            self.topic_filter_type,
            json::to_text(&self.attributes, Flavour::Fastjson)
        )
    }

    /// Reads the short text form. Old brokers leave the attributes out; attributes that do not
    /// parse count as none.
    pub fn from_text(text: &str) -> Result<Self, TopicTextError> {
        let read = || {
            let mut parts = text.splitn(6, ' ');
            let mut topic = Self::new(parts.next().filter(|name| !name.is_empty())?);
            topic.read_queue_nums = parts.next()?.parse().ok()?;
            topic.write_queue_nums = parts.next()?.parse().ok()?;
            topic.perm = parts.next()?.parse().ok()?;
            topic.topic_filter_type = TopicFilterType::from_name(parts.next()?)?;
            if let Some(attributes) = parts.next() {
                topic.attributes = json::from_text(attributes).unwrap_or_default();
            }
            Some(topic)
        };
        read().ok_or_else(|| TopicTextError(text.to_owned()))
    }
}

/// The topics of a broker: `topics.json`, and part of what it tells others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicTable {
    /// The version of the table.
    pub data_version: DataVersion,
    /// The topics by name.
    #[serde(rename = "topicConfigTable")]
    pub topics: BTreeMap<String, TopicConfig>,
}

impl TopicTable {
    /// Writes the file.
    #[must_use]
    pub fn encode_file(&self) -> Vec<u8> {
        self.encode_as(Flavour::Pretty)
    }

    /// Writes the body that a broker hands its slaves and tools: with the sections of static
    /// topics, empty.
    #[must_use]
    pub fn encode_wire(&self) -> Vec<u8> {
        let table = TopicAndMappingTableRef {
            data_version: &self.data_version,
            mapping_data_version: &DataVersion::default(),
            topics: &self.topics,
            mapping_details: &BTreeMap::new(),
            mappings: &BTreeMap::new(),
        };
        json::to_vec(&table, Flavour::Fastjson)
    }
}

/// `topics.json` in parts that are kept: the text of each topic, so that a change of one among many
/// does not encode the others again.
#[derive(Clone, Debug, Default)]
pub struct TopicFile {
    rows: BTreeMap<String, Box<[u8]>>,
}

/// What stands before and behind the topics in the file.
const ROWS_BEGIN: &[u8] = b"\"topicConfigTable\":{";
const ROWS_END: &[u8] = b"\n\t}\n}";

impl TopicFile {
    /// The parts of a table's file.
    #[must_use]
    pub fn new(table: &TopicTable) -> Self {
        let mut file = Self::default();
        for (name, topic) in &table.topics {
            file.set(name, Some(row_of(name, topic)));
        }
        file
    }

    /// Takes a topic in, under its name, or lets go of that one. Returns the part that was there
    /// before, for `set`.
    pub fn put(&mut self, name: &str, topic: Option<&TopicConfig>) -> Option<Box<[u8]>> {
        self.set(name, topic.map(|topic| row_of(name, topic)))
    }

    /// Sets the part of a topic to one that `put` returned.
    pub fn set(&mut self, name: &str, row: Option<Box<[u8]>>) -> Option<Box<[u8]>> {
        match row {
            Some(row) => self.rows.insert(name.to_owned(), row),
            None => self.rows.remove(name),
        }
    }

    /// The file, the same as [`TopicTable::encode_file`] writes it.
    #[must_use]
    pub fn encode(&self, data_version: &DataVersion) -> Vec<u8> {
        let empty = TopicTable {
            data_version: *data_version,
            topics: BTreeMap::new(),
        };
        let mut text = empty.encode_file();
        if self.rows.is_empty() {
            return text;
        }
        text.truncate(after_begin(&text));
        text.reserve(self.rows.values().map(|row| row.len() + 1).sum::<usize>() + ROWS_END.len());
        for row in self.rows.values() {
            text.extend_from_slice(row);
            text.push(b',');
        }
        text.pop();
        text.extend_from_slice(ROWS_END);
        text
    }
}

/// Where the topics begin in the text of a file.
fn after_begin(text: &[u8]) -> usize {
    let found = text
        .windows(ROWS_BEGIN.len())
        .position(|part| part == ROWS_BEGIN);
    found.map_or(text.len(), |at| at + ROWS_BEGIN.len())
}

/// A topic as it stands in the file.
fn row_of(name: &str, topic: &TopicConfig) -> Box<[u8]> {
    let only = TopicTable {
        data_version: DataVersion::default(),
        topics: BTreeMap::from([(name.to_owned(), topic.clone())]),
    };
    let text = only.encode_file();
    let end = text.len().saturating_sub(ROWS_END.len());
    text.get(after_begin(&text)..end).unwrap_or_default().into()
}

/// [`TopicAndMappingTable`], borrowed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TopicAndMappingTableRef<'a> {
    data_version: &'a DataVersion,
    mapping_data_version: &'a DataVersion,
    #[serde(rename = "topicConfigTable")]
    topics: &'a BTreeMap<String, TopicConfig>,
    #[serde(rename = "topicQueueMappingDetailMap")]
    mapping_details: &'a BTreeMap<String, TopicQueueMappingDetail>,
    #[serde(rename = "topicQueueMappingInfoMap")]
    mappings: &'a BTreeMap<String, TopicQueueMappingInfo>,
}

/// The topics of a broker with the mappings of its static topics.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicAndMappingTable {
    /// The version of the topics.
    pub data_version: DataVersion,
    /// The version of the mappings.
    pub mapping_data_version: DataVersion,
    /// The topics by name.
    #[serde(rename = "topicConfigTable")]
    pub topics: BTreeMap<String, TopicConfig>,
    /// Mappings with their history, by topic.
    #[serde(rename = "topicQueueMappingDetailMap")]
    pub mapping_details: BTreeMap<String, TopicQueueMappingDetail>,
    /// Mappings by topic.
    #[serde(rename = "topicQueueMappingInfoMap")]
    pub mappings: BTreeMap<String, TopicQueueMappingInfo>,
}

impl From<TopicTable> for TopicAndMappingTable {
    fn from(table: TopicTable) -> Self {
        Self {
            data_version: table.data_version,
            topics: table.topics,
            ..Self::default()
        }
    }
}

/// Topics to create.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TopicConfigList {
    /// The topics.
    #[serde(rename = "topicConfigList")]
    pub topics: Vec<TopicConfig>,
}

super::body!(
    TopicConfig,
    TopicTable,
    TopicAndMappingTable,
    TopicConfigList
);

//! What a broker tells a nameserver: its topics.
//!
//! The compressed form is zlib over: data version, count of topics, each topic as text, filter
//! servers, and from 5.0 on the count of mappings and each mapping. Every text is preceded by its
//! length as an `i32`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::data_version::DataVersion;
use super::mapping::TopicQueueMappingInfo;
use super::topic::{TopicAndMappingTable, TopicConfig, TopicTable, TopicTextError};
use crate::base::error::{Error, ErrorKind};
use crate::protocol::json::{self, Flavour, JsonError};
use crate::protocol::message::compress::{self, CompressError};
use crate::protocol::version;

/// Readable and writeable.
const PERM_READ_WRITE: i32 = 4 | 2;

/// The body of a registration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RegisterBrokerBody {
    /// Filter servers of the broker.
    #[serde(rename = "filterServerList")]
    pub filter_servers: Vec<String>,
    /// Its topics.
    #[serde(rename = "topicConfigSerializeWrapper")]
    pub topics: TopicAndMappingTable,
}

super::body!(RegisterBrokerBody);

/// Why the body of a registration was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegisterError {
    /// The body does not inflate.
    Compress(CompressError),
    /// A part is no JSON, or not what it is to be.
    Json(JsonError),
    /// A topic is not what it is to be.
    Topic(TopicTextError),
    /// The body ends too early, or a length in it is negative.
    Truncated,
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compress(error) => write!(f, "the body of the registration {error}"),
            Self::Json(error) => error.fmt(f),
            Self::Topic(error) => error.fmt(f),
            Self::Truncated => f.write_str("the body of the registration ends too early"),
        }
    }
}

impl std::error::Error for RegisterError {}

impl From<JsonError> for RegisterError {
    fn from(error: JsonError) -> Self {
        Self::Json(error)
    }
}

impl From<RegisterError> for Error {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::Compress(error) => error.into(),
            RegisterError::Json(error) => error.into(),
            RegisterError::Topic(error) => error.into(),
            RegisterError::Truncated => {
                Self::new(ErrorKind::Corrupt, "register broker", error.to_string())
            }
        }
    }
}

impl RegisterBrokerBody {
    /// The registration of `topics`. A broker that is not both readable and writeable takes those
    /// permissions away from its topics.
    #[must_use]
    pub fn new(mut topics: TopicTable, broker_permission: i32) -> Self {
        if broker_permission & PERM_READ_WRITE != PERM_READ_WRITE {
            for topic in topics.topics.values_mut() {
                topic.perm &= broker_permission;
            }
        }
        Self {
            filter_servers: Vec::new(),
            topics: topics.into(),
        }
    }

    /// Reads the body of a request from a broker of `broker_version`, `compressed` or not. Brokers
    /// before 3.0.11 send only the table of topics; a compressed body inflates to at most
    /// `inflated_max_bytes`. No body at all means no topics.
    pub fn decode_request(
        body: &[u8],
        compressed: bool,
        broker_version: i32,
        inflated_max_bytes: usize,
    ) -> Result<Self, RegisterError> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        if broker_version < version::V3_0_11 {
            return Ok(Self {
                filter_servers: Vec::new(),
                topics: TopicTable::decode(body)?.into(),
            });
        }
        if !compressed {
            return Ok(Self::decode(body)?);
        }
        let bytes = compress::inflate(body, inflated_max_bytes).map_err(RegisterError::Compress)?;
        Self::decode_parts(&bytes, broker_version >= version::V5_0_0)
    }

    fn decode_parts(bytes: &[u8], with_mappings: bool) -> Result<Self, RegisterError> {
        let mut parts = Parts { rest: bytes };
        let mut body = Self::default();
        body.topics.data_version = DataVersion::decode(parts.text()?)?;
        for _ in 0..parts.int()? {
            let text = String::from_utf8_lossy(parts.text()?);
            let topic = TopicConfig::from_text(&text).map_err(RegisterError::Topic)?;
            body.topics.topics.insert(topic.topic_name.clone(), topic);
        }
        // Apache's nameserver only logs a list that it cannot read.
        body.filter_servers = json::from_slice(parts.text()?).unwrap_or_default();
        if with_mappings {
            for _ in 0..parts.int()? {
                let info = TopicQueueMappingInfo::decode(parts.text()?)?;
                body.topics.mappings.insert(info.topic.clone(), info);
            }
        }
        Ok(body)
    }

    /// Writes the compressed form, for a nameserver of any version.
    #[must_use]
    pub fn encode_compressed(&self) -> Vec<u8> {
        let mut out = Vec::new();
        push_text(&self.topics.data_version.encode(), &mut out);
        push_int(self.topics.topics.len(), &mut out);
        for topic in self.topics.topics.values() {
            push_text(topic.to_text().as_bytes(), &mut out);
        }
        push_text(
            &json::to_vec(&self.filter_servers, Flavour::Fastjson),
            &mut out,
        );
        push_int(self.topics.mappings.len(), &mut out);
        for mapping in self.topics.mappings.values() {
            push_text(&mapping.encode(), &mut out);
        }
        compress::deflate(&out, compress::BEST_LEVEL)
    }
}

fn push_int(value: usize, out: &mut Vec<u8>) {
    let value = i32::try_from(value).expect("parts of a registration are far below 2 GiB");
    out.extend_from_slice(&value.to_be_bytes());
}

fn push_text(text: &[u8], out: &mut Vec<u8>) {
    push_int(text.len(), out);
    out.extend_from_slice(text);
}

/// What is left of an inflated body.
struct Parts<'a> {
    rest: &'a [u8],
}

impl<'a> Parts<'a> {
    fn int(&mut self) -> Result<usize, RegisterError> {
        let (int, rest) = self
            .rest
            .split_first_chunk::<4>()
            .ok_or(RegisterError::Truncated)?;
        self.rest = rest;
        usize::try_from(i32::from_be_bytes(*int)).map_err(|_| RegisterError::Truncated)
    }

    fn text(&mut self) -> Result<&'a [u8], RegisterError> {
        let len = self.int()?;
        let (text, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(RegisterError::Truncated)?;
        self.rest = rest;
        Ok(text)
    }
}

//! Bodies of requests and responses, and the configuration files of the same shapes.
//!
//! Each type reads leniently (`decode`) and writes fastjson's default form (`encode`) or any
//! other (`encode_as`). Fields stand in the order of their names on the wire, because that is the
//! order they are written in.

pub mod assignment;
pub mod broker_stats;
pub mod client_config;
pub mod cluster;
pub mod connection;
pub mod consume_queue;
pub mod consume_stats;
pub mod consume_time;
pub mod consumer_filter;
pub mod consumer_list;
pub mod consumer_status;
pub mod data_version;
pub mod group;
pub mod group_list;
pub mod ha_status;
pub mod heartbeat;
pub mod kv_table;
pub mod lock;
pub mod mapping;
pub mod message_queue;
pub mod offset;
pub mod pop;
pub mod register;
pub mod request_mode;
pub mod reset_offset;
pub mod route;
pub mod running_info;
pub mod timer;
pub mod topic;
pub mod topic_list;
pub mod topic_stats;

/// Gives types `decode`, `encode` and `encode_as`.
macro_rules! body {
    ($($type:ty),* $(,)?) => {
        $(impl $type {
            /// Reads a body.
            pub fn decode(bytes: &[u8]) -> Result<Self, $crate::protocol::json::JsonError> {
                $crate::protocol::json::from_slice(bytes)
            }

            /// Writes the body as fastjson does by default.
            #[must_use]
            pub fn encode(&self) -> Vec<u8> {
                self.encode_as($crate::protocol::json::Flavour::Fastjson)
            }

            /// Writes the body in `flavour`.
            #[must_use]
            pub fn encode_as(&self, flavour: $crate::protocol::json::Flavour) -> Vec<u8> {
                $crate::protocol::json::to_vec(self, flavour)
            }
        })*
    };
}
use body;

/// An enumeration that travels by name. Read in any letter case or by position; anything else is
/// the default.
macro_rules! json_enum {
    (
        $(#[$doc:meta])*
        $type:ident default $default:ident {
            $($(#[$member_doc:meta])* $member:ident = $name:literal,)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $type {
            $($(#[$member_doc])* $member,)*
        }

        impl $type {
            /// Every member, by position.
            pub const ALL: &[Self] = &[$(Self::$member),*];

            /// The name on the wire.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$member => $name,)* }
            }

            /// The member of this name, in any letter case.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|member| member.name().eq_ignore_ascii_case(name))
            }
        }

        impl Default for $type {
            fn default() -> Self {
                Self::$default
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(
                deserializer: D,
            ) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                let by_position = || Self::ALL.get(text.parse::<usize>().ok()?).copied();
                Ok(Self::from_name(&text).or_else(by_position).unwrap_or_default())
            }
        }
    };
}
use json_enum;

/// For `serde(with)`: a map as a list of pairs, in the order of the list.
mod pairs {
    use std::fmt;
    use std::marker::PhantomData;

    use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
    use serde::ser::{Serialize, Serializer};

    pub(super) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        pairs: &[(K, V)],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(pairs.iter().map(|(key, value)| (key, value)))
    }

    struct Pairs<K, V>(PhantomData<(K, V)>);

    impl<'de, K: Deserialize<'de> + PartialEq, V: Deserialize<'de>> Visitor<'de> for Pairs<K, V> {
        type Value = Vec<(K, V)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let mut out = Vec::new();
            while let Some(entry) = entries.next_entry()? {
                out.push(entry);
            }
            Ok(out)
        }
    }

    pub(super) fn deserialize<'de, K, V, D>(deserializer: D) -> Result<Vec<(K, V)>, D::Error>
    where
        K: Deserialize<'de> + PartialEq,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        deserializer.deserialize_map(Pairs(PhantomData))
    }
}

/// For `serde(serialize_with)`: a list that Java holds as a set, which files keep on one line.
fn as_set<T: serde::Serialize, S: serde::Serializer>(
    items: &[T],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    super::json::inline_set(items, serializer)
}

#[cfg(test)]
mod tests;

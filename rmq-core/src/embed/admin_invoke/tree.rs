//! Answers in the form that every reader of JSON takes.

use crate::protocol::json::Json;

/// Tables whose keys are objects (queues) become lists: each entry has the members of the key and
/// those of the value, or the value as `offset` when it is none.
pub(super) fn plain(value: Json) -> Json {
    match value {
        Json::Array(elements) => Json::Array(elements.into_iter().map(plain).collect()),
        Json::Object(members) if is_table(&members) => {
            Json::Array(members.into_iter().map(row).collect())
        }
        Json::Object(members) => {
            let members = members
                .into_iter()
                .map(|(name, value)| (name, plain(value)));
            Json::Object(members.collect())
        }
        other => other,
    }
}

fn is_table(members: &[(Json, Json)]) -> bool {
    members.iter().any(|(key, _)| key.as_object().is_some())
}

fn row((key, value): (Json, Json)) -> Json {
    let mut members = match plain(key) {
        Json::Object(members) => members,
        other => vec![(Json::String("key".to_owned()), other)],
    };
    match plain(value) {
        Json::Object(more) => members.extend(more),
        other => members.push((Json::String("offset".to_owned()), other)),
    }
    Json::Object(members)
}

/// A table of rows of several brokers.
pub(super) fn table(rows: Vec<(Json, Json)>) -> Json {
    Json::Array(rows.into_iter().map(row).collect())
}

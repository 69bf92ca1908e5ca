//! A consumer's question whether a broker takes its subscription.

use serde::{Deserialize, Serialize};

use crate::protocol::filter::tag::SubscriptionData;

/// The question.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CheckClientRequest {
    /// The client.
    pub client_id: String,
    /// Its group.
    pub group: String,
    /// Its namespace.
    pub namespace: Option<String>,
    /// The subscription.
    #[serde(rename = "subscriptionData")]
    pub subscription: Option<SubscriptionData>,
}

super::body!(CheckClientRequest);

//! What every handle of the client side is told.

use crate::base::{Error, ErrorKind, Result};
use crate::protocol::names::TRACE_TOPIC;

/// How a producer, consumer or admin reaches its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientOptions {
    /// The nameservers: `host:port`, several separated by `;`.
    pub nameservers: String,
    /// The address that the client gives as its own; `None` chooses one of this host.
    pub client_ip: Option<String>,
    /// Tells clients of one host apart; `None` makes a name of its own for each handle.
    pub instance_name: Option<String>,
    /// Appended to the client's id.
    pub unit_name: Option<String>,
    /// Sets the topics and groups of this handle apart from others': a topic `T` is `name%T` at the
    /// brokers. Everything the program gives and gets is without it. Empty: no namespace.
    pub namespace: String,
    /// A namespace for the servers to apply: every request says it (`ns`, and `nsd`), and topics
    /// and groups keep their names. Empty: none. Brokers pass over it; what stands before them,
    /// as a proxy with tenants does, may not.
    pub namespace_v2: String,
    /// Whether what becomes of each message is told to the trace topic, for `mqadmin
    /// queryMsgTraceById` and the like. Traces never delay or fail a message; what cannot be told
    /// in time is lost.
    pub trace: bool,
    /// The topic of traces.
    pub trace_topic: String,
    /// Most traces that travel together.
    pub trace_batch_max: usize,
    /// How often the routes in use are asked for again, ms.
    pub route_poll_interval_ms: u64,
    /// How often brokers are told that this client lives, ms.
    pub heartbeat_interval_ms: u64,
    /// How long one request to a nameserver or a broker may take, ms, where nothing else says so.
    pub request_timeout_ms: u64,
    /// Topics whose routes are remembered; beyond it those used longest ago are forgotten.
    pub max_routes: usize,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            nameservers: String::new(),
            client_ip: None,
            instance_name: None,
            unit_name: None,
            namespace: String::new(),
            namespace_v2: String::new(),
            trace: false,
            trace_topic: TRACE_TOPIC.to_owned(),
            trace_batch_max: 10,
            route_poll_interval_ms: 30_000,
            heartbeat_interval_ms: 30_000,
            request_timeout_ms: 3_000,
            max_routes: 10_000,
        }
    }
}

impl ClientOptions {
    /// The defaults, with these nameservers.
    #[must_use]
    pub fn new(nameservers: impl Into<String>) -> Self {
        Self {
            nameservers: nameservers.into(),
            ..Self::default()
        }
    }

    /// The nameservers one by one.
    pub(crate) fn nameserver_list(&self) -> Result<Vec<String>> {
        const OP: &str = "client options";
        let split = self.nameservers.split([';', ',']).map(str::trim);
        let list: Vec<String> = split.filter(|s| !s.is_empty()).map(str::to_owned).collect();
        if list.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, OP, "no nameserver is given"));
        }
        for address in &list {
            let port = address
                .rsplit_once(':')
                .filter(|(host, _)| !host.is_empty());
            if port
                .and_then(|(_, port)| port.parse::<u16>().ok())
                .is_none_or(|port| port == 0)
            {
                let context = format!("the nameserver \"{address}\" is not host:port");
                return Err(Error::new(ErrorKind::Invalid, OP, context));
            }
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nameservers_are_separated_and_checked() {
        let list = |text: &str| ClientOptions::new(text).nameserver_list();
        assert_eq!(list("a:1; b:2;").unwrap(), ["a:1", "b:2"]);
        for wrong in ["", ";", "a", "a:", ":1", "a:0", "a:65536", "a:1;b"] {
            assert_eq!(
                list(wrong).unwrap_err().kind(),
                ErrorKind::Invalid,
                "{wrong}"
            );
        }
    }
}

//! The addresses that a broker gives to others, when its configuration does not say them.

use std::net::{IpAddr, Ipv4Addr};

use crate::base::{Error, ErrorKind, Result};
use crate::config::{BrokerConfig, address};

/// The addresses of a broker and how they were chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    /// What clients are given.
    pub(crate) main: IpAddr,
    /// What slaves replicate from.
    pub(crate) ha: IpAddr,
    /// A sentence for the log.
    pub(crate) why: String,
}

/// Takes the configured addresses, and the best of this host's for those left out.
pub(crate) fn choose(config: &BrokerConfig) -> Result<Choice> {
    let listen = bind_address(config)?;
    let found = match (config.broker_ip1.is_some(), listen.is_unspecified()) {
        (true, _) => None,
        // Bound to one address: no other can be reached.
        (false, false) => Some((listen, format!("bindAddress is {listen}"))),
        (false, true) => Some(address_of_host()?),
    };
    let (main, why) = match (&config.broker_ip1, found) {
        (Some(text), _) => (
            parse("brokerIP1", text)?,
            "brokerIP1 is configured".to_owned(),
        ),
        (None, Some(found)) => found,
        (None, None) => (
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            "no address was found".to_owned(),
        ),
    };
    let ha = match &config.broker_ip2 {
        Some(text) => parse("brokerIP2", text)?,
        None => main,
    };
    Ok(Choice { main, ha, why })
}

fn parse(key: &str, text: &str) -> Result<IpAddr> {
    text.parse().map_err(|_| {
        let context = format!("{key}={text} is not an IP address");
        Error::new(ErrorKind::Invalid, "start broker", context)
    })
}

/// The address that the broker listens on.
pub(crate) fn bind_address(config: &BrokerConfig) -> Result<IpAddr> {
    parse("bindAddress", &config.server.bind_address)
}

fn address_of_host() -> Result<(IpAddr, String)> {
    let interfaces = address::interfaces()
        .map_err(|error| Error::io("start broker", "listing the network interfaces", error))?;
    let choice = address::choose(&interfaces);
    Ok((choice.address, choice.why))
}

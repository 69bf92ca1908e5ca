//! The choice of the address that a broker gives to clients when it is not told one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One address of one network interface that is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The interface's name, for example `eth0`.
    pub name: String,
    /// One of its addresses.
    pub address: IpAddr,
    /// Whether it is a tunnel with one other end.
    pub point_to_point: bool,
}

/// The address chosen and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The address.
    pub address: IpAddr,
    /// A sentence for the log.
    pub why: String,
}

/// How good an address is for clients; the lowest is best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Global4,
    Private4,
    Global6,
    Private6,
    Tunnel,
    ContainerBridge,
    LinkLocal,
    Loopback,
}

impl Rank {
    fn of(interface: &Interface) -> Self {
        let address = interface.address;
        if address.is_loopback() || address.is_unspecified() || address.is_multicast() {
            return Self::Loopback;
        }
        let link_local = match address {
            IpAddr::V4(v4) => v4.is_link_local(),
            IpAddr::V6(v6) => v6.is_unicast_link_local(),
        };
        if link_local {
            return Self::LinkLocal;
        }
        if is_container_bridge(&interface.name) {
            return Self::ContainerBridge;
        }
        if interface.point_to_point || is_tunnel(&interface.name) {
            return Self::Tunnel;
        }
        match address {
            IpAddr::V4(v4) if is_private4(v4) => Self::Private4,
            IpAddr::V4(_) => Self::Global4,
            IpAddr::V6(v6) if is_private6(v6) => Self::Private6,
            IpAddr::V6(_) => Self::Global6,
        }
    }

    fn says(self) -> &'static str {
        match self {
            Self::Global4 => "the first public IPv4 address",
            Self::Private4 => "the first private IPv4 address",
            Self::Global6 => "the first public IPv6 address, as there is no IPv4 address",
            Self::Private6 => "the first private IPv6 address, as there is no IPv4 address",
            Self::Tunnel => "a tunnel's address, as no network card has one",
            Self::ContainerBridge => "a container bridge's address, as there is no other",
            Self::LinkLocal => "an address of this link only, as there is no other",
            Self::Loopback => "loopback, as there is no other; only this host reaches it",
        }
    }
}

/// Chooses among `interfaces`: an address of a network card before a tunnel's, a container
/// bridge's, a link-local one and loopback; IPv4 before IPv6; public before private, as Apache
/// does; then the first listed.
#[must_use]
pub fn choose(interfaces: &[Interface]) -> Choice {
    // min_by_key keeps the first of equals.
    let Some(best) = interfaces
        .iter()
        .min_by_key(|interface| Rank::of(interface))
    else {
        let why = "127.0.0.1, as no network interface is up; only this host reaches it".to_owned();
        return Choice {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            why,
        };
    };
    let why = format!(
        "{} ({}): {}",
        best.address,
        best.name,
        Rank::of(best).says()
    );
    Choice {
        address: best.address,
        why,
    }
}

/// Lists the addresses of this host's interfaces that are up.
///
/// # Errors
/// What the operating system answers.
pub fn interfaces() -> std::io::Result<Vec<Interface>> {
    use nix::net::if_::InterfaceFlags;
    let up = nix::ifaddrs::getifaddrs()?.filter(|each| each.flags.contains(InterfaceFlags::IFF_UP));
    let listed = up.filter_map(|each| {
        let storage = each.address?;
        let v4 = storage
            .as_sockaddr_in()
            .map(|address| IpAddr::V4(address.ip()));
        let v6 = || {
            storage
                .as_sockaddr_in6()
                .map(|address| IpAddr::V6(address.ip()))
        };
        Some(Interface {
            address: v4.or_else(v6)?,
            point_to_point: each.flags.contains(InterfaceFlags::IFF_POINTOPOINT),
            name: each.interface_name,
        })
    });
    Ok(listed.collect())
}

fn is_container_bridge(name: &str) -> bool {
    const PREFIXES: [&str; 13] = [
        "docker", "br-", "veth", "cni", "virbr", "flannel", "cali", "podman", "lxc", "lxd", "kube",
        "weave", "cilium",
    ];
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

fn is_tunnel(name: &str) -> bool {
    const PREFIXES: [&str; 6] = ["tun", "tap", "wg", "ppp", "tailscale", "utun"];
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

fn is_private4(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    // 100.64.0.0/10 is shared among customers of a carrier: not reachable from outside either.
    address.is_private() || (first == 100 && second & 0xC0 == 64)
}

fn is_private6(address: Ipv6Addr) -> bool {
    address.is_unique_local()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose_from(list: &[(&str, &str)]) -> String {
        let interfaces: Vec<_> = list
            .iter()
            .map(|(name, address)| Interface {
                name: (*name).to_owned(),
                address: address.parse().unwrap(),
                point_to_point: name.starts_with("p2p"),
            })
            .collect();
        choose(&interfaces).address.to_string()
    }

    #[test]
    fn a_network_card_comes_before_bridges_tunnels_and_loopback() {
        let list = [
            ("lo", "127.0.0.1"),
            ("docker0", "172.17.0.1"),
            ("br-1f2e", "172.18.0.1"),
            ("veth12", "10.9.9.9"),
            ("virbr0", "192.168.122.1"),
            ("wg0", "10.8.0.2"),
            ("p2p0", "10.8.0.3"),
            ("eth1", "169.254.7.7"),
            ("eth0", "192.168.1.11"),
            ("eth0", "fe80::1"),
        ];
        assert_eq!(choose_from(&list), "192.168.1.11");
        assert_eq!(choose_from(&list[..7]), "10.8.0.2");
        assert_eq!(choose_from(&list[..5]), "172.17.0.1");
        assert_eq!(choose_from(&list[..1]), "127.0.0.1");
        assert_eq!(
            choose_from(&[("lo", "127.0.0.1"), ("eth1", "169.254.7.7")]),
            "169.254.7.7"
        );
        assert_eq!(choose_from(&[]), "127.0.0.1");
    }

    #[test]
    fn public_before_private_and_four_before_six() {
        assert_eq!(
            choose_from(&[("a", "10.0.0.1"), ("b", "8.8.4.4")]),
            "8.8.4.4"
        );
        assert_eq!(
            choose_from(&[("a", "2001:db8::1"), ("b", "10.0.0.1")]),
            "10.0.0.1"
        );
        assert_eq!(
            choose_from(&[("a", "fd00::1"), ("b", "2001:db8::1")]),
            "2001:db8::1"
        );
        assert_eq!(
            choose_from(&[("a", "10.0.0.1"), ("b", "10.0.0.2")]),
            "10.0.0.1"
        );
        assert_eq!(
            choose_from(&[("a", "100.64.0.1"), ("b", "10.0.0.2")]),
            "100.64.0.1"
        );
    }

    #[test]
    fn the_choice_is_explained() {
        let interface = Interface {
            name: "eth0".into(),
            address: "192.168.1.11".parse().unwrap(),
            point_to_point: false,
        };
        let choice = choose(&[interface]);
        assert_eq!(
            choice.why,
            "192.168.1.11 (eth0): the first private IPv4 address"
        );
        assert!(choose(&[]).why.contains("127.0.0.1"));
    }

    #[test]
    fn this_host_has_interfaces() {
        let list = interfaces().unwrap();
        assert!(
            list.iter().any(|interface| interface.address.is_loopback()),
            "{list:?}"
        );
    }
}

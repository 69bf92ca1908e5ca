//! Addresses and ports that no other cluster has.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram};

use crate::base::clock::{Clock, SystemClock};
use crate::base::{Error, ErrorKind, Result};

const OP: &str = "start cluster";

/// Blocks are 127.64.0.0/24 to 127.127.255.0/24: far from what distributions and containers use.
const FIRST: u8 = 64;
const BLOCKS: u32 = 64 * 256;

/// Ports are tried in steps of this, upwards from Apache's, below those that the system hands out.
const PORT_STEP: u16 = 100;
const PORT_MAX: u16 = 32_000;

/// 254 loopback addresses that belong to this process as long as it holds them.
///
/// Loopback needs no set-up for them. The claim is a name in the abstract namespace of Unix
/// sockets, which is as wide as loopback is (a network namespace) and ends with the process.
#[derive(Debug)]
pub(super) struct Block {
    second: u8,
    third: u8,
    _claim: UnixDatagram,
}

impl Block {
    /// Claims a block that nobody has.
    pub(super) fn claim() -> Result<Self> {
        let clock = SystemClock::new();
        // Processes and clusters begin to look at different places.
        let start = (clock.wall_ms() as u32)
            .wrapping_add(std::process::id())
            .wrapping_mul(2_654_435_761);
        for index in 0..BLOCKS {
            let number = start.wrapping_add(index) % BLOCKS;
            let second = FIRST + (number / 256) as u8;
            let third = (number % 256) as u8;
            let name = format!("rmq-cluster-127.{second}.{third}");
            let fail = |e| Error::io(OP, format!("claiming 127.{second}.{third}.0/24"), e);
            let name = UnixAddr::from_abstract_name(name).map_err(fail)?;
            match UnixDatagram::bind_addr(&name) {
                Ok(claim) => {
                    return Ok(Self {
                        second,
                        third,
                        _claim: claim,
                    });
                }
                Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => {}
                Err(e) => return Err(fail(e)),
            }
        }
        let context = "every block of loopback addresses is taken";
        Err(Error::new(ErrorKind::Busy, OP, context))
    }

    /// The address of a member, by its number from 0.
    pub(super) fn address(&self, member: usize) -> Ipv4Addr {
        let last = u8::try_from(member + 1).expect("the number of members is bounded");
        Ipv4Addr::new(127, self.second, self.third, last)
    }
}

/// A port from `first` on at which `address` can be bound, together with all of the ports at these
/// distances from it. Only a listener on every address of the host (0.0.0.0) can be in the way.
pub(super) fn free_port(address: Ipv4Addr, first: u16, distances: &[i16]) -> Result<u16> {
    let free = |port: u16| TcpListener::bind((address, port)).is_ok();
    let mut port = first;
    while port < PORT_MAX {
        let wanted = distances.iter().map(|by| port.checked_add_signed(*by));
        if wanted.flatten().all(free) {
            return Ok(port);
        }
        port += PORT_STEP;
    }
    let context = format!("no free ports from {first} on at {address}");
    Err(Error::new(ErrorKind::AddressInUse, OP, context))
}

/// A broker needs its port, the one two below for clients with `vipChannelEnabled`, and the one
/// above for replication.
pub(super) fn broker_address(address: Ipv4Addr) -> Result<SocketAddr> {
    let port = free_port(address, 10_911, &[-2, 0, 1])?;
    Ok(SocketAddr::new(IpAddr::V4(address), port))
}

pub(super) fn nameserver_address(address: Ipv4Addr) -> Result<SocketAddr> {
    let port = free_port(address, 9_876, &[0])?;
    Ok(SocketAddr::new(IpAddr::V4(address), port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn blocks_are_distinct_while_they_are_held() {
        let held: Vec<Block> = (0..40).map(|_| Block::claim().unwrap()).collect();
        let addresses: HashSet<Ipv4Addr> = held.iter().map(|block| block.address(0)).collect();
        assert_eq!(addresses.len(), held.len());
        assert!(addresses.iter().all(Ipv4Addr::is_loopback));
    }

    #[test]
    fn a_port_in_use_is_passed_over() {
        let block = Block::claim().unwrap();
        let here = block.address(0);
        let first = broker_address(here).unwrap();
        let _replication = TcpListener::bind((here, first.port() + 1)).unwrap();
        let second = broker_address(here).unwrap();
        assert!(second.port() >= first.port() + PORT_STEP, "{second}");
        // Another member has an address of its own, and with it all ports.
        assert_eq!(
            broker_address(block.address(1)).unwrap().port(),
            first.port()
        );
        assert_eq!(
            nameserver_address(here).unwrap().ip(),
            IpAddr::V4(here),
            "a nameserver takes another port"
        );
    }
}

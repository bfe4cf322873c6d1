//! Which networks a worker's node says it is in (spec §5.1, threat #31).
//!
//! What this can do: two workers of one lease set cannot name addresses of one /24 or /48, so an operator who
//! wants all places of a quorum needs addresses in as many networks. What it cannot: an address is what a bid
//! says, and a node that is reached over a connection it opened itself may say anything. It raises the price of
//! a Sybil quorum; distinct keys, distinct wallets and the validators' own judgement are what is proven.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use d402_objects::Multiaddr;

/// A network as workers are told apart by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subnet {
    /// A public /24.
    V4([u8; 3]),
    /// A public /48.
    V6([u16; 3]),
    /// No public IP address: loopback, private, or a name. All of these count as one network, or a worker
    /// would escape the rule by hiding its address.
    Hidden,
}

/// Networks of a node's addresses.
pub(super) fn subnets(addresses: &[Multiaddr]) -> BTreeSet<Subnet> {
    addresses
        .iter()
        .map(|address| subnet_of(address.as_ref()))
        .collect()
}

fn subnet_of(address: &str) -> Subnet {
    let mut parts = address.split('/').skip(1);
    let ip = match (parts.next(), parts.next()) {
        (Some("ip4"), Some(text)) => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        (Some("ip6"), Some(text)) => text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        (_, _) => None,
    };
    match ip.map(|ip| ip.to_canonical()) {
        Some(IpAddr::V4(ip)) if is_public_v4(ip) => {
            let [a, b, c, _] = ip.octets();
            Subnet::V4([a, b, c])
        }
        Some(IpAddr::V6(ip)) if is_public_v6(ip) => {
            let [a, b, c, ..] = ip.segments();
            Subnet::V6([a, b, c])
        }
        Some(_) | None => Subnet::Hidden,
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    let carrier = a == 100 && (64..128).contains(&b);
    !(ip.is_loopback()
        || ip.is_private()
        || ip.is_link_local()
        || ip.is_unspecified()
        || ip.is_broadcast()
        || ip.is_multicast()
        || carrier)
}

const fn is_public_v6(ip: Ipv6Addr) -> bool {
    !(ip.is_loopback()
        || ip.is_unspecified()
        || ip.is_unique_local()
        || ip.is_unicast_link_local()
        || ip.is_multicast())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_addresses_are_told_apart_by_24_and_48_and_all_others_are_one_network() {
        assert_eq!(subnet_of("/ip4/1.2.3.4/tcp/1"), Subnet::V4([1, 2, 3]));
        assert_eq!(
            subnet_of("/ip4/1.2.3.4/tcp/1"),
            subnet_of("/ip6/::ffff:1.2.3.9/udp/5/quic-v1")
        );
        assert_ne!(
            subnet_of("/ip4/1.2.3.4/tcp/1"),
            subnet_of("/ip4/1.2.4.4/tcp/1")
        );
        assert_eq!(
            subnet_of("/ip6/2600:1:2::1/tcp/1"),
            subnet_of("/ip6/2600:1:2:ffff::/tcp/1")
        );
        for hidden in [
            "/ip4/127.0.0.1/tcp/1",
            "/ip4/10.0.0.1/tcp/1",
            "/ip4/192.168.1.1/tcp/1",
            "/ip4/100.64.0.1/tcp/1",
            "/ip4/169.254.1.1/tcp/1",
            "/ip6/::1/tcp/1",
            "/ip6/fd00::1/tcp/1",
            "/ip6/::ffff:10.0.0.1/tcp/1",
            "/dns4/worker.example/tcp/1",
        ] {
            assert_eq!(subnet_of(hidden), Subnet::Hidden, "{hidden}");
        }
    }
}

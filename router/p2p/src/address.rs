//! Addresses of peers: the forms we dial, and which of them a node may believe from a stranger.
//!
//! A record signed by a stranger may name any address. Without a rule, a node on the internet could be
//! made to knock at loopback services or inside a private network; so an address is used only if it is
//! as public as the node itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use libp2p::{Multiaddr, PeerId, multiaddr::Protocol};

use crate::AddressError;

/// Addresses one peer may have.
pub(crate) const ADDRESSES_PER_PEER: usize = 8;

/// A peer and where it may be found. Addresses never carry a `/p2p/` suffix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerAddress {
    peer: PeerId,
    addresses: Vec<Multiaddr>,
}

impl PeerAddress {
    /// A peer with these addresses, at most eight, each ip/tcp or ip/udp/quic-v1 with or without a
    /// `/p2p/` suffix that names this peer. Without addresses, a request relies on what the node knows.
    pub fn new(
        peer: PeerId,
        addresses: impl IntoIterator<Item = Multiaddr>,
    ) -> Result<Self, AddressError> {
        let addresses = addresses
            .into_iter()
            .map(|address| strip_peer(address, peer))
            .collect::<Result<Vec<_>, _>>()?;
        if addresses.len() > ADDRESSES_PER_PEER {
            return Err(AddressError::TooMany {
                got: addresses.len(),
                limit: ADDRESSES_PER_PEER,
            });
        }
        Ok(Self { peer, addresses })
    }

    /// A peer with addresses that were checked before.
    pub(crate) fn from_parts(peer: PeerId, addresses: Vec<Multiaddr>) -> Self {
        Self { peer, addresses }
    }

    /// Parses a peer id and multiaddrs as they stand in signed objects.
    pub fn parse<'a>(
        peer: &str,
        addresses: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, AddressError> {
        let peer = peer.parse().map_err(AddressError::PeerId)?;
        let addresses = addresses
            .into_iter()
            .map(|address| address.parse().map_err(AddressError::Malformed))
            .collect::<Result<Vec<Multiaddr>, _>>()?;
        Self::new(peer, addresses)
    }

    /// Parses one multiaddr that ends with `/p2p/<peer id>`, the form of bootstrap addresses.
    pub fn parse_multiaddr(text: &str) -> Result<Self, AddressError> {
        let address: Multiaddr = text.parse().map_err(AddressError::Malformed)?;
        match address.iter().last() {
            Some(Protocol::P2p(peer)) => Self::new(peer, [address]),
            Some(_) | None => Err(AddressError::NoPeer { address }),
        }
    }

    /// The peer.
    pub fn peer(&self) -> PeerId {
        self.peer
    }

    /// Where it may be found, without `/p2p/` suffixes.
    pub fn addresses(&self) -> &[Multiaddr] {
        &self.addresses
    }

    /// The addresses with their `/p2p/` suffix, as others can paste them.
    pub fn to_multiaddrs(&self) -> Vec<Multiaddr> {
        self.addresses
            .iter()
            .map(|a| a.clone().with(Protocol::P2p(self.peer)))
            .collect()
    }
}

fn strip_peer(mut address: Multiaddr, expected: PeerId) -> Result<Multiaddr, AddressError> {
    if let Some(Protocol::P2p(named)) = address.iter().last() {
        if named != expected {
            return Err(AddressError::OtherPeer {
                named: Box::new(named),
                expected: Box::new(expected),
            });
        }
        address.pop();
    }
    match dialable(&address) {
        Some(_) => Ok(address),
        None => Err(AddressError::Unsupported { address }),
    }
}

/// A dialable address: ip/tcp or ip/udp/quic-v1, and nothing after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialable {
    Tcp(SocketAddr),
    Quic(SocketAddr),
}

impl Dialable {
    fn socket(self) -> SocketAddr {
        match self {
            Dialable::Tcp(socket) | Dialable::Quic(socket) => socket,
        }
    }
}

/// What is dialled at the address; nothing for other forms.
pub(crate) fn dialable(address: &Multiaddr) -> Option<Dialable> {
    let mut parts = address.iter();
    let first = parts.next()?;
    let ip = if let Protocol::Ip4(ip) = first {
        IpAddr::V4(ip)
    } else if let Protocol::Ip6(ip) = first {
        IpAddr::V6(ip)
    } else {
        return None;
    };
    let found = match (parts.next()?, parts.next()) {
        (Protocol::Tcp(port), None) => Dialable::Tcp(SocketAddr::new(ip, port)),
        (Protocol::Udp(port), Some(Protocol::QuicV1)) => Dialable::Quic(SocketAddr::new(ip, port)),
        (_, _) => return None,
    };
    parts.next().is_none().then_some(found)
}

/// How far an address can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Loopback,
    Private,
    Global,
}

/// The scope of a dialable address; none for those nobody should dial.
pub(crate) fn scope_of(address: &Multiaddr) -> Option<Scope> {
    let socket = dialable(address)?.socket();
    if socket.port() == 0 {
        return None;
    }
    match socket.ip() {
        IpAddr::V4(ip) => scope_v4(ip),
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(mapped) => scope_v4(mapped),
            None => scope_v6(ip),
        },
    }
}

fn scope_v4(ip: Ipv4Addr) -> Option<Scope> {
    let [a, b, ..] = ip.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let benchmark = a == 198 && (b == 18 || b == 19);
    if ip.is_loopback() {
        Some(Scope::Loopback)
    } else if ip.is_private() || shared {
        Some(Scope::Private)
    } else if a == 0
        || a >= 224
        || benchmark
        || ip.is_link_local()
        || ip.is_documentation()
        || ip.is_broadcast()
    {
        None
    } else {
        Some(Scope::Global)
    }
}

fn scope_v6(ip: Ipv6Addr) -> Option<Scope> {
    let [first, second, ..] = ip.segments();
    let documentation = first == 0x2001 && second == 0xdb8;
    let global_unicast = first & 0xe000 == 0x2000;
    if ip.is_loopback() {
        Some(Scope::Loopback)
    } else if ip.is_unique_local() {
        Some(Scope::Private)
    } else if global_unicast && !documentation {
        Some(Scope::Global)
    } else {
        None
    }
}

/// Which scopes a node may use: global ones always, private ones if it has a private address itself,
/// loopback if it is found nowhere else. What the operator names as bootstrap peer widens it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Reach {
    loopback: bool,
    private: bool,
}

impl Reach {
    /// The reach of a node found at the addresses `own`, whose operator vouches for `vouched`.
    pub(crate) fn new<'a>(
        own: impl IntoIterator<Item = &'a Multiaddr>,
        vouched: impl IntoIterator<Item = &'a Multiaddr>,
    ) -> Self {
        let own: Vec<Scope> = own.into_iter().filter_map(scope_of).collect();
        let vouched: Vec<Scope> = vouched.into_iter().filter_map(scope_of).collect();
        let only_loopback = !own.is_empty() && own.iter().all(|scope| *scope == Scope::Loopback);
        Self {
            loopback: only_loopback || vouched.contains(&Scope::Loopback),
            private: own.contains(&Scope::Private) || vouched.contains(&Scope::Private),
        }
    }

    /// Whether an address named by a stranger may be dialled.
    pub(crate) fn allows(self, address: &Multiaddr) -> bool {
        match scope_of(address) {
            Some(Scope::Global) => true,
            Some(Scope::Private) => self.private,
            Some(Scope::Loopback) => self.loopback,
            None => false,
        }
    }
}

/// The network an address belongs to when peers are counted: /24 or /48. None for loopback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Subnet {
    V4([u8; 3]),
    V6([u16; 3]),
}

pub(crate) fn subnet_of(address: &Multiaddr) -> Option<Subnet> {
    let v4 = |ip: Ipv4Addr| {
        let [a, b, c, _] = ip.octets();
        Subnet::V4([a, b, c])
    };
    match dialable(address)?.socket().ip() {
        ip if ip.to_canonical().is_loopback() => None,
        IpAddr::V4(ip) => Some(v4(ip)),
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(mapped) => Some(v4(mapped)),
            None => {
                let [a, b, c, ..] = ip.segments();
                Some(Subnet::V6([a, b, c]))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_ip_tcp_and_ip_quic_addresses_are_taken() {
        let peer = PeerId::random();
        for good in ["/ip4/1.2.3.4/tcp/1", "/ip6/::1/udp/2/quic-v1"] {
            assert!(PeerAddress::new(peer, [address(good)]).is_ok(), "{good}");
        }
        for bad in [
            "/ip4/1.2.3.4",
            "/ip4/1.2.3.4/udp/1",
            "/ip4/1.2.3.4/tcp/1/ws",
            "/dns4/example.com/tcp/1",
            "/ip4/1.2.3.4/udp/1/quic-v1/p2p-circuit",
        ] {
            let refused = PeerAddress::new(peer, [address(bad)]);
            assert!(
                matches!(refused, Err(AddressError::Unsupported { .. })),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_bootstrap_address_names_its_peer() {
        let peer = PeerId::random();
        let parsed =
            PeerAddress::parse_multiaddr(&format!("/ip4/127.0.0.1/tcp/9/p2p/{peer}")).unwrap();
        assert_eq!(parsed.peer(), peer);
        assert_eq!(parsed.addresses(), [address("/ip4/127.0.0.1/tcp/9")]);
        assert_eq!(
            parsed.to_multiaddrs(),
            [address(&format!("/ip4/127.0.0.1/tcp/9/p2p/{peer}"))]
        );
        let nameless = PeerAddress::parse_multiaddr("/ip4/127.0.0.1/tcp/9");
        assert!(matches!(nameless, Err(AddressError::NoPeer { .. })));
    }

    #[test]
    fn an_address_that_names_another_peer_is_refused() {
        let (peer, other) = (PeerId::random(), PeerId::random());
        let refused = PeerAddress::new(peer, [address(&format!("/ip4/1.2.3.4/tcp/1/p2p/{other}"))]);
        assert!(matches!(refused, Err(AddressError::OtherPeer { .. })));
    }

    #[test]
    fn a_peer_has_at_most_eight_addresses() {
        let nine = (1..=9).map(|port| address(&format!("/ip4/1.2.3.4/tcp/{port}")));
        let refused = PeerAddress::new(PeerId::random(), nine);
        assert!(matches!(
            refused,
            Err(AddressError::TooMany { got: 9, limit: 8 })
        ));
    }

    #[test]
    fn a_public_node_dials_no_private_address_and_a_loopback_node_does_not_leave_loopback_networks()
    {
        let loopback = address("/ip4/127.0.0.1/tcp/1");
        let public = Reach::new(&[address("/ip4/9.9.9.9/tcp/1"), loopback.clone()], &[]);
        let local = Reach::new([&loopback], []);
        let private = Reach::new(&[address("/ip4/10.1.1.1/tcp/1"), loopback], &[]);
        let cases = [
            ("/ip4/8.8.8.8/tcp/1", [true, true, true]),
            ("/ip4/127.0.0.1/tcp/1", [false, true, false]),
            ("/ip6/::1/tcp/1", [false, true, false]),
            ("/ip6/::ffff:127.0.0.1/tcp/1", [false, true, false]),
            ("/ip4/192.168.0.1/tcp/1", [false, false, true]),
            ("/ip4/100.64.0.1/tcp/1", [false, false, true]),
            ("/ip6/fd00::1/tcp/1", [false, false, true]),
            ("/ip4/169.254.169.254/tcp/80", [false, false, false]),
            ("/ip4/0.0.0.0/tcp/1", [false, false, false]),
            ("/ip4/224.0.0.1/udp/1/quic-v1", [false, false, false]),
            ("/ip6/fe80::1/tcp/1", [false, false, false]),
            ("/ip6/2001:db8::1/tcp/1", [false, false, false]),
            ("/ip4/8.8.8.8/tcp/0", [false, false, false]),
        ];
        for (text, [by_public, by_local, by_private]) in cases {
            assert_eq!(public.allows(&address(text)), by_public, "public {text}");
            assert_eq!(local.allows(&address(text)), by_local, "local {text}");
            assert_eq!(private.allows(&address(text)), by_private, "private {text}");
        }
    }

    #[test]
    fn a_bootstrap_peer_named_by_the_operator_widens_the_reach() {
        let (global, loopback) = (
            address("/ip4/9.9.9.9/tcp/1"),
            address("/ip4/127.0.0.1/tcp/1"),
        );
        assert!(!Reach::new([&global], []).allows(&loopback));
        assert!(Reach::new([&global], [&loopback]).allows(&loopback));
        assert!(
            !Reach::new(&[], &[]).allows(&loopback),
            "nowhere is not loopback"
        );
    }

    #[test]
    fn addresses_of_one_network_share_a_subnet_and_loopback_has_none() {
        let subnet = |text| subnet_of(&address(text));
        assert_eq!(
            subnet("/ip4/1.2.3.4/tcp/1"),
            subnet("/ip4/1.2.3.200/udp/5/quic-v1")
        );
        assert_eq!(
            subnet("/ip4/1.2.3.4/tcp/1"),
            subnet("/ip6/::ffff:1.2.3.9/tcp/1")
        );
        assert_ne!(subnet("/ip4/1.2.3.4/tcp/1"), subnet("/ip4/1.2.4.4/tcp/1"));
        assert_eq!(
            subnet("/ip6/2600:1:2::1/tcp/1"),
            subnet("/ip6/2600:1:2:ffff::/tcp/1")
        );
        assert_eq!(subnet("/ip4/127.0.0.1/tcp/1"), None);
    }
}

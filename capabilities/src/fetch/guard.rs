//! What may be fetched: scheme, user info, port and address of every hop.
//!
//! Responsible for: turning a URL into the addresses a connection may go to, or refusing it.
//! Not: the transfer; see [`super::http`].
//! Invariants: a name is resolved once and every address it has must pass; the caller connects to the
//! returned addresses and to no other; an operator's rule for a host never opens another host.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use url::{Host, Url};

use super::address::{in_block, is_public};
use super::resolver::Resolver;
use crate::capability::{Refusal, RefusalCode};

/// More addresses than this in one DNS answer are ignored.
const MAX_ADDRESSES: usize = 16;

/// An exception the operator makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowRule {
    /// URLs whose host is spelled like this, at this port or at any.
    Host {
        /// Lower case; an IPv6 address without brackets.
        host: String,
        /// `None` allows every port.
        port: Option<u16>,
    },
    /// Every address in a block, at every port, whatever name leads there.
    Block {
        /// First address.
        network: IpAddr,
        /// Length of the prefix.
        prefix_bits: u32,
    },
}

/// Why a rule does not parse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{rule}` is not a host, host:port, [ipv6]:port or address/bits")]
pub struct AllowRuleError {
    /// The rule as written.
    pub rule: String,
}

impl FromStr for AllowRule {
    type Err = AllowRuleError;

    fn from_str(rule: &str) -> Result<Self, Self::Err> {
        let wrong = || AllowRuleError {
            rule: rule.to_owned(),
        };
        if let Some((network, bits)) = rule.split_once('/') {
            let network: IpAddr = network.parse().map_err(|_| wrong())?;
            let prefix_bits: u32 = bits.parse().map_err(|_| wrong())?;
            let width = if network.is_ipv4() { 32 } else { 128 };
            return if prefix_bits <= width {
                Ok(Self::Block {
                    network,
                    prefix_bits,
                })
            } else {
                Err(wrong())
            };
        }
        let (host, port) = match rule.parse::<SocketAddr>() {
            Ok(address) => (address.ip().to_string(), Some(address.port())),
            Err(_) if rule.parse::<IpAddr>().is_ok() => (rule.to_owned(), None),
            Err(_) => match rule.split_once(':') {
                Some((host, port)) => (host.to_owned(), Some(port.parse().map_err(|_| wrong())?)),
                None => (rule.to_owned(), None),
            },
        };
        let host = host.to_ascii_lowercase();
        let sound = !host.is_empty()
            && host
                .chars()
                .all(|character| character.is_ascii_alphanumeric() || ".-:_".contains(character));
        if sound {
            Ok(Self::Host { host, port })
        } else {
            Err(wrong())
        }
    }
}

/// Where a URL leads, after the guard has seen it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The host as the connection names it (SNI, `Host`).
    pub host: String,
    /// The checked addresses with the port. Never empty.
    pub addresses: Vec<SocketAddr>,
}

/// Decides what may be fetched.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    rules: Vec<AllowRule>,
}

impl Guard {
    /// A guard with the operator's exceptions; without any, only the public internet on 80 and 443.
    #[must_use]
    pub fn new(rules: Vec<AllowRule>) -> Self {
        Self { rules }
    }

    /// Checks one hop and resolves its name.
    ///
    /// # Errors
    /// [`RefusalCode::Ssrf`] for what is not allowed, [`RefusalCode::Network`] when the name does not
    /// resolve.
    pub fn admit(&self, url: &Url, resolver: &dyn Resolver) -> Result<Target, Refusal> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(ssrf("only http and https are fetched"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ssrf("a URL with user info is not fetched"));
        }
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(ssrf("the URL has no host"));
        };
        let (name, literal) = match host {
            Host::Domain(domain) => (domain.trim_end_matches('.').to_ascii_lowercase(), None),
            Host::Ipv4(v4) => (v4.to_string(), Some(IpAddr::V4(v4))),
            Host::Ipv6(v6) => (v6.to_string(), Some(IpAddr::V6(v6))),
        };
        let host_allowed = self.rules.iter().any(|rule| match rule {
            AllowRule::Host { host, port: at } => *host == name && at.is_none_or(|at| at == port),
            AllowRule::Block { .. } => false,
        });
        let addresses = match literal {
            Some(address) => vec![address],
            None => resolver
                .resolve(&name)
                .map_err(|error| Refusal::new(RefusalCode::Network, error.to_string()))?,
        };
        if addresses.is_empty() {
            return Err(Refusal::new(
                RefusalCode::Network,
                "the name has no address",
            ));
        }
        for address in &addresses {
            let block_allowed = self.rules.iter().any(|rule| match rule {
                AllowRule::Block {
                    network,
                    prefix_bits,
                } => in_block(*address, *network, *prefix_bits),
                AllowRule::Host { .. } => false,
            });
            // One private address among public ones is how rebinding starts: refuse the whole name.
            if !(host_allowed || block_allowed || is_public(*address) && matches!(port, 80 | 443)) {
                return Err(ssrf(&format!(
                    "{address} at port {port} is not a public web address"
                )));
            }
        }
        let addresses = addresses
            .into_iter()
            .take(MAX_ADDRESSES)
            .map(|address| SocketAddr::new(address, port))
            .collect();
        Ok(Target {
            host: name,
            addresses,
        })
    }
}

fn ssrf(detail: &str) -> Refusal {
    Refusal::new(RefusalCode::Ssrf, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    /// Answers every name with the same addresses.
    struct Fixed(Vec<IpAddr>);

    impl Resolver for Fixed {
        fn resolve(&self, _host: &str) -> io::Result<Vec<IpAddr>> {
            Ok(self.0.clone())
        }
    }

    fn admit(rules: &[&str], url: &str, answer: &[&str]) -> Result<Target, RefusalCode> {
        let guard = Guard::new(rules.iter().map(|rule| rule.parse().unwrap()).collect());
        let answer = Fixed(
            answer
                .iter()
                .map(|address| address.parse().unwrap())
                .collect(),
        );
        guard
            .admit(&Url::parse(url).unwrap(), &answer)
            .map_err(|refusal| refusal.code)
    }

    #[test]
    fn a_public_name_is_pinned_to_its_addresses() {
        let target = admit(
            &[],
            "https://Example.org./a",
            &["93.184.216.34", "2606:2800::1"],
        )
        .unwrap();
        assert_eq!(target.host, "example.org");
        assert_eq!(
            target.addresses,
            vec![
                "93.184.216.34:443".parse().unwrap(),
                "[2606:2800::1]:443".parse().unwrap()
            ]
        );
    }

    #[test]
    fn urls_that_lead_inside_are_refused() {
        for url in [
            "ftp://example.org/",
            "file:///etc/passwd",
            "gopher://example.org/",
            "data:text/html,x",
            "http://user@example.org/",
            "http://user:pw@example.org/",
            "http://:pw@example.org/",
            "http://example.org:22/",
            "http://example.org:8080/",
            "https://example.org:6379/",
            "http://127.0.0.1/",
            "http://127.1/",
            "http://0x7f.1/",
            "http://2130706433/",
            "http://017700000001/",
            "http://0/",
            "http://169.254.169.254/latest/meta-data/",
            "http://[::1]/",
            "http://[::ffff:7f00:1]/",
            "http://[::ffff:169.254.169.254]/",
            "http://[64:ff9b::7f00:1]/",
            "http://[2002:7f00:1::]/",
            "http://[fd00:ec2::254]/",
            "http://[fe80::1]/",
            "http://10.0.0.1/",
            "http://100.64.1.1/",
        ] {
            assert_eq!(
                admit(&[], url, &["93.184.216.34"]),
                Err(RefusalCode::Ssrf),
                "{url}"
            );
        }
    }

    #[test]
    fn names_that_resolve_inside_are_refused() {
        for answer in [
            &["127.0.0.1"][..],
            &["10.1.2.3"],
            &["169.254.169.254"],
            &["::1"],
            &["::ffff:192.168.1.1"],
            &["fd00::1"],
            &["0.0.0.0"],
            &["93.184.216.34", "127.0.0.1"],
            &["64:ff9b::a00:1"],
        ] {
            for url in [
                "http://localhost/",
                "http://rebind.example/",
                "https://rebind.example/",
            ] {
                assert_eq!(
                    admit(&[], url, answer),
                    Err(RefusalCode::Ssrf),
                    "{answer:?}"
                );
            }
        }
        assert_eq!(
            admit(&[], "http://nowhere.example/", &[]),
            Err(RefusalCode::Network)
        );
    }

    #[test]
    fn an_allowed_host_and_port_opens_exactly_that() {
        let rules = &["127.0.0.1:8080"];
        assert!(admit(rules, "http://127.0.0.1:8080/article.html", &[]).is_ok());
        assert!(
            admit(rules, "http://127.1:8080/", &[]).is_ok(),
            "the same address in another spelling"
        );
        assert_eq!(
            admit(rules, "http://127.0.0.1:8081/", &[]),
            Err(RefusalCode::Ssrf)
        );
        assert_eq!(
            admit(rules, "http://127.0.0.2:8080/", &[]),
            Err(RefusalCode::Ssrf)
        );
        // A stranger's name that leads to the allowed address is not the allowed host.
        assert_eq!(
            admit(rules, "http://rebind.example:8080/", &["127.0.0.1"]),
            Err(RefusalCode::Ssrf)
        );
    }

    #[test]
    fn an_allowed_name_opens_its_private_address_and_any_port() {
        assert!(
            admit(
                &["Pages.internal"],
                "http://pages.internal:9999/",
                &["10.0.0.7"]
            )
            .is_ok()
        );
        assert_eq!(
            admit(
                &["pages.internal"],
                "http://x.pages.internal/",
                &["10.0.0.7"]
            ),
            Err(RefusalCode::Ssrf)
        );
    }

    #[test]
    fn an_allowed_block_opens_its_addresses_only() {
        assert!(admit(&["10.1.0.0/16"], "http://a.example:81/", &["10.1.2.3"]).is_ok());
        assert_eq!(
            admit(&["10.1.0.0/16"], "http://a.example/", &["10.2.0.1"]),
            Err(RefusalCode::Ssrf)
        );
        assert!(admit(&["::1/128"], "http://[::1]:5000/", &[]).is_ok());
        assert!(admit(&["[::1]:5000"], "http://[::1]:5000/", &[]).is_ok());
    }

    #[test]
    fn rules_that_are_no_rules_are_refused() {
        for rule in [
            "",
            "10.0.0.0/33",
            "::/129",
            "host:port",
            "a b",
            "http://x",
            "x/8",
            "[::1",
            "[::1]",
            "host:99999",
        ] {
            assert!(rule.parse::<AllowRule>().is_err(), "{rule}");
        }
    }
}

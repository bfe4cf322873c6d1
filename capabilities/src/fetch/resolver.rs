//! The port to DNS.
//!
//! Responsible for: names to addresses, once per hop. The answer is checked by the guard and then
//! pinned, so that a second answer (DNS rebinding) is never asked for.

use std::io;
use std::net::{IpAddr, ToSocketAddrs};

/// Resolves names.
pub trait Resolver {
    /// All addresses of a name, in the order they should be tried.
    ///
    /// # Errors
    /// Whatever kept the name from being resolved.
    fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The operating system's resolver. It blocks the caller: the child has one thread on purpose (no
/// further thread or process can be started under its limits), and its parent holds the clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok((host, 0_u16)
            .to_socket_addrs()?
            .map(|address| address.ip())
            .collect())
    }
}

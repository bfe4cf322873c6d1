//! Getting one page over HTTP without becoming a proxy into somebody's private network.
//!
//! [`address`] says which addresses are public, [`guard`] which URLs and addresses may be fetched,
//! [`resolver`] is the port to DNS, [`http`] does the transfer.

pub mod address;
pub mod guard;
pub mod http;
pub mod resolver;

pub use guard::{AllowRule, AllowRuleError, Guard};
pub use http::{FetchRequest, Fetched, HttpFetcher};
pub use resolver::{Resolver, SystemResolver};

/// Makes `ring` the TLS provider of this process, for HTTP clients that do not bring their own (the executors'
/// does). Both binaries call it first; calling it again changes nothing.
pub fn install_tls_provider() {
    let _already_there = rustls::crypto::ring::default_provider().install_default();
}

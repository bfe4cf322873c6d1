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

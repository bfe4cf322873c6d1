//! Starting the roles of a node.

mod base;
mod gateway;
mod solana;
mod start;
mod validator;
mod worker;

pub(crate) use solana::options as cluster_options;
pub use start::{NodeError, Ready, run};
pub use validator::ValidatorFront;

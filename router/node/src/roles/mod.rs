//! Starting the roles of a node.

mod base;
mod gateway;
mod start;
mod validator;
mod worker;
mod worker_offer;

pub use start::{NodeError, Ready, run};
pub use validator::ValidatorFront;

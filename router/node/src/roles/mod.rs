//! Starting the roles of a node.

mod base;
mod gateway;
mod start;
mod validator;
mod worker;

pub use start::{NodeError, Ready, run};
pub use validator::ValidatorFront;

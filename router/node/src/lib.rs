//! The `d402` binary as a library: configuration, wiring and command line.
//!
//! Responsible for: reading what the operator wants, starting the roles with their ports, and talking to
//! people. Not responsible for: any decision about tasks or money.

pub mod buyer;
pub mod cli;
pub mod clock;
pub mod config;
pub mod demo;
pub mod keys;
pub mod net;
pub mod roles;

//! Ways to pay, each behind one trait; the simulated chain.
//!
//! | module | what it is |
//! |---|---|
//! | [`simulated`] | a chain of one process (`d402 node --role simchain`) and the rail that talks to it |
//! | [`conformance`] | what every rail must do, as one function that each rail's tests run |
#![warn(missing_docs)]

pub mod conformance;
pub mod simulated;

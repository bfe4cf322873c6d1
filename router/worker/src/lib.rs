//! A worker: bids on announced tasks, runs the leases it gets in a sandbox, and proves its results to the
//! validators directly.
//!
//! Responsible for: choosing what to bid on, the sealed-claim protocol of one lease ([`job`]), and getting
//! paid when the gateway sits on a full receipt ([`payday`]). Not responsible for: who wins, nor how money
//! moves.
//!
//! Invariants: no output byte leaves before its receipt is signed, except to the validators of the task
//! (spec §6 R5); one commit per lease, ever; a lease of other terms than the worker bid on is refused.

pub mod behaviour;
pub mod bidding;
pub mod job;
pub mod payday;
pub mod product;
pub mod service;

pub use behaviour::Behaviour;
pub use bidding::BidPolicy;
pub use service::{Worker, WorkerConfig};

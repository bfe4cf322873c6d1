//! Harness of the tests on real nodes: a whole market of separate processes on loopback, a buyer, and the
//! chain's own books to check everything against.
//!
//! A failed expectation of the harness is a failed test, so it panics with what was expected and where the
//! logs are. Every process it starts is ended when the [`Market`] is dropped.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::missing_panics_doc,
    reason = "a broken expectation here is a failed test"
)]

mod base;
mod base_shop;
pub mod bench;
pub mod bench_base;
pub mod bench_solana;
mod chain;
mod database;
mod gate;
mod market;
mod order;
mod pages;
mod processes;
mod programs;
mod random;
mod solana;
mod stock;
mod wait;

pub use base::BaseMarket;
pub use base_shop::{BasePlan, BaseShop, DIRECT_PRICE, base_task, evm_account_of};
pub use chain::{Books, Chain};
pub use database::private_database;
pub use gate::{Gate, Moment};
pub use market::{GatewayPlan, Market, Plan, WorkerPlan, account_of};
pub use order::{Answer, Order, jq, wishes};
pub use pages::Pages;
pub use programs::{program, run};
pub use random::Random;
pub use solana::SolanaMarket;
pub use stock::buy_with_stock_client;
pub use wait::{eventually, now_ms};

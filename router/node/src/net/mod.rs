//! The node on its network: bytes of `d402-p2p` become messages of `d402-wire` and back.

mod adapter;
mod directory;
mod inbound;

pub use adapter::P2pMarket;
pub use directory::{DirectoryService, Import};
pub use inbound::{Roles, serve};

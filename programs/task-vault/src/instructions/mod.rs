//! One file for each instruction. Every handler is three paragraphs: decide (the ledger), record (the
//! state account), execute (tokens, lamports, the event).

mod shared;

pub(crate) mod approve;
pub(crate) mod claim_credit;
pub(crate) mod claim_credit_to;
pub(crate) mod close;
pub(crate) mod close_approval;
pub(crate) mod close_unfunded;
pub(crate) mod lapse_credits;
pub(crate) mod open;
pub(crate) mod open_funded;
pub(crate) mod publish_set;
pub(crate) mod settle;
pub(crate) mod settle_approved;
pub(crate) mod sweep;
pub(crate) mod sweep_to;

pub use crate::receipt::{Payee, ReceiptArgs, RowArgs};
pub use approve::*;
pub use claim_credit::*;
pub use claim_credit_to::*;
pub use close::*;
pub use close_approval::*;
pub use close_unfunded::*;
pub use lapse_credits::*;
pub use open::*;
pub use open_funded::*;
pub use publish_set::*;
pub use settle::*;
pub use settle_approved::*;
pub use shared::TermsArgs;
pub use sweep::*;
pub use sweep_to::*;

//! Which peers there are: signed records, the bounded book of them, and how both are exchanged and kept.

mod backoff;
mod book;
mod exchange;
mod peerstore;
mod record;

pub(crate) use backoff::{Backoff, Pauses};
pub(crate) use book::{AddressBook, Heard, Ingested};
pub(crate) use exchange::{
    ExchangeRequest, ExchangeResponse, REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX,
};
pub(crate) use peerstore::Peerstore;
pub(crate) use record::SignedRecord;

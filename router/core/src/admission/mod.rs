//! Admission: a request, the gateway's policy and a catalogue of offers become an unsigned intent with its
//! quotes, or a reason why not.
//!
//! Responsible for: what this gateway takes part in (spec §2.1 says what belongs together, this says what we
//! want), defaults of missing fields, choosing validators when the policy names them. Not responsible for:
//! HTTP, signing, storing, or whether the input fits the manifest's schema.
//!
//! Invariants: pure, no clock, no randomness (both come in as arguments); `refundTo` comes from the request and
//! from nowhere else (threat #4); what is admitted always has terms that can be settled ([`Quote::of`]).
//!
//! [`Quote::of`]: d402_settlement::market::Quote::of

mod admit;
mod catalogue;
mod direct;
mod intent_text;
mod policy;
mod rails;
mod refusal;
mod request;
mod validators;

#[cfg(test)]
mod tests;

pub use admit::{Admission, AdmittedRail, Draw, admit, may_still_be_redeemed};
pub use catalogue::{Catalogue, Listing};
pub use policy::Policy;
pub use rails::{NoPayment, RailOffer};
pub use refusal::{NotAccepted, NotAdmitted};
pub use request::{RequestedValidation, TaskRequest};

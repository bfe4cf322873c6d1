//! What finished tasks left on the chain goes back to who paid it: leftovers to `refundTo`, rent to `rentTo`.
//!
//! Every step is open to anybody, and the program decides; this only does not forget. Vaults come from the book,
//! from `refundAfter` on, so a gateway that was away for a month finds its work when it is back.

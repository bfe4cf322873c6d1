//! Tests of the boundary, against an engine on in-memory ports and the actors of the settlement testkit.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    reason = "a wrong expectation should stop the test where it is"
)]

mod direct;
mod fakes;
mod limits;
mod offering;
mod opening;
mod paying;
mod reading;
mod showing;
mod story;
mod world;

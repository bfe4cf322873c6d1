//! Journeys: what a person does with the product, on real nodes.
#![allow(
    clippy::arithmetic_side_effects,
    reason = "numbers chosen here are small"
)]

mod demo;

//! A gateway: the HTTP boundary ([`http`]) and the engine that drives its tasks ([`engine`]).
//!
//! Responsible for: admission, challenges, payments, and executing what the market's state machine asks for.
//! Not responsible for: deciding anything about a task; that is `d402-core`, through its ports.
//!
//! Invariants: every change of a task is a journal record before its effects run; a money effect is a row
//! before it is a transaction; an unpaid request writes nothing (threat #55).

pub mod engine;
pub mod http;

pub use engine::{Engine, EngineConfig, EngineError, Ports};

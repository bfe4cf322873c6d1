//! The market as a pure state machine: no IO, no clock, no keys.
//!
//! A task is a fold over its journal: [`Task::create`] and then [`Task::apply`] for every [`Command`].
//! `apply` checks first and changes afterwards, so a refused command changes nothing; what the outside
//! must do next comes back as [`Effect`]s, and [`Task::resume`] gives them again after a restart.
//! The table of transitions is `docs/state-machines.md`.

pub mod admission;
pub mod command;
pub mod effect;
pub mod journal;
pub mod market;
pub mod ports;
pub mod standing;

pub use command::{Command, Record};
pub use effect::Effect;
pub use journal::{Damaged, replay};
pub use market::{Ending, Phase, PhaseName, Refused, Task};

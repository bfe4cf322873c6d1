//! Between the types of the ports and what a row holds: bytes, 64-bit integers, text.

use d402_core::ports::MoneyStep;
use d402_objects::Cid;

use crate::fault::Fault;

/// An unsigned number of the ports as a database integer.
pub(crate) fn to_int(number: u64) -> Result<i64, Fault> {
    i64::try_from(number).map_err(|_| Fault::Broken("number does not fit 63 bits"))
}

/// Like [`to_int`], keeping absence.
pub(crate) fn to_opt_int(number: Option<u64>) -> Result<Option<i64>, Fault> {
    number.map(to_int).transpose()
}

/// A database integer as an unsigned number.
pub(crate) fn to_number(int: i64) -> Result<u64, Fault> {
    u64::try_from(int).map_err(|_| Fault::Broken("stored number is negative"))
}

/// Stored bytes as a CID.
pub(crate) fn to_cid(bytes: &[u8]) -> Result<Cid, Fault> {
    let digest: [u8; 32] = bytes
        .try_into()
        .map_err(|_| Fault::Broken("stored id is not 32 bytes"))?;
    Ok(Cid::from_digest(digest))
}

/// The word for a step of a money effect that is not final.
pub(crate) fn step_word(step: MoneyStep) -> &'static str {
    match step {
        MoneyStep::Planned => "planned",
        MoneyStep::Submitted => "submitted",
    }
}

/// The step a word stands for.
pub(crate) fn word_step(word: &str) -> Result<MoneyStep, Fault> {
    match word {
        "planned" => Ok(MoneyStep::Planned),
        "submitted" => Ok(MoneyStep::Submitted),
        _ => Err(Fault::Broken("unknown step of a money effect")),
    }
}

/// Refuses what is longer than its limit.
pub(crate) fn at_most(bytes: usize, limit: usize) -> Result<(), Fault> {
    if bytes > limit {
        Err(Fault::TooLarge { bytes, limit })
    } else {
        Ok(())
    }
}

//! A task from its journal: the same records always give the same task.

use d402_wire::RawDossierError;

use crate::market::PaymentFacts;
use crate::{Record, Task};

/// Largest record, bytes: an inventory with all its objects.
pub const MAX_RECORD_BYTES: usize = 8 * 1024 * 1024;

/// Why a journal gives no task. Always our bug or a damaged database: alert, never guess.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Damaged {
    /// No records.
    #[error("journal is empty")]
    Empty,
    /// A record that does not decode.
    #[error("record {seq} does not decode")]
    Record {
        /// Its place.
        seq: usize,
        /// Why.
        #[source]
        source: d402_wire::CodecError,
    },
    /// The first record is not a creation, or a later one is.
    #[error("record {seq} is of the wrong kind")]
    Order {
        /// Its place.
        seq: usize,
    },
    /// The dossier of the first record does not verify.
    #[error("dossier of the journal does not verify")]
    Dossier(#[from] RawDossierError),
}

/// Folds a journal into its task.
///
/// # Errors
/// [`Damaged`]. A record that the task refuses on replay was refused when it was written, too, and changed
/// nothing then; it changes nothing now.
pub fn replay<'a>(records: impl IntoIterator<Item = &'a [u8]>) -> Result<Task, Damaged> {
    let mut task: Option<Task> = None;
    for (seq, bytes) in records.into_iter().enumerate() {
        let record: Record =
            d402_wire::decode(bytes, MAX_RECORD_BYTES).map_err(|source| Damaged::Record { seq, source })?;
        match (record, &mut task) {
            (Record::Created { dossier, payment_id, payer, at_ms, .. }, slot @ None) => {
                let facts = PaymentFacts { payment_id, payer };
                *slot = Some(Task::create(dossier.check()?, facts, at_ms).0);
            }
            (Record::Applied { at_ms, command }, Some(task)) => {
                let _refused_then_too = task.apply(command, at_ms);
            }
            (Record::Created { .. }, Some(_)) | (Record::Applied { .. }, None) => {
                return Err(Damaged::Order { seq });
            }
        }
    }
    task.ok_or(Damaged::Empty)
}

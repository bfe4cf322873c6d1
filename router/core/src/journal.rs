//! A task from its journal: the same records always give the same task.

use d402_wire::RawDossierError;

use crate::market::{PaymentFacts, Refused};
use crate::{Record, Task};

/// Largest record, bytes: one peer message (an inventory with all its objects) and what wraps it. What was
/// written must always be readable again.
pub const MAX_RECORD_BYTES: usize = 2 * d402_wire::peer::MAX_MESSAGE_BYTES;

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
    /// The task refuses a recorded command. Only accepted commands are recorded, so this journal and this
    /// code disagree about what happened.
    #[error("record {seq} is refused")]
    Refused {
        /// Its place.
        seq: usize,
        /// Why.
        #[source]
        source: Refused,
    },
    /// The dossier of the first record does not verify.
    #[error("dossier of the journal does not verify")]
    Dossier(#[from] RawDossierError),
}

/// Folds a journal into its task.
///
/// # Errors
/// [`Damaged`] names the first record that does not follow from those before it.
pub fn replay<'a>(records: impl IntoIterator<Item = &'a [u8]>) -> Result<Task, Damaged> {
    let mut task: Option<Task> = None;
    for (seq, bytes) in records.into_iter().enumerate() {
        let record: Record = d402_wire::decode_message(bytes, MAX_RECORD_BYTES)
            .map_err(|source| Damaged::Record { seq, source })?;
        match (record, &mut task) {
            (
                Record::Created {
                    dossier,
                    payment_id,
                    payer,
                    payment_body,
                    at_ms,
                },
                slot @ None,
            ) => {
                let facts = PaymentFacts {
                    payment_id,
                    payer,
                    body: payment_body.into(),
                };
                *slot = Some(Task::create(dossier.check()?, facts, at_ms).0);
            }
            (Record::Applied { at_ms, command }, Some(task)) => {
                let _effects_ran = task
                    .apply(command, at_ms)
                    .map_err(|source| Damaged::Refused { seq, source })?;
            }
            (Record::Created { .. }, Some(_)) | (Record::Applied { .. }, None) => {
                return Err(Damaged::Order { seq });
            }
        }
    }
    task.ok_or(Damaged::Empty)
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        reason = "a wrong expectation should stop the test where it is"
    )]

    use d402_objects::Hex32;
    use d402_settlement::market::testkit::{Scene, TaskSpec};
    use d402_wire::{RawDossier, encode};

    use super::*;
    use crate::Command;

    fn created(at_ms: u64) -> Vec<u8> {
        let scene = Scene::new(TaskSpec::single(1, 1));
        let record = Record::Created {
            dossier: RawDossier::of(&scene.dossier),
            payment_id: Hex32::from_bytes([7; 32]),
            payer: "payer".to_owned(),
            payment_body: String::new(),
            at_ms,
        };
        encode(&record).unwrap()
    }

    fn applied(at_ms: u64, command: Command) -> Vec<u8> {
        encode(&Record::Applied { at_ms, command }).unwrap()
    }

    fn replayed(records: &[Vec<u8>]) -> Result<Task, Damaged> {
        replay(records.iter().map(Vec::as_slice))
    }

    #[test]
    fn a_journal_starts_with_its_creation_and_has_one() {
        assert!(matches!(replayed(&[]), Err(Damaged::Empty)));
        let tick = applied(2, Command::Tick);
        assert!(matches!(replayed(&[tick]), Err(Damaged::Order { seq: 0 })));
        assert!(matches!(
            replayed(&[created(1), created(1)]),
            Err(Damaged::Order { seq: 1 })
        ));
        assert!(replayed(&[created(1)]).is_ok());
    }

    #[test]
    fn a_recorded_command_the_task_refuses_is_damage_and_never_skipped() {
        let early_tick = applied(2, Command::Tick);
        let got = replayed(&[created(1), early_tick]);
        assert!(matches!(
            got,
            Err(Damaged::Refused {
                seq: 1,
                source: Refused::NothingDue
            })
        ));
    }

    #[test]
    fn a_record_that_does_not_decode_is_damage() {
        assert!(matches!(
            replayed(&[created(1), b"{}".to_vec()]),
            Err(Damaged::Record { seq: 1, .. })
        ));
    }

    #[test]
    fn any_peer_message_can_be_read_back_from_its_record() {
        let junk = serde_json::Value::String("x".repeat(d402_wire::peer::MAX_MESSAGE_BYTES));
        let bytes = encode(&junk).unwrap();
        assert!(bytes.len() < MAX_RECORD_BYTES);
    }
}

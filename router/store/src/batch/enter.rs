//! Directory entries: under one identity only a strictly higher `seq` replaces what is there.
//!
//! Expired entries stay: were they gone, an older signed object with a later expiry could come back.

use d402_core::ports::DirectoryOutcome;
use d402_objects::Cid;

use crate::convert::to_int;
use crate::fault::Fault;
use crate::limits::MAX_ENTRIES_PER_SIGNER;
use crate::sql::{RowLock, Transaction, Value};

/// A directory row.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) kind: String,
    pub(crate) signer: String,
    pub(crate) slot: String,
    pub(crate) seq: i64,
    pub(crate) cid: Cid,
    pub(crate) expires_at_ms: i64,
    pub(crate) object: Vec<u8>,
}

impl Entry {
    fn identity(&self) -> [Value; 3] {
        [
            Value::from(self.kind.as_str()),
            Value::from(self.signer.as_str()),
            Value::from(self.slot.as_str()),
        ]
    }

    fn content(&self) -> [Value; 4] {
        [
            Value::Int(self.seq),
            Value::from(self.cid.as_bytes()),
            Value::Int(self.expires_at_ms),
            Value::Bytes(self.object.clone()),
        ]
    }

    fn row(&self) -> Vec<Value> {
        self.identity().into_iter().chain(self.content()).collect()
    }
}

pub(super) async fn run(
    tx: &mut Transaction,
    entries: &[(usize, &Entry)],
) -> Result<Vec<(usize, DirectoryOutcome)>, Fault> {
    let mut entries = entries.to_vec();
    entries.sort_by(|(_, a), (_, b)| a.signer.cmp(&b.signer));
    let mut outcomes = Vec::with_capacity(entries.len());
    for (place, entry) in entries {
        outcomes.push((place, enter(tx, entry).await?));
    }
    Ok(outcomes)
}

async fn enter(tx: &mut Transaction, entry: &Entry) -> Result<DirectoryOutcome, Fault> {
    let used = hold_signer(tx, &entry.signer).await?;
    let stored = tx
        .fetch(
            "SELECT seq FROM directory WHERE kind = $1 AND signer = $2 AND slot = $3",
            entry.identity().into(),
        )
        .await?;
    let same_cid = tx
        .fetch(
            "SELECT seq FROM directory WHERE cid = $1",
            vec![entry.cid.as_bytes().into()],
        )
        .await?;
    match stored.first() {
        Some(row) if row.int(0)? >= entry.seq => Ok(DirectoryOutcome::NotNewer),
        _ if !same_cid.is_empty() => Ok(DirectoryOutcome::NotNewer),
        Some(_) => {
            let sql = "UPDATE directory SET seq = $4, cid = $5, expires_at_ms = $6, object = $7 \
                       WHERE kind = $1 AND signer = $2 AND slot = $3";
            tx.execute(sql, entry.row()).await?;
            Ok(DirectoryOutcome::Stored)
        }
        None if used >= to_int(MAX_ENTRIES_PER_SIGNER)? => Ok(DirectoryOutcome::QuotaReached),
        None => {
            let sql = "INSERT INTO directory (kind, signer, slot, seq, cid, expires_at_ms, object) \
                       VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
            if tx.execute(sql, entry.row()).await? == 0 {
                // The CID came in under another identity since we looked.
                return Ok(DirectoryOutcome::NotNewer);
            }
            let count = "UPDATE directory_signers SET entries = entries + 1 WHERE signer = $1";
            tx.execute(count, vec![Value::from(entry.signer.as_str())])
                .await?;
            Ok(DirectoryOutcome::Stored)
        }
    }
}

/// Locks a signer, who may be new; number of identities it holds.
async fn hold_signer(tx: &mut Transaction, signer: &str) -> Result<i64, Fault> {
    let insert =
        "INSERT INTO directory_signers (signer, entries) VALUES ($1, 0) ON CONFLICT DO NOTHING";
    tx.execute(insert, vec![Value::from(signer)]).await?;
    let sql = format!(
        "SELECT entries FROM directory_signers WHERE signer = $1{}",
        tx.row_lock(RowLock::Wait)
    );
    let rows = tx.fetch(sql, vec![Value::from(signer)]).await?;
    rows.first()
        .ok_or(Fault::Broken("a signer is gone"))?
        .int(0)
}

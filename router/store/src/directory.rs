//! [`Directory`] on a database.

use std::sync::Arc;

use async_trait::async_trait;
use d402_core::ports::{Directory, DirectoryEntry, DirectoryOutcome, StoreError};
use d402_objects::Cid;
use d402_wire::RawEnvelope;

use crate::batch::{Answer, Entry, Op};
use crate::convert::{at_most, to_cid, to_int, to_number};
use crate::fault::Fault;
use crate::group::Writer;
use crate::limits::{
    MAX_DIRECTORY_OBJECT_BYTES, MAX_KIND_BYTES, MAX_PAGE, MAX_SIGNER_BYTES, MAX_SLOT_BYTES,
};
use crate::sql::{Database, Row, Value};
use crate::tasks::MISMATCH;

/// The directory in SQLite or PostgreSQL.
#[derive(Debug)]
pub(crate) struct SqlDirectory {
    database: Arc<Database>,
    writer: Arc<Writer>,
}

impl SqlDirectory {
    pub(crate) fn new(database: Arc<Database>, writer: Arc<Writer>) -> Self {
        Self { database, writer }
    }
}

/// The bytes an envelope is stored as, within bounds like the identity of `entry`, and sure to be read back.
pub(crate) fn check_entry(entry: &DirectoryEntry) -> Result<Vec<u8>, Fault> {
    if entry.kind.is_empty() || entry.signer.is_empty() {
        return Err(Fault::Broken("directory entry has no kind or no signer"));
    }
    at_most(entry.kind.len(), MAX_KIND_BYTES)?;
    at_most(entry.signer.len(), MAX_SIGNER_BYTES)?;
    at_most(entry.slot.len(), MAX_SLOT_BYTES)?;
    let object =
        d402_wire::encode(&entry.object).map_err(|_| Fault::Broken("envelope has no JSON form"))?;
    at_most(object.len(), MAX_DIRECTORY_OBJECT_BYTES)?;
    if parsed(&object)? != entry.object {
        return Err(Fault::Broken("envelope does not come back as it is"));
    }
    Ok(object)
}

const COLUMNS: &str = "cid, kind, signer, slot, seq, expires_at_ms, object";

fn entry_of(row: &Row) -> Result<DirectoryEntry, Fault> {
    Ok(DirectoryEntry {
        cid: to_cid(row.bytes(0)?)?,
        kind: row.text(1)?.to_owned(),
        signer: row.text(2)?.to_owned(),
        slot: row.text(3)?.to_owned(),
        seq: to_number(row.int(4)?)?,
        expires_at_ms: to_number(row.int(5)?)?,
        object: parsed(row.bytes(6)?)?,
    })
}

fn parsed(object: &[u8]) -> Result<RawEnvelope, Fault> {
    const NOT_STRICT: Fault = Fault::Broken("envelope is not strict JSON");
    let envelope: RawEnvelope =
        d402_wire::decode_message(object, MAX_DIRECTORY_OBJECT_BYTES).map_err(|_| NOT_STRICT)?;
    envelope.to_value().map_err(|_| NOT_STRICT)?;
    Ok(envelope)
}

#[async_trait]
impl Directory for SqlDirectory {
    async fn put(&self, entry: DirectoryEntry) -> Result<DirectoryOutcome, StoreError> {
        let object = check_entry(&entry)?;
        let entry = Entry {
            kind: entry.kind,
            signer: entry.signer,
            slot: entry.slot,
            seq: to_int(entry.seq)?,
            cid: entry.cid,
            expires_at_ms: to_int(entry.expires_at_ms)?,
            object,
        };
        match self.writer.write(Op::Enter(entry)).await? {
            Answer::Entered(outcome) => Ok(outcome),
            Answer::Done | Answer::Created(_) | Answer::Appended(_) | Answer::Leased(_) => {
                Err(MISMATCH.into())
            }
        }
    }

    async fn get(&self, cid: Cid) -> Result<Option<DirectoryEntry>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM directory WHERE cid = $1");
        let rows = self
            .database
            .read(sql, vec![Value::from(cid.as_bytes())])
            .await?;
        Ok(rows.first().map(entry_of).transpose()?)
    }

    async fn list(
        &self,
        kind: &str,
        now_ms: u64,
        after: Option<Cid>,
        limit: u32,
    ) -> Result<Vec<DirectoryEntry>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM directory WHERE kind = $1 AND expires_at_ms > $2 AND cid > $3 ORDER BY cid LIMIT $4"
        );
        let values = vec![
            Value::from(kind),
            Value::Int(to_int(now_ms)?),
            // Every CID is greater than no bytes.
            Value::Bytes(after.map_or(Vec::new(), |cid| cid.as_bytes().to_vec())),
            Value::Int(i64::from(limit.min(MAX_PAGE))),
        ];
        let rows = self.database.read(sql, values).await?;
        Ok(rows
            .iter()
            .map(entry_of)
            .collect::<Result<Vec<_>, Fault>>()?)
    }
}

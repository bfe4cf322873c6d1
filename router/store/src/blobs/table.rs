//! Content in a PostgreSQL table, so that every gateway of the database has it.

use std::sync::Arc;

use async_trait::async_trait;
use d402_core::ports::{BlobStore, StoreError};
use d402_objects::Cid;
use tokio::time::timeout;

use super::verified;
use crate::convert::at_most;
use crate::fault::{Busy, Fault};
use crate::limits::{MAX_BLOB_BYTES, TRANSACTION_TIMEOUT};
use crate::sql::{Database, Value};

/// Content in a table.
#[derive(Debug)]
pub(crate) struct TableBlobs {
    database: Arc<Database>,
}

/// Bytes that differ under the same CID are damaged; the right ones replace them.
const PUT: &str = "INSERT INTO blobs (cid, bytes) VALUES ($1, $2) \
     ON CONFLICT (cid) DO UPDATE SET bytes = excluded.bytes WHERE blobs.bytes <> excluded.bytes";

impl TableBlobs {
    pub(crate) fn new(database: Arc<Database>) -> Self {
        Self { database }
    }
}

#[async_trait]
impl BlobStore for TableBlobs {
    async fn put(&self, bytes: &[u8]) -> Result<Cid, StoreError> {
        at_most(bytes.len(), MAX_BLOB_BYTES)?;
        let cid = Cid::of(bytes);
        let write = async {
            let mut tx = self.database.begin().await?;
            tx.execute(
                PUT,
                vec![Value::from(cid.as_bytes()), Value::from(bytes.to_vec())],
            )
            .await?;
            tx.commit().await
        };
        match timeout(TRANSACTION_TIMEOUT, write).await {
            Ok(written) => written?,
            Err(_) => return Err(Fault::unavailable(Busy::TimedOut).into()),
        }
        Ok(cid)
    }

    async fn get(&self, cid: Cid) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT bytes FROM blobs WHERE cid = $1";
        let rows = self
            .database
            .read(sql, vec![Value::from(cid.as_bytes())])
            .await?;
        let Some(mut row) = rows.into_iter().next() else {
            return Ok(None);
        };
        Ok(Some(verified(cid, row.take_bytes(0)?)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{Postgres, tests::postgres_schema};

    #[tokio::test]
    async fn a_damaged_row_is_broken_until_the_right_bytes_come_again() {
        let postgres = Postgres::open(&postgres_schema("blobs").await)
            .await
            .unwrap();
        let database = Arc::new(Database::Postgres(postgres));
        let blobs = TableBlobs::new(Arc::clone(&database));
        let cid = blobs.put(b"the page").await.unwrap();
        let mut tx = database.begin().await.unwrap();
        let damage = vec![Value::Bytes(b"the pagE".to_vec())];
        tx.execute("UPDATE blobs SET bytes = $1", damage)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert!(matches!(
            blobs.get(cid).await,
            Err(StoreError::Broken { .. })
        ));
        blobs.put(b"the page").await.unwrap();
        assert_eq!(blobs.get(cid).await.unwrap().unwrap(), b"the page");
        database.close().await;
    }
}

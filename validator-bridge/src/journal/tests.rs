//! The journal's own promises, on a real file.

use super::sqlite::MAX_OBJECTS_PER_TASK;
use super::*;

fn cid(text: &str) -> Cid {
    Cid::of(text.as_bytes())
}

fn hex(byte: u8) -> Hex32 {
    Hex32::from_bytes([byte; 32])
}

fn record(digest: Hex32) -> SettlementRecord {
    SettlementRecord {
        task_id: cid("task"),
        verifier: "program".to_owned(),
        terms_hash: hex(9),
        digest,
        paid: true,
    }
}

struct File {
    folder: tempfile::TempDir,
}

impl File {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    async fn open(&self) -> SqliteJournal {
        let path = self.folder.path().join("journal.sqlite");
        SqliteJournal::open(&path).await.unwrap()
    }
}

#[tokio::test]
async fn r2_one_ready_per_round_across_a_restart() {
    let file = File::new();
    let ask = async |round, digest: Hex32| {
        let journal = file.open().await;
        let answer = journal
            .ready(cid("task"), round, digest, &record(digest))
            .await;
        journal.pool.close().await;
        answer.unwrap()
    };
    assert_eq!(ask(1, hex(1)).await, ReadyVerdict::Sign);
    assert_eq!(ask(1, hex(1)).await, ReadyVerdict::Sign, "the same again");
    let first = ReadyVerdict::OtherDigest { digest: hex(1) };
    assert_eq!(ask(1, hex(2)).await, first, "another in the same round");
    assert_eq!(ask(2, hex(2)).await, ReadyVerdict::Sign, "another round");
    assert_eq!(ask(1, hex(2)).await, first, "the first round stays decided");
}

#[tokio::test]
async fn r2_after_a_settlement_only_its_digest_is_answered_in_any_round() {
    let file = File::new();
    let journal = file.open().await;
    let signed = journal.settlement(&record(hex(1))).await.unwrap();
    assert_eq!(signed, SettlementVerdict::Sign);
    let ask = async |round, digest| {
        let record = record(digest);
        let answer = journal.ready(cid("task"), round, digest, &record);
        answer.await.unwrap()
    };
    let other = ReadyVerdict::AlreadySigned { digest: hex(1) };
    assert_eq!(ask(7, hex(2)).await, other);
    assert_eq!(ask(7, hex(1)).await, ReadyVerdict::Sign);
}

#[tokio::test]
async fn an_object_beyond_the_bound_of_its_task_is_an_error_and_never_silently_dropped() {
    let file = File::new();
    let journal = file.open().await;
    let task = cid("task");
    journal.put_object(task, cid("first"), b"{}").await.unwrap();
    sqlx::query(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1 - 1)
         INSERT INTO object (task_id, cid, bytes) SELECT ?2, randomblob(32), x'7b7d' FROM n",
    )
    .bind(i64::from(MAX_OBJECTS_PER_TASK))
    .bind(task.as_bytes().to_vec())
    .execute(&journal.pool)
    .await
    .unwrap();
    let refused = journal.put_object(task, cid("one more"), b"{}").await;
    assert!(
        matches!(refused, Err(JournalError::Full { task_id, max }) if task_id == task && max == MAX_OBJECTS_PER_TASK),
        "{refused:?}"
    );
    let again = journal.put_object(task, cid("first"), b"{}").await;
    assert!(again.is_ok(), "what is stored is not refused: {again:?}");
    let elsewhere = journal.put_object(cid("other"), cid("one more"), b"{}");
    assert!(elsewhere.await.is_ok(), "another task has its own bound");
}

//! Parameter lists, and what holds for a database as a whole: undo, one process, migrations side by side.

#![allow(clippy::arithmetic_side_effects)]

use crate::fault::Fault;

use super::{Database, Postgres, Sqlite, Value, parameters, pieces, rows_of_parameters};

const COUNT: &str = "SELECT COUNT(*) FROM directory_signers";
const INSERT: &str = "INSERT INTO directory_signers (signer, entries) VALUES ($1, 0)";

async fn count(database: &Database) -> i64 {
    database
        .read(COUNT, Vec::new())
        .await
        .unwrap()
        .first()
        .unwrap()
        .int(0)
        .unwrap()
}

/// Drops transactions half-way, in between statements and in the middle of one.
async fn dropped_half_way_leaves_nothing(database: &Database) {
    for round in 0..40_u64 {
        let half = async {
            let mut tx = database.begin().await.unwrap();
            tx.execute(INSERT, vec![Value::from("first")])
                .await
                .unwrap();
            let _unfinished = tx.execute(INSERT, vec![Value::from("second")]).await;
            std::future::pending::<()>().await;
        };
        let _elapsed =
            tokio::time::timeout(std::time::Duration::from_micros(round * 100), half).await;
        assert_eq!(count(database).await, 0);
    }
    // The connections are as good as before.
    let mut tx = database.begin().await.unwrap();
    tx.execute(INSERT, vec![Value::from("first")])
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(count(database).await, 1);
    database.close().await;
}

#[tokio::test]
async fn a_transaction_dropped_half_way_leaves_nothing_in_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    let sqlite = Sqlite::open(directory.path()).await.unwrap();
    dropped_half_way_leaves_nothing(&Database::Sqlite(sqlite)).await;
}

#[tokio::test]
async fn a_transaction_dropped_half_way_leaves_nothing_in_postgres() {
    let url = postgres_schema("undo").await;
    let postgres = Postgres::open(&url).await.unwrap();
    dropped_half_way_leaves_nothing(&Database::Postgres(postgres)).await;
}

#[tokio::test]
async fn a_newer_schema_is_refused_in_postgres() {
    let url = postgres_schema("newer").await;
    let postgres = Postgres::open(&url).await.unwrap();
    sqlx::query("INSERT INTO schema_version (version) VALUES (1000)")
        .execute(postgres.pool())
        .await
        .unwrap();
    postgres.pool().close().await;
    let refused = Postgres::open(&url).await.unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("schema version 1000 is newer than"),
        "{refused}"
    );
}

#[tokio::test]
async fn gateways_that_start_together_migrate_once() {
    let url = postgres_schema("together").await;
    let opened = futures::future::join_all((0..4).map(|_| Postgres::open(&url))).await;
    for postgres in opened {
        postgres.unwrap().pool().close().await;
    }
}

#[tokio::test]
async fn an_embedded_database_has_one_process() {
    let directory = tempfile::tempdir().unwrap();
    let first = Sqlite::open(directory.path()).await.unwrap();
    let second = Sqlite::open(directory.path()).await.unwrap_err();
    assert!(second.to_string().contains("another process"), "{second}");
    first.close().await;
    Sqlite::open(directory.path()).await.unwrap().close().await;
}

/// Statements no code of ours may run, each with what it would break.
const FORBIDDEN: [(&str, &str); 14] = [
    (
        "short id",
        "INSERT INTO tasks (task_id, terms_hash, payment_id, next_seq, created_at_ms, updated_at_ms) VALUES ('', '', '', 1, 1, 1)",
    ),
    ("another identity", "UPDATE tasks SET payment_id = task_id"),
    ("half a lease", "UPDATE tasks SET lease_owner = 'me'"),
    (
        "a final task woken",
        "UPDATE tasks SET wake_at_ms = 5 WHERE wake_at_ms IS NULL",
    ),
    ("a task gone", "DELETE FROM tasks"),
    ("a record rewritten", "UPDATE journal SET record = record"),
    ("a record gone", "DELETE FROM journal"),
    (
        "one seq twice",
        "INSERT INTO journal (task, seq, record, stored_at_ms) SELECT task, seq, record, 1 FROM journal",
    ),
    (
        "a record of no task",
        "INSERT INTO journal (task, seq, record, stored_at_ms) SELECT 77, 0, record, 1 FROM journal",
    ),
    (
        "other money bytes",
        "UPDATE money SET body = record FROM journal",
    ),
    ("an unknown step", "UPDATE money SET state = 'lost'"),
    (
        "final without outcome",
        "UPDATE money SET state = 'final' WHERE state = 'planned'",
    ),
    (
        "final no more",
        "UPDATE money SET state = 'planned', outcome = NULL WHERE state = 'final'",
    ),
    ("money gone", "DELETE FROM money"),
];

async fn the_schema_refuses_what_would_break_it(database: &Database) {
    let id = |byte: u8| Value::Bytes(vec![byte; 32]);
    let mut tx = database.begin().await.unwrap();
    let task = "INSERT INTO tasks (task_id, terms_hash, payment_id, next_seq, created_at_ms, updated_at_ms) \
                VALUES ($1, $2, $3, 1, 1, 1)";
    tx.execute(task, vec![id(1), id(2), id(3)]).await.unwrap();
    let record =
        "INSERT INTO journal (task, seq, record, stored_at_ms) SELECT ordinal, 0, $1, 1 FROM tasks";
    tx.execute(record, vec![id(4)]).await.unwrap();
    let planned =
        "INSERT INTO money (key, task, body, state) SELECT 'a', ordinal, $1, 'planned' FROM tasks";
    tx.execute(planned, vec![id(5)]).await.unwrap();
    let done = "INSERT INTO money (key, task, body, state, outcome) SELECT 'b', ordinal, $1, 'final', 'paid' FROM tasks";
    tx.execute(done, vec![id(5)]).await.unwrap();
    tx.commit().await.unwrap();
    for (what, sql) in FORBIDDEN {
        let mut tx = database.begin().await.unwrap();
        let refused = tx.execute(sql, Vec::new()).await;
        assert!(
            matches!(refused, Err(Fault::Broken("constraint violated"))),
            "{what}: {refused:?}"
        );
        tx.rollback().await.unwrap();
    }
    database.close().await;
}

#[tokio::test]
async fn the_sqlite_schema_refuses_what_would_break_it() {
    let directory = tempfile::tempdir().unwrap();
    let sqlite = Sqlite::open(directory.path()).await.unwrap();
    the_schema_refuses_what_would_break_it(&Database::Sqlite(sqlite)).await;
}

#[tokio::test]
async fn the_postgres_schema_refuses_what_would_break_it() {
    let url = postgres_schema("refuses").await;
    let postgres = Postgres::open(&url).await.unwrap();
    the_schema_refuses_what_would_break_it(&Database::Postgres(postgres)).await;
}

/// URL of an empty schema in the private cluster.
pub(crate) async fn postgres_schema(topic: &str) -> String {
    let url = std::env::var("D402_TEST_POSTGRES_URL").expect(
        "no D402_TEST_POSTGRES_URL: run `cargo xtask test`, which starts a private PostgreSQL",
    );
    let name = format!("store_{topic}_{}", std::process::id());
    let options: sqlx::postgres::PgConnectOptions = url.parse().unwrap();
    let mut connection = sqlx::ConnectOptions::connect(&options).await.unwrap();
    let sql = format!("DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
        .execute(&mut connection)
        .await
        .unwrap();
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}options=-c%20search_path%3D{name}")
}

#[test]
fn parameters_are_numbered_through() {
    assert_eq!(parameters(3), "$1,$2,$3");
    assert_eq!(rows_of_parameters(2, 2), "($1,$2),($3,$4)");
}

#[test]
fn pieces_cover_every_row_once_and_in_order() {
    for length in 0..600_usize {
        let rows: Vec<usize> = (0..length).collect();
        let joined: Vec<usize> = pieces(&rows).flatten().copied().collect();
        assert_eq!(joined, rows);
    }
    assert_eq!(
        pieces(&[0_u8; 341]).map(<[u8]>::len).collect::<Vec<_>>(),
        [256, 64, 16, 4, 1]
    );
}

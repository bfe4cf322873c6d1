//! A PostgreSQL database of a test's own, in the cluster the test command starts.

use sqlx::{Connection as _, Executor as _, PgConnection};

/// Names the cluster.
const URL: &str = "D402_TEST_POSTGRES_URL";

/// Makes an empty database and gives its URL. The cluster is thrown away after the run, and the database
/// with it.
pub async fn private_database() -> String {
    let url = std::env::var(URL)
        .unwrap_or_else(|_| panic!("{URL} is not set; run these tests with: cargo xtask test"));
    let mut name = [0u8; 8];
    getrandom::fill(&mut name).expect("the system gives random bytes");
    let name = format!("e2e_{}", hex::encode(name));
    let mut connection = PgConnection::connect(&url)
        .await
        .expect("the cluster answers");
    connection
        .execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}")))
        .await
        .expect("a database can be made");
    connection.close().await.expect("the cluster says goodbye");
    let (server, _) = url.rsplit_once('/').expect("the URL names a database");
    format!("{server}/{name}")
}

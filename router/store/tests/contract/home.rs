//! A store of a test's own and, where the database allows it, more gateways on it.

use std::sync::atomic::{AtomicU32, Ordering};

use d402_store::Store;
use tempfile::TempDir;

pub(crate) struct Home {
    pub(crate) store: Store,
    /// More gateways on the same database; none where a process has it alone.
    pub(crate) others: Vec<Store>,
    location: Option<String>,
    directory: Option<TempDir>,
}

impl Home {
    pub(crate) async fn memory() -> Self {
        Self {
            store: Store::memory(),
            others: Vec::new(),
            location: None,
            directory: None,
        }
    }

    pub(crate) async fn sqlite() -> Self {
        let directory = TempDir::new().unwrap();
        let location = directory.path().join("data").to_str().unwrap().to_owned();
        let store = Store::open(&location).await.unwrap();
        Self {
            store,
            others: Vec::new(),
            location: Some(location),
            directory: Some(directory),
        }
    }

    pub(crate) async fn postgres() -> Self {
        let location = schema().await;
        let store = Store::open(&location).await.unwrap();
        let others = vec![
            Store::open(&location).await.unwrap(),
            Store::open(&location).await.unwrap(),
        ];
        Self {
            store,
            others,
            location: Some(location),
            directory: None,
        }
    }

    /// Another store of the same kind, empty.
    pub(crate) async fn another(&self) -> Self {
        match (&self.location, &self.directory) {
            (None, _) => Self::memory().await,
            (Some(_), Some(_)) => Self::sqlite().await,
            (Some(_), None) => Self::postgres().await,
        }
    }

    /// The store of gateway `number`, counting round.
    pub(crate) fn gateway(&self, number: usize) -> &Store {
        match number % (self.others.len() + 1) {
            0 => &self.store,
            other => &self.others[other - 1],
        }
    }

    /// Closes every gateway and opens one again; `None` where nothing is kept.
    pub(crate) async fn opened_again(&self) -> Option<Store> {
        self.close().await;
        match &self.location {
            None => None,
            Some(location) => Some(Store::open(location).await.unwrap()),
        }
    }

    pub(crate) async fn close(&self) {
        self.store.close().await;
        for other in &self.others {
            other.close().await;
        }
    }
}

/// URL of an empty schema.
pub(crate) async fn schema() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let url = std::env::var("D402_TEST_POSTGRES_URL").expect(
        "no D402_TEST_POSTGRES_URL: run `cargo xtask test`, which starts a private PostgreSQL",
    );
    let name = format!(
        "store_{}_{}",
        std::process::id(),
        NUMBER.fetch_add(1, Ordering::Relaxed)
    );
    let options: sqlx::postgres::PgConnectOptions = url.parse().unwrap();
    let mut connection = sqlx::ConnectOptions::connect(&options).await.unwrap();
    let sql = format!("DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
        .execute(&mut connection)
        .await
        .unwrap();
    sqlx::Connection::close(connection).await.unwrap();
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}options=-c%20search_path%3D{name}")
}

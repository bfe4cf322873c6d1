//! Opens a store by path or URL and holds it together.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use d402_core::ports::{BlobStore, Directory, StoreError, TaskStore};
use tokio::task::JoinHandle;

use crate::batch::{Answer, Op};
use crate::blobs::{FileBlobs, TableBlobs};
use crate::directory::SqlDirectory;
use crate::fault::Fault;
use crate::group::Writer;
use crate::memory::{MemoryBlobs, MemoryDirectory, MemoryTasks};
use crate::sql::{Database, Postgres, Sqlite};
use crate::tasks::{MISMATCH, SqlTasks};

/// Why a store could not be opened. Shows neither URL nor password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A URL of something else than `postgres://`, `postgresql://` or `sqlite:`.
    #[error("a store is a directory, sqlite:DIRECTORY or postgres://…")]
    Location,
    /// The data directory cannot be made or read.
    #[error("data directory {path:?} cannot be used")]
    DataDirectory {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The embedded database did not open; its message says whether another process has it.
    #[error("embedded database in {path:?} does not open")]
    Sqlite {
        /// The data directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// PostgreSQL did not open; its message says whether it is reached and of which version it is.
    #[error("PostgreSQL database does not open")]
    Postgres {
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What `Store::open` was given.
enum Location<'l> {
    Directory(&'l Path),
    Postgres(&'l str),
}

impl<'l> Location<'l> {
    fn parse(text: &'l str) -> Result<Self, OpenError> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text));
        }
        let path = match text.strip_prefix("sqlite:") {
            Some(path) => path.strip_prefix("//").unwrap_or(path),
            None if text.contains("://") => return Err(OpenError::Location),
            None => text,
        };
        if path.is_empty() || path.contains("://") {
            return Err(OpenError::Location);
        }
        Ok(Self::Directory(Path::new(path)))
    }
}

/// An open store: its ports, its health and its end.
pub struct Store {
    tasks: Arc<dyn TaskStore>,
    blobs: Arc<dyn BlobStore>,
    directory: Arc<dyn Directory>,
    behind: Behind,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("kind", &self.kind())
            .finish_non_exhaustive()
    }
}

/// What the ports stand on.
enum Behind {
    Memory,
    Database(Backing),
}

struct Backing {
    database: Arc<Database>,
    writer: Arc<Writer>,
    files: Option<Arc<FileBlobs>>,
    lanes: Mutex<Vec<JoinHandle<()>>>,
}

impl Store {
    /// Opens `location`: a data directory (also `sqlite:DIRECTORY`), made when missing, with an embedded
    /// database and content as files; or a `postgres://` URL that several gateways may share, with content
    /// in the database. Brings the schema up to date. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`OpenError`]; a schema newer than this program and a directory another process has open are refused.
    pub async fn open(location: &str) -> Result<Self, OpenError> {
        match Location::parse(location)? {
            Location::Directory(path) => Self::open_sqlite(path).await,
            Location::Postgres(url) => {
                let postgres = Postgres::open(url).await.map_err(|e| OpenError::Postgres {
                    source: Box::new(e),
                })?;
                let database = Arc::new(Database::Postgres(postgres));
                let blobs = Arc::new(TableBlobs::new(Arc::clone(&database)));
                Ok(Self::on(database, blobs, None))
            }
        }
    }

    async fn open_sqlite(path: &Path) -> Result<Self, OpenError> {
        let unusable = |source| OpenError::DataDirectory {
            path: path.to_owned(),
            source,
        };
        make_private(path).map_err(unusable)?;
        let sqlite = Sqlite::open(path).await.map_err(|e| OpenError::Sqlite {
            path: path.to_owned(),
            source: Box::new(e),
        })?;
        // After the database, whose lock makes this process the only one here.
        let files = Arc::new(FileBlobs::open(&path.join("blobs")).map_err(unusable)?);
        Ok(Self::on(
            Arc::new(Database::Sqlite(sqlite)),
            Arc::clone(&files) as _,
            Some(files),
        ))
    }

    /// A store that forgets, for tests.
    #[must_use]
    pub fn memory() -> Self {
        Self {
            tasks: Arc::new(MemoryTasks::default()),
            blobs: Arc::new(MemoryBlobs::default()),
            directory: Arc::new(MemoryDirectory::default()),
            behind: Behind::Memory,
        }
    }

    fn on(
        database: Arc<Database>,
        blobs: Arc<dyn BlobStore>,
        files: Option<Arc<FileBlobs>>,
    ) -> Self {
        let (writer, lanes) = Writer::start(&database);
        let writer = Arc::new(writer);
        Self {
            tasks: Arc::new(SqlTasks::new(Arc::clone(&database), Arc::clone(&writer))),
            blobs,
            directory: Arc::new(SqlDirectory::new(
                Arc::clone(&database),
                Arc::clone(&writer),
            )),
            behind: Behind::Database(Backing {
                database,
                writer,
                files,
                lanes: Mutex::new(lanes),
            }),
        }
    }

    /// The tasks.
    #[must_use]
    pub fn tasks(&self) -> Arc<dyn TaskStore> {
        Arc::clone(&self.tasks)
    }

    /// The content.
    #[must_use]
    pub fn blobs(&self) -> Arc<dyn BlobStore> {
        Arc::clone(&self.blobs)
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> Arc<dyn Directory> {
        Arc::clone(&self.directory)
    }

    /// `memory`, `sqlite` or `postgres`, for `/health` and logs.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match &self.behind {
            Behind::Memory => "memory",
            Behind::Database(backing) => match &*backing.database {
                Database::Sqlite(_) => "sqlite",
                Database::Postgres(_) => "postgres",
            },
        }
    }

    /// Whether the store can write, read and reach its content now; bounded by its own timeouts.
    ///
    /// # Errors
    /// [`StoreError`] of whatever fails first.
    pub async fn health(&self) -> Result<(), StoreError> {
        let backing = match &self.behind {
            Behind::Memory => return Ok(()),
            Behind::Database(backing) => backing,
        };
        match backing.writer.write(Op::Probe).await? {
            Answer::Done => {}
            Answer::Created(_) | Answer::Appended(_) | Answer::Leased(_) | Answer::Entered(_) => {
                return Err(MISMATCH.into());
            }
        }
        let rows = backing
            .database
            .read(
                "SELECT version FROM schema_version WHERE version = 1",
                Vec::new(),
            )
            .await?;
        if rows.is_empty() {
            return Err(Fault::Broken("schema has no version").into());
        }
        if let Some(files) = &backing.files {
            files.health().await?;
        }
        Ok(())
    }

    /// Writes what waits, then closes. Calls made afterwards fail as unavailable.
    pub async fn close(&self) {
        match &self.behind {
            Behind::Memory => {}
            Behind::Database(backing) => {
                backing.writer.stop().await;
                let lanes = std::mem::take(
                    &mut *backing.lanes.lock().unwrap_or_else(PoisonError::into_inner),
                );
                for lane in lanes {
                    if let Err(error) = lane.await {
                        tracing::error!(%error, "a writer lane did not end by itself");
                    }
                }
                backing.database.close().await;
            }
        }
    }
}

/// Makes `path`, readable by its owner only.
fn make_private(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_a_directory_or_a_postgres_url() {
        for directory in [
            "data",
            "/var/lib/d402",
            "sqlite:data",
            "sqlite:///var/lib/d402",
        ] {
            assert!(
                matches!(Location::parse(directory), Ok(Location::Directory(_))),
                "{directory}"
            );
        }
        for url in [
            "postgres://localhost/d402",
            "postgresql://u:p@h/d402?sslmode=require",
        ] {
            assert!(
                matches!(Location::parse(url), Ok(Location::Postgres(_))),
                "{url}"
            );
        }
        for neither in ["", "sqlite:", "mysql://localhost/d402", "https://d402.xyz"] {
            assert!(
                matches!(Location::parse(neither), Err(OpenError::Location)),
                "{neither}"
            );
        }
    }

    #[tokio::test]
    async fn an_error_never_shows_the_password() {
        let failed = Store::open("postgres://user:sesame@127.0.0.1:1/d402?connect_timeout=1").await;
        let mut shown = String::new();
        let error = failed.unwrap_err();
        let mut next: Option<&dyn std::error::Error> = Some(&error);
        while let Some(error) = next {
            shown.push_str(&format!("{error} {error:?} "));
            next = error.source();
        }
        assert!(!shown.is_empty() && !shown.contains("sesame"), "{shown}");
    }
}

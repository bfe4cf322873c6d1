//! What went wrong inside, and which of the two [`StoreError`] stories it is for the caller.

use d402_core::ports::StoreError;

/// An error on its way out of the store.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The database undid the transaction because of another one; running it again will do.
    #[error("transaction lost against another one")]
    Contended(#[source] sqlx::Error),
    /// Transient.
    #[error("database is not available")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A constraint or an invariant does not hold.
    #[error("{0}")]
    Broken(&'static str),
    /// A value over its limit.
    #[error("{bytes} bytes are more than {limit}")]
    TooLarge {
        /// What was given.
        bytes: usize,
        /// Most that is kept.
        limit: usize,
    },
}

/// An operation that ran into one of our own bounds.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Busy {
    /// Took longer than it may.
    #[error("timed out")]
    TimedOut,
    /// The writer of this store has stopped.
    #[error("store is closed")]
    Closed,
    /// The transaction it shared with others was not committed.
    #[error("shared transaction failed: {0}")]
    Shared(String),
}

impl Fault {
    pub(crate) fn unavailable(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Unavailable(Box::new(source))
    }

    /// Whether the same writes, one transaction each, may end differently.
    pub(crate) fn may_succeed_alone(&self) -> bool {
        match self {
            Self::Contended(_) | Self::Broken(_) | Self::TooLarge { .. } => true,
            Self::Unavailable(_) => false,
        }
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Contended(source) => Self::Unavailable(Box::new(source)),
            Fault::Unavailable(source) => Self::Unavailable(source),
            Fault::TooLarge { bytes, limit } => Self::TooLarge { bytes, limit },
            Fault::Broken(what) => {
                tracing::error!(what, "store is broken");
                Self::Broken { what }
            }
        }
    }
}

impl From<sqlx::Error> for Fault {
    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "sqlx's list is open and depends on its features"
    )]
    fn from(error: sqlx::Error) -> Self {
        let story = match &error {
            sqlx::Error::Database(database) => match database.code().as_deref() {
                Some(code)
                    if database
                        .try_downcast_ref::<sqlx::postgres::PgDatabaseError>()
                        .is_some() =>
                {
                    postgres_story(code)
                }
                Some(code) => sqlite_story(code),
                None => Story::Broken("database error without a code"),
            },
            sqlx::Error::Decode(_)
            | sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::ColumnIndexOutOfBounds { .. }
            | sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::TypeNotFound { .. } => Story::Broken("a stored value has another type"),
            sqlx::Error::Encode(_) | sqlx::Error::InvalidArgument(_) => {
                Story::Broken("a value cannot be bound")
            }
            // Connections, pools, TLS.
            _ => Story::Unavailable,
        };
        match story {
            Story::Contended => Self::Contended(error),
            Story::Unavailable => Self::unavailable(error),
            Story::Broken(what) => {
                tracing::error!(%error, what, "database refused a statement of ours");
                Self::Broken(what)
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Story {
    Contended,
    Unavailable,
    Broken(&'static str),
}

/// SQLSTATE, by class (PostgreSQL manual, appendix A).
fn postgres_story(code: &str) -> Story {
    match code.get(..2) {
        // Serialization failure, deadlock: rolled back, nothing happened.
        Some("40") => Story::Contended,
        // Connection, resources, lock or statement timeout, shutdown, idle transaction, operating system.
        Some("08" | "53" | "55" | "57" | "25" | "58") => Story::Unavailable,
        Some("23") => Story::Broken("constraint violated"),
        Some("XX") => Story::Broken("database reports corruption"),
        _ => Story::Broken("database refused a statement"),
    }
}

/// Extended result code (sqlite.org/rescode.html), by its primary code.
fn sqlite_story(code: &str) -> Story {
    match code.parse::<u32>().map(|code| code & 0xff) {
        // BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, FULL, CANTOPEN, PROTOCOL.
        Ok(5 | 6 | 7 | 8 | 9 | 10 | 13 | 14 | 15) => Story::Unavailable,
        Ok(19) => Story::Broken("constraint violated"),
        Ok(11 | 26) => Story::Broken("database reports corruption"),
        _ => Story::Broken("database refused a statement"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_and_lost_connections_are_transient() {
        for code in [
            "57014", "57P01", "55P03", "08006", "53300", "25P03", "58030",
        ] {
            assert_eq!(postgres_story(code), Story::Unavailable, "{code}");
        }
        for code in ["5", "517", "6", "10", "778", "13", "14"] {
            assert_eq!(sqlite_story(code), Story::Unavailable, "{code}");
        }
        assert!(matches!(
            Fault::from(sqlx::Error::PoolTimedOut),
            Fault::Unavailable(_)
        ));
    }

    #[test]
    fn constraint_violations_and_corruption_are_broken() {
        for code in ["23505", "23514", "23503", "23000"] {
            assert_eq!(
                postgres_story(code),
                Story::Broken("constraint violated"),
                "{code}"
            );
        }
        for code in ["19", "2067", "275", "1811", "787"] {
            assert_eq!(
                sqlite_story(code),
                Story::Broken("constraint violated"),
                "{code}"
            );
        }
        assert_eq!(
            postgres_story("XX001"),
            Story::Broken("database reports corruption")
        );
        assert_eq!(
            sqlite_story("11"),
            Story::Broken("database reports corruption")
        );
        assert_eq!(
            sqlite_story("1"),
            Story::Broken("database refused a statement")
        );
        assert_eq!(
            postgres_story("42P01"),
            Story::Broken("database refused a statement")
        );
    }

    #[test]
    fn a_deadlock_is_worth_another_try() {
        assert_eq!(postgres_story("40P01"), Story::Contended);
        assert_eq!(postgres_story("40001"), Story::Contended);
    }
}

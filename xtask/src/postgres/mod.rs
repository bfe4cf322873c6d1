//! A private PostgreSQL cluster for the tests: made in a folder of its own, durable (fsync stays
//! on), reachable on loopback only, and gone when the run is over.
//!
//! The cluster belongs to a guard, a second process of this program that ends it when its
//! standard input closes. So it also ends when this process is interrupted or killed. A cluster
//! of the machine is never used.

mod guard;
mod server;

pub(crate) use guard::guard;
pub(crate) use server::{Server, version};

use std::{
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
};

use crate::failure::Failure;

/// The variable the database tests read; they fail without it.
pub(crate) const URL_VARIABLE: &str = "D402_TEST_POSTGRES_URL";

/// What the guard prints when the server accepts connections; the port follows.
const READY: &str = "ready ";

/// A running cluster. Dropping it stops the server and deletes its data.
pub(crate) struct Cluster {
    guard: Child,
    url: String,
}

impl Cluster {
    /// Starts a cluster, installing PostgreSQL first where it is missing and that is possible.
    pub(crate) fn start() -> Result<Self, Failure> {
        let server = Server::find_or_install()?;
        // `/proc/self/exe` opens this very program even after the build step has put a new one in its place,
        // where the path of `current_exe` would name a file that is gone.
        let program = std::path::PathBuf::from("/proc/self/exe");
        let mut guard = Command::new(program)
            .arg("postgres-guard")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C must reach the guard as the end of its input, not as a signal.
            .process_group(0)
            .spawn()
            .map_err(|source| Failure::Start {
                command: "xtask postgres-guard".to_owned(),
                source,
            })?;
        let mut line = String::new();
        if let Some(output) = guard.stdout.take() {
            // The guard bounds its own start; when it ends without a word, the line stays empty.
            let _ = BufReader::new(output).read_line(&mut line);
        }
        let Some(port) = line.strip_prefix(READY).map(str::trim) else {
            let _ = guard.wait();
            return Err(Failure::Postgres {
                reason: "the guard gave up",
                log: "see its message above".to_owned(),
            });
        };
        let url = format!(
            "postgres://{user}@127.0.0.1:{port}/postgres",
            user = server::USER
        );
        eprintln!("private PostgreSQL {}: {url}", server.version()?);
        Ok(Self { guard, url })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

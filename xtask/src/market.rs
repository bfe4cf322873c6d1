//! A market of real nodes on loopback for a tester from outside. It belongs to a program of the test
//! harness that ends it when its standard input closes, so it also ends when this process is interrupted.

use std::{
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::failure::Failure;

const PROGRAM: &str = "d402-test-market";

/// A running market. Dropping it ends every node it started.
pub(crate) struct Market {
    harness: Child,
    told: String,
    url: String,
}

impl Market {
    /// Starts the programs of this folder.
    pub(crate) fn start(programs: &Path, variable: &str) -> Result<Self, Failure> {
        let mut harness = Command::new(programs.join(PROGRAM))
            .env(variable, programs)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C must reach the harness as the end of its input, not as a signal.
            .process_group(0)
            .spawn()
            .map_err(|source| Failure::Start {
                command: PROGRAM.to_owned(),
                source,
            })?;
        let mut line = String::new();
        if let Some(output) = harness.stdout.take() {
            // The harness bounds its own start; when it ends without a word, the line stays empty.
            let _ = BufReader::new(output).read_line(&mut line);
        }
        let mut market = Self {
            harness,
            told: line,
            url: String::new(),
        };
        let told = serde_json::from_str::<Value>(&market.told).map_err(|source| Failure::Json {
            command: PROGRAM.to_owned(),
            source,
        })?;
        let url = told.pointer("/http/0").and_then(Value::as_str);
        url.unwrap_or_default().clone_into(&mut market.url);
        Ok(market)
    }

    /// What the harness says of it: a line of JSON.
    pub(crate) fn told(&self) -> &str {
        &self.told
    }

    /// Where the gateway listens.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Market {
    fn drop(&mut self) {
        drop(self.harness.stdin.take());
        let _ = self.harness.wait();
    }
}

//! The stock facilitator as a process.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::stock::{FOLDER, NODE, named};

/// Account 1 of anvil's well-known mnemonic: it has gas money in the first block.
pub(crate) const KEY: &str = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";

/// A running facilitator; ended when dropped.
pub(crate) struct Stock {
    child: Child,
    pub(crate) origin: String,
}

impl Stock {
    /// Starts it over this chain and waits until it listens.
    pub(crate) fn start(script: &str, rpc: &str, key: &str) -> Self {
        let mut child = Command::new(named(NODE))
            .args(["--import", "tsx", script])
            .current_dir(named(FOLDER))
            .env("RPC", rpc)
            .env("KEY", key)
            // It ends when this end is closed, whatever happened to us.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Node.js starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output"))
            .read_line(&mut line)
            .expect("a line");
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("said {line:?}"));
        let origin = said["origin"].as_str().expect("an origin").to_owned();
        Self { child, origin }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Stock {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _gone_already = self.child.kill();
        let _ended = self.child.wait();
    }
}

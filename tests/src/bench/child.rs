//! Scenarios that measure a whole process run it as one: this program again, told what to be.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

/// A process of this program; ended when dropped.
pub(super) struct Actor {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Actor {
    /// Starts this program as `role` on the files in `home`.
    pub(super) fn start(role: &str, home: &Path) -> Self {
        let program = std::env::current_exe().expect("own path");
        let mut child = Command::new(program)
            .arg("--child")
            .arg(role)
            .arg(home)
            // It ends when this end is closed, whatever happened to us.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let lines = BufReader::new(child.stdout.take().expect("its output"));
        Self { child, lines }
    }

    /// The next thing it says.
    pub(super) fn says(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a line");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("child said {line:?}"))
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _gone_already = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// In a child: resolves when the parent closed our input.
pub(super) async fn parent_gone() {
    let (gone, parent) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _nothing_comes = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _nobody_waits = gone.send(());
    });
    let _gone = parent.await;
}

/// In a child: one line for the parent.
pub(super) fn say(value: &Value) {
    println!("{value}");
}

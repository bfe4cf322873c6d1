//! Processes of nodes: started with a log file, killed on demand, never left behind.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use d402_node::config::NodeConfig;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{eventually, program};

/// How long a node may take to come up on a busy machine.
const START: Duration = Duration::from_secs(60);

/// A node as a process. Dropping it kills the node and the processes the node started.
pub(crate) struct Node {
    label: String,
    config: NodeConfig,
    child: Option<Child>,
}

impl Node {
    /// Starts a node; [`Node::ready`] waits for it.
    pub(crate) fn start(label: &str, mut config: NodeConfig) -> Self {
        std::fs::create_dir_all(&config.state_dir).expect("a state folder can be made");
        config.ready_file = Some(config.state_dir.join("ready.json"));
        let mut node = Self {
            label: label.to_owned(),
            config,
            child: None,
        };
        node.spawn();
        node
    }

    /// Starts the process again with the same configuration and state.
    pub(crate) fn spawn(&mut self) {
        assert!(self.child.is_none(), "{} runs already", self.label);
        match std::fs::remove_file(self.ready_file()) {
            Ok(()) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}"),
        }
        let path = self.config.state_dir.join("node.toml");
        let text = toml::to_string(&self.config).expect("a configuration is TOML");
        std::fs::write(&path, text).expect("a configuration can be written");
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.config.state_dir.join("node.log"))
            .expect("a log can be written");
        let filter = std::env::var("D402_TEST_LOG").unwrap_or_else(|_| "info,libp2p=warn".into());
        let child = Command::new(program("d402"))
            .args(["--json", "node", "--config"])
            .arg(&path)
            .env("RUST_LOG", filter)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log can be shared"))
            .stderr(log)
            .spawn()
            .expect("d402 starts");
        self.child = Some(child);
    }

    fn ready_file(&self) -> PathBuf {
        self.config.state_dir.join("ready.json")
    }

    /// What the node says once it is up.
    pub(crate) async fn ready(&mut self) -> Value {
        let (file, log) = (self.ready_file(), self.config.state_dir.join("node.log"));
        let label = self.label.clone();
        let child = self.child.as_mut().expect("the process was started");
        eventually(
            &format!("{label} is up; see {}", log.display()),
            START,
            || {
                let ended = child.try_wait().expect("a child can be asked");
                assert!(
                    ended.is_none(),
                    "{label} ended at its start; see {}",
                    log.display()
                );
                let read = std::fs::read(&file).ok();
                async move { read.map(|bytes| serde_json::from_slice(&bytes).expect("JSON")) }
            },
        )
        .await
    }

    /// SIGKILL, to the node and to what it started.
    pub(crate) fn kill(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        let started = children_of(child.id());
        // Fails only when it is gone already.
        let _gone = child.kill();
        child.wait().expect("a killed child can be waited for");
        for pid in started {
            let _gone = kill_process(pid, Signal::KILL);
        }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Whether the process is there.
    pub(crate) fn runs(&self) -> bool {
        self.child.is_some()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Processes a process started: the bridge of a validator, executors of a worker.
fn children_of(pid: u32) -> Vec<Pid> {
    let tasks = Path::new("/proc").join(pid.to_string()).join("task");
    let Ok(tasks) = std::fs::read_dir(tasks) else {
        return Vec::new();
    };
    let lists =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok());
    lists
        .flat_map(|list| {
            let pids = list
                .split_whitespace()
                .filter_map(|pid| Pid::from_raw(pid.parse().ok()?));
            pids.collect::<Vec<_>>()
        })
        .collect()
}

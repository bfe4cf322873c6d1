//! The guard process: makes a cluster, runs its server, and removes both when its input ends.

use std::{
    fs,
    io::{self, Read},
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::{DirBuilderExt, chown},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread,
    time::Duration,
};

use super::{
    READY,
    server::{Owner, Server, USER},
};
use crate::{clock::Stopwatch, failure::Failure};

const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);
const ATTEMPTS: u32 = 5;

/// Runs until standard input ends. Prints `ready PORT` once the server accepts connections.
pub(crate) fn guard() -> Result<(), Failure> {
    let server = Server::find_or_install()?;
    let home = Home::make(Owner::needed())?;
    home.initialise(&server)?;
    let mut running = home.start(&server)?;
    println!("{READY}{}", running.port);
    wait_for_end_of_input();
    running.stop();
    Ok(())
}

fn wait_for_end_of_input() {
    let mut sink = [0_u8; 64];
    let mut input = io::stdin().lock();
    while input.read(&mut sink).is_ok_and(|bytes| bytes > 0) {}
}

/// The folder of one cluster, deleted with the value.
struct Home {
    folder: PathBuf,
    owner: Option<Owner>,
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Err(cause) = fs::remove_dir_all(&self.folder) {
            eprintln!("{} is left behind: {cause}", self.folder.display());
        }
    }
}

impl Home {
    /// In the system's folder for temporary files: as root, the server runs as somebody who may
    /// not enter root's cache.
    fn make(owner: Option<Owner>) -> Result<Self, Failure> {
        let folder = std::env::temp_dir().join(format!("d402-postgres-{}", std::process::id()));
        // A folder of that name can only be left from a machine that lost power.
        let _ = fs::remove_dir_all(&folder);
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .map_err(Failure::file("creating", &folder))?;
        let home = Self { folder, owner };
        if let Some(owner) = owner {
            chown(&home.folder, Some(owner.user), Some(owner.group))
                .map_err(Failure::file("changing the owner of", &home.folder))?;
        }
        Ok(home)
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn initialise(&self, server: &Server) -> Result<(), Failure> {
        let log = self.open_log()?;
        let status = server
            .command("initdb", self.owner, &self.folder)
            .arg("--pgdata")
            .arg(self.data())
            .args(["--username", USER, "--auth", "trust"])
            .args(["--encoding", "UTF8", "--no-locale", "--no-instructions"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .status()
            .map_err(|source| Failure::Start {
                command: "initdb".to_owned(),
                source,
            })?;
        if status.success() {
            return Ok(());
        }
        Err(self.give_up("initdb failed"))
    }

    /// Starts the server on a free port. Another program may take the port in between, so a few
    /// attempts are made.
    fn start(&self, server: &Server) -> Result<Running, Failure> {
        for _ in 0..ATTEMPTS {
            let port = free_port()?;
            let mut child = self.spawn(server, port)?;
            if self.becomes_ready(&mut child) {
                return Ok(Running { child, port });
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        Err(self.give_up("the server does not accept connections"))
    }

    fn spawn(&self, server: &Server, port: u16) -> Result<Child, Failure> {
        let log = self.open_log()?;
        server
            .command("postgres", self.owner, &self.folder)
            .arg("-D")
            .arg(self.data())
            .args(["-p", &port.to_string()])
            .args(["-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "unix_socket_directories="])
            .args(["-c", "max_connections=300"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|source| Failure::Start {
                command: "postgres".to_owned(),
                source,
            })
    }

    fn becomes_ready(&self, child: &mut Child) -> bool {
        let starting = Stopwatch::start();
        while starting.elapsed() < START_LIMIT {
            if !matches!(child.try_wait(), Ok(None)) {
                return false;
            }
            if is_ready(&self.data()) {
                return true;
            }
            thread::sleep(POLL);
        }
        false
    }

    fn open_log(&self) -> Result<fs::File, Failure> {
        fs::File::options()
            .create(true)
            .append(true)
            .open(self.log())
            .map_err(Failure::file("opening", self.log()))
    }

    fn give_up(&self, reason: &'static str) -> Failure {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        Failure::Postgres { reason, log }
    }
}

/// The server writes its state into the last line of its lock file.
fn is_ready(data: &Path) -> bool {
    fs::read_to_string(data.join("postmaster.pid"))
        .is_ok_and(|text| text.lines().nth(7).map(str::trim) == Some("ready"))
}

fn free_port() -> Result<u16, Failure> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(Failure::file("finding a free port on", "127.0.0.1"))
}

struct Running {
    child: Child,
    port: u16,
}

impl Running {
    /// A quick shutdown by signal (SIGQUIT ends the server and its sessions at once, and the data
    /// is deleted anyway); killed if that takes too long.
    fn stop(&mut self) {
        let script = format!("kill -QUIT {}", self.child.id());
        let _ = std::process::Command::new("sh")
            .args(["-c", &script])
            .status();
        let stopping = Stopwatch::start();
        while stopping.elapsed() < STOP_LIMIT {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(POLL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

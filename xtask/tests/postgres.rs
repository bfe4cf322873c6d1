//! The private cluster as a developer meets it: `cargo xtask postgres -- COMMAND`.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test has deadlines, and fails by panicking"
)]

use std::{
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpStream},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(30);

fn with_cluster(script: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command
        .args(["postgres", "--", "sh", "-c", script])
        .stdin(Stdio::null());
    command
}

fn address(url: &str) -> SocketAddr {
    let host = url
        .split('@')
        .nth(1)
        .and_then(|rest| rest.split('/').next());
    host.unwrap().parse().unwrap()
}

/// The first bytes of the protocol: a request for TLS, which any PostgreSQL server answers.
fn answers(address: SocketAddr) -> bool {
    use std::io::{Read, Write};
    let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(5)) else {
        return false;
    };
    let request = [0, 0, 0, 8, 4, 210, 22, 47];
    let mut answer = [0];
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&request).is_ok() && stream.read_exact(&mut answer).is_ok() && answer == *b"N"
}

fn stops_answering(address: SocketAddr) -> bool {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        if !answers(address) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}

#[test]
fn the_exit_code_of_the_command_is_passed_on_and_the_cluster_is_gone() {
    let output = with_cluster("echo $D402_TEST_POSTGRES_URL; exit 7")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(7));
    let url = String::from_utf8(output.stdout).unwrap();
    assert!(!answers(address(url.trim())), "{url} still answers");
}

#[test]
fn a_killed_run_takes_its_cluster_along() {
    let mut child = with_cluster("echo $$ $D402_TEST_POSTGRES_URL; exec sleep 60")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let (sleeper, url) = line.trim().split_once(' ').unwrap();
    let address = address(url);
    assert!(answers(address), "{url} does not answer");
    child.kill().unwrap();
    child.wait().unwrap();
    let kill = format!("kill {sleeper}");
    Command::new("sh").args(["-c", &kill]).status().unwrap();
    assert!(stops_answering(address), "{url} still answers");
}

//! A local chain of one step: on a port of its own, stopped with the value.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use crate::{clock::Stopwatch, failure::Failure, tools::Foundry};

const START_LIMIT: Duration = Duration::from_secs(60);
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);

pub(super) struct Anvil {
    child: Child,
    port: u16,
    url: String,
}

impl Anvil {
    /// Base Sepolia in name and rules, with nothing of ours on it.
    pub(super) fn start(foundry: &Foundry) -> Result<Self, Failure> {
        let program = foundry.anvil();
        let port = free_port()?;
        let child = Command::new(&program)
            .args(["--host", "127.0.0.1", "--port", &port.to_string()])
            .args(["--chain-id", "84532", "--optimism", "--silent"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|source| Failure::Start {
                command: program.display().to_string(),
                source,
            })?;
        let chain = Self {
            child,
            port,
            url: format!("http://127.0.0.1:{port}"),
        };
        let waiting = Stopwatch::start();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if waiting.elapsed() > START_LIMIT {
                return Err(Failure::Timeout {
                    command: "anvil".to_owned(),
                    limit: START_LIMIT,
                });
            }
            thread::sleep(POLL);
        }
        Ok(chain)
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Puts code at an address, which only a local chain lets anybody do.
    pub(super) fn set_code(&self, address: &str, code: &str) -> Result<(), Failure> {
        let body = serde_json::json!({
            "jsonrpc": "2.0", "id": 1, "method": "anvil_setCode", "params": [address, code],
        })
        .to_string();
        let request = format!(
            "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        let answer = self.exchange(&request).map_err(|source| Failure::Start {
            command: "anvil_setCode".to_owned(),
            source,
        })?;
        if answer.starts_with("HTTP/1.1 200") && !answer.contains("\"error\"") {
            return Ok(());
        }
        Err(Failure::Unproven {
            what: "anvil did not take the code it was given",
        })
    }

    fn exchange(&self, request: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> Result<u16, Failure> {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|bound| bound.local_addr());
    port.map(|address| address.port())
        .map_err(|source| Failure::Start {
            command: "anvil".to_owned(),
            source,
        })
}

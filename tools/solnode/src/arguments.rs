//! The command line.

use std::path::PathBuf;

use solana_pubkey::Pubkey;

pub(crate) const USAGE: &str = "\
solnode: a local Solana node, offline, with devnet's genesis hash

  --port N           JSON-RPC port on 127.0.0.1 (default: a free one)
  --ws-port N        websocket port (default: a free one)
  --slot-ms N        length of a slot in milliseconds, 10 to 10000 (default: 400)
  --program ID=FILE  a program to load; may be given several times

Prints one line of JSON with the addresses when it answers; ends when its standard input closes.";

/// Slots shorter than this keep a core busy; longer ones look like a node that hangs.
const SLOT_MS: std::ops::RangeInclusive<u64> = 10..=10_000;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) port: Option<u16>,
    pub(crate) ws_port: Option<u16>,
    pub(crate) slot_ms: u64,
    pub(crate) programs: Vec<(Pubkey, PathBuf)>,
}

impl Arguments {
    pub(crate) fn read(given: &[String]) -> Result<Self, String> {
        let mut read = Self {
            port: None,
            ws_port: None,
            slot_ms: 400,
            programs: Vec::new(),
        };
        let mut words = given.iter();
        while let Some(name) = words.next() {
            let value = words
                .next()
                .ok_or_else(|| format!("{name} needs a value\n\n{USAGE}"))?;
            match name.as_str() {
                "--port" => read.port = Some(number(name, value)?),
                "--ws-port" => read.ws_port = Some(number(name, value)?),
                "--slot-ms" => read.slot_ms = slot(value)?,
                "--program" => read.programs.push(program(value)?),
                other => return Err(format!("unknown option {other}\n\n{USAGE}")),
            }
        }
        Ok(read)
    }
}

fn number(name: &str, value: &str) -> Result<u16, String> {
    value
        .parse()
        .map_err(|_| format!("{name} takes a port, not {value}"))
}

fn slot(value: &str) -> Result<u64, String> {
    value
        .parse()
        .ok()
        .filter(|ms| SLOT_MS.contains(ms))
        .ok_or_else(|| format!("--slot-ms takes 10 to 10000, not {value}"))
}

fn program(value: &str) -> Result<(Pubkey, PathBuf), String> {
    let (id, file) = value
        .split_once('=')
        .ok_or_else(|| format!("--program takes ID=FILE, not {value}"))?;
    let id = id
        .parse()
        .map_err(|_| format!("{id} is not a program id"))?;
    Ok((id, PathBuf::from(file)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Arguments, String> {
        Arguments::read(&words.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn nothing_given_is_a_node_on_free_ports_with_the_slots_of_a_cluster() {
        let read = read(&[]).unwrap();
        assert_eq!((read.port, read.ws_port, read.slot_ms), (None, None, 400));
        assert!(read.programs.is_empty());
    }

    #[test]
    fn ports_slots_and_programs_are_read() {
        let id = "BdVuVjfbYYWNmA4wpaqsEuN5LdtcJsFnzRPTKQZoMKcP";
        let read = read(&[
            "--port",
            "8899",
            "--ws-port",
            "8900",
            "--slot-ms",
            "20",
            "--program",
            &format!("{id}=a.so"),
        ])
        .unwrap();
        assert_eq!(
            (read.port, read.ws_port, read.slot_ms),
            (Some(8899), Some(8900), 20)
        );
        assert_eq!(
            read.programs,
            [(id.parse().unwrap(), PathBuf::from("a.so"))]
        );
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for words in [
            &["--port"][..],
            &["--port", "70000"],
            &["--slot-ms", "0"],
            &["--slot-ms", "9"],
            &["--program", "a.so"],
            &["--program", "x=a.so"],
            &["--remote", "x"],
        ] {
            assert!(read(words).is_err(), "{words:?}");
        }
    }
}

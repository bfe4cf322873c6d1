//! Benchmarks of the market (`cargo xtask bench market`): what a gateway does per second, how long it takes, and
//! what it costs. How to read them is in `docs/benchmarks.md`.
//!
//! Every scenario checks what it produced (all tasks settled, money adds up) before it prints a number.

mod cast;
mod challenge;
mod child;
mod house;
mod measure;
mod overhead;
mod rail;
mod report;
mod resume;
mod settling;
mod stage;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use report::{Machine, Report};

/// How much of everything.
pub(crate) struct Plan {
    /// Each phase of load with unpaid requests.
    load: Duration,
    /// Waves of tasks that are settled, and tasks per wave.
    waves: u64,
    wave: u64,
    /// Purchases per second, and for how long.
    rate: u64,
    seconds: u64,
    /// Open tasks of a gateway that starts.
    open: u64,
    /// Open tasks whose memory is measured.
    resident: u64,
}

impl Plan {
    const FULL: Self = Self {
        load: Duration::from_secs(8),
        waves: 8,
        wave: 1_000,
        rate: 100,
        seconds: 20,
        open: 100_000,
        resident: 10_000,
    };
    /// Enough to see that every scenario runs and its checks hold.
    const SMOKE: Self = Self {
        load: Duration::from_millis(200),
        waves: 1,
        wave: 12,
        rate: 10,
        seconds: 1,
        open: 60,
        resident: 30,
    };
}

const USAGE: &str = "usage: bench-market [--smoke] [--json] [--only SCENARIO]
scenarios: challenge, settling, overhead, resume";

/// What was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted {
    smoke: bool,
    json: bool,
    only: Option<String>,
    /// Role and files of a child.
    child: Option<(String, String)>,
}

fn wanted(arguments: impl IntoIterator<Item = String>) -> Option<Wanted> {
    let mut wanted = Wanted::default();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--smoke" => wanted.smoke = true,
            "--json" => wanted.json = true,
            "--only" => {
                let known = ["challenge", "settling", "overhead", "resume"];
                let name = arguments.next()?;
                known.contains(&name.as_str()).then_some(())?;
                wanted.only = Some(name);
            }
            "--child" => wanted.child = Some((arguments.next()?, arguments.next()?)),
            _ => return None,
        }
    }
    Some(wanted)
}

/// The program: measures, prints, and fails only when a check does; a goal that is missed is a line in the table.
#[must_use]
pub fn main() -> ExitCode {
    let Some(wanted) = wanted(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    if let Some((role, home)) = &wanted.child {
        child(role, Path::new(home));
        return ExitCode::SUCCESS;
    }
    let plan = if wanted.smoke {
        Plan::SMOKE
    } else {
        Plan::FULL
    };
    let machine = Machine::here();
    let mut rows = Vec::new();
    let is_wanted = |name: &str| wanted.only.as_deref().is_none_or(|only| only == name);
    if is_wanted("challenge") {
        rows.extend(challenge::run(&plan));
    }
    if is_wanted("settling") {
        rows.extend(runtime(2).block_on(settling::run(&plan)));
    }
    if is_wanted("overhead") {
        rows.extend(runtime(2).block_on(overhead::run(&plan)));
    }
    if is_wanted("resume") {
        rows.extend(runtime(2).block_on(resume::run(&plan)));
    }
    let report = Report { machine, rows };
    if wanted.json {
        println!("{}", serde_json::to_string(&report).expect("JSON"));
    } else {
        print!("{}", report.text());
    }
    ExitCode::SUCCESS
}

fn child(role: &str, home: &Path) {
    match role {
        // One worker thread is one core: what it answers per second of CPU time is per core.
        challenge::ROLE => runtime(1).block_on(challenge::serve(home)),
        resume::ROLE => runtime(2).block_on(resume::resume(home)),
        _ => panic!("no such role: {role}"),
    }
}

fn runtime(threads: usize) -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .max_blocking_threads(4)
        .enable_all()
        .build()
        .expect("a runtime")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<Wanted> {
        wanted(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn arguments_are_read_and_unknown_ones_refused() {
        let asked = read("--smoke --json --only resume").unwrap();
        assert!(asked.smoke && asked.json);
        assert_eq!(asked.only.as_deref(), Some("resume"));
        for wrong in ["--fast", "--only", "--only nothing", "--child challenges"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}

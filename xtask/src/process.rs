//! Running other programs: shown before they start, bounded in time, stopped with their children.
//!
//! Children stay in the caller's process group, so that Ctrl-C in a terminal reaches all of them.

use std::{
    ffi::{OsStr, OsString},
    fs,
    io::Read,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use crate::{clock::Stopwatch, failure::Failure};

const POLL: Duration = Duration::from_millis(10);
const OUTPUT_BYTES: u64 = 64 * 1024 * 1024;

/// A program call being put together.
pub(crate) struct Call {
    command: Command,
    limit: Duration,
    quiet: bool,
}

impl Call {
    pub(crate) fn new(program: impl AsRef<OsStr>, limit: Duration) -> Self {
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if is_package_variable(&name) {
                command.env_remove(name);
            }
        }
        Self {
            command,
            limit,
            quiet: false,
        }
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub(crate) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn dir(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Leaves out the line that shows the call.
    pub(crate) fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }

    /// The call as a person would type it, without the environment.
    pub(crate) fn shown(&self) -> String {
        let program = self.command.get_program();
        let program = Path::new(program).file_name().unwrap_or(program);
        std::iter::once(program)
            .chain(self.command.get_args())
            .map(|word| word.to_string_lossy().into_owned())
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Runs with this process's output; anything but success is a failure.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let command = self.shown();
        match self.status()? {
            status if status.success() => Ok(()),
            status => Err(Failure::Command { command, status }),
        }
    }

    /// Runs with this process's output and returns how it ended.
    pub(crate) fn status(mut self) -> Result<ExitStatus, Failure> {
        let command = self.show();
        let mut child = self.spawn(&command)?;
        wait(&mut child, &command, self.limit)
    }

    /// Runs and returns standard output; standard error passes through.
    pub(crate) fn output(self) -> Result<String, Failure> {
        let command = self.shown();
        match self.outcome()? {
            (status, text) if status.success() => Ok(text),
            (status, _) => Err(Failure::Command { command, status }),
        }
    }

    /// The same for a program that is meant to fail: how it ended, and its standard output.
    pub(crate) fn outcome(mut self) -> Result<(ExitStatus, String), Failure> {
        let command = self.show();
        self.command.stdout(Stdio::piped());
        let mut child = self.spawn(&command)?;
        let pipe = child.stdout.take();
        let reader = thread::spawn(move || {
            let mut text = Vec::new();
            if let Some(pipe) = pipe {
                // A pipe that breaks early shows as a failed exit status or as broken JSON.
                let _ = pipe.take(OUTPUT_BYTES).read_to_end(&mut text);
            }
            text
        });
        let status = wait(&mut child, &command, self.limit)?;
        let text = reader.join().unwrap_or_default();
        Ok((status, String::from_utf8_lossy(&text).into_owned()))
    }

    fn show(&self) -> String {
        let command = self.shown();
        if !self.quiet {
            eprintln!("$ {command}");
        }
        command
    }

    fn spawn(&mut self, shown: &str) -> Result<Child, Failure> {
        self.command.spawn().map_err(|source| Failure::Start {
            command: shown.to_owned(),
            source,
        })
    }
}

/// `cargo run` describes this package to its child. Passed on, those variables would make build
/// scripts that watch them run again on every switch between cargo and xtask.
pub(crate) fn is_package_variable(name: &OsString) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
}

fn wait(child: &mut Child, command: &str, limit: Duration) -> Result<ExitStatus, Failure> {
    let running = Stopwatch::start();
    loop {
        let ended = child.try_wait().map_err(|source| Failure::Start {
            command: command.to_owned(),
            source,
        })?;
        match ended {
            Some(status) => return Ok(status),
            None if running.elapsed() > limit => {
                stop(child);
                return Err(Failure::Timeout {
                    command: command.to_owned(),
                    limit,
                });
            }
            None => thread::sleep(POLL),
        }
    }
}

/// Ends a child and everything it started.
fn stop(child: &mut Child) {
    let family = descendants(child.id());
    let numbers = family.iter().map(u32::to_string).collect::<Vec<_>>();
    let script = format!("kill -KILL {}", numbers.join(" "));
    // Processes that ended meanwhile make `kill` complain; there is nothing left to do for them.
    let _ = Command::new("sh")
        .args(["-c", &script])
        .stderr(Stdio::null())
        .status();
    let _ = child.kill();
    let _ = child.wait();
}

/// The process and all below it, as `/proc` tells; only the process itself where there is none.
fn descendants(root: u32) -> Vec<u32> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else {
            continue;
        };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // pid (name) state ppid …; the name may hold spaces and brackets, so read from its end.
        let parent = stat
            .rsplit(')')
            .next()
            .and_then(|rest| rest.split_whitespace().nth(1))
            .and_then(|number| number.parse::<u32>().ok());
        if let Some(parent) = parent {
            parents.push((pid, parent));
        }
    }
    let mut family = vec![root];
    loop {
        let more = parents
            .iter()
            .filter(|(pid, parent)| family.contains(parent) && !family.contains(pid))
            .map(|(pid, _)| *pid)
            .collect::<Vec<_>>();
        if more.is_empty() {
            return family;
        }
        family.extend(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn shell(script: &str, limit: Duration) -> Call {
        Call::new("sh", limit).args(["-c", script]).quiet()
    }

    #[test]
    fn output_is_what_the_program_printed() {
        assert_eq!(shell("printf hello", LONG).output().unwrap(), "hello");
    }

    #[test]
    fn an_exit_code_other_than_zero_is_a_failure() {
        let failure = shell("exit 3", LONG).run().unwrap_err();
        assert!(matches!(failure, Failure::Command { status, .. } if status.code() == Some(3)));
    }

    #[test]
    fn a_program_past_its_limit_is_stopped_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let pid_file = folder.path().join("pid");
        let script = format!("sleep 600 & echo $! > {}; wait", pid_file.display());
        let failure = shell(&script, Duration::from_secs(2)).run().unwrap_err();
        assert!(matches!(failure, Failure::Timeout { .. }));
        let pid = fs::read_to_string(pid_file).unwrap();
        let waiting = Stopwatch::start();
        while is_alive(pid.trim()) {
            assert!(waiting.elapsed() < LONG, "{pid} is still there");
            thread::sleep(POLL);
        }
    }

    /// A process that nobody has collected yet is as good as gone.
    fn is_alive(pid: &str) -> bool {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !stat.is_empty() && !stat.contains(") Z ")
    }

    #[test]
    fn variables_about_this_package_are_not_passed_on() {
        assert!(is_package_variable(&OsString::from("CARGO_PKG_NAME")));
        assert!(is_package_variable(&OsString::from("CARGO_MANIFEST_DIR")));
        assert!(!is_package_variable(&OsString::from("CARGO_TARGET_DIR")));
    }
}

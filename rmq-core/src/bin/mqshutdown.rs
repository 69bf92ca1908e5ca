//! `mqshutdown broker|namesrv`: stops this host's servers cleanly.

mod cli;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getuid};

const NAME: &str = "mqshutdown";

/// How long to wait for a server to end; a server itself gives up earlier, unless its
/// shutdownWaitTimeSeconds says otherwise.
const PATIENCE: Duration = Duration::from_secs(60);

/// Stops the servers of this host: sends SIGTERM and waits until they are gone.
#[derive(Parser, Debug)]
#[command(name = NAME, version)]
struct Options {
    /// What to stop
    #[arg(value_name = "broker|namesrv")]
    kind: Kind,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Broker,
    Namesrv,
}

impl Kind {
    fn command(self) -> &'static str {
        match self {
            Self::Broker => "mqbroker",
            Self::Namesrv => "mqnamesrv",
        }
    }
}

fn main() -> ExitCode {
    let kind = Options::parse().kind;
    let command = kind.command();
    let running = match find(command) {
        Ok(running) => running,
        Err(cause) => return cli::fail(NAME, cause),
    };
    if running.is_empty() {
        cli::say(format_args!("No {command} running."));
        return ExitCode::FAILURE;
    }
    let mut all = true;
    for pid in running {
        cli::say(format_args!("The {command}({pid}) is running..."));
        match kill(pid, Signal::SIGTERM) {
            Ok(()) => {
                cli::say(format_args!("Send shutdown request to {command}({pid}) OK"));
                all &= wait_gone(pid);
            }
            Err(errno) => {
                cli::fail(NAME, format_args!("{command}({pid}): {errno}"));
                all = false;
            }
        }
    }
    if all {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Processes of this user that run `command` in this host's view of the network: a machine that
/// hosts several network namespaces is several hosts.
fn find(command: &str) -> Result<Vec<Pid>, String> {
    let own_network = network_of(Path::new("/proc/self"));
    let listing = fs::read_dir("/proc").map_err(|error| format!("/proc: {error}"))?;
    let mut found: Vec<Pid> = listing
        .flatten()
        .filter_map(|entry| {
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            let process = entry.path();
            let image = fs::read_link(process.join("exe")).ok()?;
            let same_network = network_of(&process) == own_network;
            (is_image_of(&image, command) && same_network && is_own(&process))
                .then(|| Pid::from_raw(pid))
        })
        .collect();
    found.sort_unstable();
    Ok(found)
}

/// A binary that was replaced while it runs is shown as "mqbroker (deleted)".
fn is_image_of(image: &Path, command: &str) -> bool {
    let name = image
        .file_name()
        .and_then(OsStr::to_str)
        .unwrap_or_default();
    name == command || name.strip_suffix(" (deleted)") == Some(command)
}

fn network_of(process: &Path) -> Option<PathBuf> {
    fs::read_link(process.join("ns/net")).ok()
}

fn is_own(process: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let own = getuid();
    own.is_root() || fs::metadata(process).is_ok_and(|meta| meta.uid() == own.as_raw())
}

/// Waits for the process to end; says so when it does not.
fn wait_gone(pid: Pid) -> bool {
    const STEP: Duration = Duration::from_millis(20);
    let steps = PATIENCE.as_millis() / STEP.as_millis();
    for _ in 0..steps {
        if !is_alive(pid) {
            return true;
        }
        std::thread::sleep(STEP);
    }
    cli::fail(
        NAME,
        format_args!("process {pid} is still there after {:?}", PATIENCE),
    );
    false
}

/// A zombie has stopped; only its parent has not looked yet.
fn is_alive(pid: Pid) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    !matches!(state, Some('Z' | 'X') | None)
}

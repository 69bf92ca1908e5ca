//! What the commands share: files, logs, signals, and how a failure is told.

#![allow(dead_code, reason = "each command uses its own part")]

pub(crate) mod logging;

use std::collections::HashSet;
use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rmq_core::config::server::ServerConfig;
use rmq_core::config::{Properties, ServerSettings, Warning};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// How long a clean stop may take before the command gives up on it.
pub(crate) fn stop_deadline(server: &ServerConfig) -> Duration {
    Duration::from_secs(server.shutdown_wait_s.max(1).into())
}

/// Prints one line; a closed standard output is nobody's business.
pub(crate) fn say(line: impl fmt::Display) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Says in one line on standard error why the command ends, and gives the exit code for it.
pub(crate) fn fail(command: &str, cause: impl fmt::Display) -> ExitCode {
    let _ = writeln!(io::stderr().lock(), "{command}: {cause}");
    ExitCode::FAILURE
}

/// Reads a configuration file.
pub(crate) fn read_properties(path: &Path) -> Result<Properties, String> {
    let name = path.display().to_string();
    let content = std::fs::read(path).map_err(|error| format!("{name}: {error}"))?;
    Properties::parse(name, &content).map_err(|error| error.to_string())
}

/// Prints the configuration, a `key=value` line for each item.
pub(crate) fn print_items(config: &impl ServerSettings, important_only: bool) {
    let mut important = HashSet::new();
    config.visit(&mut |group| {
        important.extend(
            group
                .rows()
                .iter()
                .filter(|row| row.important)
                .map(|row| row.key),
        );
    });
    for (key, value) in config.to_properties().iter() {
        if !important_only || important.contains(key) {
            say(format_args!("{key}={value}"));
        }
    }
}

/// Tells whoever started the command of keys that mean nothing.
pub(crate) fn tell_warnings(command: &str, warnings: &[Warning]) {
    for warning in warnings {
        let _ = writeln!(io::stderr().lock(), "{command}: {warning}");
    }
}

/// Lets this process open as many descriptors as it may: shells start programs with far fewer
/// than a server with thousands of connections needs. A failure leaves the limit as it was.
pub(crate) fn raise_open_files() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(errno) = raised {
        tracing::debug!(%errno, "the limit of open files stays as it is");
    }
}

/// Signals that end a server cleanly. To be registered before the server starts, so that one that
/// comes early is not lost. A hangup or an interrupt that is ignored by the choice of whoever
/// started the command (nohup, a shell's &) stays ignored.
pub(crate) fn stop_signals() -> Result<Signals, String> {
    let ignored = ignored_signals();
    let heeded = |signal: &i32| *signal == SIGTERM || ignored >> (signal - 1) & 1 == 0;
    let wanted = [SIGTERM, SIGINT, SIGHUP].into_iter().filter(heeded);
    Signals::new(wanted).map_err(|error| format!("signals: {error}"))
}

/// The mask of ignored signals, the first signal lowest; 0 where the system does not tell.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

/// Waits for one of them.
pub(crate) fn wait_for(signals: &mut Signals) {
    if let Some(signal) = signals.forever().next() {
        tracing::info!(signal, "stopping");
    }
}

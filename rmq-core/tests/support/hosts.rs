//! Hosts with networks of their own: network namespaces, made with `ip` and gone with the test.

#![allow(
    dead_code,
    reason = "each test crate uses its own part of the support modules"
)]

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sched::{CloneFlags, setns};

/// Names of namespaces start with this, then the id of the process that made them.
const PREFIX: &str = "rmqtest-";

fn ip(words: &str) -> Result<(), String> {
    let ran = Command::new("ip").args(words.split_whitespace()).output();
    let output = ran.map_err(|error| format!("ip: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let told = String::from_utf8_lossy(&output.stderr);
    Err(format!("ip {words}: {}", told.trim()))
}

/// Removes what a test run that was killed has left.
fn remove_stale() {
    let Ok(output) = Command::new("ip").args(["netns", "list"]).output() else {
        return;
    };
    for name in String::from_utf8_lossy(&output.stdout).lines() {
        let name = name.split_whitespace().next().unwrap_or_default();
        let owner = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = ip(&format!("netns del {name}"));
        }
    }
}

/// A host: a network namespace.
pub(crate) struct Host {
    name: String,
}

impl Host {
    fn new() -> Result<Self, String> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}", std::process::id());
        ip(&format!("netns add {name}"))?;
        let host = Self { name };
        host.ip("link set lo up")?;
        Ok(host)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Runs `ip` in it.
    pub(crate) fn ip(&self, words: &str) -> Result<(), String> {
        ip(&format!("-n {} {words}", self.name))
    }

    /// Runs `work` on a thread that has this host's network; threads it starts have it too.
    pub(crate) fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(Path::new("/run/netns").join(&self.name)).unwrap();
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
                work()
            });
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // What stays is removed by the next run.
        let _ = ip(&format!("netns del {}", self.name));
    }
}

/// Says why a test that needs namespaces cannot run; on a CI machine that is a failure.
fn unavailable(cause: &str) {
    // Past the test harness, which shows the output of failed tests only.
    let line = format!("NOT RUN: network namespaces cannot be made here ({cause})\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
    let in_ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty());
    assert!(!in_ci, "CI runs every test");
}

/// One host without any other; `None` where namespaces cannot be made.
pub(crate) fn single() -> Option<Host> {
    remove_stale();
    Host::new().map_err(|cause| unavailable(&cause)).ok()
}

/// Two hosts with a cable between them: 192.168.1.11 and 192.168.1.12, the interfaces called eth0.
pub(crate) fn pair() -> Option<[Host; 2]> {
    remove_stale();
    cabled().map_err(|cause| unavailable(&cause)).ok()
}

fn cabled() -> Result<[Host; 2], String> {
    let (a, b) = (Host::new()?, Host::new()?);
    a.ip(&format!(
        "link add eth0 type veth peer name eth0 netns {}",
        b.name
    ))?;
    for (host, address) in [(&a, "192.168.1.11/24"), (&b, "192.168.1.12/24")] {
        host.ip(&format!("addr add {address} dev eth0"))?;
        host.ip("link set eth0 up")?;
    }
    Ok([a, b])
}

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
use std::time::Duration;

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Names of namespaces start with this, then the id of the process that made them.
const PREFIX: &str = "rmqtest-";

fn ip(words: &str) -> Result<(), String> {
    run("ip", words)
}

fn run(program: &str, words: &str) -> Result<(), String> {
    let ran = Command::new(program)
        .args(words.split_whitespace())
        .output();
    let output = ran.map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let told = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program} {words}: {}", told.trim()))
}

/// Ends what runs in a namespace of a test run that was killed.
fn end_processes_of(name: &str) {
    let Ok(output) = Command::new("ip").args(["netns", "pids", name]).output() else {
        return;
    };
    for pid in String::from_utf8_lossy(&output.stdout).split_whitespace() {
        if let Ok(pid) = pid.parse() {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
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
            end_processes_of(name);
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
        within(&self.name, work)
    }
}

/// The same for the host with this name.
pub(crate) fn within<T: Send>(host: &str, work: impl FnOnce() -> T + Send) -> T {
    let namespace = File::open(Path::new("/run/netns").join(host)).unwrap();
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

/// Many hosts on one switch: 192.168.1.11 and so on, the interfaces called eth0. A host is known by
/// its number, from 0.
pub(crate) struct Network {
    switch: Host,
    hosts: Vec<Host>,
}

/// A card that nobody has: frames for it are lost.
const NOBODY: &str = "02:00:00:00:00:fe";
const FIRST_ADDRESS: usize = 11;
/// What a slow link holds back before it drops.
const QUEUE: Duration = Duration::from_millis(500);

impl Network {
    /// `None` where namespaces cannot be made.
    pub(crate) fn new(count: usize) -> Option<Self> {
        remove_stale();
        Self::make(count).map_err(|cause| unavailable(&cause)).ok()
    }

    fn make(count: usize) -> Result<Self, String> {
        let switch = Host::new()?;
        switch.ip("link add switch type bridge")?;
        switch.ip("link set switch up")?;
        let mut network = Self {
            switch,
            hosts: Vec::new(),
        };
        for number in 0..count {
            let host = Host::new()?;
            let switch = &network.switch;
            let port = port(number);
            host.ip(&format!(
                "link add eth0 type veth peer name {port} netns {}",
                switch.name
            ))?;
            switch.ip(&format!("link set {port} master switch"))?;
            switch.ip(&format!("link set {port} up"))?;
            let address = Self::address(number);
            host.ip(&format!("addr add {address}/24 dev eth0"))?;
            host.ip("link set eth0 up")?;
            network.hosts.push(host);
        }
        Ok(network)
    }

    pub(crate) fn address(host: usize) -> String {
        format!("192.168.1.{}", FIRST_ADDRESS + host)
    }

    pub(crate) fn host(&self, host: usize) -> &Host {
        &self.hosts[host]
    }

    pub(crate) fn count(&self) -> usize {
        self.hosts.len()
    }

    /// From now on nothing that one host sends reaches the other, without either being told.
    pub(crate) fn cut(&self, from: usize, to: usize) {
        let to = Self::address(to);
        let words = format!("neigh replace {to} lladdr {NOBODY} dev eth0 nud permanent");
        self.hosts[from].ip(&words).unwrap();
    }

    /// Takes `cut` back; nothing happens when nothing was cut.
    pub(crate) fn heal(&self, from: usize, to: usize) {
        let words = format!("neigh del {} dev eth0", Self::address(to));
        let _was_not_cut = self.hosts[from].ip(&words);
    }

    /// Lets the host send and receive so many kilobits a second.
    pub(crate) fn slow(&self, host: usize, kilobits: u32) {
        let limit = format!(
            "root tbf rate {kilobits}kbit burst 32kb latency {}ms",
            QUEUE.as_millis()
        );
        self.qdisc(host, "replace", &limit).unwrap();
    }

    /// Takes `slow` back.
    pub(crate) fn restore(&self, host: usize) {
        self.qdisc(host, "del", "root").unwrap();
    }

    fn qdisc(&self, host: usize, verb: &str, words: &str) -> Result<(), String> {
        let ends = [
            (&self.hosts[host], "eth0".to_owned()),
            (&self.switch, port(host)),
        ];
        for (at, device) in ends {
            let namespace = &at.name;
            run(
                "tc",
                &format!("-n {namespace} qdisc {verb} dev {device} {words}"),
            )?;
        }
        Ok(())
    }

    /// Pulls the host's cable out of the switch.
    pub(crate) fn unplug(&self, host: usize) {
        let words = format!("link set {} down", port(host));
        self.switch.ip(&words).unwrap();
    }

    pub(crate) fn plug(&self, host: usize) {
        let words = format!("link set {} up", port(host));
        self.switch.ip(&words).unwrap();
    }
}

fn port(host: usize) -> String {
    format!("port{host}")
}

//! rmq's commands as processes: started where cargo built them, waited for with a bound, and ended
//! with the test that started them.

#![allow(
    dead_code,
    reason = "each test crate uses its own part of the support modules"
)]

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rmq_core::base::clock::{Clock, SystemClock};
use tempfile::TempDir;

/// No test waits longer for anything.
pub(crate) const LONG: Duration = Duration::from_secs(30);

const STEP: Duration = Duration::from_millis(5);
const TAIL_LINES: usize = 60;

/// Waits until `probe` finds something.
pub(crate) fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let clock = SystemClock::new();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(clock.monotonic() < LONG, "not within {LONG:?}: {what}");
        std::thread::sleep(STEP);
    }
}

/// A home folder of its own, so that `~/store` and `~/namesrv` are the test's.
pub(crate) struct Home {
    folder: TempDir,
    launches: AtomicU64,
}

impl Home {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("rmq-test-").tempdir();
        Self {
            folder: folder.unwrap(),
            launches: AtomicU64::new(0),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file into it.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// A command with this home; options are added to it.
    pub(crate) fn command(&self, name: &'static str) -> Launch<'_> {
        Launch {
            home: self,
            name,
            program: built(name),
            args: Vec::new(),
            folder: self.path().to_owned(),
            network: None,
            own_mounts: false,
            prelude: String::new(),
            environment: Vec::new(),
        }
    }

    pub(crate) fn namesrv(&self) -> Launch<'_> {
        self.command("mqnamesrv")
    }

    pub(crate) fn broker(&self) -> Launch<'_> {
        self.command("mqbroker")
    }
}

/// Where cargo built a command.
pub(crate) fn built(name: &str) -> PathBuf {
    PathBuf::from(match name {
        "mqnamesrv" => env!("CARGO_BIN_EXE_mqnamesrv"),
        "mqbroker" => env!("CARGO_BIN_EXE_mqbroker"),
        "mqshutdown" => env!("CARGO_BIN_EXE_mqshutdown"),
        other => panic!("no command {other}"),
    })
}

/// A command about to be started.
#[derive(Clone)]
pub(crate) struct Launch<'a> {
    home: &'a Home,
    name: &'static str,
    program: PathBuf,
    args: Vec<OsString>,
    folder: PathBuf,
    network: Option<String>,
    own_mounts: bool,
    prelude: String,
    environment: Vec<(&'static str, String)>,
}

/// How a command that ends by itself ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn code(&self) -> i32 {
        self.status
            .code()
            .unwrap_or_else(|| panic!("ended by a signal: {self:?}"))
    }

    /// The one line on standard error with which a start fails.
    pub(crate) fn cause(&self) -> &str {
        assert!(!self.status.success(), "it started: {self:?}");
        let lines: Vec<&str> = self.stderr.lines().collect();
        assert_eq!(lines.len(), 1, "not one line: {self:?}");
        // Apache's nameserver says so much before it starts.
        let read = |line: &str| line.starts_with("load config properties file OK, ");
        assert!(
            self.stdout.lines().all(read),
            "output of a failure: {self:?}"
        );
        assert!(self.code() > 0, "{self:?}");
        lines[0]
    }
}

impl Launch<'_> {
    pub(crate) fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    pub(crate) fn config(self, file: &Path) -> Self {
        self.arg("-c").arg(file)
    }

    /// Starts it in this folder, by this path.
    pub(crate) fn from(mut self, folder: &Path, program: impl Into<PathBuf>) -> Self {
        self.folder = folder.to_owned();
        self.program = program.into();
        self
    }

    pub(crate) fn env(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, value.to_owned()));
        self
    }

    /// Starts it in a network namespace.
    pub(crate) fn inside(mut self, network: &str) -> Self {
        self.network = Some(network.to_owned());
        self
    }

    /// Lets it open so many descriptors.
    pub(crate) fn open_files(mut self, count: u64) -> Self {
        self.prelude.push_str(&format!("ulimit -n {count}; "));
        self
    }

    /// The same for the soft limit alone.
    pub(crate) fn soft_open_files(mut self, count: u64) -> Self {
        self.prelude.push_str(&format!("ulimit -S -n {count}; "));
        self
    }

    /// Gives it a disk of so many mebibytes at this folder, half of them taken by a file named
    /// ballast; nobody else sees the disk but through `Process::root`.
    pub(crate) fn on_small_disk(mut self, folder: &Path, mebibytes: u32) -> Self {
        self.own_mounts = true;
        let (folder, half) = (folder.display(), mebibytes / 2);
        self.prelude.push_str(&format!(
            "set -e; mount -t tmpfs -o size={mebibytes}m tmpfs {folder}; \
             head -c {half}M /dev/zero > {folder}/ballast; "
        ));
        self
    }

    /// Starts it with these signals ignored, as nohup and shells do.
    pub(crate) fn ignoring(mut self, signals: &str) -> Self {
        self.prelude.push_str(&format!("trap '' {signals}; "));
        self
    }

    fn build(&self) -> Command {
        // Signals that whoever runs the tests ignores (nohup, a shell's &) must not stay ignored.
        let mut words: Vec<OsString> = ["env", "--default-signal=HUP,INT"]
            .map(OsString::from)
            .into();
        if let Some(network) = &self.network {
            words.extend(["ip", "netns", "exec", network].map(OsString::from));
        }
        if self.own_mounts {
            words.extend(["unshare", "--mount"].map(OsString::from));
        }
        if !self.prelude.is_empty() {
            let script = format!("{}exec \"$@\"", self.prelude);
            words.extend(["sh", "-c", &script, "sh"].map(OsString::from));
        }
        words.push(self.program.clone().into());
        words.extend(self.args.iter().cloned());
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .current_dir(&self.folder)
            .env("HOME", self.home.path())
            .env_remove("NAMESRV_ADDR")
            .env_remove("ROCKETMQ_HOME")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Starts it and waits for nothing.
    pub(crate) fn spawn(&self) -> Process {
        let number = self.home.launches.fetch_add(1, Ordering::Relaxed);
        let stdout = self.home.join(&format!("{}-{number}.out", self.name));
        let stderr = self.home.join(&format!("{}-{number}.err", self.name));
        let child = self
            .build()
            .stdout(File::create(&stdout).unwrap())
            .stderr(File::create(&stderr).unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.name));
        Process {
            name: self.name,
            child,
            stdout,
            stderr,
        }
    }

    /// Starts a server and waits for its boot line.
    pub(crate) fn start(&self) -> Process {
        let mut process = self.spawn();
        process.booted();
        process
    }

    /// Runs it to its end.
    pub(crate) fn run(&self) -> Ended {
        let mut process = self.spawn();
        let status = process.ended();
        Ended {
            status,
            stdout: process.stdout(),
            stderr: process.stderr(),
        }
    }
}

/// A running command; it is killed when dropped, and shows its output if the test fails.
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn stdout(&self) -> String {
        fs::read_to_string(&self.stdout).unwrap_or_default()
    }

    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap_or_default()
    }

    /// Waits for the boot line and returns it.
    pub(crate) fn booted(&mut self) -> String {
        eventually(&format!("{} boots", self.name), || {
            let line = self
                .stdout()
                .split_inclusive('\n')
                .find(|line| line.contains(" boot success. ") && line.ends_with('\n'))
                .map(|line| line.trim_end().to_owned());
            if line.is_none()
                && let Some(status) = self.child.try_wait().unwrap()
            {
                panic!("{} ended instead of booting: {status}", self.name);
            }
            line
        })
    }

    /// Where it listens, as its boot line says.
    pub(crate) fn address(&mut self) -> String {
        let line = self.booted();
        let (_, address) = match self.name {
            "mqnamesrv" => line.rsplit_once("address ").unwrap(),
            _ => line.split_once(']').unwrap().0.rsplit_once(", ").unwrap(),
        };
        address.replace("0.0.0.0", "127.0.0.1")
    }

    /// A path as this process sees it.
    pub(crate) fn root(&self, path: &Path) -> PathBuf {
        let relative = path.strip_prefix("/").unwrap();
        Path::new("/proc")
            .join(self.id().to_string())
            .join("root")
            .join(relative)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.id()).unwrap()), signal).unwrap();
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        eventually(&format!("{} ends", self.name), || {
            self.child.try_wait().unwrap()
        })
    }

    /// Stops it with SIGTERM; it must end well.
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::SIGTERM);
        let status = self.ended();
        assert!(status.success(), "{} ended with {status}", self.name);
    }

    /// Ends it at once, as a power cut of the process.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.ended();
    }

    fn status_kib(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        let number = line.split_whitespace().nth(1).unwrap();
        number.parse().unwrap()
    }

    /// Memory of its own in KiB; pages of mapped files are not among it.
    pub(crate) fn memory_kib(&self) -> u64 {
        self.status_kib("RssAnon:")
    }

    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.id()))
            .unwrap()
            .count()
    }

    pub(crate) fn threads(&self) -> u64 {
        self.status_kib("Threads:")
    }

    /// The soft limit of its descriptors.
    pub(crate) fn open_files_limit(&self) -> u64 {
        let limits = fs::read_to_string(format!("/proc/{}/limits", self.id())).unwrap();
        let line = limits
            .lines()
            .find(|line| line.starts_with("Max open files"));
        let soft = line.unwrap().split_whitespace().nth(3).unwrap();
        soft.parse().unwrap_or(u64::MAX)
    }

    /// Ports that it listens on.
    pub(crate) fn ports(&self) -> BTreeSet<u16> {
        let descriptors = fs::read_dir(format!("/proc/{}/fd", self.id())).unwrap();
        let own: HashSet<String> = descriptors
            .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
            .filter_map(|link| {
                let name = link.to_string_lossy().into_owned();
                let inode = name.strip_prefix("socket:[")?.strip_suffix(']')?;
                Some(inode.to_owned())
            })
            .collect();
        let mut ports = BTreeSet::new();
        for table in ["tcp", "tcp6"] {
            let path = format!("/proc/{}/net/{table}", self.id());
            let text = fs::read_to_string(path).unwrap_or_default();
            for line in text.lines().skip(1) {
                let words: Vec<&str> = line.split_whitespace().collect();
                if words[3] == "0A" && own.contains(words[9]) {
                    let (_, port) = words[1].rsplit_once(':').unwrap();
                    ports.insert(u16::from_str_radix(port, 16).unwrap());
                }
            }
        }
        ports
    }
}

#[allow(
    clippy::print_stderr,
    reason = "a failure is explained by what the command said"
)]
impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let status = self.child.wait();
        if std::thread::panicking() {
            eprintln!("---- {} ({}): {status:?}", self.name, self.id());
            for (what, text) in [("stdout", self.stdout()), ("stderr", self.stderr())] {
                let lines: Vec<&str> = text.lines().collect();
                let tail = &lines[lines.len().saturating_sub(TAIL_LINES)..];
                eprintln!("-- {what}, {} lines, the last:", lines.len());
                tail.iter().for_each(|line| eprintln!("{line}"));
            }
        }
    }
}

/// A port with which the two below and the one above it are free too: what a broker uses. Outside
/// the range from which the system takes ports for outgoing connections.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    const FIRST: u64 = 12_000;
    const COUNT: u64 = 5_000;
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let slot = (u64::from(std::process::id()).wrapping_mul(0x9e37_79b9) + step) % COUNT;
        let base = u16::try_from(FIRST + slot * 4).unwrap();
        let bound: Vec<_> = (base..base + 4)
            .map(|port| std::net::TcpListener::bind(("127.0.0.1", port)))
            .collect();
        if bound.iter().all(Result::is_ok) {
            return base + 2;
        }
    }
}

/// Raises this process's limit of descriptors as far as allowed and returns it; what it starts
/// inherits it.
pub(crate) fn raise_open_files() -> u64 {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    hard
}

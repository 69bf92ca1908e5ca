//! Servers and official clients as processes: Apache RocketMQ by its jars, rmq by its commands.
//!
//! Every process has a group of its own, a folder of its own, a log there, and ends with its owner.
#![allow(
    dead_code,
    clippy::print_stderr,
    reason = "each test crate uses a part of this, and it reports to a person"
)]

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use rmq_core::base::clock::{Clock, SystemClock};
use tempfile::TempDir;

const BOOT_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// Whose server a process is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Maker {
    /// 5.5.0
    Apache,
    /// 4.9.7
    ApacheOld,
    Rmq,
}

impl Maker {
    /// The one under test: rmq, or Apache's for comparison with `RMQ_INTEROP_SERVER=apache`.
    pub(crate) fn under_test() -> Self {
        match std::env::var("RMQ_INTEROP_SERVER").as_deref() {
            Ok("apache") => Self::Apache,
            _ => Self::Rmq,
        }
    }

    /// The version of Apache's.
    fn version(self) -> &'static str {
        match self {
            Self::ApacheOld => "4.9.7",
            Self::Apache | Self::Rmq => "5.5.0",
        }
    }
}

/// A moment by which something has to be done.
#[derive(Debug)]
pub(crate) struct Deadline {
    clock: SystemClock,
    at: Duration,
}

impl Deadline {
    pub(crate) fn after(limit: Duration) -> Self {
        let clock = SystemClock::new();
        let at = clock.monotonic() + limit;
        Self { clock, at }
    }

    pub(crate) fn passed(&self) -> bool {
        self.clock.monotonic() >= self.at
    }
}

/// Holds back every other test that starts servers: a few JVMs fill a small machine.
pub(crate) fn exclusive() -> MutexGuard<'static, ()> {
    static HEAVY: Mutex<()> = Mutex::new(());
    HEAVY.lock().unwrap_or_else(PoisonError::into_inner)
}

fn interop_dir() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("the folder for temporary files lies in the target folder")
        .join("interop")
}

fn installed(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(tool).is_file())
}

/// Brings the parts together by `fetch.sh`. False, with a line that says so, when a tool that they
/// need is not installed; in CI that is a failure.
pub(crate) fn prepare(tools: &[&str], parts: &[&str]) -> bool {
    for tool in tools {
        if !installed(tool) {
            // Past the capture of a test that passes, so that it is seen.
            let line = format!("interop: {tool} not found: these suites did not run\n");
            let _nobody_reads = std::io::stderr().write_all(line.as_bytes());
            assert!(std::env::var_os("CI").is_none(), "{tool} not found");
            return false;
        }
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/fetch.sh");
    let status = Command::new("bash")
        .arg(script)
        .arg(interop_dir())
        .args(parts)
        .status()
        .expect("bash runs");
    assert!(
        status.success(),
        "fetch.sh could not bring {parts:?} together"
    );
    true
}

/// A temporary folder that is kept, and named, when the test fails.
pub(crate) struct Workspace {
    dir: Option<TempDir>,
}

impl Workspace {
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("rmq-interop-")
            .tempdir()
            .expect("a temporary folder");
        Self { dir: Some(dir) }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.as_ref().expect("there until it is dropped").path()
    }

    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(&path).expect("a folder in the temporary folder");
        path
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if let Some(dir) = self.dir.take()
            && std::thread::panicking()
            && std::env::var_os("CI").is_none()
        {
            eprintln!(
                "interop: logs and stores are kept in {}",
                dir.keep().display()
            );
        }
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
}

/// A port that is free, and so are those at the given distances. Below the range that outgoing
/// connections take theirs from: a client must not sit on a broker's port while it is down.
fn free_port(others: &[i32]) -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 997 * 20).expect("below 20,000");
    for _ in 0..1000 {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 11_000 + (first + step * 10) % 20_000;
        let near = others
            .iter()
            .map(|other| u16::try_from(i32::from(port) + other).expect("a port"));
        if is_free(port) && near.into_iter().all(is_free) {
            return port;
        }
    }
    panic!("no free ports");
}

/// Whether a Java logger wrote the line about itself.
fn is_noise(line: &str) -> bool {
    line.contains("|-INFO in ") || line.contains("|-WARN in ")
}

/// The last lines of a file, noise left out.
fn tail(path: &Path, lines: usize) -> String {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().filter(|line| !is_noise(line)).collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// A child in a process group of its own, with its output in a file.
pub(crate) struct Process {
    child: Child,
    name: String,
    log: PathBuf,
    running: bool,
}

impl Process {
    /// Output is appended to `dir/out.log`.
    pub(crate) fn spawn(name: &str, command: &mut Command, dir: &Path) -> Self {
        let log = dir.join("out.log");
        let out = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .expect("the log file opens");
        let child = command
            .current_dir(dir)
            .stdout(out.try_clone().expect("a second handle"))
            .stderr(out)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Self {
            child,
            name: name.to_owned(),
            log,
            running: true,
        }
    }

    pub(crate) fn log_text(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Writes a line to its standard input, which must be a pipe.
    pub(crate) fn say(&mut self, line: &str) {
        let input = self.child.stdin.as_mut();
        let input = input.expect("standard input is piped");
        writeln!(input, "{line}").expect("it listens");
    }

    /// Waits until the output has the text at or after that byte.
    pub(crate) fn await_output(&mut self, text: &str, from: usize, limit: Duration) {
        let deadline = Deadline::after(limit);
        loop {
            if self
                .log_text()
                .get(from..)
                .is_some_and(|t| t.contains(text))
            {
                return;
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                self.running = false;
                let last = tail(&self.log, 15);
                panic!("{} ended ({status}) before {text:?}:\n{last}", self.name);
            }
            assert!(
                !deadline.passed(),
                "{}: no {text:?} within {limit:?}:\n{}",
                self.name,
                tail(&self.log, 15)
            );
            sleep(Duration::from_millis(10));
        }
    }

    /// Waits for the end. None when it is not over in time.
    pub(crate) fn await_end(&mut self, limit: Duration) -> Option<std::process::ExitStatus> {
        let deadline = Deadline::after(limit);
        while !deadline.passed() {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                self.running = false;
                return Some(status);
            }
            sleep(Duration::from_millis(10));
        }
        None
    }

    fn signal(&self, signal: Signal) {
        let group = Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"));
        // Fails only when the group is gone already.
        let _gone = killpg(group, signal);
    }

    /// SIGKILL, as a crash would.
    pub(crate) fn kill(&mut self) {
        if self.running {
            self.signal(Signal::SIGKILL);
            self.child.wait().expect("a killed child can be waited for");
            self.running = false;
        }
    }

    /// SIGTERM, and waits for the end.
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::SIGTERM);
        let status = self.await_end(STOP_LIMIT);
        assert!(
            status.is_some(),
            "{} does not stop within {STOP_LIMIT:?}",
            self.name
        );
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {}:\n{}", self.name, tail(&self.log, 25));
        }
        self.kill();
    }
}

fn java() -> Command {
    let mut command = Command::new("java");
    // Short lives on few cores: a quick start counts for more than peak speed.
    command
        .args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
        .env_remove("JAVA_TOOL_OPTIONS");
    command
}

/// One of Apache's server programs.
pub(crate) fn apache(version: &str, main_class: &str, heap: &str, home: &Path) -> Command {
    let mut command = java();
    command
        .arg("-Xms128m")
        .arg(format!("-Xmx{heap}"))
        .args([
            "--add-exports=java.base/sun.nio.ch=ALL-UNNAMED",
            "--add-opens=java.base/java.nio=ALL-UNNAMED",
            "--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED",
            "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
        ])
        .arg(format!("-Drocketmq.home.dir={}", home.display()))
        .arg(format!("-Duser.home={}", home.display()))
        .arg("-cp")
        .arg(format!(
            "{}/jars/server-{version}/*",
            interop_dir().display()
        ))
        .arg(format!("org.apache.rocketmq.{main_class}"));
    command
}

/// A program of the suite (a class of its package), compiled against that client.
pub(crate) fn client(version: &str, class: &str, home: &Path) -> Command {
    client_with(&[], version, class, home)
}

/// The same with options for the Java machine.
pub(crate) fn client_with(options: &[&str], version: &str, class: &str, home: &Path) -> Command {
    let dir = interop_dir();
    let mut command = java();
    command
        .args(options)
        .arg("-Xmx1g")
        .arg(format!("-Duser.home={}", home.display()))
        .arg("-cp")
        .arg(format!(
            "{0}/classes/{version}:{0}/jars/client-{version}/*",
            dir.display()
        ))
        .arg(format!("rmq.interop.{class}"));
    command
}

pub(crate) fn go_suite() -> Command {
    Command::new(interop_dir().join("go/suite"))
}

/// An rmq command: the one that Cargo built for this test, or that of the folder `RMQ_BIN_DIR`.
fn rmq(name: &str, built: &str) -> Command {
    match std::env::var_os("RMQ_BIN_DIR") {
        Some(dir) => Command::new(Path::new(&dir).join(name)),
        None => Command::new(built),
    }
}

/// Runs to the end within the limit. Returns whether it succeeded, and its output.
pub(crate) fn run(
    name: &str,
    command: &mut Command,
    dir: &Path,
    limit: Duration,
) -> (bool, String) {
    let mut process = Process::spawn(name, command.stdin(Stdio::null()), dir);
    let began = process.log_text().len();
    let status = process.await_end(limit);
    process.kill();
    let text = process.log_text().split_off(began);
    let mut text: String = text
        .split_inclusive('\n')
        .filter(|line| !is_noise(line))
        .collect();
    if status.is_none() {
        let _infallible = write!(text, "\n{name} is not done after {limit:?}");
    }
    (status.is_some_and(|status| status.success()), text)
}

fn write_config(path: &Path, entries: &[(String, String)]) {
    let text = entries
        .iter()
        .fold(String::new(), |mut text, (key, value)| {
            let _infallible = writeln!(text, "{key}={value}");
            text
        });
    fs::write(path, text).expect("the configuration file is written");
}

/// A nameserver that can be killed and started again, on the same port.
pub(crate) struct Namesrv {
    maker: Maker,
    dir: PathBuf,
    port: u16,
    process: Option<Process>,
}

impl Namesrv {
    pub(crate) fn new(maker: Maker, dir: &Path) -> Self {
        Self {
            maker,
            dir: dir.to_owned(),
            port: free_port(&[]),
            process: None,
        }
    }

    /// A new one, started.
    pub(crate) fn started(maker: Maker, dir: &Path) -> Self {
        let mut namesrv = Self::new(maker, dir);
        namesrv.start();
        namesrv
    }

    pub(crate) fn start(&mut self) {
        let config = self.dir.join("namesrv.conf");
        let port = self.port.to_string();
        let entries = [("listenPort", &*port), ("orderMessageEnable", "true")];
        write_config(&config, &entries.map(|(k, v)| (k.to_owned(), v.to_owned())));
        if self.maker == Maker::ApacheOld {
            silence(&self.dir, "logback_namesrv.xml");
        }
        let mut command = match self.maker {
            Maker::Rmq => rmq("mqnamesrv", env!("CARGO_BIN_EXE_mqnamesrv")),
            apache_s => apache(
                apache_s.version(),
                "namesrv.NamesrvStartup",
                "512m",
                &self.dir,
            ),
        };
        command
            .arg("-c")
            .arg(&config)
            .env("ROCKETMQ_HOME", &self.dir);
        self.process = Some(boot("nameserver", &mut command, &self.dir));
    }

    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

/// Writes the file that says what 4.9 is to log: it does not start without.
fn silence(home: &Path, file: &str) {
    let folder = home.join("conf");
    fs::create_dir_all(&folder).expect("a folder for its configuration");
    let quiet = "<configuration><root level=\"OFF\"/></configuration>";
    fs::write(folder.join(file), quiet).expect("a file of its own");
}

/// Starts a server and waits for its boot line.
fn boot(name: &str, command: &mut Command, dir: &Path) -> Process {
    let before = fs::metadata(dir.join("out.log")).map_or(0, |meta| meta.len());
    let before = usize::try_from(before).expect("a short log");
    let mut process = Process::spawn(name, command, dir);
    process.await_output("boot success", before, BOOT_LIMIT);
    process
}

/// A broker that can be stopped, killed and started again, on the same port and store.
pub(crate) struct Broker {
    maker: Maker,
    pub(crate) name: String,
    dir: PathBuf,
    port: u16,
    entries: Vec<(String, String)>,
    process: Option<Process>,
}

impl Broker {
    /// `extra` overrides what the broker is given otherwise. Its files lie in `dir`.
    pub(crate) fn new(
        maker: Maker,
        name: &str,
        dir: &Path,
        namesrv: &str,
        extra: &[(&str, &str)],
    ) -> Self {
        let port = free_port(&[-2, 1]);
        let store = dir.join("store");
        let log = store.join("commitlog");
        let mut entries: Vec<(String, String)> = [
            ("brokerClusterName", "interop"),
            ("brokerName", name),
            ("brokerId", "0"),
            ("brokerIP1", "127.0.0.1"),
            ("brokerIP2", "127.0.0.1"),
            ("listenPort", &port.to_string()),
            ("namesrvAddr", namesrv),
            ("storePathRootDir", &store.display().to_string()),
            ("storePathCommitLog", &log.display().to_string()),
            ("mappedFileSizeCommitLog", "67108864"),
        ]
        .iter()
        .chain(extra)
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
        if maker != Maker::Rmq {
            entries.extend(apache_entries());
        }
        Self {
            maker,
            name: name.to_owned(),
            dir: dir.to_owned(),
            port,
            entries,
            process: None,
        }
    }

    pub(crate) fn start(&mut self) {
        let config = self.dir.join("broker.conf");
        write_config(&config, &self.entries);
        if self.maker == Maker::ApacheOld {
            silence(&self.dir, "logback_broker.xml");
        }
        let mut command = match self.maker {
            Maker::Rmq => rmq("mqbroker", env!("CARGO_BIN_EXE_mqbroker")),
            apache_s => apache(apache_s.version(), "broker.BrokerStartup", "1g", &self.dir),
        };
        command
            .arg("-c")
            .arg(&config)
            .env("ROCKETMQ_HOME", &self.dir);
        self.process = Some(boot(&self.name, &mut command, &self.dir));
    }

    pub(crate) fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("the broker was started")
    }

    pub(crate) fn kill(&mut self) {
        self.process().kill();
    }

    pub(crate) fn stop(&mut self) {
        self.process().stop();
    }

    /// Another value of a key, from the next start on.
    pub(crate) fn set(&mut self, key: &str, value: &str) {
        self.entries.retain(|(name, _)| name != key);
        self.entries.push((key.to_owned(), value.to_owned()));
    }

    /// The same store from now on served by the other maker's broker.
    pub(crate) fn hand_over(self, maker: Maker) -> Self {
        let mut entries = self.entries.clone();
        if maker != Maker::Rmq {
            entries.extend(apache_entries());
        }
        Self {
            maker,
            entries,
            process: None,
            name: self.name.clone(),
            dir: self.dir.clone(),
            port: self.port,
        }
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.dir.join("store")
    }
}

/// What keeps Apache's broker from failing the suites by itself on a small machine: it sends
/// requests back that waited 200 ms in a queue, and concurrent commits for a group that is new, as
/// well as concurrent changes of topics, overwrite each other.
fn apache_entries() -> Vec<(String, String)> {
    [
        ("waitTimeMillsInSendQueue", "10000"),
        ("consumerManageThreadPoolNums", "1"),
        ("adminBrokerThreadPoolNums", "1"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .to_vec()
}

/// A nameserver and two masters, broker-a and broker-b.
pub(crate) struct Cluster {
    pub(crate) brokers: Vec<Broker>,
    pub(crate) namesrv: Namesrv,
}

impl Cluster {
    pub(crate) fn start(maker: Maker, workspace: &Workspace, extra: &[(&str, &str)]) -> Self {
        let namesrv = Namesrv::started(maker, &workspace.folder("namesrv"));
        let brokers = ["broker-a", "broker-b"]
            .map(|name| {
                let dir = workspace.folder(name);
                let mut broker = Broker::new(maker, name, &dir, &namesrv.address(), extra);
                broker.start();
                broker
            })
            .into();
        Self { brokers, namesrv }
    }
}

/// The load of `Load`, in one Java machine for as long as the test goes on.
pub(crate) struct Load {
    process: Process,
    dir: PathBuf,
}

impl Load {
    /// Starts it on two masters with about 1,000 messages a second; its history goes to `dir`.
    pub(crate) fn start(namesrv: &str, topic: &str, dir: &Path) -> Self {
        Self::start_on(2, namesrv, topic, dir)
    }

    /// The same on so many masters.
    pub(crate) fn start_on(masters: u32, namesrv: &str, topic: &str, dir: &Path) -> Self {
        let mut command = client("5.5.0", "Load", dir);
        command
            .args(["-n", namesrv, "--topic", topic, "--rate", "1000"])
            .args(["--group", &format!("{topic}_group")])
            .args(["--brokers", &masters.to_string()])
            .arg("--dir")
            .arg(dir)
            .stdin(Stdio::piped());
        let mut process = Process::spawn("load", &mut command, dir);
        process.await_output("ready", 0, BOOT_LIMIT);
        Self {
            process,
            dir: dir.to_owned(),
        }
    }

    /// Messages that were acknowledged so far.
    pub(crate) fn acked(&self) -> u64 {
        let text = self.process.log_text();
        let number = |line: &str| {
            let mut parts = line.split(' ').skip_while(|part| *part != "acked");
            parts.nth(1).and_then(|value| value.parse().ok())
        };
        text.lines().rev().find_map(number).unwrap_or(0)
    }

    /// Waits until that many more are acknowledged.
    pub(crate) fn await_acked(&self, more: u64, what: &str) {
        let deadline = Deadline::after(Duration::from_secs(30));
        let goal = self.acked() + more;
        while self.acked() < goal {
            assert!(!deadline.passed(), "no acknowledgements {what}");
            sleep(Duration::from_millis(50));
        }
    }

    /// Ends the sending, waits until everything is consumed, and holds the history against what a
    /// queue promises. Returns the counts, or what is wrong.
    pub(crate) fn finish(mut self) -> Result<String, String> {
        self.process.say("stop");
        let ended = self.process.await_end(Duration::from_secs(120));
        let last = tail(&self.process.log, 3);
        let mut history = client("5.5.0", "History", &self.dir);
        history.arg("--dir").arg(&self.dir);
        let (holds, text) = run("history", &mut history, &self.dir, Duration::from_secs(60));
        if holds && ended.is_some_and(|status| status.success()) {
            Ok(text)
        } else {
            Err(format!("{last}\n{text}"))
        }
    }
}

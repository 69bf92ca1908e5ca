//! A nameserver and a broker as processes, rmq's or Apache's, on free ports and in folders that go
//! away.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use clap::ValueEnum;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rmq_core::base::clock::{Clock, SystemClock};
use rmq_core::base::error::{Error, ErrorKind, Result};
use rmq_core::protocol::code::RequestCode;
use tempfile::TempDir;

use super::machine::{Memory, memory};
use crate::peer::Peer;

const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// The version of Apache RocketMQ that is measured.
pub const APACHE_VERSION: &str = "5.5.0";

/// Whose servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Maker {
    /// Apache RocketMQ.
    Apache,
    /// rmq.
    Rmq,
}

impl Maker {
    /// The heading of its column.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Apache => format!("Apache {APACHE_VERSION}"),
            Self::Rmq => format!("rmq {}", env!("CARGO_PKG_VERSION")),
        }
    }
}

/// The arguments of every program that starts servers.
#[derive(Clone, Debug, clap::Args)]
pub struct Places {
    /// The folder with mqnamesrv and mqbroker; that of this program when left out
    #[arg(long)]
    rmq: Option<PathBuf>,
    /// Where stores are made: the disk that is measured
    #[arg(long)]
    stores: Option<PathBuf>,
}

/// The arguments of a program that measures the servers of one maker.
#[derive(Clone, Debug, clap::Args)]
pub struct OneMaker {
    /// Whose servers
    #[arg(long = "server", value_enum, default_value = "rmq")]
    pub maker: Maker,
    #[command(flatten)]
    places: Places,
}

impl OneMaker {
    /// See `Programs::locate`.
    ///
    /// # Errors
    /// When Apache's cannot be had.
    pub fn programs(&self) -> Result<Programs> {
        Programs::locate(&[self.maker], &self.places)
    }
}

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The folder with `mqnamesrv` and `mqbroker`.
    pub rmq: PathBuf,
    /// The folder with Apache's jars.
    pub apache: PathBuf,
    /// Where stores are made: the disk that is measured.
    pub stores: PathBuf,
}

impl Programs {
    /// Those of rmq in `rmq`, or beside this program; Apache's are fetched when they are wanted.
    ///
    /// # Errors
    /// When Apache's cannot be had.
    pub fn locate(makers: &[Maker], places: &Places) -> Result<Self> {
        let own = std::env::current_exe().map_err(|e| Error::io("find", "this program", e))?;
        let own = own.parent().unwrap_or(Path::new(".")).to_path_buf();
        let target = own.parent().unwrap_or(Path::new("target"));
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let script = package.join("../rmq-core/tests/interop/fetch.sh");
        let apache = match makers.contains(&Maker::Apache) {
            true => fetch_apache(&script, target)?,
            false => PathBuf::new(),
        };
        Ok(Self {
            apache,
            rmq: places.rmq.clone().unwrap_or(own),
            stores: places.stores.clone().unwrap_or_else(std::env::temp_dir),
        })
    }
}

/// A process that is ended when it is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    name: &'static str,
    role: Role,
    log: PathBuf,
}

impl Process {
    fn memory(&self) -> Memory {
        memory(self.child.id()).unwrap_or_default()
    }

    /// Ends it at once, as a crash would.
    fn kill(&mut self) {
        // Fails only when it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end and waits; kills it when that takes too long.
    pub(crate) fn stop(&mut self) {
        let ended = |child: &mut Child| !matches!(child.try_wait(), Ok(None));
        if ended(&mut self.child) {
            return;
        }
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let clock = SystemClock::new();
        while !ended(&mut self.child) && clock.monotonic() < STOP_LIMIT {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The last lines that it printed.
    fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A running nameserver and broker.
#[derive(Debug)]
pub struct Pair {
    // Fields are dropped in this order: first the broker, last the folder.
    broker: Process,
    namesrv: Process,
    /// The address of the broker.
    pub address: SocketAddr,
    /// The address of the nameserver.
    pub namesrv_address: SocketAddr,
    /// From the start of each process to its first answer.
    pub namesrv_start: Duration,
    /// From the start of each process to its first answer.
    pub broker_start: Duration,
    dir: TempDir,
}

impl Pair {
    /// Starts both; `sync_flush` makes every message durable before it is acknowledged.
    ///
    /// # Errors
    /// When a process does not start or does not answer within a minute.
    pub fn start(maker: Maker, programs: &Programs, sync_flush: bool) -> Result<Self> {
        let io = |e| Error::io("start", "temporary folder", e);
        let dir = tempfile::Builder::new()
            .prefix("rmq-compare-")
            .tempdir_in(&programs.stores)
            .map_err(io)?;
        let namesrv_port = free_port(&[])?;
        let broker_port = free_port(&[-2, 1])?;
        let namesrv_conf = format!("listenPort={namesrv_port}\n");
        let root = dir.path().display();
        let broker_conf = format!(
            "brokerClusterName=compare\nbrokerName=broker-a\nbrokerId=0\nbrokerIP1=127.0.0.1\n\
             listenPort={broker_port}\nnamesrvAddr=127.0.0.1:{namesrv_port}\n\
             storePathRootDir={root}/store\nstorePathCommitLog={root}/store/commitlog\n\
             flushDiskType={}\n",
            if sync_flush {
                "SYNC_FLUSH"
            } else {
                "ASYNC_FLUSH"
            }
        );
        fs::write(dir.path().join("namesrv.conf"), namesrv_conf).map_err(io)?;
        fs::write(dir.path().join("broker.conf"), broker_conf).map_err(io)?;
        let spawn = |name, role| spawn(maker, programs, dir.path(), name, role);
        let (namesrv, namesrv_start) = started(spawn("namesrv", Role::Namesrv)?, namesrv_port)?;
        let (broker, broker_start) = started(spawn("broker", Role::Broker)?, broker_port)?;
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Ok(Self {
            broker,
            namesrv,
            address: local(broker_port),
            namesrv_address: local(namesrv_port),
            namesrv_start,
            broker_start,
            dir,
        })
    }

    /// A folder or file of the broker's store.
    #[must_use]
    pub fn store(&self, name: &str) -> PathBuf {
        self.dir.path().join("store").join(name)
    }

    /// Stops or kills the broker and starts it again: how long it took to end, and from its start
    /// to its first answer.
    ///
    /// # Errors
    /// When it does not come back.
    pub fn restart_broker(
        &mut self,
        maker: Maker,
        programs: &Programs,
        kill: bool,
    ) -> Result<(Duration, Duration)> {
        let clock = SystemClock::new();
        match kill {
            true => self.broker.kill(),
            false => self.broker.stop(),
        }
        let ended = clock.monotonic();
        let broker = spawn(maker, programs, self.dir.path(), "broker", Role::Broker)?;
        let (broker, took) = started(broker, self.address.port())?;
        self.broker = broker;
        Ok((ended, took))
    }

    /// Memory of nameserver and broker.
    #[must_use]
    pub fn memory(&self) -> (Memory, Memory) {
        (self.namesrv.memory(), self.broker.memory())
    }

    /// Stops the broker, then the nameserver.
    pub fn stop(mut self) {
        self.broker.stop();
        self.namesrv.stop();
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Namesrv,
    Broker,
}

/// Starts a server with `NAME.conf` of `dir`.
pub(crate) fn spawn(
    maker: Maker,
    programs: &Programs,
    dir: &Path,
    name: &'static str,
    role: Role,
) -> Result<Process> {
    let mut command = match maker {
        Maker::Apache => java(programs, dir, role),
        Maker::Rmq => Command::new(programs.rmq.join(match role {
            Role::Namesrv => "mqnamesrv",
            Role::Broker => "mqbroker",
        })),
    };
    let log = dir.join(format!("{name}.out"));
    let io = |e| Error::io("start", format!("{command:?}"), e);
    let out = File::create(&log).map_err(io)?;
    let err = out.try_clone().map_err(io)?;
    let shown = format!("{command:?}");
    let child = command
        .arg("-c")
        .arg(dir.join(format!("{name}.conf")))
        .current_dir(dir)
        .env("HOME", dir)
        .env_remove("NAMESRV_ADDR")
        .env_remove("ROCKETMQ_HOME")
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .spawn()
        .map_err(|e| Error::io("start", shown, e))?;
    Ok(Process {
        child,
        name,
        role,
        log,
    })
}

/// Apache's servers with a heap for figures, not for tests.
fn java(programs: &Programs, dir: &Path, role: Role) -> Command {
    let mut command = Command::new("java");
    command.args([
        "--add-exports=java.base/sun.nio.ch=ALL-UNNAMED",
        "--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED",
        "--add-opens=java.base/java.nio=ALL-UNNAMED",
        "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
        "-XX:+UseG1GC",
    ]);
    command.args(match role {
        Role::Namesrv => ["-Xms512m", "-Xmx512m", "-XX:MaxDirectMemorySize=512m"],
        Role::Broker => ["-Xms4g", "-Xmx4g", "-XX:MaxDirectMemorySize=8g"],
    });
    command
        .arg(format!("-Drocketmq.home.dir={}", dir.display()))
        .arg(format!("-Duser.home={}", dir.display()))
        .arg("-cp")
        .arg(programs.apache.join("*"))
        .arg(match role {
            Role::Namesrv => "org.apache.rocketmq.namesrv.NamesrvStartup",
            Role::Broker => "org.apache.rocketmq.broker.BrokerStartup",
        });
    command
}

/// Waits until the process answers a request, and says how long that took.
pub(crate) fn started(mut process: Process, port: u16) -> Result<(Process, Duration)> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let code = match process.role {
        Role::Namesrv => RequestCode::GET_BROKER_CLUSTER_INFO,
        Role::Broker => RequestCode::GET_BROKER_RUNTIME_INFO,
    };
    let clock = SystemClock::new();
    loop {
        let answer = Peer::connect(address).and_then(|mut peer| peer.must(code, &[]));
        if answer.is_ok() {
            return Ok((process, clock.monotonic()));
        }
        let ended = !matches!(process.child.try_wait(), Ok(None));
        if ended || clock.monotonic() > START_LIMIT {
            let what = if ended { "ended" } else { "did not answer" };
            let why = answer.err().map_or(String::new(), |e| e.to_string());
            let context = format!("{} {what}: {why}: {}", process.name, process.last_words());
            return Err(Error::new(ErrorKind::Unreachable, "start", context));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A port that is free, and so are its neighbours at these distances.
pub(crate) fn free_port(neighbours: &[i32]) -> Result<u16> {
    let io = |e| Error::io("free port", "127.0.0.1", e);
    for _ in 0..100 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(io)?;
        let port = listener.local_addr().map_err(io)?.port();
        let free = |distance: &i32| {
            let port = u16::try_from(i32::from(port) + distance).ok()?;
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()
        };
        if neighbours.iter().all(|distance| free(distance).is_some()) {
            return Ok(port);
        }
    }
    Err(Error::new(
        ErrorKind::AddressInUse,
        "free port",
        "none found",
    ))
}

/// Copies Apache's jars below `target` with the script of the interop suites, which calls Maven
/// only when they are not there yet, and returns their folder.
///
/// # Errors
/// When Maven is missing or fails.
fn fetch_apache(script: &Path, target: &Path) -> Result<PathBuf> {
    let part = format!("server-{APACHE_VERSION}");
    let folder = target.join("interop");
    let status = Command::new("bash")
        .arg(script)
        .arg(&folder)
        .arg(&part)
        .status()
        .map_err(|e| Error::io("fetch Apache's jars", script.display().to_string(), e))?;
    if !status.success() {
        let context = "the script did not copy them";
        return Err(Error::new(
            ErrorKind::NotFound,
            "fetch Apache's jars",
            context,
        ));
    }
    Ok(folder.join("jars").join(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_have_free_neighbours() {
        let port = free_port(&[-2, 1]).unwrap();
        for p in [port - 2, port, port + 1] {
            TcpListener::bind((Ipv4Addr::LOCALHOST, p)).unwrap();
        }
    }
}

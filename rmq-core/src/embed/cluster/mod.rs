//! A whole cluster in this process, for tests: any of RocketMQ's deployments on addresses of its
//! own, whose members can be killed, paused, wiped, cut off and started again.

mod addresses;
mod keys;
mod member;
mod network;
mod options;
mod ready;
mod status;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use self::addresses::Block;
use self::member::Member;
pub use self::options::{
    CLIENTS, ClusterClock, ClusterOptions, ClusterStorage, Deployment, Keys, MemberName, Role,
};
pub use self::status::{MemberStatus, Replication, SlaveLag};
use super::Storage;
use crate::base::clock::{Clock, SharedClock, ShiftedClock, SystemClock};
use crate::base::thread::{self, ProcessMark};
use crate::base::{Error, ErrorKind, Result};
pub use crate::ha::SlaveState;
use crate::net::Fence;

/// How long `Cluster::start` waits for its members to find each other.
const START_PATIENCE: Duration = Duration::from_secs(30);
/// Time for a member's end beyond its deadline, before it is left behind.
const CLOSE_GRACE: Duration = Duration::from_secs(3);

/// A running cluster. Usable from any thread; dropping it kills every member.
///
/// Every member has a loopback address of its own (127.x.y.z) and keeps it, and its port, for
/// life. Ports are Apache's where those are free: a broker is at port 10911, a nameserver at 9876.
/// Whoever connects from 127.0.0.1, which is where sockets on this host come from unless they are
/// told otherwise, counts as the member [`CLIENTS`] in partitions.
///
/// Members are named `namesrv-0`, `broker-a` (a master), `broker-a-s` (its slave), `broker-a-s2`
/// (its second); a broker's name with an id works too: `("broker-a", 1)`. A name that is unknown
/// is `NotFound` everywhere.
///
/// ```no_run
/// # use std::time::Duration;
/// # use rmq_core::embed::{Cluster, ClusterOptions, Deployment};
/// let cluster = Cluster::start(ClusterOptions::new(Deployment::Masters(2)))?;
/// println!("clients connect to {}", cluster.nameserver_addresses());
/// cluster.kill("broker-a")?;
/// cluster.start_member("broker-a")?;
/// cluster.partition(&[&["broker-b"]])?;
/// cluster.heal();
/// cluster.close(Duration::from_secs(10))?;
/// # Ok::<(), rmq_core::embed::Error>(())
/// ```
pub struct Cluster {
    members: Vec<Arc<Member>>,
    fence: Fence,
    closed: Arc<AtomicBool>,
    process: ProcessMark,
    /// The clock of the members if it can be moved.
    clock: Option<Arc<ShiftedClock>>,
    // After the members, which store there and have these addresses.
    held: Mutex<Option<Held>>,
}

/// What goes away with the cluster.
#[derive(Debug)]
struct Held {
    _storage: Option<Storage>,
    _block: Block,
}

impl Cluster {
    /// Starts a cluster. When this returns every broker is registered with every nameserver, and
    /// every slave is in sync with its master.
    ///
    /// `Invalid`: the options ask for what is no cluster, or a key or value is wrong. `Timeout`:
    /// the members did not find each other. Whatever was started is gone then.
    pub fn start(options: ClusterOptions) -> Result<Self> {
        let roles = options.members()?;
        let block = Block::claim()?;
        let (storage, folder) = match &options.storage {
            ClusterStorage::Temporary => {
                let storage = Storage::temporary()?;
                let folder = storage.path().to_owned();
                (Some(storage), folder)
            }
            ClusterStorage::Memory => {
                let storage = Storage::in_memory()?;
                let folder = storage.path().to_owned();
                (Some(storage), folder)
            }
            ClusterStorage::Directory(folder) => (None, folder.clone()),
        };
        let manual = (options.clock == ClusterClock::Manual).then(ShiftedClock::new);
        let mut nameservers = Vec::new();
        let mut members = Vec::with_capacity(roles.len());
        for (number, role) in roles.into_iter().enumerate() {
            let ip = block.address(number);
            let address = match &role {
                Role::Nameserver(_) => addresses::nameserver_address(ip)?,
                Role::Broker { .. } => addresses::broker_address(ip)?,
            };
            if let Role::Nameserver(_) = role {
                nameservers.push(address.to_string());
            }
            let folder = folder.join(role.member_name());
            let clock = match &manual {
                Some(clock) => Arc::clone(clock) as SharedClock,
                None => SystemClock::shared(),
            };
            let member = Member::new(role, address, folder, &nameservers, &options, clock)?;
            members.push(Arc::new(member));
        }
        let cluster = Self {
            members,
            fence: Fence::default(),
            closed: Arc::default(),
            process: ProcessMark::current(),
            clock: manual,
            held: Mutex::new(Some(Held {
                _storage: storage,
                _block: block,
            })),
        };
        cluster.start_members()?;
        Ok(cluster)
    }

    fn start_members(&self) -> Result<()> {
        // A broker looks for its nameservers when it starts, and a slave for its master.
        for rank in [Rank::Nameserver, Rank::Master, Rank::Slave] {
            let (fence, closed) = (self.fence.clone(), Arc::clone(&self.closed));
            let start = move |member: &Member| member.start(&fence, &closed);
            side_by_side(&self.of_rank(rank), START_PATIENCE, start)?;
        }
        self.await_ready(START_PATIENCE)
    }

    /// Makes the cluster new: every member is killed, all that was stored is removed, the network
    /// is healed, and everybody starts at the addresses they had. Clients may stay as they are.
    pub fn reset(&self) -> Result<()> {
        self.process.check("reset cluster")?;
        for member in &self.members {
            member.wipe()?;
            self.end_pause(member);
        }
        self.fence.heal_all();
        self.start_members()
    }

    /// Moves the clock of every member forward: a message with a delay that has passed then is
    /// delivered. Timeouts and heartbeats are not disturbed. `Invalid`: the cluster was not started
    /// with [`ClusterClock::Manual`].
    pub fn advance(&self, by: Duration) -> Result<()> {
        self.process.check("advance clock")?;
        let clock = self.clock.as_ref().ok_or_else(|| {
            let context = "the cluster was not started with a clock that can be moved";
            Error::new(ErrorKind::Invalid, "advance clock", context)
        })?;
        clock.advance(by);
        Ok(())
    }

    /// Waits until every broker is registered with every nameserver, and every slave follows its
    /// master and is in sync. Members that do not run or are paused are not waited for. `Timeout`
    /// says who is missing.
    pub fn await_ready(&self, deadline: Duration) -> Result<()> {
        let client = ready::client()?;
        ready::wait_until(deadline, || {
            ready::unregistered(&client, &self.members).or_else(|| {
                let mut pairs = ready::pairs(&self.members).into_iter();
                pairs.find_map(|(master, slave)| ready::out_of_sync(master, slave))
            })
        })
    }

    /// Waits until every slave has what its master's log and its table of topics hold now. Members
    /// that do not run or are paused are not waited for. `Timeout` says who lacks what.
    pub fn await_replicated(&self, deadline: Duration) -> Result<()> {
        let pairs = ready::pairs(&self.members).into_iter();
        let wanted: Vec<_> = pairs
            .filter_map(|(master, slave)| Some((slave, master.progress()?)))
            .collect();
        ready::wait_until(deadline, || {
            let mut wanted = wanted.iter();
            wanted.find_map(|(slave, wanted)| ready::lacks(slave, wanted))
        })
    }

    /// The nameservers as clients take them: `127.70.1.1:9876;127.70.1.2:9876`.
    #[must_use]
    pub fn nameserver_addresses(&self) -> String {
        let nameservers = self.members.iter().filter(|member| !member.is_broker());
        let addresses: Vec<String> = nameservers
            .map(|member| member.address.to_string())
            .collect();
        addresses.join(";")
    }

    /// Where clients reach a member; the same for its whole life, whether it runs or not.
    pub fn address(&self, member: impl Into<MemberName>) -> Result<SocketAddr> {
        Ok(self.find(&member.into())?.address)
    }

    /// Whether a member runs.
    pub fn is_running(&self, member: impl Into<MemberName>) -> Result<bool> {
        Ok(self.find(&member.into())?.is_running())
    }

    /// How a member does.
    pub fn status(&self, member: impl Into<MemberName>) -> Result<MemberStatus> {
        Ok(status::of(self.find(&member.into())?, &self.members))
    }

    /// How every member does, nameservers first, a master before its slaves.
    #[must_use]
    pub fn members(&self) -> Vec<MemberStatus> {
        let members = self.members.iter();
        members.map(|one| status::of(one, &self.members)).collect()
    }

    /// [`members`](Self::members) as a JSON list: for each `name`, `role` (`NAMESERVER`, `MASTER`,
    /// `SLAVE`), `address`, `folder`, `running`, `paused`; for brokers that run `logEnd` too, and
    /// for masters `slaves`, each with `name`, `gapBytes` and `inSync`.
    #[must_use]
    pub fn status_json(&self) -> String {
        status::to_json(&self.members())
    }

    /// Ends a member as a crash would: nothing is flushed, answered or unregistered; its
    /// connections break. What its system had in memory stays, as it does when a process dies.
    /// A member that does not run is left as it is.
    pub fn kill(&self, member: impl Into<MemberName>) -> Result<()> {
        let member = self.usable(&member.into())?;
        member.kill();
        self.end_pause(member);
        Ok(())
    }

    /// Ends a member cleanly within `deadline`. One that does not run is left as it is.
    pub fn close_member(&self, member: impl Into<MemberName>, deadline: Duration) -> Result<()> {
        let member = self.usable(&member.into())?;
        self.end_pause(member);
        member.close(deadline)
    }

    /// Starts a member on what it stored before, at the address and port that it had. It accepts
    /// requests when this returns; `await_ready` waits until the others know it. `Invalid`: it
    /// runs.
    pub fn start_member(&self, member: impl Into<MemberName>) -> Result<()> {
        let member = self.usable(&member.into())?;
        member.start(&self.fence, &self.closed)
    }

    /// Closes a member if it runs and starts it again. `kill` and `start_member` are the restart
    /// after a crash.
    pub fn restart(&self, member: impl Into<MemberName>, deadline: Duration) -> Result<()> {
        let member = self.usable(&member.into())?;
        self.end_pause(member);
        member.close(deadline)?;
        member.start(&self.fence, &self.closed)
    }

    /// Kills a member, if it runs, and removes everything it stored: its disk is gone.
    pub fn wipe(&self, member: impl Into<MemberName>) -> Result<()> {
        let member = self.usable(&member.into())?;
        let wiped = member.wipe();
        self.end_pause(member);
        wiped
    }

    /// Stops a member's traffic, both ways: to everybody else it looks like a process that was
    /// stopped (SIGSTOP). Its connections stay and what is sent to it waits; its own timers run
    /// on, which those of a stopped process do not.
    pub fn pause(&self, member: impl Into<MemberName>) -> Result<()> {
        let member = self.usable(&member.into())?;
        member.paused.store(true, Ordering::SeqCst);
        self.fence.isolate(member.ip());
        Ok(())
    }

    /// Lets a paused member go on where it was.
    pub fn resume(&self, member: impl Into<MemberName>) -> Result<()> {
        let member = self.usable(&member.into())?;
        self.end_pause(member);
        Ok(())
    }

    fn end_pause(&self, member: &Member) {
        member.paused.store(false, Ordering::SeqCst);
        self.fence.restore(member.ip());
    }

    /// Divides the network: whoever shares no group does not see each other, in place of all cuts
    /// that were there before. Whoever is in no group belongs to one more, with the others that
    /// are in none; whoever is in several groups bridges them. [`CLIENTS`] stands for everybody
    /// outside.
    ///
    /// Nothing is closed: what is sent across waits, connections across are not made, as when
    /// packets are lost.
    pub fn partition(&self, groups: &[&[&str]]) -> Result<()> {
        let mut everybody: Vec<IpAddr> = self.members.iter().map(|member| member.ip()).collect();
        everybody.push(Ipv4Addr::LOCALHOST.into());
        let resolve = |name: &&str| self.ip_of(&(*name).into());
        let groups = groups
            .iter()
            .map(|group| group.iter().map(resolve).collect())
            .collect::<Result<Vec<Vec<IpAddr>>>>()?;
        self.fence.set_cuts(network::partition(&everybody, &groups));
        Ok(())
    }

    /// Keeps what `from` sends from `to`, besides what is cut already; the other direction stays
    /// as it is.
    pub fn cut(&self, from: impl Into<MemberName>, to: impl Into<MemberName>) -> Result<()> {
        let (from, to) = (self.ip_of(&from.into())?, self.ip_of(&to.into())?);
        self.fence.cut(from, to);
        Ok(())
    }

    /// Ends every partition and cut. Paused members stay paused.
    pub fn heal(&self) {
        self.fence.heal_all();
    }

    /// Closes every member cleanly, brokers before nameservers, and removes temporary storage. The
    /// network is healed first, so that everybody can take leave. What does not end within
    /// `deadline` is killed, and the first failure is returned. A call while another one is under
    /// way waits for the end too, so that nothing is left after either; later ones do nothing.
    pub fn close(&self, deadline: Duration) -> Result<()> {
        self.process.check("close cluster")?;
        self.closed.store(true, Ordering::SeqCst);
        if self.held.lock().is_none() {
            return Ok(());
        }
        self.fence.heal_all();
        for member in &self.members {
            self.end_pause(member);
        }
        let clock = SystemClock::new();
        let mut outcome = Ok(());
        // Slaves take what their masters still write; brokers take leave of nameservers.
        for rank in [Rank::Master, Rank::Slave, Rank::Nameserver] {
            let left = deadline.saturating_sub(clock.monotonic());
            let close = move |member: &Member| member.close(left);
            let closed = side_by_side(&self.of_rank(rank), left + CLOSE_GRACE, close);
            outcome = outcome.and(closed);
        }
        self.held.lock().take();
        outcome
    }

    fn of_rank(&self, rank: Rank) -> Vec<&Arc<Member>> {
        let members = self.members.iter();
        members.filter(|one| Rank::of(&one.role) == rank).collect()
    }

    fn find(&self, name: &MemberName) -> Result<&Arc<Member>> {
        self.members
            .iter()
            .find(|member| member.name == name.0)
            .ok_or_else(|| {
                let names: Vec<&str> = self.members.iter().map(|one| one.name.as_str()).collect();
                let context = format!("there is no {name} among {}", names.join(", "));
                Error::new(ErrorKind::NotFound, "find member", context)
            })
    }

    fn usable(&self, name: &MemberName) -> Result<&Arc<Member>> {
        self.process.check("use cluster")?;
        self.find(name)
    }

    fn ip_of(&self, name: &MemberName) -> Result<IpAddr> {
        match name.0.as_str() {
            CLIENTS => Ok(Ipv4Addr::LOCALHOST.into()),
            _ => Ok(self.find(name)?.ip()),
        }
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("members", &self.members())
            .field("fence", &self.fence)
            .finish_non_exhaustive()
    }
}

/// What starts and ends together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rank {
    Nameserver,
    Master,
    Slave,
}

impl Rank {
    fn of(role: &Role) -> Self {
        match role {
            Role::Nameserver(_) => Self::Nameserver,
            Role::Broker { id: 0, .. } => Self::Master,
            Role::Broker { .. } => Self::Slave,
        }
    }
}

/// Does the same to several members side by side and waits for them at most for `deadline`. The
/// first failure is returned when all are done.
fn side_by_side(
    members: &[&Arc<Member>],
    deadline: Duration,
    act: impl Fn(&Member) -> Result<()> + Clone + Send + 'static,
) -> Result<()> {
    let mut outcome = Ok(());
    let mut acting = Vec::new();
    for &member in members {
        let (acted_on, result) = (Arc::clone(member), Arc::new(Mutex::new(Ok(()))));
        let (told, act) = (Arc::clone(&result), act.clone());
        let thread = thread::spawn("rmq-cluster", move || *told.lock() = act(&acted_on));
        match thread {
            Ok(thread) => acting.push((thread, result)),
            Err(error) => outcome = outcome.and(Err(error)),
        }
    }
    let clock = SystemClock::new();
    for (thread, result) in acting {
        let ended = thread.join_deadline(deadline.saturating_sub(clock.monotonic()));
        let acted = std::mem::replace(&mut *result.lock(), Ok(()));
        outcome = outcome.and(acted).and(ended);
    }
    outcome
}

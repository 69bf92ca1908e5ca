//! Whole clusters in the process of the host, for tests.

use std::ffi::{CString, c_char};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::argument;
use crate::boundary::{Out, call_waiting, guard};
use crate::config::{self, rmq_config};
use crate::error::{Fault, rmq_error};
use crate::handle::{self, Kind, Object, c_text};
use crate::status::{RMQ_E_CLOSED, rmq_status};
use crate::text::{self, rmq_text};
use rmq_core::embed::{Cluster, ClusterOptions};

/// A running cluster: nameservers and brokers, each at a loopback address of its own, that can be
/// killed, paused, wiped, cut off and started again. Any thread may use it at any time; it is freed
/// by `rmq_cluster_free`.
///
/// Members are named "namesrv-0", "broker-a" (a master), "broker-a-s" (its slave), "broker-a-s2"
/// (its second). In partitions "clients" stands for whoever connects from 127.0.0.1.
#[allow(non_camel_case_types, reason = "the name in C")]
pub struct rmq_cluster;

struct Members {
    inner: Cluster,
    closed: AtomicBool,
    nameservers: CString,
    /// Names and addresses, nameservers first, a master before its slaves.
    members: Vec<(CString, CString)>,
}

impl Object for Members {
    type C = rmq_cluster;
    const KIND: Kind = Kind::Cluster;
    const NAME: &'static str = "rmq_cluster";
}

/// Does something to a cluster that was not closed.
///
/// # Safety
/// As for `call_waiting`.
unsafe fn with(
    cluster: *const rmq_cluster,
    error: *mut *mut rmq_error,
    act: impl FnOnce(&Cluster) -> Result<(), Fault>,
) -> rmq_status {
    let body = || {
        let members = handle::get::<Members>(cluster)?;
        if members.closed.load(Ordering::SeqCst) {
            return Err(Fault::new(RMQ_E_CLOSED, "the rmq_cluster is closed"));
        }
        act(&members.inner)
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call_waiting(error, body) }
}

/// The same to one of its members.
///
/// # Safety
/// As for `call_waiting`; `member` as for `argument::name`.
unsafe fn with_member(
    cluster: *const rmq_cluster,
    member: *const c_char,
    error: *mut *mut rmq_error,
    act: impl FnOnce(&Cluster, &str) -> Result<(), Fault>,
) -> rmq_status {
    // SAFETY: the caller vouches for all of it.
    unsafe {
        with(cluster, error, |cluster| {
            act(cluster, &argument::name(member, "member")?)
        })
    }
}

/// Starts a cluster. When this returns every broker is registered with every nameserver, and every
/// slave is in sync with its master.
///
/// Keys of the configuration: "rmq.cluster.deployment" (SINGLE_MASTER, MASTERS, ASYNC_SLAVES,
/// SYNC_DOUBLE_WRITE), "rmq.cluster.masters", "rmq.cluster.slavesEach", "rmq.cluster.nameservers",
/// "rmq.cluster.storage" (TEMPORARY, MEMORY, or the path of a folder), "rmq.cluster.clock" (SYSTEM,
/// MANUAL), "rmq.member.NAME.KEY" for a key of one member; all others are keys of every broker, as
/// in Apache's broker.conf.
///
/// @param config Keys; NULL for one nameserver and one master in a temporary folder. Only read.
/// @param out Where to store the cluster; written on success only.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_INVALID` (an unknown key, a wrong value, no cluster), `RMQ_E_TIMEOUT`
/// (the members did not find each other; all are gone then), and as `rmq_broker_start`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_cluster_start(
    config: *const rmq_config,
    out: *mut *mut rmq_cluster,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let out = Out::new(out, "out")?;
        let options = ClusterOptions::from_keys(&config::keys(config)?)?;
        let inner = Cluster::start(options)?;
        let members = inner.members().into_iter();
        let members = Members {
            members: members
                .map(|member| (c_text(member.name), c_text(member.address.to_string())))
                .collect(),
            nameservers: c_text(inner.nameserver_addresses()),
            closed: AtomicBool::new(false),
            inner,
        };
        // SAFETY: the caller vouches for the place.
        unsafe { out.set(handle::issue(members)) };
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call_waiting(error, body) }
}

/// The nameservers as clients take them, for example "127.70.1.1:9876;127.70.1.2:9876".
///
/// @param cluster A cluster, closed or not.
/// @return A NUL-terminated text that lives until the cluster is freed, not to be freed; NULL if
/// `cluster` is NULL, was freed, or belongs to the parent of this process.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_cluster_nameservers(cluster: *const rmq_cluster) -> *const c_char {
    guard(std::ptr::null(), || {
        let members = handle::get::<Members>(cluster).ok();
        members.map_or(std::ptr::null(), |members| members.nameservers.as_ptr())
    })
}

/// How many members a cluster has, running or not.
///
/// @param cluster A cluster, closed or not.
/// @return The number; 0 if `cluster` is NULL, was freed, or belongs to the parent of this process.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_cluster_member_count(cluster: *const rmq_cluster) -> usize {
    guard(0, || {
        let members = handle::get::<Members>(cluster).ok();
        members.map_or(0, |members| members.members.len())
    })
}

/// The name of a member.
///
/// @param cluster A cluster, closed or not.
/// @param index From 0: nameservers first, a master before its slaves.
/// @return A NUL-terminated text that lives until the cluster is freed, not to be freed; NULL if
/// there is no such member, or `cluster` is NULL, was freed, or belongs to the parent of this
/// process.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_cluster_member_name(
    cluster: *const rmq_cluster,
    index: usize,
) -> *const c_char {
    guard(std::ptr::null(), || {
        let members = handle::get::<Members>(cluster).ok();
        let member = members
            .as_ref()
            .and_then(|members| members.members.get(index));
        member.map_or(std::ptr::null(), |(name, _)| name.as_ptr())
    })
}

/// Where clients reach a member; the same for its whole life, whether it runs or not.
///
/// @param cluster A cluster, closed or not.
/// @param member A NUL-terminated name of at most 4,096 bytes, or NULL.
/// @return A NUL-terminated text that lives until the cluster is freed, not to be freed; NULL if
/// there is no such member, or `cluster` is NULL, was freed, or belongs to the parent of this
/// process.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_cluster_member_address(
    cluster: *const rmq_cluster,
    member: *const c_char,
) -> *const c_char {
    guard(std::ptr::null(), || {
        let find = || {
            let members = handle::get::<Members>(cluster).ok()?;
            // SAFETY: the caller vouches for its text.
            let wanted = unsafe { argument::name(member, "member") }.ok()?;
            let mut all = members.members.iter();
            let found = all.find(|(name, _)| name.as_bytes() == wanted.as_bytes())?;
            Some(found.1.as_ptr())
        };
        find().unwrap_or(std::ptr::null())
    })
}

/// Whether a member runs.
///
/// @param cluster A cluster.
/// @param member A NUL-terminated name of at most 4,096 bytes.
/// @param out Where to store the answer; written on success only.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_NOT_FOUND`, `RMQ_E_INVALID`, `RMQ_E_HANDLE`, `RMQ_E_CLOSED`,
/// `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_cluster_is_running(
    cluster: *const rmq_cluster,
    member: *const c_char,
    out: *mut bool,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let act = |cluster: &Cluster, member: &str| {
        let out = Out::new(out, "out")?;
        let running = cluster.is_running(member)?;
        // SAFETY: the caller vouches for the place.
        unsafe { out.set(running) };
        Ok(())
    };
    // SAFETY: the caller vouches for its arguments.
    unsafe { with_member(cluster, member, error, act) }
}

/// How the members do.
///
/// @param cluster A cluster that is not closed.
/// @param out Where to store a JSON list, which the caller frees; for each member "name", "role"
/// (NAMESERVER, MASTER, SLAVE), "address", "folder", "running", "paused", for brokers that run
/// "logEnd", and for masters "slaves", each with "name", "gapBytes" and "inSync". Written on
/// success only.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_INVALID`, `RMQ_E_CLOSED`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`,
/// `RMQ_E_WOULD_DEADLOCK`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_cluster_status_json(
    cluster: *const rmq_cluster,
    out: *mut *mut rmq_text,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let act = |cluster: &Cluster| {
        let out = Out::new(out, "out")?;
        // SAFETY: the caller vouches for the place.
        unsafe { out.set(text::issue(cluster.status_json())) };
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { with(cluster, error, act) }
}

/// Ends a member as a crash would: nothing is flushed, answered or unregistered; its connections
/// break. A member that does not run is left alone.
///
/// @param cluster A cluster.
/// @param member A NUL-terminated name of at most 4,096 bytes.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_NOT_FOUND`, `RMQ_E_INVALID`, `RMQ_E_HANDLE`, `RMQ_E_CLOSED`,
/// `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_cluster_kill(
    cluster: *mut rmq_cluster,
    member: *const c_char,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let act = |cluster: &Cluster, member: &str| Ok(cluster.kill(member)?);
    // SAFETY: the caller vouches for its arguments.
    unsafe { with_member(cluster, member, error, act) }
}

/// Starts a member on what it stored before, at the address and port that it had. It accepts
/// requests when this returns; `rmq_cluster_await_ready` waits until the others know it.
/// `RMQ_E_INVALID`: it runs.
///
/// @param cluster A cluster.
/// @param member A NUL-terminated name of at most 4,096 bytes.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_NOT_FOUND`, `RMQ_E_INVALID`, `RMQ_E_HANDLE`, `RMQ_E_CLOSED`,
/// `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_cluster_start_member(
    cluster: *mut rmq_cluster,
    member: *const c_char,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let act = |cluster: &Cluster, member: &str| Ok(cluster.start_member(member)?);
    // SAFETY: the caller vouches for its arguments.
    unsafe { with_member(cluster, member, error, act) }
}

/// Ends a member in order. One that does not run is left alone.
///
/// @param cluster A cluster.
/// @param member A NUL-terminated name of at most 4,096 bytes.
/// @param timeout_ms How long the end may take; -1 for as long as it takes.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_TIMEOUT`, `RMQ_E_NOT_FOUND`, `RMQ_E_INVALID`, `RMQ_E_HANDLE`,
/// `RMQ_E_CLOSED`, `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_cluster_close_member(
    cluster: *mut rmq_cluster,
    member: *const c_char,
    timeout_ms: i64,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let act = |cluster: &Cluster, member: &str| {
        Ok(cluster.close_member(member, argument::timeout(timeout_ms)?)?)
    };
    // SAFETY: the caller vouches for its arguments.
    unsafe { with_member(cluster, member, error, act) }
}

/// Ends a member in order if it runs, and starts it again.
///
/// @param cluster A cluster.
/// @param member A NUL-terminated name of at most 4,096 bytes.
/// @param timeout_ms How long the end may take; -1 for as long as it takes.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_TIMEOUT`, `RMQ_E_NOT_FOUND`, `RMQ_E_INVALID`, `RMQ_E_HANDLE`,
/// `RMQ_E_CLOSED`, `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_cluster_restart(
    cluster: *mut rmq_cluster,
    member: *const c_char,
    timeout_ms: i64,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let act = |cluster: &Cluster, member: &str| {
        Ok(cluster.restart(member, argument::timeout(timeout_ms)?)?)
    };
    // SAFETY: the caller vouches for its arguments.
    unsafe { with_member(cluster, member, error, act) }
}

/// Kills a member, if it runs, and removes everything it stored: its disk is gone.
///
/// @param cluster A cluster.
/// @param member A NUL-terminated name of at most 4,096 bytes.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_NOT_FOUND`, `RMQ_E_INVALID`, `RMQ_E_HANDLE`, `RMQ_E_CLOSED`,
/// `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_cluster_wipe(
    cluster: *mut rmq_cluster,
    member: *const c_char,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let act = |cluster: &Cluster, member: &str| Ok(cluster.wipe(member)?);
    // SAFETY: the caller vouches for its arguments.
    unsafe { with_member(cluster, member, error, act) }
}

/// Stops a member's traffic, both ways: to everybody else it looks like a process that was stopped.
/// Its connections stay, and what is sent to it waits.
///
/// @param cluster A cluster.
/// @param member A NUL-terminated name of at most 4,096 bytes.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_NOT_FOUND`, `RMQ_E_INVALID`, `RMQ_E_HANDLE`, `RMQ_E_CLOSED`,
/// `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_cluster_pause(
    cluster: *mut rmq_cluster,
    member: *const c_char,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let act = |cluster: &Cluster, member: &str| Ok(cluster.pause(member)?);
    // SAFETY: the caller vouches for its arguments.
    unsafe { with_member(cluster, member, error, act) }
}

/// Lets a paused member go on where it was.
///
/// @param cluster A cluster.
/// @param member A NUL-terminated name of at most 4,096 bytes.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_NOT_FOUND`, `RMQ_E_INVALID`, `RMQ_E_HANDLE`, `RMQ_E_CLOSED`,
/// `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_cluster_resume(
    cluster: *mut rmq_cluster,
    member: *const c_char,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let act = |cluster: &Cluster, member: &str| Ok(cluster.resume(member)?);
    // SAFETY: the caller vouches for its arguments.
    unsafe { with_member(cluster, member, error, act) }
}

/// Divides the network: whoever shares no group does not see each other, in place of all cuts that
/// were there before. Whoever is in no group belongs to one more, with the others that are in none;
/// whoever is in several groups bridges them. Nothing is closed: what is sent across waits.
///
/// @param cluster A cluster.
/// @param groups A NUL-terminated text of at most 4,096 bytes: names with commas between them,
/// groups with bars between them, for example "broker-a,clients|broker-b".
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_NOT_FOUND`, `RMQ_E_INVALID`, `RMQ_E_LIMIT`, `RMQ_E_HANDLE`,
/// `RMQ_E_CLOSED`, `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_cluster_partition(
    cluster: *mut rmq_cluster,
    groups: *const c_char,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let act = |cluster: &Cluster| {
        // SAFETY: the caller vouches for its text.
        let groups = unsafe { argument::text(groups, "groups", argument::NAME_BYTES_MAX) }?;
        let members = |group: &'_ str| -> Vec<String> {
            let names = group
                .split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty());
            names.map(str::to_owned).collect()
        };
        let groups: Vec<Vec<String>> = groups.split('|').map(members).collect();
        let groups: Vec<Vec<&str>> = groups
            .iter()
            .filter(|group| !group.is_empty())
            .map(|group| group.iter().map(String::as_str).collect())
            .collect();
        let groups: Vec<&[&str]> = groups.iter().map(Vec::as_slice).collect();
        Ok(cluster.partition(&groups)?)
    };
    // SAFETY: the caller vouches for its arguments.
    unsafe { with(cluster, error, act) }
}

/// Keeps what one member sends from another, besides what is cut already; the other direction stays
/// as it is.
///
/// @param cluster A cluster.
/// @param from The sender's NUL-terminated name, at most 4,096 bytes.
/// @param to The receiver's.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_NOT_FOUND`, `RMQ_E_INVALID`, `RMQ_E_LIMIT`, `RMQ_E_HANDLE`,
/// `RMQ_E_CLOSED`, `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_cluster_cut(
    cluster: *mut rmq_cluster,
    from: *const c_char,
    to: *const c_char,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let act = |cluster: &Cluster| {
        // SAFETY: the caller vouches for its texts.
        let from = unsafe { argument::name(from, "from") }?;
        // SAFETY: the same.
        let to = unsafe { argument::name(to, "to") }?;
        Ok(cluster.cut(from, to)?)
    };
    // SAFETY: the caller vouches for its arguments.
    unsafe { with(cluster, error, act) }
}

/// Ends every partition and cut. Paused members stay paused.
///
/// @param cluster A cluster.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_HANDLE`, `RMQ_E_CLOSED`, `RMQ_E_FORKED`,
/// `RMQ_E_WOULD_DEADLOCK`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_cluster_heal(
    cluster: *mut rmq_cluster,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let act = |cluster: &Cluster| {
        cluster.heal();
        Ok(())
    };
    // SAFETY: the caller vouches for its arguments.
    unsafe { with(cluster, error, act) }
}

/// Makes the cluster new: every member is killed, all that was stored is removed, the network is
/// healed, and everybody starts again at the address they had. Clients may stay as they are.
///
/// @param cluster A cluster.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_TIMEOUT`, `RMQ_E_IO`, `RMQ_E_HANDLE`, `RMQ_E_CLOSED`, `RMQ_E_FORKED`,
/// `RMQ_E_WOULD_DEADLOCK`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_cluster_reset(
    cluster: *mut rmq_cluster,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let act = |cluster: &Cluster| Ok(cluster.reset()?);
    // SAFETY: the caller vouches for its arguments.
    unsafe { with(cluster, error, act) }
}

/// Moves the clock of every member forward: a message whose delay has passed then is delivered.
/// Timeouts and heartbeats are not disturbed. The cluster was started with "rmq.cluster.clock" set
/// to MANUAL, else this is `RMQ_E_INVALID`.
///
/// @param cluster A cluster.
/// @param by_ms Milliseconds.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_INVALID`, `RMQ_E_HANDLE`, `RMQ_E_CLOSED`, `RMQ_E_FORKED`,
/// `RMQ_E_WOULD_DEADLOCK`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_cluster_advance(
    cluster: *mut rmq_cluster,
    by_ms: u64,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let act = |cluster: &Cluster| Ok(cluster.advance(Duration::from_millis(by_ms))?);
    // SAFETY: the caller vouches for its arguments.
    unsafe { with(cluster, error, act) }
}

/// Waits until every broker is registered with every nameserver, and every slave is in sync with
/// its master. Members that do not run or are paused are not waited for.
///
/// @param cluster A cluster.
/// @param timeout_ms How long to wait; -1 for as long as it takes.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_TIMEOUT` (its message says who is missing), `RMQ_E_INVALID`,
/// `RMQ_E_HANDLE`, `RMQ_E_CLOSED`, `RMQ_E_FORKED`,
/// `RMQ_E_WOULD_DEADLOCK`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_cluster_await_ready(
    cluster: *mut rmq_cluster,
    timeout_ms: i64,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let act = |cluster: &Cluster| Ok(cluster.await_ready(argument::timeout(timeout_ms)?)?);
    // SAFETY: the caller vouches for its arguments.
    unsafe { with(cluster, error, act) }
}

/// Waits until every slave has what its master's log and its table of topics hold now. Members that
/// do not run or are paused are not waited for.
///
/// @param cluster A cluster.
/// @param timeout_ms How long to wait; -1 for as long as it takes.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_TIMEOUT` (its message says who lacks what), `RMQ_E_INVALID`,
/// `RMQ_E_HANDLE`, `RMQ_E_CLOSED`, `RMQ_E_FORKED`,
/// `RMQ_E_WOULD_DEADLOCK`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_cluster_await_replicated(
    cluster: *mut rmq_cluster,
    timeout_ms: i64,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let act = |cluster: &Cluster| Ok(cluster.await_replicated(argument::timeout(timeout_ms)?)?);
    // SAFETY: the caller vouches for its arguments.
    unsafe { with(cluster, error, act) }
}

/// Closes every member in order, brokers before nameservers, and removes temporary storage. A
/// second call does nothing and succeeds. The handle stays valid until it is freed.
///
/// @param cluster A cluster.
/// @param timeout_ms How long the end may take; -1 for as long as it takes. What has not ended then
/// is killed.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_TIMEOUT`, `RMQ_E_INVALID` for a timeout below -1, `RMQ_E_HANDLE`,
/// `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_cluster_close(
    cluster: *mut rmq_cluster,
    timeout_ms: i64,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let members = handle::get::<Members>(cluster)?;
        let timeout = argument::timeout(timeout_ms)?;
        members.closed.store(true, Ordering::SeqCst);
        Ok(members.inner.close(timeout)?)
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call_waiting(error, body) }
}

/// Frees a cluster; members that were not closed are killed. Calls of other threads that are under
/// way end as if it was still there.
///
/// @param cluster A cluster; NULL, or one that was freed, is left alone. In a forked child nothing
/// is done to what belongs to the parent.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_cluster_free(cluster: *mut rmq_cluster) {
    guard((), || handle::release::<Members>(cluster));
}

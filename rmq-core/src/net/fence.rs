//! Cuts between addresses: a network that fails on command, for tests of clusters in one process.

use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use crate::base::thread::ProcessMark;

/// Which addresses cannot reach which. Clones are the same fence; a new one cuts nothing.
///
/// Members of a cluster in one process have loopback addresses of their own (127.x.y.z) and bind
/// their outbound sockets to them, so that both ends of a connection know who is who. Servers,
/// clients and replication ask the fence before each read and write of a socket:
///
/// - while `remote -> local` is cut nothing is read: what arrives stays in the kernel;
/// - while `local -> remote` is cut nothing is written: it stays in the outbox, whose limits hold;
/// - while either is cut an outbound connection is not made, and its time limit runs;
/// - a listener goes on accepting, since the kernel answers for it, and nothing comes of that.
///
/// So a cut looks like packets that are lost, not like a closed connection. Idle and frame
/// timeouts run on, as they do on a network. When the cut heals everything goes on where it was.
/// A turn of a reactor that is under way when a cut is made may still read or write.
#[derive(Clone, Default)]
pub struct Fence {
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Whether there is any rule: all that is looked at while nothing is cut.
    closed: AtomicBool,
    rules: RwLock<Rules>,
    hooks: Mutex<Vec<(u64, Hook)>>,
    next_hook: AtomicU64,
}

type Hook = Arc<dyn Fn() + Send + Sync>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rules {
    /// One-way cuts: from, to.
    cuts: HashSet<(IpAddr, IpAddr)>,
    /// Cut off from everybody, both ways.
    isolated: HashSet<IpAddr>,
}

impl Fence {
    /// Whether what `from` sends is kept from `to`.
    #[inline]
    #[must_use]
    pub fn is_cut(&self, from: IpAddr, to: IpAddr) -> bool {
        self.state.closed.load(Ordering::Relaxed) && self.state.cuts(from, to)
    }

    /// Whether no connection can be made between the two: it takes both directions.
    #[inline]
    #[must_use]
    pub fn parts(&self, one: IpAddr, other: IpAddr) -> bool {
        self.is_cut(one, other) || self.is_cut(other, one)
    }

    /// Keeps what `from` sends from `to`; the other direction stays as it is.
    pub fn cut(&self, from: IpAddr, to: IpAddr) {
        self.cut_all([(from, to)]);
    }

    /// Makes several one-way cuts (from, to) at once.
    pub fn cut_all(&self, pairs: impl IntoIterator<Item = (IpAddr, IpAddr)>) {
        self.change(|rules| rules.cuts.extend(pairs.into_iter().map(canonical)));
    }

    /// Takes a one-way cut back.
    pub fn heal(&self, from: IpAddr, to: IpAddr) {
        let pair = canonical((from, to));
        self.change(|rules| {
            rules.cuts.remove(&pair);
        });
    }

    /// Makes these one-way cuts (from, to) and takes every other back, at once.
    pub fn set_cuts(&self, pairs: impl IntoIterator<Item = (IpAddr, IpAddr)>) {
        let cuts = pairs.into_iter().map(canonical).collect();
        self.change(|rules| rules.cuts = cuts);
    }

    /// Takes every one-way cut back. Who is isolated stays so.
    pub fn heal_all(&self) {
        self.change(|rules| rules.cuts.clear());
    }

    /// Keeps everything from and to `address`, as if its host had been stopped or unplugged.
    pub fn isolate(&self, address: IpAddr) {
        self.change(|rules| {
            rules.isolated.insert(address.to_canonical());
        });
    }

    /// Ends the isolation of `address`; one-way cuts stay.
    pub fn restore(&self, address: IpAddr) {
        self.change(|rules| {
            rules.isolated.remove(&address.to_canonical());
        });
    }

    /// Has `hook` called after every change, on the thread that made it, for as long as the answer
    /// is held. The hook must not block. A call that is under way when the answer is dropped ends
    /// after that.
    #[must_use = "the hook is called only while the watch is held"]
    pub fn on_change(&self, hook: Box<dyn Fn() + Send + Sync>) -> FenceWatch {
        let id = self.state.next_hook.fetch_add(1, Ordering::Relaxed);
        self.state.hooks.lock().push((id, Arc::from(hook)));
        FenceWatch {
            state: Arc::clone(&self.state),
            id,
            process: ProcessMark::current(),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Rules)) {
        {
            let mut rules = self.state.rules.write();
            let before = rules.clone();
            change(&mut rules);
            if *rules == before {
                return;
            }
            let closed = !(rules.cuts.is_empty() && rules.isolated.is_empty());
            self.state.closed.store(closed, Ordering::Relaxed);
        }
        // Not under the locks: a hook may ask the fence.
        let hooks: Vec<Hook> = {
            let hooks = self.state.hooks.lock();
            hooks.iter().map(|(_, hook)| Arc::clone(hook)).collect()
        };
        for hook in hooks {
            hook();
        }
    }
}

/// IPv4 addresses mapped to IPv6 are the same addresses.
fn canonical((from, to): (IpAddr, IpAddr)) -> (IpAddr, IpAddr) {
    (from.to_canonical(), to.to_canonical())
}

impl State {
    #[cold]
    fn cuts(&self, from: IpAddr, to: IpAddr) -> bool {
        let (from, to) = canonical((from, to));
        let rules = self.rules.read();
        rules.isolated.contains(&from)
            || rules.isolated.contains(&to)
            || rules.cuts.contains(&(from, to))
    }
}

impl fmt::Debug for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules = self.state.rules.read();
        f.debug_struct("Fence")
            .field("cuts", &rules.cuts)
            .field("isolated", &rules.isolated)
            .finish_non_exhaustive()
    }
}

/// A hook's place at its fence; dropping it takes the hook away.
pub struct FenceWatch {
    state: Arc<State>,
    id: u64,
    process: ProcessMark,
}

impl Drop for FenceWatch {
    fn drop(&mut self) {
        // In a forked child the lock may be held by a thread that is not there.
        if !self.process.is_current() {
            return;
        }
        let mut hooks = self.state.hooks.lock();
        let gone = hooks.iter().position(|(id, _)| *id == self.id);
        let hook = gone.map(|index| hooks.swap_remove(index));
        drop(hooks);
        // Whatever the hook holds may watch the fence itself.
        drop(hook);
    }
}

impl fmt::Debug for FenceWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FenceWatch").field("id", &self.id).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([127, 70, 0, last])
    }

    #[test]
    fn a_cut_is_one_way_and_heals() {
        let fence = Fence::default();
        let (a, b, c) = (address(1), address(2), address(3));
        assert!(!fence.is_cut(a, b) && !fence.parts(a, b));
        fence.cut(a, b);
        assert!(fence.is_cut(a, b) && !fence.is_cut(b, a) && !fence.is_cut(a, c));
        assert!(fence.parts(a, b) && fence.parts(b, a) && !fence.parts(a, c));
        let same = fence.clone();
        same.heal(b, a);
        assert!(fence.is_cut(a, b), "the other direction was healed");
        same.heal(a, b);
        assert!(!fence.is_cut(a, b));
        fence.cut_all([(a, b), (b, c)]);
        fence.set_cuts([(b, c), (c, a)]);
        assert!(!fence.is_cut(a, b) && fence.is_cut(b, c) && fence.is_cut(c, a));
        fence.heal_all();
        assert!(!fence.parts(a, c) && !fence.parts(b, c));
    }

    #[test]
    fn isolation_is_from_everybody_and_apart_from_cuts() {
        let fence = Fence::default();
        let (a, b, c) = (address(1), address(2), address(3));
        fence.isolate(a);
        fence.isolate(a);
        fence.cut(b, c);
        assert!(fence.is_cut(a, b) && fence.is_cut(b, a) && fence.is_cut(b, c));
        assert!(!fence.is_cut(c, b));
        fence.heal_all();
        assert!(fence.is_cut(a, c) && !fence.is_cut(b, c));
        fence.restore(a);
        assert!(!fence.is_cut(a, b) && !fence.is_cut(c, a));
    }

    #[test]
    fn a_mapped_address_is_the_same_address() {
        let fence = Fence::default();
        let mapped: IpAddr = "::ffff:127.70.0.1".parse().unwrap();
        fence.cut(mapped, address(2));
        assert!(fence.is_cut(address(1), address(2)));
        assert!(fence.is_cut(mapped, address(2)));
        fence.heal(address(1), address(2));
        assert!(!fence.is_cut(mapped, address(2)));
    }

    #[test]
    fn hooks_hear_of_changes_only_and_go_with_their_watch() {
        let fence = Fence::default();
        let heard = Arc::new(AtomicUsize::new(0));
        let watch = {
            let (heard, asked) = (Arc::clone(&heard), fence.clone());
            fence.on_change(Box::new(move || {
                // A hook may ask.
                let _ = asked.is_cut(address(1), address(2));
                heard.fetch_add(1, Ordering::SeqCst);
            }))
        };
        let count = || heard.load(Ordering::SeqCst);
        fence.heal_all();
        assert_eq!(count(), 0, "nothing had changed");
        fence.cut_all([(address(1), address(2)), (address(2), address(1))]);
        assert_eq!(count(), 1);
        fence.cut(address(1), address(2));
        assert_eq!(count(), 1, "it was cut before");
        fence.isolate(address(3));
        fence.restore(address(3));
        assert_eq!(count(), 3);
        drop(watch);
        fence.heal_all();
        assert_eq!(count(), 3);
    }

    #[test]
    fn servers_and_clients_leave_no_hook_behind() {
        use crate::base::clock::SystemClock;
        use crate::net::{Client, ClientConfig};
        let fence = Fence::default();
        let config = ClientConfig {
            fence: fence.clone(),
            ..ClientConfig::default()
        };
        let client = Client::start(config, SystemClock::shared()).unwrap();
        assert_eq!(fence.state.hooks.lock().len(), 1);
        drop(client);
        assert!(fence.state.hooks.lock().is_empty());
    }
}

//! A server: listeners, reactors, and their end.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mio::{Interest, Poll};

use super::listener::{Acceptor, Census, Listener};
use super::mailbox::{Mailbox, ReactorHandle, waker};
use super::reactor::{Core, Role};
use super::turn::{Turn, WAKER, listener_token};
use super::{Fence, FenceWatch, Handler, Limits};
use crate::base::clock::SharedClock;
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::thread::{self, JoinHandle, ProcessMark};

/// Time for threads to end after their deadline has passed or they were killed.
const JOIN_GRACE: Duration = Duration::from_secs(2);

/// What a server is made from.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Names the threads (`rmq-<name>-io-<n>`) and log lines.
    pub name: String,
    /// Reactor threads; 0 counts as 1.
    pub reactors: u16,
    /// Addresses to listen on, each with the tag that `Peer::listener` will show. Port 0 takes a
    /// free port.
    pub listeners: Vec<(SocketAddr, u8)>,
    /// The bounds of its connections.
    pub limits: Limits,
    /// Who cannot reach it; the default keeps nobody away.
    pub fence: Fence,
    /// Where its time comes from.
    pub clock: SharedClock,
}

/// A running server. Dropping it kills it; in a forked child dropping it does nothing.
pub struct Server {
    name: String,
    locals: Vec<(u8, SocketAddr)>,
    reactors: Vec<ReactorHandle>,
    threads: Vec<JoinHandle>,
    census: Arc<Census>,
    clock: SharedClock,
    process: ProcessMark,
    _fence_watches: Vec<FenceWatch>,
}

struct Seat {
    poll: Poll,
    mailbox: Arc<Mailbox>,
}

impl Server {
    /// Binds every listener and starts the reactors. `make_handler` is called here once per
    /// reactor, with its number and the handle by which other threads reach it. Connections are
    /// accepted when this returns.
    ///
    /// `AddressInUse`, `Permission`, `Io`: an address could not be bound; nothing is left running.
    pub fn start(
        config: ServerConfig,
        mut make_handler: impl FnMut(u16, ReactorHandle) -> Box<dyn Handler>,
    ) -> Result<Self> {
        let ServerConfig {
            name,
            reactors,
            listeners,
            limits,
            fence,
            clock,
        } = config;
        let limits = limits.usable();
        let seats = (0..reactors.max(1))
            .map(|index| seat(index, &limits))
            .collect::<Result<Vec<_>>>()?;
        let handles: Vec<_> = seats
            .iter()
            .map(|seat| ReactorHandle::new(Arc::clone(&seat.mailbox)))
            .collect();
        let listeners = bind(listeners, &limits, &seats[0].poll)?;
        let locals = listeners.iter().map(|l| (l.tag(), l.local())).collect();
        let census = Arc::new(Census::default());
        let mut acceptor = Some(Acceptor::new(
            name.clone(),
            listeners,
            Arc::clone(&census),
            &limits,
            handles.clone(),
        ));
        let fence_watches = handles.iter().map(|handle| handle.watch(&fence)).collect();
        let role = Role {
            name: name.as_str().into(),
            limits,
            pause_reads: true,
            fence,
            bind: None,
        };
        let mut server = Self {
            name,
            locals,
            reactors: handles,
            threads: Vec::new(),
            census: Arc::clone(&census),
            clock: Arc::clone(&clock),
            process: ProcessMark::current(),
            _fence_watches: fence_watches,
        };
        for (index, seat) in (0..).zip(seats) {
            let handle = server.reactors[usize::from(index)].clone();
            let handler = make_handler(index, handle.clone());
            let core = Core::new(role.clone(), index, seat.poll, handle, Arc::clone(&census));
            let turn = Turn::new(
                core,
                handler,
                seat.mailbox,
                acceptor.take(),
                Arc::clone(&clock),
            );
            let thread = thread::spawn(format!("rmq-{}-io-{index}", server.name), || turn.run())?;
            server.threads.push(thread);
        }
        Ok(server)
    }

    /// The address bound for `tag`, with the port that was taken if 0 was asked for.
    #[must_use]
    pub fn local_addr(&self, tag: u8) -> Option<SocketAddr> {
        self.locals
            .iter()
            .find(|(t, _)| *t == tag)
            .map(|(_, addr)| *addr)
    }

    /// The handles of the reactors, by number.
    #[must_use]
    pub fn reactors(&self) -> &[ReactorHandle] {
        &self.reactors
    }

    /// Connections that are open or being closed.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.census.count()
    }

    /// Ends in order: stops accepting and reading, waits until every handler says that it is
    /// `drained`, writes the outboxes, closes. What is not done after `deadline` is cut off.
    /// May be called again. `Timeout`: a handler blocks its thread, which was left behind.
    /// `Internal`: a reactor panicked. `Forked`: nothing was done.
    pub fn shutdown(&self, deadline: Duration) -> Result<()> {
        self.process.check("server.shutdown")?;
        let at = self.clock.monotonic() + deadline;
        for reactor in &self.reactors {
            reactor.shutdown(at);
        }
        self.join(deadline + JOIN_GRACE)
    }

    /// Ends at once, as the death of the process would: nothing is written, handlers hear nothing.
    /// Waits for the threads. Errors as for `shutdown`.
    pub fn kill(&self) -> Result<()> {
        self.process.check("server.kill")?;
        for reactor in &self.reactors {
            reactor.kill();
        }
        self.join(JOIN_GRACE)
    }

    fn join(&self, deadline: Duration) -> Result<()> {
        let until = self.clock.monotonic() + deadline;
        let mut result = Ok(());
        for thread in &self.threads {
            let left = until.saturating_sub(self.clock.monotonic());
            if let Err(e) = thread.join_deadline(left) {
                result = Err(e);
            }
        }
        result
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.process.is_current()
            && self.threads.iter().any(|thread| !thread.is_finished())
            && let Err(error) = self.kill()
        {
            tracing::error!(server = %self.name, %error, "a server did not end");
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("name", &self.name)
            .field("locals", &self.locals)
            .finish()
    }
}

fn seat(index: u16, limits: &Limits) -> Result<Seat> {
    let fail = |e| Error::io("net.poll", "cannot make an event loop", e);
    let poll = Poll::new().map_err(fail)?;
    let waker = waker(&poll, WAKER).map_err(fail)?;
    let mailbox = Arc::new(Mailbox::new(index, limits.mailbox_commands, waker));
    Ok(Seat { poll, mailbox })
}

fn bind(addrs: Vec<(SocketAddr, u8)>, limits: &Limits, poll: &Poll) -> Result<Vec<Listener>> {
    let mut listeners = Vec::with_capacity(addrs.len());
    for (index, (addr, tag)) in addrs.into_iter().enumerate() {
        let fail = |e| Error::io("net.listen", addr.to_string(), e);
        let mut listener = Listener::bind(addr, tag, limits.backlog).map_err(fail)?;
        poll.registry()
            .register(listener.socket(), listener_token(index), Interest::READABLE)
            .map_err(fail)?;
        listeners.push(listener);
    }
    if listeners.is_empty() {
        return Err(Error::new(
            ErrorKind::Invalid,
            "net.listen",
            "no address to listen on",
        ));
    }
    Ok(listeners)
}

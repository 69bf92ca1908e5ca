//! What mio does not offer: sockets with options, writes that cannot raise SIGPIPE, and a
//! descriptor for the event loop of somebody else.

use std::fs::File;
use std::io::{self, IoSlice, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use mio::net::{TcpListener, TcpStream};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// A non-blocking listener on `addr`, with SO_REUSEADDR. Port 0 takes a free port.
pub(crate) fn listen(addr: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(TcpListener::from_std(socket.into()))
}

/// A non-blocking socket that is to be connected to `addr`, from the address `bind` if given.
pub(crate) fn socket(addr: SocketAddr, bind: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    if let Some(bind) = bind {
        socket.bind(&SocketAddr::new(bind, 0).into())?;
    }
    Ok(TcpStream::from_std(socket.into()))
}

/// Begins to connect; an event tells the outcome.
pub(crate) fn connect(stream: &TcpStream, addr: SocketAddr) -> io::Result<()> {
    match SockRef::from(stream).connect(&addr.into()) {
        Err(e) if e.raw_os_error() == Some(libc::EINPROGRESS) => Ok(()),
        outcome => outcome,
    }
}

/// Gathers `parts` into one sendmsg. A peer that is gone is an error (EPIPE), never a signal: the
/// host process may have left SIGPIPE at its deadly default.
pub(crate) fn send(stream: &TcpStream, parts: &[IoSlice<'_>]) -> io::Result<usize> {
    let socket = SockRef::from(stream);
    match parts {
        [single] => socket.send_with_flags(single, libc::MSG_NOSIGNAL),
        _ => socket.send_vectored_with_flags(parts, libc::MSG_NOSIGNAL),
    }
}

/// Whether a failed accept concerns only the connection that was to be accepted, so that the next
/// one may be tried at once. Otherwise something has run out (descriptors, memory).
pub(crate) fn accept_error_is_transient(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted
    ) || matches!(
        error.raw_os_error(),
        Some(
            libc::ENETDOWN
                | libc::EPROTO
                | libc::ENOPROTOOPT
                | libc::EHOSTDOWN
                | libc::ENONET
                | libc::EHOSTUNREACH
                | libc::ENETUNREACH
                | libc::ECONNRESET
        )
    )
}

/// A descriptor that is readable while it is raised (eventfd). Nothing it does blocks.
#[derive(Debug)]
pub(crate) struct Flag(File);

impl Flag {
    /// A flag that is not raised; its descriptor is not inherited by programs that are executed.
    #[allow(unsafe_code, reason = "the standard library has no eventfd")]
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: the call takes no pointer, and its result is checked.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just made it, and nobody else knows of it.
        Ok(Self(File::from(unsafe { OwnedFd::from_raw_fd(fd) })))
    }

    /// The descriptor, which lives as long as the flag.
    pub(crate) fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Makes it readable.
    pub(crate) fn raise(&self) {
        // It refuses only what would make its count overflow, and then it is readable.
        let _ = (&self.0).write(&[1; 8]);
    }

    /// Makes it unreadable.
    pub(crate) fn lower(&self) {
        // It refuses when it is not raised, which is what is wanted.
        let _ = (&self.0).read(&mut [0; 8]);
    }
}

//! What mio does not offer: sockets with options, and writes that cannot raise SIGPIPE.

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};

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

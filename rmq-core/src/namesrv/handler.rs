//! One reactor's part: frames in, answers out.

use std::sync::Arc;
use std::time::Duration;

use super::processors::{self, Context};
use super::state::State;
use crate::base::thread;
use crate::net::{CloseReason, ConnectionId, Handler, Io, Peer};
use crate::protocol::code::ResponseCode;
use crate::protocol::command::Command;
use crate::protocol::frame::FrameRef;

/// Serves the connections of one reactor.
#[derive(Debug)]
pub(super) struct NamesrvHandler {
    state: Arc<State>,
    /// Whether this reactor looks for silent brokers: one of them does.
    scans: bool,
    next_scan: Duration,
}

impl NamesrvHandler {
    pub(super) fn new(index: u16, state: Arc<State>) -> Self {
        Self {
            state,
            scans: index == 0,
            next_scan: Duration::ZERO,
        }
    }

    fn serve(&self, io: &mut Io<'_>, conn: ConnectionId, request: &Command) {
        let context = Context {
            state: &self.state,
            connection: conn,
            peer: io.peer(conn).map(|peer| peer.remote),
            reactor: io.reactor(),
            now: io.now(),
        };
        let answer = guarded(request, || processors::process(&context, request));
        let Some(answer) = answer.filter(|_| !request.is_oneway()) else {
            return;
        };
        if let Some(mut out) = io.out(conn) {
            answer.encode_head(out.buffer(), answer.body.len());
            out.push(answer.body);
        }
    }
}

/// Turns a panic into an answer: it costs its own request and nothing else.
fn guarded(request: &Command, serve: impl FnOnce() -> Option<Command>) -> Option<Command> {
    thread::catch(serve).unwrap_or_else(|what| {
        tracing::error!(code = request.code, "a request panicked: {what}");
        let remark = format!("internal error: {what}");
        Some(Command::response_to(
            request,
            ResponseCode::SYSTEM_ERROR,
            Some(remark),
        ))
    })
}

impl Handler for NamesrvHandler {
    fn opened(&mut self, _: &mut Io<'_>, _: ConnectionId, _: &Peer) {}

    fn frames(&mut self, io: &mut Io<'_>, conn: ConnectionId, frames: &[FrameRef<'_>]) {
        for frame in frames {
            match Command::decode(*frame) {
                Ok(request) if request.is_response() => {}
                Ok(request) => self.serve(io, conn, &request),
                Err(error) => {
                    io.reject(conn, error.to_string(), frame.header);
                    return;
                }
            }
        }
    }

    fn closed(&mut self, _: &mut Io<'_>, conn: ConnectionId, _: &CloseReason) {
        self.state.connection_closed(conn);
    }

    fn woken(&mut self, _: &mut Io<'_>) {}

    fn tick(&mut self, _: &mut Io<'_>, now: Duration) -> Option<Duration> {
        if !self.scans {
            return None;
        }
        if now >= self.next_scan {
            let interval = Duration::from_millis(self.state.settings.get().scan_interval_ms);
            self.next_scan = now + interval;
            self.state.expire(now);
        }
        Some(self.next_scan)
    }

    fn drained(&mut self, _: &mut Io<'_>) -> bool {
        self.state.saver.is_idle()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::code::RequestCode;

    #[test]
    fn a_panic_is_an_answer() {
        let mut request = Command::bare_request(RequestCode::GET_NAMESRV_CONFIG);
        request.opaque = 7;
        let answer = guarded(&request, || panic!("a defect")).unwrap();
        assert_eq!(
            (answer.response_code(), answer.opaque),
            (ResponseCode::SYSTEM_ERROR, 7)
        );
        assert_eq!(answer.remark.as_deref(), Some("internal error: a defect"));
        assert_eq!(guarded(&request, || None), None);
    }
}

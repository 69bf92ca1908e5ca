//! One reactor's part: frames in, answers out.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::processors::{self, Context};
use super::state::State;
use crate::base::thread::panic_message;
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
        let answer = catch_unwind(AssertUnwindSafe(|| processors::process(&context, request)));
        let answer = answer.unwrap_or_else(|panic| {
            let what = panic_message(&*panic);
            tracing::error!(code = request.code, peer = ?context.peer, "request panicked: {what}");
            let remark = format!("internal error: {what}");
            Some(Command::response_to(
                request,
                ResponseCode::SYSTEM_ERROR,
                Some(remark),
            ))
        });
        let Some(answer) = answer.filter(|_| !request.is_oneway()) else {
            return;
        };
        if let Some(mut out) = io.out(conn) {
            answer.encode_head(out.buffer(), answer.body.len());
            out.push(answer.body);
        }
    }
}

impl Handler for NamesrvHandler {
    fn opened(&mut self, _: &mut Io<'_>, _: ConnectionId, _: &Peer) {}

    fn frames(&mut self, io: &mut Io<'_>, conn: ConnectionId, frames: &[FrameRef<'_>]) {
        for frame in frames {
            match Command::decode(*frame) {
                Ok(request) if request.is_response() => {}
                Ok(request) => self.serve(io, conn, &request),
                Err(error) => {
                    let peer = io.peer(conn).map(|peer| peer.remote);
                    tracing::warn!(?peer, %error, "a header cannot be read: connection closed");
                    io.close(conn);
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

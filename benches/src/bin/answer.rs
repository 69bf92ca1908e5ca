//! `rmq-answer`: a server that answers every send at once and stores nothing: what the event loop
//! and the codec allow, to be measured with `rmq-load --broker`.

#![expect(clippy::print_stdout, reason = "a program")]

use std::io::Read;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::Parser;
use rmq_core::base::clock::SystemClock;
use rmq_core::base::error::Result;
use rmq_core::net::{
    CloseReason, ConnectionId, Fence, Handler, Io, Limits, Peer, Server, ServerConfig,
};
use rmq_core::protocol::code::ResponseCode;
use rmq_core::protocol::command::Command;
use rmq_core::protocol::frame::FrameRef;
use rmq_core::protocol::request::send::{SendResponse, fast};
use rmq_core::protocol::request::{Reply, Scratch};

/// Answers sends until its standard input ends, then tells what each cost.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Reactor threads
    #[arg(long, default_value_t = 1)]
    reactors: u16,
    /// Bytes of a reactor's read buffer
    #[arg(long, default_value_t = Limits::default().read_buffer_bytes)]
    read_buffer: usize,
}

#[derive(Debug, Default)]
struct Counts {
    frames: AtomicU64,
    calls: AtomicU64,
    turns: AtomicU64,
}

struct Answer {
    counts: Arc<Counts>,
    scratch: Scratch,
}

impl Handler for Answer {
    fn opened(&mut self, _io: &mut Io<'_>, _conn: ConnectionId, _peer: &Peer) {}

    fn frames(&mut self, io: &mut Io<'_>, conn: ConnectionId, frames: &[FrameRef<'_>]) {
        self.counts
            .frames
            .fetch_add(frames.len() as u64, Ordering::Relaxed);
        self.counts.calls.fetch_add(1, Ordering::Relaxed);
        let Some(mut out) = io.out(conn) else { return };
        for frame in frames {
            if let Some((head, request)) = fast::decode(*frame, &mut self.scratch) {
                let response = SendResponse {
                    msg_id: "7F00000100002A9F0000000000000000",
                    queue_id: request.queue_id,
                    queue_offset: 1,
                    ..SendResponse::default()
                };
                let reply = Reply::success(frame.serialize, head.opaque);
                fast::encode_response(out.buffer(), &reply, &response);
            } else if let Ok(request) = Command::decode(*frame) {
                Command::response_to(&request, ResponseCode::SUCCESS, None).encode(out.buffer());
            }
        }
    }

    fn closed(&mut self, _io: &mut Io<'_>, _conn: ConnectionId, _reason: &CloseReason) {}

    fn woken(&mut self, _io: &mut Io<'_>) {}

    fn tick(&mut self, _io: &mut Io<'_>, _now: Duration) -> Option<Duration> {
        self.counts.turns.fetch_add(1, Ordering::Relaxed);
        None
    }
}

/// Nanoseconds of processor time of the threads whose name contains `-io-`.
fn reactor_cpu_ns() -> u64 {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else {
        return 0;
    };
    let of = |task: std::fs::DirEntry| {
        let name = std::fs::read_to_string(task.path().join("comm")).ok()?;
        let stat = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        name.contains("-io-")
            .then(|| stat.split(' ').next()?.parse::<u64>().ok())
            .flatten()
    };
    tasks.flatten().filter_map(of).sum()
}

fn serve(args: &Args) -> Result<()> {
    let counts = Arc::new(Counts::default());
    let config = ServerConfig {
        name: "answer".to_owned(),
        reactors: args.reactors,
        listeners: vec![(args.listen, 0)],
        limits: Limits {
            read_buffer_bytes: args.read_buffer,
            ..Limits::default()
        },
        fence: Fence::default(),
        clock: SystemClock::shared(),
    };
    let server = Server::start(config, |_, _| {
        Box::new(Answer {
            counts: Arc::clone(&counts),
            scratch: Scratch::default(),
        })
    })?;
    if let Some(addr) = server.local_addr(0) {
        println!("{addr}");
    }
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    let cpu_ns = reactor_cpu_ns();
    let get = |count: &AtomicU64| count.load(Ordering::Relaxed).max(1);
    let (frames, calls, turns) = (get(&counts.frames), get(&counts.calls), get(&counts.turns));
    println!(
        "{frames} frames, {} ns of processor time each; {} frames a read, {} reads a turn",
        cpu_ns / frames,
        frames / calls,
        calls / turns,
    );
    server.shutdown(Duration::from_secs(1))
}

fn main() -> ExitCode {
    match serve(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            println!("rmq-answer: {e}");
            ExitCode::FAILURE
        }
    }
}

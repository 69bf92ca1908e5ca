//! The one loop that sends, receives and counts.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use hdrhistogram::Histogram;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeSpec, TimeValLike};
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use rmq_core::base::clock::{Clock, SystemClock};
use rmq_core::base::error::{Error, Result};
use rmq_core::protocol::code::ResponseCode;
use rmq_core::protocol::command::Command;
use rmq_core::protocol::frame::FrameRef;
use rmq_core::protocol::header::peek_head;

use super::Plan;
use super::connection::Connection;
use super::frames::Decimal;
use super::report::{Latency, Report};
use super::work::Work;

/// Most that is read from one connection at a time.
const READ_LEN: usize = 256 * 1024;
/// Latencies above count as this.
const LATENCY_MAX_NS: u64 = 120_000_000_000;
/// The loop looks at the clock at least this often.
const TURN_MAX: Duration = Duration::from_millis(20);
const TIMER: Token = Token(usize::MAX - 1);

/// Carries out a plan; the topic must exist.
///
/// # Errors
/// When a broker cannot be reached at the start. What goes wrong later is in the report.
pub fn run(plan: &Plan) -> Result<Report> {
    let io = |e: io::Error| Error::io("load", plan.topic.clone(), e);
    let mut poll = Poll::new().map_err(io)?;
    let mut connections = Vec::with_capacity(plan.connections);
    for i in 0..plan.connections {
        let broker = plan.brokers[i % plan.brokers.len()];
        let mut connection = Connection::connect(broker, plan.window)?;
        connection.register(poll.registry(), Token(i)).map_err(io)?;
        connections.push(connection);
    }
    let timer = plan
        .rate
        .map(|_| Timer::new(&poll))
        .transpose()
        .map_err(io)?;
    let clock = SystemClock::new();
    let work = Work::new(plan)?;
    let tally = Tally::new(plan, &clock);
    let mut run = Run {
        plan,
        clock,
        work,
        tally,
        connections,
        born: Decimal::new(0),
        due: 0,
    };
    let mut buffer = vec![0; READ_LEN];
    let mut events = Events::with_capacity(1024);
    let cpu_before = own_cpu();
    if plan.rate.is_none() {
        run.fill_windows();
    }
    while !run.is_over() {
        run.begin_turn();
        let wait = match &timer {
            Some(timer) => run.send_due(timer),
            None => TURN_MAX,
        };
        match poll.poll(&mut events, Some(wait)) {
            Err(e) if e.kind() != io::ErrorKind::Interrupted => return Err(io(e)),
            _ => {}
        }
        for event in &events {
            match event.token() {
                TIMER => {}
                Token(i) => run.serve(i, event.is_readable(), &mut buffer),
            }
        }
    }
    let cpu = own_cpu().saturating_sub(cpu_before);
    Ok(run.report(cpu))
}

/// Wakes the loop when the next request is due: the poll itself knows only milliseconds.
struct Timer(TimerFd);

impl Timer {
    fn new(poll: &Poll) -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        let fd = timer.as_fd().as_raw_fd();
        poll.registry()
            .register(&mut SourceFd(&fd), TIMER, Interest::READABLE)?;
        Ok(Self(timer))
    }

    /// Setting it anew also takes back an expiry that has not been read.
    fn set(&self, after: Duration) {
        let nanoseconds = i64::try_from(after.as_nanos()).unwrap_or(i64::MAX).max(1);
        let expiration = Expiration::OneShot(TimeSpec::nanoseconds(nanoseconds));
        // Without the timer the loop still turns every 20 ms, and latencies tell of it.
        let _ = self.0.set(expiration, TimerSetTimeFlags::empty());
    }
}

/// Processor time of this thread.
fn own_cpu() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_THREAD) else {
        return Duration::ZERO;
    };
    let total = usage.user_time() + usage.system_time();
    Duration::from_micros(u64::try_from(total.num_microseconds()).unwrap_or_default())
}

/// What is counted, and in which stretch of time.
struct Tally {
    began: Duration,
    /// Counting starts here, and requests stop at `until`.
    from: Duration,
    until: Duration,
    left: Option<u64>,
    histogram: Histogram<u64>,
    report: Report,
}

impl Tally {
    fn new(plan: &Plan, clock: &SystemClock) -> Self {
        let began = clock.monotonic();
        let from = began + plan.warm_up;
        Self {
            began,
            from,
            until: from + plan.measure,
            left: plan.count,
            histogram: Histogram::new_with_bounds(1, LATENCY_MAX_NS, 3)
                .expect("the bounds are constants"),
            report: Report::default(),
        }
    }

    fn answered(
        &mut self,
        started: Duration,
        now: Duration,
        counts: Option<(u64, u64)>,
        code: i32,
    ) {
        let in_time = self.from <= now && now < self.until;
        match counts {
            Some((messages, bytes)) if in_time => {
                self.report.requests += 1;
                self.report.messages += messages;
                self.report.bytes += bytes;
            }
            Some(_) => {}
            None => *self.report.refused.entry(code).or_default() += 1,
        }
        if self.from <= started && started < self.until {
            let took = now.saturating_sub(started).as_nanos();
            self.histogram
                .saturating_record(u64::try_from(took).unwrap_or(LATENCY_MAX_NS).max(1));
        }
        if let Some(left) = self.left.as_mut().filter(|_| in_time) {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.until = now;
            }
        }
    }
}

struct Run<'a> {
    plan: &'a Plan,
    clock: SystemClock,
    work: Work,
    tally: Tally,
    connections: Vec<Connection>,
    born: Decimal,
    /// Requests of the open loop that have been due so far.
    due: u64,
}

impl Run<'_> {
    fn begin_turn(&mut self) {
        self.born.set(self.clock.wall_ms());
    }

    /// Over when the time is up and every answer is there, or nothing can come any more.
    fn is_over(&self) -> bool {
        let now = self.clock.monotonic();
        let waiting = self.connections.iter().any(|c| c.open && c.in_flight() > 0);
        let dead = self.connections.iter().all(|c| !c.open);
        dead || now >= self.tally.until && (!waiting || now >= self.tally.until + self.plan.drain)
    }

    fn fill_windows(&mut self) {
        self.begin_turn();
        for i in 0..self.connections.len() {
            let now = self.clock.monotonic();
            while self.start(i, now) {}
            self.flush(i);
        }
    }

    fn start(&mut self, i: usize, started: Duration) -> bool {
        let (work, born) = (&mut self.work, &self.born);
        self.connections[i].start(started, |out, opaque| work.append(out, opaque, born))
    }

    fn flush(&mut self, i: usize) {
        if self.connections[i].open
            && let Err(e) = self.connections[i].flush()
        {
            self.broke(i, &e);
        }
    }

    fn broke(&mut self, i: usize, reason: &io::Error) {
        self.connections[i].open = false;
        self.tally.report.broken.push(reason.to_string());
    }

    /// Sends every request that is due and returns how long nothing else will be.
    fn send_due(&mut self, timer: &Timer) -> Duration {
        let now = self.clock.monotonic();
        let rate = self.plan.rate.unwrap_or(1.0);
        #[expect(
            clippy::cast_precision_loss,
            reason = "a run has far fewer than 2^53 requests"
        )]
        let due_at = |n: u64| self.tally.began + Duration::from_secs_f64(n as f64 / rate);
        let mut next = due_at(self.due);
        let mut starts = Vec::new();
        while next <= now && next < self.tally.until {
            starts.push(next);
            self.due += 1;
            next = due_at(self.due);
        }
        for started in starts {
            self.start_somewhere(started);
        }
        for i in 0..self.connections.len() {
            self.flush(i);
        }
        if next >= self.tally.until {
            return TURN_MAX;
        }
        timer.set(next.saturating_sub(self.clock.monotonic()));
        TURN_MAX
    }

    /// Starts a request on the next connection in turn that has room.
    fn start_somewhere(&mut self, started: Duration) {
        let count = self.connections.len();
        let first = usize::try_from(self.due).unwrap_or_default() % count;
        for k in 0..count {
            let i = (first + k) % count;
            if self.connections[i].open && self.start(i, started) {
                return;
            }
        }
        self.tally.report.late += 1;
    }

    fn serve(&mut self, i: usize, readable: bool, buffer: &mut [u8]) {
        while readable && self.connections[i].open {
            match self.connections[i].read(buffer) {
                Ok(0) => break,
                Ok(n) => {
                    if let Err(e) = self.received(i, &buffer[..n]) {
                        self.broke(i, &e);
                    }
                    if n < buffer.len() {
                        break;
                    }
                }
                Err(e) => self.broke(i, &e),
            }
        }
        self.flush(i);
    }

    fn received(&mut self, i: usize, bytes: &[u8]) -> io::Result<()> {
        let now = self.clock.monotonic();
        let again = self.plan.rate.is_none();
        let Self {
            work,
            tally,
            connections,
            born,
            ..
        } = self;
        connections[i].frames(bytes, |connection, frame| {
            let Some((code, opaque)) = head_of(frame) else {
                return;
            };
            let Some((started, tag)) = connection.finish(opaque) else {
                return;
            };
            let counts = work.answered(tag, ResponseCode::new(code), frame);
            tally.answered(started, now, counts, code);
            if again && now < tally.until {
                connection.start(now, |out, opaque| work.append(out, opaque, born));
            }
        })
    }

    fn report(self, cpu: Duration) -> Report {
        let mut report = self.tally.report;
        report.elapsed = self.tally.until - self.tally.from;
        report.latency = Latency::of(&self.tally.histogram);
        report.unanswered = self.connections.iter().map(|c| c.in_flight() as u64).sum();
        let total = self.clock.monotonic() - self.tally.began;
        report.own_cpu = cpu.as_secs_f64() / total.as_secs_f64().max(1e-9);
        report
    }
}

/// Code and correlation id of an answer; `None` for a request of the server's own.
fn head_of(frame: FrameRef<'_>) -> Option<(i32, i32)> {
    if let Some(head) = peek_head(frame) {
        return head.is_response().then_some((head.code, head.opaque));
    }
    let command = Command::decode_header(frame.serialize, frame.header).ok()?;
    command
        .is_response()
        .then_some((command.code, command.opaque))
}

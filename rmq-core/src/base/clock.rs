//! Time as a dependency, so that tests can turn it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

/// The two clocks at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Now {
    /// Wall clock, ms since the Unix epoch.
    pub wall_ms: i64,
    /// Monotonic clock, ms since some fixed point of this process.
    pub monotonic_ms: u64,
}

/// A source of wall-clock and monotonic time. Cheap and callable from any thread.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Milliseconds since the Unix epoch; may jump.
    fn wall_ms(&self) -> i64;
    /// Time since some fixed point of this process; never goes back.
    fn monotonic(&self) -> Duration;
    /// Milliseconds of `monotonic`.
    fn monotonic_ms(&self) -> u64 {
        u64::try_from(self.monotonic().as_millis()).unwrap_or(u64::MAX)
    }
    /// Both at this moment.
    fn now(&self) -> Now {
        Now {
            wall_ms: self.wall_ms(),
            monotonic_ms: self.monotonic_ms(),
        }
    }
    /// Has `hook` called after each jump of a clock that knows when it jumps, so that who sleeps
    /// until a time looks again. The hook is forgotten when it returns false; it must not block.
    fn on_jump(&self, hook: JumpHook) {
        drop(hook);
    }
}

/// What [`Clock::on_jump`] calls; false when it is not to be called again.
pub type JumpHook = Box<dyn Fn() -> bool + Send + Sync>;

/// A shared clock.
pub type SharedClock = Arc<dyn Clock>;

/// The operating system's clocks.
#[derive(Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the system's clocks"
    )]
    pub fn new() -> Self {
        Self {
            origin: Instant::now(),
        }
    }

    /// The same behind an `Arc`.
    #[must_use]
    pub fn shared() -> SharedClock {
        Arc::new(Self::new())
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the system's clocks"
    )]
    fn wall_ms(&self) -> i64 {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }
}

/// The operating system's clocks, the wall clock ahead of it by as much as it was moved.
///
/// What waits for a time of day (a delayed message) sees it come; what measures how long something
/// takes (timeouts, heartbeats, leases) is not disturbed.
pub struct ShiftedClock {
    system: SystemClock,
    shift_ms: AtomicI64,
    hooks: Mutex<Vec<JumpHook>>,
}

impl fmt::Debug for ShiftedClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShiftedClock")
            .field("shift_ms", &self.shift_ms)
            .finish_non_exhaustive()
    }
}

impl ShiftedClock {
    /// A clock that shows the system's time.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            system: SystemClock::new(),
            shift_ms: AtomicI64::new(0),
            hooks: Mutex::default(),
        })
    }

    /// Moves the wall clock forward.
    pub fn advance(&self, by: Duration) {
        let ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        let moved = |shift: i64| Some(shift.saturating_add(ms));
        // The closure never refuses.
        let _ = self
            .shift_ms
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, moved);
        self.hooks.lock().retain(|hook| hook());
    }
}

impl Clock for ShiftedClock {
    fn wall_ms(&self) -> i64 {
        let shift_ms = self.shift_ms.load(Ordering::SeqCst);
        self.system.wall_ms().saturating_add(shift_ms)
    }

    fn monotonic(&self) -> Duration {
        self.system.monotonic()
    }

    fn on_jump(&self, hook: JumpHook) {
        self.hooks.lock().push(hook);
    }
}

/// A clock that stands still until it is moved.
pub struct ManualClock {
    wall_ms: AtomicI64,
    monotonic_ms: AtomicI64,
    hooks: Mutex<Vec<JumpHook>>,
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManualClock")
            .field("wall_ms", &self.wall_ms)
            .field("monotonic_ms", &self.monotonic_ms)
            .finish_non_exhaustive()
    }
}

impl ManualClock {
    /// A clock that shows `wall_ms`, its monotonic time at zero.
    #[must_use]
    pub fn new(wall_ms: i64) -> Arc<Self> {
        Arc::new(Self {
            wall_ms: AtomicI64::new(wall_ms),
            monotonic_ms: AtomicI64::new(0),
            hooks: Mutex::default(),
        })
    }

    fn jumped(&self) {
        self.hooks.lock().retain(|hook| hook());
    }

    /// Moves both times forward.
    pub fn advance(&self, by: Duration) {
        let ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.wall_ms.fetch_add(ms, Ordering::SeqCst);
        self.monotonic_ms.fetch_add(ms, Ordering::SeqCst);
        self.jumped();
    }

    /// Sets the wall clock alone, as an operator or NTP would.
    pub fn set_wall_ms(&self, wall_ms: i64) {
        self.wall_ms.store(wall_ms, Ordering::SeqCst);
        self.jumped();
    }
}

impl Clock for ManualClock {
    fn wall_ms(&self) -> i64 {
        self.wall_ms.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.monotonic_ms.load(Ordering::SeqCst).unsigned_abs())
    }

    fn on_jump(&self, hook: JumpHook) {
        self.hooks.lock().push(hook);
    }
}

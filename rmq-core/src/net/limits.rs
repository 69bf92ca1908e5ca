//! The bounds of a server's or client's connections.

use std::time::Duration;

use crate::config;

/// Long enough to be never, short enough to be added to any time.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Every bound of the network layer. A value of zero is raised to the smallest that works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time, over all reactors; one more is accepted and closed at once.
    pub max_connections: usize,
    /// Bytes of a frame with its length prefix; a frame that announces more ends its connection.
    pub max_frame_bytes: usize,
    /// Bytes of a frame's header; a frame with a longer one ends its connection.
    pub max_header_bytes: usize,
    /// Bytes taken from one connection before the next one has its turn: the size of the one read
    /// buffer that a reactor has.
    pub read_buffer_bytes: usize,
    /// Frames handed to the handler in one call; between calls the outbox limits are applied.
    pub frames_per_call: usize,
    /// Unwritten bytes of a connection above which nothing more is read from it.
    pub outbox_soft_bytes: usize,
    /// Unwritten bytes of a connection, after a write was tried, above which it is closed.
    pub outbox_hard_bytes: usize,
    /// Buffers larger than this are given back to the allocator when they have been used.
    pub retained_buffer_bytes: usize,
    /// A connection on which nothing is read or written for this long is closed.
    pub idle_timeout: Duration,
    /// The longest time from the first to the last byte of a frame.
    pub frame_timeout: Duration,
    /// How long a closed connection may take to write what was already put into its outbox.
    pub close_timeout: Duration,
    /// How long an outbound connection may take to be established, per address tried.
    pub connect_timeout: Duration,
    /// Connections that the kernel holds for a listener before they are accepted.
    pub backlog: u32,
    /// Connections accepted before the open ones have their turn.
    pub accepts_per_turn: usize,
    /// Commands of other threads (`ReactorHandle::send`, `close`) that wait for one reactor.
    pub mailbox_commands: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 100_000,
            max_frame_bytes: 16 << 20,
            max_header_bytes: 1 << 20,
            read_buffer_bytes: 256 << 10,
            frames_per_call: 256,
            outbox_soft_bytes: 1 << 20,
            outbox_hard_bytes: 128 << 20,
            retained_buffer_bytes: 256 << 10,
            idle_timeout: Duration::from_secs(120),
            frame_timeout: Duration::from_secs(60),
            close_timeout: Duration::from_secs(3),
            connect_timeout: Duration::from_secs(3),
            backlog: 1024,
            accepts_per_turn: 64,
            mailbox_commands: 1 << 20,
        }
    }
}

impl Limits {
    /// The bounds that a server's configuration asks for.
    #[must_use]
    pub fn of_server(config: &config::ServerConfig) -> Self {
        Self {
            max_connections: config.max_connections,
            max_frame_bytes: config.max_frame_bytes,
            max_header_bytes: config.max_header_bytes,
            read_buffer_bytes: config.read_buffer_bytes,
            frames_per_call: config.frames_per_call,
            outbox_soft_bytes: config.outbox_soft_bytes,
            outbox_hard_bytes: config.outbox_hard_bytes,
            retained_buffer_bytes: config.retained_buffer_bytes,
            idle_timeout: seconds_or_never(config.idle_timeout_s),
            frame_timeout: Duration::from_millis(config.frame_timeout_ms),
            close_timeout: Duration::from_millis(config.close_timeout_ms),
            backlog: config.backlog,
            accepts_per_turn: config.accepts_per_turn,
            mailbox_commands: config.mailbox_commands,
            ..Self::default()
        }
    }

    /// The bounds that the configuration of outgoing connections asks for; frames are bounded as
    /// those of `server`.
    #[must_use]
    pub fn of_client(config: &config::ClientConfig, server: &config::ServerConfig) -> Self {
        Self {
            idle_timeout: seconds_or_never(config.idle_timeout_s),
            connect_timeout: Duration::from_millis(config.connect_timeout_ms),
            ..Self::of_server(server)
        }
    }

    /// The same with every value at least what the code needs to make progress.
    pub(crate) fn usable(mut self) -> Self {
        let least_time = Duration::from_millis(1);
        self.read_buffer_bytes = self.read_buffer_bytes.max(64);
        for bound in [
            &mut self.max_connections,
            &mut self.max_frame_bytes,
            &mut self.frames_per_call,
            &mut self.outbox_soft_bytes,
            &mut self.outbox_hard_bytes,
            &mut self.accepts_per_turn,
            &mut self.mailbox_commands,
        ] {
            *bound = (*bound).max(1);
        }
        for time in [
            &mut self.idle_timeout,
            &mut self.frame_timeout,
            &mut self.close_timeout,
            &mut self.connect_timeout,
        ] {
            *time = (*time).max(least_time);
        }
        self.backlog = self.backlog.max(1);
        self
    }
}

fn seconds_or_never(seconds: u32) -> Duration {
    match seconds {
        0 => NEVER,
        seconds => Duration::from_secs(seconds.into()),
    }
}

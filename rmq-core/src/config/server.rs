//! Keys of the sockets: Apache's network keys, and rmq's own limits on connections.

use std::net::IpAddr;

use crate::base::Result;
use crate::config::snapshot::Layers;
use crate::config::table::{absent, computed, is, settings};
use crate::config::value::choices;

const PORT: i64 = u16::MAX as i64;
const SECONDS_MAX: i64 = 7 * 24 * 3600;
const GIB: i64 = 1 << 30;

choices! {
    /// How much is logged.
    pub enum LogLevel {
        /// Nothing.
        Off = "off",
        /// What needs somebody's attention.
        Error = "error",
        /// What may need it.
        Warn = "warn",
        /// What happens seldom.
        #[default]
        Info = "info",
        /// What happens often.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
}

settings! {
    /// How a server listens, and its limits on connections.
    pub struct ServerConfig {
        parts {}
        used {
            bind_address: String, "bindAddress" = is("0.0.0.0"),
                "Address that the server listens on; 0.0.0.0 and :: are all of the host's.";
            listen_port: u16, "listenPort" =
                computed("9876 for a nameserver, 10911 for a broker",
                    |e| Some(e.listen_port.to_string())).range(0, PORT).important(),
                "Port that the server listens on; 0 takes a free one. A broker listens on \
                 listenPort-2 as well.";
            idle_timeout_s: u32, "serverChannelMaxIdleTimeSeconds" =
                is("120").range(0, SECONDS_MAX).seconds(),
                "Silence after which a connection is closed; 0 never.";
            backlog: u32, "serverSocketBacklog" = is("1024").range(1, 65_535),
                "Connections that may wait to be accepted.";
            shutdown_wait_s: u32, "shutdownWaitTimeSeconds" =
                is("30").range(0, SECONDS_MAX).seconds(),
                "Longest time that a stop waits for answers to leave.";
            reactor_threads: usize, "rmq.reactorThreads" = is("0").range(0, 256),
                "Threads that serve connections; 0 takes one for each processor.";
            max_connections: usize, "rmq.maxConnections" = is("100000").range(1, 10_000_000),
                "Connections open at once; the next one is accepted and closed.";
            max_frame_bytes: usize, "rmq.maxFrameBytes" =
                is("16777216").range(4_096, GIB).bytes(),
                "Largest frame, its length field included; a larger one closes the connection.";
            max_header_bytes: usize, "rmq.maxHeaderBytes" =
                is("1048576").range(1_024, 1 << 24).bytes(),
                "Largest header of a frame; a frame with a larger one closes the connection.";
            read_buffer_bytes: usize, "rmq.readBufferBytes" =
                is("262144").range(16_384, 1 << 26).bytes(),
                "Bytes read from one connection before the next has its turn: the read buffer of \
                 a reactor thread.";
            frames_per_call: usize, "rmq.framesPerCall" = is("256").range(1, 1_000_000),
                "Frames of one connection handled before its unsent bytes are looked at.";
            outbox_soft_bytes: usize, "rmq.outboxSoftBytes" =
                is("1048576").range(4_096, GIB).bytes(),
                "Unsent bytes at which a connection is no longer read, until they have left.";
            outbox_hard_bytes: usize, "rmq.outboxHardBytes" =
                is("134217728").range(4_096, 16 * GIB).bytes(),
                "Unsent bytes at which a connection is closed.";
            retained_buffer_bytes: usize, "rmq.retainedBufferBytes" =
                is("262144").range(0, GIB).bytes(),
                "Largest buffer that is kept for the next use.";
            frame_timeout_ms: u64, "rmq.frameTimeout" = is("60000").range(1, 86_400_000).ms(),
                "Longest time from the first to the last byte of a frame.";
            close_timeout_ms: u64, "rmq.closeTimeout" = is("3000").range(1, 86_400_000).ms(),
                "Time that a closed connection has to take what was put out for it.";
            accepts_per_turn: usize, "rmq.acceptsPerTurn" = is("64").range(1, 100_000),
                "Connections accepted before the open ones have their turn.";
            mailbox_commands: usize, "rmq.mailboxCommands" =
                is("1048576").range(1_024, 1 << 30),
                "Answers and closings of other threads that wait for one reactor thread.";
            log_dir: Option<String>, "rmq.logDir" = absent().immutable(),
                "Folder that a command writes its log files to; left out, it logs to standard \
                 error.";
            log_level: LogLevel, "rmq.logLevel" = is("info"),
                "The least important messages that a command logs.";
        }
        accepted {
            "serverSocketSndBufSize": Int = is("0"),
                "Send buffer of a socket; 0 leaves it to the system.";
            "serverSocketRcvBufSize": Int = is("0"),
                "Receive buffer of a socket; 0 leaves it to the system.";
            "serverWorkerThreads": Int = is("8"),
                "Codec and handshake threads; rmq's reactors do that work.";
            "serverCallbackExecutorThreads": Int = is("0"),
                "Threads for callbacks of requests to clients.";
            "serverSelectorThreads": Int = is("3"),
                "Event loops of Apache's server; rmq.reactorThreads sets rmq's.";
            "serverOnewaySemaphoreValue": Int = is("256"),
                "One-way requests to clients in flight at once.";
            "serverAsyncSemaphoreValue": Int = is("64"), "Requests to clients in flight at once.";
            "writeBufferHighWaterMark": Int = is("0"),
                "Unsent bytes that stop reading; rmq.outboxSoftBytes is rmq's.";
            "writeBufferLowWaterMark": Int = is("0"), "Unsent bytes at which reading goes on.";
            "serverNettyWorkerGroupEnable": Bool = is("true"), "Runs handlers on worker threads.";
            "serverPooledByteBufAllocatorEnable": Bool = is("true"), "Takes buffers from a pool.";
            "enableShutdownGracefully": Bool = is("false"),
                "Tells clients to go away while stopping.";
            "useEpollNativeSelector": Bool = is("false"), "Uses epoll; rmq always does on Linux.";
        }
    }
}

impl ServerConfig {
    /// Checks what a table row cannot say.
    pub(crate) fn check(&self, layers: &Layers<'_>) -> Result<()> {
        check_ip_address(layers, "bindAddress", &self.bind_address)
    }
}

/// Refuses a value that is no IP address.
pub(crate) fn check_ip_address(layers: &Layers<'_>, key: &str, text: &str) -> Result<()> {
    match text.parse::<IpAddr>() {
        Ok(_) => Ok(()),
        Err(_) => Err(layers.refuse(key, "allowed is an IP address such as 192.168.1.11")),
    }
}

settings! {
    /// How a server connects to others.
    pub struct ClientConfig {
        parts {}
        used {
            connect_timeout_ms: u64, "connectTimeoutMillis" = is("3000").range(1, 600_000).ms(),
                "Time allowed to an outgoing connection to open.";
            idle_timeout_s: u32, "clientChannelMaxIdleTimeSeconds" =
                is("120").range(0, SECONDS_MAX).seconds(),
                "Silence after which an outgoing connection is closed; 0 never.";
            in_flight_max: usize, "clientAsyncSemaphoreValue" = is("65535").range(1, 10_000_000),
                "Outgoing requests in flight at once.";
            reconnect_interval_max_s: u32, "maxReconnectIntervalTimeSeconds" =
                is("60").range(1, SECONDS_MAX).seconds(),
                "Longest pause between attempts to reach an address.";
        }
        accepted {
            "clientSocketSndBufSize": Int = is("0"),
                "Send buffer of an outgoing socket; 0 leaves it to the system.";
            "clientSocketRcvBufSize": Int = is("0"),
                "Receive buffer of an outgoing socket; 0 leaves it to the system.";
            "clientWorkerThreads": Int = is("4"), "Codec threads for outgoing connections.";
            "clientCallbackExecutorThreads": Int =
                computed("one for each processor", |e| Some(e.cores.to_string())),
                "Threads for callbacks of outgoing requests.";
            "clientOnewaySemaphoreValue": Int = is("65535"),
                "Outgoing one-way requests in flight at once.";
            "channelNotActiveInterval": Long = is("60000"),
                "How often unused outgoing connections are looked for.";
            "isScanAvailableNameSrv": Bool = is("true").alias("scanAvailableNameSrv"),
                "Probes nameservers and prefers one that answers.";
            "clientPooledByteBufAllocatorEnable": Bool = is("false"),
                "Takes buffers of outgoing connections from a pool.";
            "clientCloseSocketIfTimeout": Bool = is("true"),
                "Closes an outgoing connection when a request times out.";
            "useTLS": Bool = is("false"), "Encrypts outgoing connections.";
            "socksProxyConfig": Text = is("{}"), "SOCKS proxies by network, as JSON.";
            "disableCallbackExecutor": Bool = is("false"), "Runs callbacks on the event loop.";
            "disableNettyWorkerGroup": Bool = is("false"), "Runs handlers on the event loop.";
            "enableReconnectForGoAway": Bool = is("true"),
                "Reconnects when the other side says that it stops.";
        }
    }
}

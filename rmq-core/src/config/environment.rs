//! What defaults need to know about the process and its host.

use std::env;

/// The host as the defaults see it. Tests and embedding build their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Processors that the process may use, at least 1.
    pub cores: usize,
    /// The user's home directory.
    pub home: String,
    /// `ROCKETMQ_HOME`.
    pub rocketmq_home: Option<String>,
    /// `NAMESRV_ADDR`.
    pub namesrv_addr: Option<String>,
    /// The name of the host; empty when unknown.
    pub host_name: String,
    /// The port that the server listens on unless it is told another.
    pub listen_port: u16,
}

impl Environment {
    /// Reads it from this process.
    #[must_use]
    pub fn of_process() -> Self {
        let set = |name: &str| env::var(name).ok().filter(|value| !value.trim().is_empty());
        let host_name = nix::sys::utsname::uname()
            .ok()
            .map(|names| names.nodename().to_string_lossy().into_owned());
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            home: set("HOME").unwrap_or_else(|| ".".to_owned()),
            rocketmq_home: set("ROCKETMQ_HOME"),
            namesrv_addr: set("NAMESRV_ADDR"),
            host_name: host_name.unwrap_or_default(),
            listen_port: 0,
        }
    }

    /// A fixed host, for documentation and tests.
    #[must_use]
    pub fn fixed() -> Self {
        Self {
            cores: 2,
            home: "/HOME".to_owned(),
            rocketmq_home: None,
            namesrv_addr: None,
            host_name: "host".to_owned(),
            listen_port: 0,
        }
    }

    pub(crate) fn under_home(&self, path: &str) -> Option<String> {
        Some(format!("{}/{path}", self.home.trim_end_matches('/')))
    }
}

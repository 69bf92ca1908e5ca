//! A broker process that is ended and started again: its files outlive it. Uses the modules `peer`
//! and `process` of the test that has this one.

#![allow(
    dead_code,
    reason = "each test crate uses its own part of the support modules"
)]

use rmq_core::base::clock::{Clock, SystemClock};
use rmq_core::client::raw;
use rmq_core::net::Client;
use rmq_core::protocol::body::kv_table::KvTable;
use rmq_core::protocol::code::RequestCode;
use rmq_core::protocol::command::Command;

use crate::peer;
use crate::process::{Home, Process, eventually, free_port};

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Stopped,
    Killed,
}

pub(crate) struct Server {
    pub(crate) home: Home,
    pub(crate) address: String,
    pub(crate) process: Process,
    /// A client for the process that runs now.
    pub(crate) client: Client,
}

impl Server {
    /// Boots a broker with these keys, each on a line of its own.
    pub(crate) fn new(keys: &str) -> Self {
        let home = Home::new();
        let port = free_port();
        // Small files, so that kills fall on their ends too.
        home.write(
            "broker.conf",
            &format!(
                "brokerName=broker-a\nbrokerIP1=127.0.0.1\nbindAddress=127.0.0.1\n\
                 listenPort={port}\nmappedFileSizeCommitLog=256k\n\
                 mappedFileSizeConsumeQueue=2000\n{keys}\n"
            ),
        );
        let mut process = Self::launch(&home);
        process.booted();
        Self {
            home,
            address: format!("127.0.0.1:{port}"),
            process,
            client: peer::client(),
        }
    }

    /// Starts a process on these files and waits for nothing.
    pub(crate) fn launch(home: &Home) -> Process {
        home.broker().config(&home.join("broker.conf")).spawn()
    }

    /// Adds keys to the configuration of the next start.
    pub(crate) fn add_keys(&self, keys: &str) {
        let path = self.home.join("broker.conf");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, format!("{text}{keys}\n")).unwrap();
    }

    pub(crate) fn end(&mut self, how: End) {
        match how {
            End::Stopped => self.process.stop(),
            End::Killed => self.process.kill(),
        }
    }

    /// Boots it again after its end.
    pub(crate) fn boot(&mut self) {
        self.process = Self::launch(&self.home);
        self.process.booted();
        self.client = peer::client();
    }

    pub(crate) fn restart(&mut self, how: End) {
        self.end(how);
        self.boot();
    }

    pub(crate) fn create_topic(&self, topic: &str, queues: i32) {
        raw::create_topic(&self.client, &self.address, topic, queues, peer::ANSWER).unwrap();
    }

    /// The answer to a request, whatever it is.
    pub(crate) fn call(&self, request: Command) -> Command {
        let answer = self.client.call(&self.address, request, peer::ANSWER);
        answer.unwrap()
    }
}

/// A master and its slave at a nameserver of their own.
pub(crate) struct Pair {
    pub(crate) master: Server,
    pub(crate) slave: Server,
    _nameserver: Process,
    _home: Home,
}

impl Pair {
    /// Boots the three; both brokers have these keys.
    pub(crate) fn new(keys: &str) -> Self {
        let home = Home::new();
        let file = home.write("namesrv.conf", "listenPort=0\nbindAddress=127.0.0.1\n");
        let mut nameserver = home.namesrv().config(&file).start();
        let address = nameserver.address();
        let boot = |role: &str, id: u8| {
            Server::new(&format!(
                "{keys}\nnamesrvAddr={address}\nbrokerIP2=127.0.0.1\nbrokerRole={role}\n\
                 brokerId={id}"
            ))
        };
        Self {
            master: boot("ASYNC_MASTER", 0),
            slave: boot("SLAVE", 1),
            _nameserver: nameserver,
            _home: home,
        }
    }

    /// Waits until the slave has all of the master's log.
    pub(crate) fn catch_up(&self) {
        let end = |server: &Server| {
            let request = Command::bare_request(RequestCode::GET_BROKER_RUNTIME_INFO);
            let info = KvTable::decode(&server.call(request).body).unwrap();
            info.table["commitLogMaxOffset"].clone()
        };
        eventually("the slave has the master's log", || {
            (end(&self.master) == end(&self.slave)).then_some(())
        });
    }

    /// The master is killed, and the slave started again in its place.
    pub(crate) fn fail_over(mut self) -> Server {
        self.master.end(End::Killed);
        self.slave.add_keys("brokerRole=ASYNC_MASTER\nbrokerId=0");
        self.slave.restart(End::Stopped);
        self.slave
    }
}

/// The system's clock, ms since the epoch.
pub(crate) fn now_ms() -> i64 {
    SystemClock::new().wall_ms()
}

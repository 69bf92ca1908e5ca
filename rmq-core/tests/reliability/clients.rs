//! The official clients, each a process on a host of its own that sends and consumes all the time
//! and writes a history.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::apache::{self, Process};
use crate::cluster::Cluster;
use crate::history::History;

const READY: Duration = Duration::from_secs(60);
/// Longer than a producer goes on trying to send its last message.
const STOP: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Java(&'static str),
    Go,
}

/// How much a client sends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    pub(crate) producers: u32,
    /// Messages a second, of all its producers.
    pub(crate) messages: u32,
}

pub(crate) struct Client {
    pub(crate) kind: Kind,
    /// The number of its group too.
    pub(crate) number: u16,
    pub(crate) file: PathBuf,
    process: Process,
    read: u64,
    rest: Vec<u8>,
}

impl Client {
    pub(crate) fn start(
        kind: Kind,
        number: u16,
        cluster: &Cluster,
        (topic, rate): (&str, Rate),
        folder: &Path,
    ) -> Self {
        let file = folder.join("history");
        let mut command = match kind {
            Kind::Java(version) => apache::client(version, "Traffic", folder),
            Kind::Go => {
                let mut command = apache::go_suite();
                command
                    .arg("traffic")
                    .arg("--log")
                    .arg(folder.join("client.log"));
                command
            }
        };
        command
            .args(["-n", &cluster.nameserver_addresses().join(";")])
            .args(["--topic", topic, "--client", &number.to_string()])
            .args(["--producers", &rate.producers.to_string()])
            .args(["--rate", &rate.messages.to_string()])
            .arg("--file")
            .arg(&file);
        let host = cluster.client_host(usize::from(number) - 1);
        let host = cluster.network.host(host);
        let mut command = inside(host.name(), &command);
        command.stdin(Stdio::piped());
        let process = Process::spawn(&format!("{kind:?}"), &mut command, folder);
        Self {
            kind,
            number,
            file,
            process,
            read: 0,
            rest: Vec::new(),
        }
    }

    pub(crate) fn await_ready(&mut self) {
        self.process.await_output("ready", 0, READY);
    }

    /// SEND_OKs so far.
    pub(crate) fn ok(&self) -> u64 {
        let text = self.process.log_text();
        let number = |line: &str| line.strip_prefix("ok ")?.parse().ok();
        text.lines().rev().find_map(number).unwrap_or(0)
    }

    /// Its consumers pull nothing until `resume`.
    pub(crate) fn pause(&mut self) {
        self.process.say("pause");
    }

    pub(crate) fn resume(&mut self) {
        self.process.say("resume");
    }

    pub(crate) fn stop_sending(&mut self) {
        self.process.say("stop");
    }

    pub(crate) fn await_stopped(&mut self) {
        self.process.await_output("stopped", 0, STOP);
    }

    pub(crate) fn quit(&mut self) {
        self.process.say("quit");
        if self.process.await_end(Duration::from_secs(10)).is_none() {
            self.process.kill();
        }
    }

    /// Adds to the history what the client wrote since the last time.
    pub(crate) fn read_into(&mut self, history: &mut History) {
        let mut file = File::open(&self.file).unwrap();
        file.seek(SeekFrom::Start(self.read)).unwrap();
        let length = file.read_to_end(&mut self.rest).unwrap();
        self.read += length as u64;
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else {
            return;
        };
        let whole: Vec<u8> = self.rest.drain(..=end).collect();
        for line in String::from_utf8_lossy(&whole).lines() {
            history
                .add(line)
                .unwrap_or_else(|wrong| panic!("{:?}: {wrong}", self.kind));
        }
    }
}

/// The same command in a network namespace.
fn inside(network: &str, command: &Command) -> Command {
    let mut within = Command::new("ip");
    within
        .args(["netns", "exec", network])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => within.env(name, value),
            None => within.env_remove(name),
        };
    }
    within
}

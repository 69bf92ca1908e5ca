//! Registration with every nameserver: at the start, every period, when a topic changes, and
//! taken back at a clean stop.

mod single;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use parking_lot::Mutex;

use crate::base::Result;
use crate::base::queue::Popped;
use crate::broker::members::Master;
use crate::broker::shared::Shared;
use crate::net::Client;
use crate::protocol::body::register::RegisterBrokerBody;
use crate::protocol::code::{RequestCode, ResponseCode};
use crate::protocol::command::Command;
use crate::protocol::request::broker::{
    RegisterBrokerRequest, RegisterBrokerResponse, UnregisterBrokerRequest,
};

/// A period is never below or above these, whatever the configuration says, as in Apache.
const PERIOD_MIN_MS: u64 = 10_000;
const PERIOD_MAX_MS: u64 = 60_000;

/// How soon a nameserver that did not answer is tried again: a broker that starts before its
/// nameservers is to be found soon after they come.
const RETRY_MS: u64 = 1_000;

/// At a stop nobody waits long for a nameserver that does not answer.
const UNREGISTER_TIMEOUT: Duration = Duration::from_millis(3_000);

/// How long the start waits for nameservers that take their time.
const START_PATIENCE: Duration = Duration::from_millis(3_000);

/// How long a later round waits for them; what comes later is heard in the next round.
const PATIENCE: Duration = Duration::from_millis(1_000);

/// Registers one broker. A nameserver has one registration in flight at a time, and none waits for
/// another nameserver.
#[derive(Debug)]
pub(crate) struct Registration {
    shared: Arc<Shared>,
    client: Arc<Client>,
    ha_address: String,
    rounds: Mutex<Rounds>,
    /// Servers that a connection to has ended. A nameserver forgets its brokers with their
    /// connections, and when it starts again it knows none.
    lost: Arc<Mutex<HashSet<String>>>,
}

type Answer = (String, Result<Command>);

/// What is known of the nameservers.
#[derive(Debug)]
struct Rounds {
    answers: Sender<Answer>,
    received: Receiver<Answer>,
    standings: HashMap<String, Standing>,
}

/// How the broker stands with one nameserver.
#[derive(Debug, Default)]
struct Standing {
    in_flight: bool,
    /// What is in flight is not the newest any more.
    stale: bool,
    /// Whether the last registration was taken; `None` before the first answer.
    taken: Option<bool>,
    /// It takes registrations of all topics only.
    whole_only: bool,
}

impl Rounds {
    fn new() -> Self {
        let (answers, received) = channel();
        let standings = HashMap::new();
        Self {
            answers,
            received,
            standings,
        }
    }

    /// Takes note of an answer. The log is told when it changes something.
    fn settle(&mut self, nameserver: &str, answer: Result<Command>) {
        let standing = self.standings.entry(nameserver.to_owned()).or_default();
        standing.in_flight = false;
        let code = answer.as_ref().ok().map(Command::response_code);
        standing.whole_only |= code == Some(ResponseCode::REQUEST_CODE_NOT_SUPPORTED);
        let refusal = match answer {
            Ok(reply) if reply.response_code() == ResponseCode::SUCCESS => None,
            Ok(reply) => Some(format!(
                "{}: {}",
                reply.response_code(),
                reply.remark.unwrap_or_default()
            )),
            Err(error) => Some(error.to_string()),
        };
        let before = standing.taken.replace(refusal.is_none());
        match refusal {
            None if before == Some(true) => tracing::debug!(nameserver, "registered again"),
            None => tracing::info!(nameserver, "registered"),
            Some(why) if before == Some(false) => tracing::debug!(nameserver, why, "still not"),
            Some(why) => tracing::warn!(nameserver, why, "not registered, tried again until it is"),
        }
    }
}

/// The master that the answer to a slave's registration names.
fn master_of(answer: &Result<Command>) -> Option<Master> {
    let reply = answer.as_ref().ok()?;
    if reply.response_code() != ResponseCode::SUCCESS {
        return None;
    }
    let response: RegisterBrokerResponse = reply.header().ok()?;
    let given = |address: Option<String>| address.filter(|address| !address.is_empty());
    Some(Master {
        address: given(response.master_addr)?,
        ha_address: given(response.ha_server_addr)?,
    })
}

impl Registration {
    /// A registration of this broker, which slaves reach at `ha_address`.
    #[must_use]
    pub(crate) fn new(shared: Arc<Shared>, client: Arc<Client>, ha_address: String) -> Self {
        let lost: Arc<Mutex<HashSet<String>>> = Arc::default();
        let losing = Arc::clone(&lost);
        client.on_disconnect(move |address| {
            losing.lock().insert(address.to_owned());
        });
        Self {
            shared,
            client,
            ha_address,
            rounds: Mutex::new(Rounds::new()),
            lost,
        }
    }

    /// Takes an answer: how the broker stands, and who its master is.
    fn settle(&self, rounds: &mut Rounds, (nameserver, answer): Answer) {
        if let Some(master) = self.shared.members.told(&nameserver, master_of(&answer)) {
            tracing::info!(
                address = master.address,
                ha_address = master.ha_address,
                nameserver,
                "this slave follows its master"
            );
            self.shared.follow(&master);
        }
        rounds.settle(&nameserver, answer);
    }

    fn settle_received(&self, rounds: &mut Rounds) {
        while let Ok(answer) = rounds.received.try_recv() {
            self.settle(rounds, answer);
        }
    }

    /// Registers whenever it is due or asked for, until the queue of requests is closed.
    pub(crate) fn run(&self) {
        let mut registered_ms = self.shared.clock.monotonic_ms();
        loop {
            let period_ms = self.shared.config().register_interval_ms;
            let now_ms = self.shared.clock.monotonic_ms();
            let period_ms = period_ms.clamp(PERIOD_MIN_MS, PERIOD_MAX_MS);
            let mut due_ms = registered_ms + period_ms;
            if let Some(look_up_ms) = self.shared.look_up_in_ms(now_ms) {
                due_ms = due_ms.min(now_ms + look_up_ms);
            }
            let wait_ms = due_ms.saturating_sub(now_ms).min(RETRY_MS);
            let missing = self.missing();
            let mut asked = Vec::new();
            match self
                .shared
                .registration
                .pop_timeout(Duration::from_millis(wait_ms))
            {
                Popped::Item(first) => asked.push(first),
                Popped::TimedOut => {}
                Popped::Closed => return,
            }
            self.shared.registration.drain_into(&mut asked);
            if asked.is_empty() && self.shared.clock.monotonic_ms() < due_ms {
                self.register_with(&missing, PATIENCE);
                continue;
            }
            let now_ms = self.shared.clock.monotonic_ms();
            let changes = self.shared.take_topic_changes();
            let all = changes.all || asked.iter().any(|one| one.all) || now_ms >= due_ms;
            if all || !self.register_topics(&changes.topics) {
                registered_ms = now_ms;
                self.shared.members.asked(registered_ms);
                self.register_with(&self.shared.config().namesrv_addr, PATIENCE);
            }
            for one in asked {
                (one.done)();
            }
        }
    }

    /// Registers with every nameserver for the first time.
    pub(crate) fn register(&self) {
        self.register_with(&self.shared.config().namesrv_addr, START_PATIENCE);
    }

    /// The nameservers that have to be asked again.
    fn missing(&self) -> Vec<String> {
        let mut rounds = self.rounds.lock();
        self.settle_received(&mut rounds);
        let config = self.shared.config();
        self.shared.members.keep_nameservers(&config.namesrv_addr);
        rounds
            .standings
            .retain(|nameserver, _| config.namesrv_addr.contains(nameserver));
        for address in std::mem::take(&mut *self.lost.lock()) {
            if let Some(standing) = rounds.standings.get_mut(&address) {
                standing.taken = None;
                standing.whole_only = false;
            }
        }
        let is_missing = |nameserver: &&String| match rounds.standings.get(*nameserver) {
            Some(standing) => {
                !standing.in_flight && (standing.taken != Some(true) || standing.stale)
            }
            None => true,
        };
        let nameservers = config.namesrv_addr.iter();
        nameservers.filter(is_missing).cloned().collect()
    }

    fn command(&self) -> Command {
        let config = self.shared.config();
        let body = RegisterBrokerBody::new(
            self.shared.topics.snapshot(),
            config.broker_permission.cast_signed(),
        );
        let bytes = body.encode();
        let header = RegisterBrokerRequest {
            broker_name: config.broker_name.clone(),
            broker_addr: self.shared.store_host().to_string(),
            cluster_name: config.cluster_name.clone(),
            ha_server_addr: self.ha_address.clone(),
            broker_id: config.broker_id,
            enable_acting_master: Some(false),
            compressed: false,
            heartbeat_timeout_ms: None,
            body_crc32: crate::base::crc::crc32(&bytes),
        };
        Command::request(RequestCode::REGISTER_BROKER, &header).with_body(bytes)
    }

    /// Asks these nameservers, except those that have not answered the last time yet, and waits
    /// for their answers as long as `patience` allows.
    fn register_with(&self, nameservers: &[String], patience: Duration) {
        if nameservers.is_empty() {
            return;
        }
        let command = self.command();
        let timeout = Duration::from_millis(self.shared.config().register_timeout_ms);
        let mut rounds = self.rounds.lock();
        self.settle_received(&mut rounds);
        let mut asked = HashSet::new();
        for nameserver in nameservers {
            let standing = rounds.standings.entry(nameserver.clone()).or_default();
            standing.stale = standing.in_flight;
            if standing.in_flight {
                continue;
            }
            standing.in_flight = true;
            asked.insert(nameserver.as_str());
            let (answers, name) = (rounds.answers.clone(), nameserver.clone());
            self.client
                .call_async(nameserver, command.clone(), timeout, move |answer| {
                    // The receiver is gone only when the broker is.
                    let _ = answers.send((name, answer));
                });
        }
        self.await_answers(&mut rounds, asked, patience);
    }

    /// Takes answers until those of `asked` are there or patience is over.
    fn await_answers(&self, rounds: &mut Rounds, mut asked: HashSet<&str>, patience: Duration) {
        let until = self.shared.clock.monotonic() + patience;
        while !asked.is_empty() {
            let left = until.saturating_sub(self.shared.clock.monotonic());
            let Ok((nameserver, answer)) = rounds.received.recv_timeout(left) else {
                return;
            };
            asked.remove(nameserver.as_str());
            self.settle(rounds, (nameserver, answer));
        }
    }

    /// Takes the registration back, for a clean stop.
    pub(crate) fn unregister(&self) {
        let config = self.shared.config();
        let header = UnregisterBrokerRequest {
            broker_name: config.broker_name.clone(),
            broker_addr: self.shared.store_host().to_string(),
            cluster_name: config.cluster_name.clone(),
            broker_id: config.broker_id,
        };
        let command = Command::request(RequestCode::UNREGISTER_BROKER, &header);
        let (answers, received) = channel();
        for nameserver in &config.namesrv_addr {
            let (answers, name) = (answers.clone(), nameserver.clone());
            let timeout = UNREGISTER_TIMEOUT;
            self.client
                .call_async(nameserver, command.clone(), timeout, move |answer| {
                    // The receiver waits for every answer.
                    let _ = answers.send((name, answer));
                });
        }
        drop(answers);
        for (nameserver, answer) in received {
            match answer {
                Ok(_) => tracing::debug!(nameserver, "unregistered"),
                Err(error) => tracing::warn!(nameserver, %error, "not unregistered"),
            }
        }
    }
}

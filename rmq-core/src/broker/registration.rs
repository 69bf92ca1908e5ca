//! Registration with every nameserver: at the start, every period, when a topic changes, and
//! taken back at a clean stop.

use std::sync::Arc;
use std::time::Duration;

use crate::base::queue::Popped;
use crate::broker::shared::Shared;
use crate::net::Client;
use crate::protocol::body::register::RegisterBrokerBody;
use crate::protocol::code::{RequestCode, ResponseCode};
use crate::protocol::command::Command;
use crate::protocol::request::broker::{RegisterBrokerRequest, UnregisterBrokerRequest};

/// A period is never below or above these, whatever the configuration says, as in Apache.
const PERIOD_MIN_MS: u64 = 10_000;
const PERIOD_MAX_MS: u64 = 60_000;

/// How soon a nameserver that did not answer is tried again: a broker that starts before its
/// nameservers is to be found soon after they come.
const RETRY_MS: u64 = 1_000;

/// At a stop nobody waits long for a nameserver that does not answer.
const UNREGISTER_TIMEOUT: Duration = Duration::from_millis(3_000);

/// Registers one broker.
#[derive(Debug)]
pub(crate) struct Registration {
    shared: Arc<Shared>,
    client: Arc<Client>,
    ha_address: String,
}

impl Registration {
    /// A registration of this broker, which slaves reach at `ha_address`.
    #[must_use]
    pub(crate) fn new(shared: Arc<Shared>, client: Arc<Client>, ha_address: String) -> Self {
        Self {
            shared,
            client,
            ha_address,
        }
    }

    /// Registers whenever it is due or asked for, until the queue of requests is closed.
    /// Nameservers in `missing` did not take the last registration and are tried again soon.
    pub(crate) fn run(&self, mut missing: Vec<String>) {
        let mut registered_ms = self.shared.clock.monotonic_ms();
        loop {
            let period_ms = self.shared.config().register_interval_ms;
            let due_ms = registered_ms + period_ms.clamp(PERIOD_MIN_MS, PERIOD_MAX_MS);
            let now_ms = self.shared.clock.monotonic_ms();
            let mut wait_ms = due_ms.saturating_sub(now_ms);
            if !missing.is_empty() {
                wait_ms = wait_ms.min(RETRY_MS);
            }
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
                missing = self.register_with(&missing);
                continue;
            }
            registered_ms = self.shared.clock.monotonic_ms();
            missing = self.register();
            for one in asked {
                // Who asked may have stopped waiting.
                let _ = one.done.try_send(());
            }
        }
    }

    /// Registers with every nameserver once. Returns those that did not take it.
    pub(crate) fn register(&self) -> Vec<String> {
        self.register_with(&self.shared.config().namesrv_addr)
    }

    fn register_with(&self, nameservers: &[String]) -> Vec<String> {
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
        let command = Command::request(RequestCode::REGISTER_BROKER, &header).with_body(bytes);
        let timeout = Duration::from_millis(config.register_timeout_ms);
        self.ask_all("register", nameservers, &command, timeout)
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
        self.ask_all(
            "unregister",
            &config.namesrv_addr,
            &command,
            UNREGISTER_TIMEOUT,
        );
    }

    /// Asks several nameservers at the same time; returns those that did not agree.
    fn ask_all(
        &self,
        what: &'static str,
        nameservers: &[String],
        command: &Command,
        timeout: Duration,
    ) -> Vec<String> {
        let (answers, received) = std::sync::mpsc::channel();
        for address in nameservers {
            let (answers, asked) = (answers.clone(), address.clone());
            self.client
                .call_async(address, command.clone(), timeout, move |answer| {
                    // The receiver waits for every answer; it is gone only when this thread is.
                    let _ = answers.send((asked, answer));
                });
        }
        drop(answers);
        let mut missing = Vec::new();
        for (address, answer) in received {
            match answer {
                Ok(reply) if reply.response_code() == ResponseCode::SUCCESS => continue,
                Ok(reply) => {
                    let (code, remark) = (reply.response_code(), reply.remark.unwrap_or_default());
                    tracing::warn!(nameserver = address, what, %code, remark, "refused");
                }
                Err(error) => tracing::warn!(nameserver = address, what, %error, "no answer"),
            }
            missing.push(address);
        }
        missing
    }
}

//! A master and its slave over real sockets and files: what senders are promised, what consumers
//! find at the slave, and what becomes of both when either is gone.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "a test may look at the clock")]

#[path = "support/peer.rs"]
mod peer;

use std::collections::BTreeMap;
use std::time::Duration;

use peer::{ANSWER, message, pull_from, read_queue, send};
use rmq_core::base::clock::{Clock, SystemClock};
use rmq_core::base::{ErrorKind, Result};
use rmq_core::client::raw::{self, PullReply, SendReceipt, SendStatus};
use rmq_core::config::{BrokerRole, FlushDiskType};
use rmq_core::embed::{Broker, BrokerConfig, NameServer, NamesrvConfig, Storage};
use rmq_core::net::Client;
use rmq_core::protocol::body::group::SubscriptionGroupConfig;
use rmq_core::protocol::body::ha_status::HaStatus;
use rmq_core::protocol::body::kv_table::KvTable;
use rmq_core::protocol::body::topic::TopicTable;
use rmq_core::protocol::code::{RequestCode, ResponseCode};
use rmq_core::protocol::command::Command;
use rmq_core::protocol::message::batch::BatchMessage;
use rmq_core::protocol::request::ha::NotifyMinBrokerIdChangeRequest;
use rmq_core::protocol::request::pull::{FLAG_SUSPEND, PullRequest};
use rmq_core::protocol::request::send::SendRequest;
use rmq_core::protocol::request::topic::{CreateTopicRequest, DeleteTopicRequest};

/// Longest time for something that is to happen by itself.
const SOON: Duration = Duration::from_secs(30);

/// Brokers of one name at one nameserver.
struct Group {
    nameserver: NameServer,
    master: Option<Broker>,
    slave: Option<Broker>,
    master_files: Storage,
    slave_files: Storage,
    client: Client,
    role: BrokerRole,
    flush: FlushDiskType,
    edit: fn(&mut BrokerConfig),
}

impl Group {
    /// A nameserver and a master.
    fn new(role: BrokerRole, flush: FlushDiskType) -> Self {
        Self::edited(role, flush, |_| {})
    }

    fn edited(role: BrokerRole, flush: FlushDiskType, edit: fn(&mut BrokerConfig)) -> Self {
        let mut group = Self {
            nameserver: NameServer::start(NamesrvConfig::embedded_defaults()).unwrap(),
            master: None,
            slave: None,
            master_files: Storage::temporary().unwrap(),
            slave_files: Storage::temporary().unwrap(),
            client: peer::client(),
            role,
            flush,
            edit,
        };
        group.start_master();
        group
    }

    fn config(&self, role: BrokerRole, id: i64, files: &Storage) -> BrokerConfig {
        let mut config = BrokerConfig::embedded_defaults(files.path().to_string_lossy());
        config.broker_name = "broker-a".to_owned();
        config.broker_id = id;
        config.namesrv_addr = vec![self.nameserver.address().to_string()];
        config.slave_read_enable = true;
        config.store.broker_role = role;
        config.store.flush_disk_type = self.flush;
        config.store.ha_heartbeat_ms = 200;
        config.store.ha_housekeeping_ms = 2_000;
        (self.edit)(&mut config);
        config
    }

    fn start_master(&mut self) {
        let config = self.config(self.role, 0, &self.master_files);
        self.master = Some(Broker::start(config).unwrap());
    }

    fn start_slave(&mut self) {
        let config = self.config(BrokerRole::Slave, 1, &self.slave_files);
        self.slave = Some(Broker::start(config).unwrap());
    }

    fn kill_master(&mut self) {
        self.master.take().unwrap().kill();
    }

    fn kill_slave(&mut self) {
        self.slave.take().unwrap().kill();
    }

    fn master(&self) -> String {
        self.master.as_ref().unwrap().address().to_string()
    }

    fn slave(&self) -> String {
        self.slave.as_ref().unwrap().address().to_string()
    }

    fn create_topic(&self, topic: &str) {
        raw::create_topic(&self.client, &self.master(), topic, 2, ANSWER).unwrap();
    }

    fn send(&self, topic: &str, body: &str) -> SendReceipt {
        send(&self.client, &self.master(), (topic, 0), body.to_owned()).unwrap()
    }

    fn ask(&self, broker: &str, request: Command) -> Command {
        self.client.call(broker, request, ANSWER).unwrap()
    }

    fn pull(&self, broker: &str, header: &PullRequest<'_>) -> PullReply {
        raw::pull(&self.client, broker, header, ANSWER).unwrap()
    }

    /// The bodies in a queue of a broker that has them all.
    fn bodies(&self, broker: &str, topic: &str) -> Vec<String> {
        let messages = read_queue(&self.client, broker, topic, 0).unwrap();
        let text = |body: Vec<u8>| String::from_utf8(body).unwrap();
        messages.into_iter().map(|one| text(one.body)).collect()
    }

    fn topics(&self, broker: &str) -> TopicTable {
        let request = Command::bare_request(RequestCode::GET_ALL_TOPIC_CONFIG);
        TopicTable::decode(&self.ask(broker, request).body).unwrap()
    }

    fn runtime_info(&self, broker: &str) -> BTreeMap<String, String> {
        let request = Command::bare_request(RequestCode::GET_BROKER_RUNTIME_INFO);
        KvTable::decode(&self.ask(broker, request).body)
            .unwrap()
            .table
    }

    fn ha_status(&self, broker: &str) -> HaStatus {
        let request = Command::bare_request(RequestCode::GET_BROKER_HA_STATUS);
        HaStatus::decode(&self.ask(broker, request).body).unwrap()
    }

    /// Waits until the slave has the master's log and tables.
    fn catch_up(&self) {
        let (master, slave) = (self.master(), self.slave());
        until("the slave has caught up", || {
            let end = |broker: &str| self.runtime_info(broker)["commitLogMaxOffset"].clone();
            let table = |broker: &str| self.topics(broker).topics;
            end(&master) == end(&slave) && table(&master) == table(&slave)
        });
    }

    fn committed(&self, broker: &str, topic: &str) -> Option<i64> {
        let at = ("test-consumer", topic, 0);
        raw::committed_offset(&self.client, broker, at, ANSWER).unwrap()
    }

    fn commit(&self, broker: &str, topic: &str, offset: i64) {
        let at = ("test-consumer", topic, 0);
        raw::commit_offset(&self.client, broker, at, offset, ANSWER).unwrap();
    }
}

/// The time since a moment.
struct Watch {
    clock: SystemClock,
    began: Duration,
}

impl Watch {
    fn start() -> Self {
        let clock = SystemClock::new();
        let began = clock.monotonic();
        Self { clock, began }
    }

    fn elapsed(&self) -> Duration {
        self.clock.monotonic() - self.began
    }
}

/// Waits until something is so.
#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Watch::start();
    while !is_so() {
        assert!(began.elapsed() < SOON, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn refusal(result: Result<SendReceipt>) -> (ResponseCode, String) {
    let error = result.unwrap_err();
    match error.kind() {
        ErrorKind::Remote(code) => (ResponseCode::new(code), error.to_string()),
        other => panic!("{other:?}: {error}"),
    }
}

#[test]
fn a_synchronous_master_promises_only_what_its_slave_has() {
    for flush in [FlushDiskType::AsyncFlush, FlushDiskType::SyncFlush] {
        let mut group = Group::new(BrokerRole::SyncMaster, flush);
        group.create_topic("T");
        // Nobody is waited for who is not there.
        let began = Watch::start();
        let alone = group.send("T", "alone");
        assert_eq!(alone.status, SendStatus::SlaveNotAvailable);
        assert_eq!(alone.queue_offset, 0);
        assert!(!alone.msg_id.is_empty());
        assert!(began.elapsed() < Duration::from_secs(2), "it did not wait");

        group.start_slave();
        let mut sent = vec!["alone".to_owned()];
        until("a message is with the slave", || {
            sent.push(format!("m{}", sent.len()));
            group.send("T", sent.last().unwrap()).status == SendStatus::Ok
        });
        for number in 0..20 {
            sent.push(format!("n{number}"));
            let receipt = group.send("T", sent.last().unwrap());
            assert_eq!(receipt.status, SendStatus::Ok);
        }
        // What was promised is there, although the master is gone.
        group.kill_master();
        let slave = group.slave();
        until("the slave has the topic", || {
            group.topics(&slave).topics.contains_key("T")
        });
        assert_eq!(group.bodies(&slave, "T"), sent, "{flush:?}");
    }
}

#[test]
fn a_topic_that_the_master_did_not_live_to_tell_of_is_found_in_the_log() {
    let mut group = Group::new(BrokerRole::SyncMaster, FlushDiskType::AsyncFlush);
    group.create_topic("Old");
    group.start_slave();
    until("a message is with the slave", || {
        group.send("Old", "x").status == SendStatus::Ok
    });
    let master = group.master();
    let first = send(&group.client, &master, ("New", 3), "acknowledged").unwrap();
    group.kill_master();
    assert_eq!(first.status, SendStatus::Ok);
    let slave = group.slave();
    until("the slave has the topic", || {
        group.topics(&slave).topics.contains_key("New")
    });
    assert_eq!(group.topics(&slave).topics["New"].read_queue_nums, 4);
    let read = |broker: &str| read_queue(&group.client, broker, "New", 3).unwrap();
    assert_eq!(read(&slave)[0].body, b"acknowledged");
    // It is still there when the slave is made the master.
    group.slave.take().unwrap().close(ANSWER).unwrap();
    let config = group.config(BrokerRole::AsyncMaster, 0, &group.slave_files);
    let promoted = Broker::start(config).unwrap();
    assert_eq!(
        read(&promoted.address().to_string())[0].body,
        b"acknowledged"
    );
}

#[test]
fn a_batch_waits_for_the_slave_like_a_message() {
    let mut group = Group::new(BrokerRole::SyncMaster, FlushDiskType::AsyncFlush);
    group.create_topic("T");
    let mut body = Vec::new();
    for text in ["one", "two"] {
        let message = BatchMessage {
            flag: 0,
            body: text.as_bytes(),
            properties: b"",
        };
        message.encode(&mut body).unwrap();
    }
    let header = SendRequest {
        batch: true,
        ..message("T", 0)
    };
    let send = |group: &Group| {
        let (client, master) = (&group.client, group.master());
        raw::send(client, &master, &header, body.clone().into(), ANSWER).unwrap()
    };
    let receipt = send(&group);
    assert_eq!(receipt.status, SendStatus::SlaveNotAvailable);
    assert_eq!(receipt.msg_id.split(',').count(), 2);
    group.start_slave();
    until("a batch is with the slave", || {
        send(&group).status == SendStatus::Ok
    });
    group.kill_slave();
    until("the slave is missed", || {
        send(&group).status == SendStatus::SlaveNotAvailable
    });
}

#[test]
fn without_enough_copies_messages_are_refused_before_they_are_stored() {
    let mut group = Group::edited(
        BrokerRole::SyncMaster,
        FlushDiskType::AsyncFlush,
        |config| {
            config.store.in_sync_replicas = 2;
            config.store.min_in_sync_replicas = 2;
        },
    );
    group.create_topic("T");
    let master = group.master();
    let (code, text) = refusal(send(&group.client, &master, ("T", 0), "x"));
    assert_eq!(code, ResponseCode::SYSTEM_ERROR);
    assert!(text.contains("in-sync replicas not enough"), "{text}");
    assert_eq!(
        raw::max_offset(&group.client, &master, "T", 0, ANSWER).unwrap(),
        0
    );
    group.start_slave();
    until("the slave counts", || {
        send(&group.client, &master, ("T", 0), "x").is_ok_and(|got| got.status == SendStatus::Ok)
    });
}

#[test]
fn a_message_that_does_not_wait_is_answered_without_a_slave() {
    let group = Group::new(BrokerRole::SyncMaster, FlushDiskType::AsyncFlush);
    group.create_topic("T");
    let header = SendRequest {
        properties: Some("WAIT\u{1}false\u{2}"),
        ..message("T", 0)
    };
    let receipt = raw::send(&group.client, &group.master(), &header, "x".into(), ANSWER).unwrap();
    assert_eq!(receipt.status, SendStatus::Ok);
    // Nobody holds consumers back either.
    assert_eq!(group.bodies(&group.master(), "T"), ["x"]);
}

#[test]
fn a_slave_refuses_what_its_master_decides() {
    let mut group = Group::new(BrokerRole::AsyncMaster, FlushDiskType::AsyncFlush);
    group.create_topic("T");
    group.start_slave();
    let (slave, master) = (group.slave(), group.master());
    until("the slave knows its master", || {
        group.runtime_info(&slave).get("rmq.masterAddress") == Some(&master)
    });
    let (code, text) = refusal(send(&group.client, &slave, ("T", 0), "x"));
    assert_eq!(code, ResponseCode::SYSTEM_BUSY);
    assert!(
        text.contains("[REJECTREQUEST]") && text.contains(&master),
        "{text}"
    );
    let refused = raw::create_topic(&group.client, &slave, "U", 1, ANSWER).unwrap_err();
    assert!(refused.to_string().contains(&master), "{refused}");
    let delete = DeleteTopicRequest {
        topic: "T".to_owned(),
    };
    for (request, code) in [
        (
            Command::request(RequestCode::DELETE_TOPIC_IN_BROKER, &delete),
            1,
        ),
        (
            Command::bare_request(RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP),
            1,
        ),
        (
            Command::bare_request(RequestCode::CONSUMER_SEND_MSG_BACK),
            2,
        ),
        (Command::bare_request(RequestCode::END_TRANSACTION), 11),
        (
            Command::bare_request(RequestCode::INVOKE_BROKER_TO_RESET_OFFSET),
            1,
        ),
    ] {
        let reply = group.ask(&slave, request);
        assert_eq!(reply.code, code, "{reply:?}");
        assert!(reply.remark.unwrap().contains(&master));
    }
    let info = group.runtime_info(&slave);
    assert_eq!(info["brokerActive"], "false");
    assert_eq!(info["rmq.masterAlive"], "true");
}

/// A topic and a group whose settings differ from the defaults.
fn make_topic_and_group(group: &Group) {
    let topic = CreateTopicRequest {
        topic: "T".to_owned(),
        default_topic: "TBW102".to_owned(),
        read_queue_nums: 3,
        write_queue_nums: 2,
        perm: 6,
        topic_filter_type: "SINGLE_TAG".to_owned(),
        topic_sys_flag: Some(0),
        order: true,
        attributes: Some("+message.type=FIFO".to_owned()),
        force: false,
    };
    let settings = SubscriptionGroupConfig {
        retry_max_times: 3,
        which_broker_when_consume_slowly: 5,
        ..SubscriptionGroupConfig::new("test-consumer")
    };
    let code = RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP;
    for request in [
        Command::request(RequestCode::UPDATE_AND_CREATE_TOPIC, &topic),
        Command::bare_request(code).with_body(settings.encode()),
    ] {
        let reply = group.ask(&group.master(), request);
        assert_eq!(reply.response_code(), ResponseCode::SUCCESS);
    }
}

#[test]
fn topics_groups_and_offsets_come_to_the_slave_and_go_with_the_masters() {
    let mut group = Group::new(BrokerRole::AsyncMaster, FlushDiskType::AsyncFlush);
    let master = group.master();
    make_topic_and_group(&group);
    for number in 0..5 {
        group.send("T", &format!("{number}"));
    }
    group.commit(&master, "T", 4);

    group.start_slave();
    group.catch_up();
    let slave = group.slave();
    assert_eq!(
        group.topics(&slave).data_version,
        group.topics(&master).data_version
    );
    assert_eq!(
        group.topics(&slave).topics["T"].attributes["message.type"],
        "FIFO"
    );
    until("offsets are at the slave", || {
        group.committed(&slave, "T") == Some(4)
    });
    let request = Command::bare_request(RequestCode::GET_ALL_SUBSCRIPTIONGROUP_CONFIG);
    let groups = |broker: &str| group.ask(broker, request.clone()).body;
    assert_eq!(groups(&master), groups(&slave));
    assert_eq!(group.bodies(&slave, "T"), ["0", "1", "2", "3", "4"]);

    // A reset goes backwards.
    group.commit(&master, "T", 1);
    until("a reset is at the slave", || {
        group.committed(&slave, "T") == Some(1)
    });

    let delete = DeleteTopicRequest {
        topic: "T".to_owned(),
    };
    let request = Command::request(RequestCode::DELETE_TOPIC_IN_BROKER, &delete);
    assert_eq!(
        group.ask(&master, request).response_code(),
        ResponseCode::SUCCESS
    );
    until("the topic is gone", || {
        let known = group.topics(&slave).topics.contains_key("T");
        let end = raw::max_offset(&group.client, &slave, "T", 0, ANSWER).unwrap();
        !known && end == 0 && group.committed(&slave, "T").is_none()
    });
    // Made again it begins anew, here and there.
    group.create_topic("T");
    group.send("T", "again");
    group.catch_up();
    assert_eq!(group.bodies(&slave, "T"), ["again"]);
}

#[test]
fn consumers_are_sent_back_while_the_master_lives_and_wait_at_the_slave_when_it_is_gone() {
    let mut group = Group::new(BrokerRole::AsyncMaster, FlushDiskType::SyncFlush);
    group.create_topic("T");
    group.send("T", "first");
    group.start_slave();
    group.catch_up();
    let slave = group.slave();
    until("it is on the slave's disk", || {
        raw::max_offset(&group.client, &slave, "T", 0, ANSWER).unwrap() == 1
    });
    let found = group.pull(&slave, &pull_from("T", 0, 0));
    assert_eq!(found.code, ResponseCode::SUCCESS);
    assert_eq!(found.header.suggest_which_broker_id, 0);
    let held = PullRequest {
        sys_flag: 4 | FLAG_SUSPEND,
        suspend_timeout_ms: 1_500,
        ..pull_from("T", 0, 1)
    };
    let back = group.pull(&slave, &held);
    assert_eq!(back.code, ResponseCode::PULL_RETRY_IMMEDIATELY);
    assert_eq!(back.header.suggest_which_broker_id, 0);
    assert_eq!(back.header.next_begin_offset, 1);

    group.kill_master();
    until("the slave sees that its master is gone", || {
        group.runtime_info(&slave)["rmq.masterAlive"] == "false"
    });
    let began = Watch::start();
    let waited = group.pull(&slave, &held);
    assert_eq!(waited.code, ResponseCode::PULL_NOT_FOUND);
    assert!(began.elapsed() >= Duration::from_millis(1_400));
    // Neither corrected nor in a tight loop: the master may know more.
    let beyond = PullRequest {
        queue_offset: 7,
        suspend_timeout_ms: 300,
        ..held
    };
    let waited = group.pull(&slave, &beyond);
    assert_eq!(waited.code, ResponseCode::PULL_NOT_FOUND);
    assert_eq!(waited.header.next_begin_offset, 7);
    group.commit(&slave, "T", 1);
    assert_eq!(group.committed(&slave, "T"), Some(1));

    // The master comes back and knows nothing of that commit; a pull that waits is sent to it.
    let long = PullRequest {
        suspend_timeout_ms: 9_000,
        ..held
    };
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let client = peer::client();
            raw::pull(&client, &slave, &long, ANSWER).unwrap()
        });
        std::thread::sleep(Duration::from_millis(200));
        let config = group.config(group.role, 0, &group.master_files);
        let master = Broker::start(config).unwrap();
        let back = waiting.join().unwrap();
        assert_eq!(back.code, ResponseCode::PULL_RETRY_IMMEDIATELY, "{back:?}");
        drop(master);
    });
    group.start_master();
    assert_eq!(group.committed(&group.master(), "T"), None);
    group.send("T", "second");
    group.catch_up();
    assert_eq!(group.committed(&slave, "T"), Some(1));
}

#[test]
fn a_slave_that_may_not_be_read_says_so() {
    let mut group = Group::edited(
        BrokerRole::AsyncMaster,
        FlushDiskType::AsyncFlush,
        |config| {
            config.slave_read_enable = false;
        },
    );
    group.create_topic("T");
    group.start_slave();
    group.catch_up();
    let pull = raw::pull(&group.client, &group.slave(), &pull_from("T", 0, 0), ANSWER);
    let error = pull.unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Remote(ResponseCode::SYSTEM_BUSY.value())
    );
    assert!(error.to_string().contains("slaveReadEnable"), "{error}");
}

#[test]
fn a_slave_becomes_a_master_by_being_started_as_one() {
    let mut group = Group::new(BrokerRole::SyncMaster, FlushDiskType::AsyncFlush);
    group.create_topic("T");
    group.start_slave();
    until("a message is with the slave", || {
        group.send("T", "before").status == SendStatus::Ok
    });
    group.catch_up();
    let before = group.bodies(&group.slave(), "T");
    // As if the slave had not got the end of the log: new messages must not be skipped.
    assert_eq!(group.bodies(&group.master(), "T"), before);
    group.commit(&group.master(), "T", 1_000);
    let slave = group.slave();
    until("the offset is at the slave", || {
        group.committed(&slave, "T") == Some(1_000)
    });
    group.kill_master();
    group.slave.take().unwrap().close(ANSWER).unwrap();
    let config = group.config(BrokerRole::AsyncMaster, 0, &group.slave_files);
    group.master = Some(Broker::start(config).unwrap());
    let end = i64::try_from(before.len()).unwrap();
    assert_eq!(group.committed(&group.master(), "T"), Some(end));
    let receipt = group.send("T", "after");
    assert_eq!(receipt.status, SendStatus::Ok);
    assert_eq!(receipt.queue_offset, end);
    let expected = [before, vec!["after".to_owned()]].concat();
    assert_eq!(group.bodies(&group.master(), "T"), expected);
}

#[test]
fn a_slave_takes_a_nameservers_word_for_the_lowest_id() {
    let mut group = Group::new(BrokerRole::AsyncMaster, FlushDiskType::AsyncFlush);
    group.start_slave();
    let slave = group.slave();
    let told = |name: &str| {
        let word = NotifyMinBrokerIdChangeRequest {
            min_broker_id: Some(1),
            broker_name: Some(name.to_owned()),
            min_broker_addr: Some(slave.clone()),
            offline_broker_addr: None,
            ha_broker_addr: None,
        };
        let request = Command::request(RequestCode::NOTIFY_MIN_BROKER_ID_CHANGE, &word);
        assert_eq!(group.ask(&slave, request).code, 0);
        group.runtime_info(&slave)["rmq.minBrokerId"].clone()
    };
    until("the slave knows its master", || {
        group.runtime_info(&slave)["rmq.minBrokerId"] == "0"
    });
    assert_eq!(told("broker-b"), "0", "another group's");
    assert_eq!(told("broker-a"), "1");
}

#[test]
fn the_lag_is_told() {
    let mut group = Group::new(BrokerRole::AsyncMaster, FlushDiskType::AsyncFlush);
    group.create_topic("T");
    group.start_slave();
    group.send("T", "x");
    group.catch_up();
    let (master, slave) = (group.master(), group.slave());
    until("the slave counts as in sync", || {
        group.ha_status(&master).in_sync_slave_nums == 1
    });
    let status = group.ha_status(&master);
    assert!(status.master);
    let line = &status.connections[0];
    assert_eq!(line.slave_ack_offset, status.master_commit_log_max_offset);
    assert_eq!((line.diff, line.in_sync), (0, true));
    let info = group.runtime_info(&master);
    assert_eq!(info["slaveAckOffset"], info["commitLogMaxOffset"]);
    assert_eq!(info["rmq.slaveLagBytes"], "0");
    assert_eq!(info["rmq.replication"], "not awaited");

    let status = group.ha_status(&slave);
    assert!(!status.master);
    assert_eq!(status.client.max_offset, line.slave_ack_offset);
    assert!(status.client.master_addr.is_some());
    let info = group.runtime_info(&slave);
    assert_eq!(info["rmq.replication"], "streaming");
    assert_eq!(info["rmq.masterAddress"], master);

    let request = Command::bare_request(RequestCode::EXCHANGE_BROKER_HA_INFO);
    let told = group.ask(&master, request);
    assert_eq!(told.ext.get("masterAddress"), Some(master.as_str()));
    assert_eq!(
        told.ext.get("masterHaAddress"),
        status.client.master_addr.as_deref()
    );
}

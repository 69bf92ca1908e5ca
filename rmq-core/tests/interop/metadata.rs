//! What a slave takes of Apache's masters besides the log, and what Apache's admin tool says of
//! rmq's replication.

use std::time::Duration;

use rmq_core::client::raw;
use rmq_core::net::Client;
use rmq_core::protocol::body::group::{GroupTable, SubscriptionGroupConfig};
use rmq_core::protocol::body::topic::TopicTable;
use rmq_core::protocol::code::{RequestCode, ResponseCode};
use rmq_core::protocol::command::Command;
use rmq_core::protocol::request::topic::DeleteTopicRequest;

use crate::apache::{Broker, Deadline, Maker, Namesrv, Workspace, apache, exclusive, prepare, run};
use crate::peer::{self, ANSWER, read_queue};

const GROUP: &str = "test-consumer";

const SOON: Duration = Duration::from_secs(60);

/// A master and its slave.
struct Pair {
    client: Client,
    master: Broker,
    slave: Broker,
    namesrv: Namesrv,
    _workspace: Workspace,
}

#[track_caller]
fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Deadline::after(SOON);
    while !is_so() {
        assert!(!deadline.passed(), "not in time: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

impl Pair {
    /// A master with a topic, a group, messages and an offset, and then a slave.
    fn start(master: Maker) -> Self {
        let workspace = Workspace::new();
        let namesrv = Namesrv::started(Maker::Rmq, &workspace.folder("namesrv"));
        let broker = |maker, role: &str, id: &str| {
            let extra = [
                ("brokerRole", role),
                ("brokerId", id),
                ("slaveReadEnable", "true"),
            ];
            let dir = workspace.folder(role);
            let address = namesrv.address();
            Broker::new(maker, "broker-a", &dir, &address, &extra)
        };
        let mut pair = Self {
            client: peer::client(),
            master: broker(master, "ASYNC_MASTER", "0"),
            slave: broker(Maker::Rmq, "SLAVE", "1"),
            namesrv,
            _workspace: workspace,
        };
        pair.master.start();
        pair.fill();
        pair.slave.start();
        pair
    }

    fn ask(&self, broker: &Broker, request: Command) -> Command {
        self.client
            .call(&broker.address(), request, ANSWER)
            .unwrap()
    }

    fn fill(&self) {
        let master = self.master.address();
        for topic in ["T", "Gone"] {
            raw::create_topic(&self.client, &master, topic, 4, ANSWER).unwrap();
        }
        let settings = SubscriptionGroupConfig {
            retry_max_times: 3,
            ..SubscriptionGroupConfig::new(GROUP)
        };
        let code = RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP;
        let made = Command::bare_request(code).with_body(settings.encode());
        let reply = self.ask(&self.master, made);
        assert_eq!(reply.response_code(), ResponseCode::SUCCESS);
        for number in 0..100 {
            let body = format!("message {number}");
            for topic in ["T", "Gone"] {
                peer::send(&self.client, &master, (topic, number % 4), body.clone()).unwrap();
            }
        }
        raw::commit_offset(&self.client, &master, (GROUP, "T", 1), 7, ANSWER).unwrap();
    }

    fn topics(&self, broker: &Broker) -> TopicTable {
        let request = Command::bare_request(RequestCode::GET_ALL_TOPIC_CONFIG);
        TopicTable::decode(&self.ask(broker, request).body).unwrap()
    }

    fn groups(&self, broker: &Broker) -> GroupTable {
        let request = Command::bare_request(RequestCode::GET_ALL_SUBSCRIPTIONGROUP_CONFIG);
        GroupTable::decode(&self.ask(broker, request).body).unwrap()
    }

    fn end(&self, broker: &Broker, topic: &str, queue_id: i32) -> i64 {
        raw::max_offset(&self.client, &broker.address(), topic, queue_id, ANSWER).unwrap()
    }

    /// The slave gets everything, and loses what the master deletes.
    fn check(&self) {
        let (master, slave) = (&self.master, &self.slave);
        until("the slave has the messages", || {
            (0..4).all(|queue| self.end(master, "T", queue) == self.end(slave, "T", queue))
        });
        until("the slave has the topic", || {
            self.topics(slave).topics.contains_key("T")
        });
        for queue_id in 0..4 {
            let read = |broker: &Broker| {
                read_queue(&self.client, &broker.address(), "T", queue_id).unwrap()
            };
            assert_eq!(read(master), read(slave), "queue {queue_id}");
        }
        until("the slave has the group", || {
            self.groups(slave).groups.get(GROUP) == self.groups(master).groups.get(GROUP)
        });
        let at = (GROUP, "T", 1);
        until("the slave has the offset", || {
            let slave = slave.address();
            let found = raw::committed_offset(&self.client, &slave, at, ANSWER).unwrap();
            found == Some(7)
        });
    }

    fn check_deletion(&self) {
        let header = DeleteTopicRequest {
            topic: "Gone".to_owned(),
        };
        let request = Command::request(RequestCode::DELETE_TOPIC_IN_BROKER, &header);
        let reply = self.ask(&self.master, request);
        assert_eq!(reply.response_code(), ResponseCode::SUCCESS);
        until("the topic is gone", || {
            let known = self.topics(&self.slave).topics.contains_key("Gone");
            !known && self.end(&self.slave, "Gone", 0) == 0
        });
    }
}

#[test]
fn a_slave_keeps_in_step_with_apaches_masters() {
    if !prepare(&["java", "mvn"], &["server-5.5.0", "server-4.9.7"]) {
        return;
    }
    let _alone = exclusive();
    for master in [Maker::Apache, Maker::ApacheOld] {
        let pair = Pair::start(master);
        pair.check();
        pair.check_deletion();
        println!("ok   rmq slave of {master:?}");
    }
}

#[test]
fn mqadmin_reads_the_state_of_replication() {
    if !prepare(&["java", "mvn"], &["server-5.5.0"]) {
        return;
    }
    let _alone = exclusive();
    let pair = Pair::start(Maker::Rmq);
    pair.check();
    let home = pair.master.store();
    let admin = |arguments: &[&str]| {
        let mut command = apache("5.5.0", "tools.command.MQAdminStartup", "256m", &home);
        command.args(arguments);
        let (passed, text) = run("mqadmin", &mut command, &home, Duration::from_secs(60));
        println!("{text}");
        assert!(passed, "{text}");
        text
    };
    let (master, slave) = (pair.master.address(), pair.slave.address());
    let text = admin(&["haStatus", "-b", &master]);
    for wanted in ["#SlaveNum\t1", "#InSyncSlaveNum\t1", " OK "] {
        assert!(text.contains(wanted), "{wanted}");
    }
    let text = admin(&["haStatus", "-b", &slave]);
    assert!(text.contains("#CommitLogMaxOffset"), "{text}");
    let text = admin(&["brokerStatus", "-b", &master]);
    assert!(text.contains("slaveAckOffset"), "{text}");
    let text = admin(&["brokerStatus", "-b", &slave]);
    assert!(text.contains("streaming"), "{text}");
    let text = admin(&["clusterList", "-n", &pair.namesrv.address()]);
    assert!(text.contains(&master) && text.contains(&slave), "{text}");
}

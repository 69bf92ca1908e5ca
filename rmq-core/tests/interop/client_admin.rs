//! Commands of `mqadmin` by rmq's admin client, on Apache's servers and on rmq's: what they answer
//! is the same wherever it does not depend on the moment.

use std::time::Duration;

use rmq_core::embed::{
    Admin, ClientOptions, ConsumeStatus, ConsumerOptions, ErrorKind, Message, Producer,
    ProducerOptions, PushConsumer, ReceivedMessage, SendOptions, SendResult, StartFrom,
    Subscription, admin_invoke,
};
use rmq_core::protocol::json::Json;

use crate::apache::{Broker, Deadline, Maker, Namesrv, Workspace, exclusive, prepare};

const PATIENCE: Duration = Duration::from_secs(60);
/// Members of answers that the moment decides.
const OF_THE_MOMENT: [&str; 11] = [
    // Where a group last pulled, which a reset leaves there in Apache's brokers.
    "pullOffset",
    "lastUpdateTimestamp",
    "lastTimestamp",
    "consumeTps",
    "clientAddr",
    "clientId",
    "subVersion",
    "bornTimestamp",
    "storeTimestamp",
    "dataVersion",
    "tagsCode",
];

/// An answer as text, without order, and without what is null or of the moment.
fn plain(json: &Json) -> String {
    let joined = |mut parts: Vec<String>| {
        parts.sort();
        parts.join(", ")
    };
    match json {
        Json::Object(members) => {
            let members = members.iter().filter(|(name, value)| {
                let name = name.as_str().unwrap_or_default();
                *value != Json::Null && !OF_THE_MOMENT.contains(&name)
            });
            let parts = members.map(|(name, value)| format!("{}={}", plain(name), plain(value)));
            format!("{{{}}}", joined(parts.collect()))
        }
        Json::Array(items) => format!("[{}]", joined(items.iter().map(plain).collect())),
        Json::String(text) => text.clone(),
        other => format!("{other:?}"),
    }
}

/// The servers of one maker, and what they answered.
struct On {
    admin: Admin,
    namesrv: Namesrv,
    broker: Broker,
    answers: Vec<String>,
}

impl On {
    fn start(maker: Maker, workspace: &Workspace) -> Self {
        let namesrv = Namesrv::started(maker, &workspace.folder(&format!("{maker:?}-namesrv")));
        let dir = workspace.folder(&format!("{maker:?}-broker"));
        let keys = [("autoCreateTopicEnable", "false")];
        let mut broker = Broker::new(maker, "broker-a", &dir, &namesrv.address(), &keys);
        broker.start();
        let admin = Admin::start(ClientOptions::new(namesrv.address())).unwrap();
        Self {
            admin,
            namesrv,
            broker,
            answers: Vec::new(),
        }
    }

    fn invoke(&self, command: &str, arguments: &str) -> Result<Json, ErrorKind> {
        let answer = admin_invoke(&self.admin, command, arguments).map_err(|error| error.kind())?;
        let answer = answer.replace(&self.broker.address(), "BROKER");
        let answer = answer.replace(&self.namesrv.address(), "NAMESERVER");
        Ok(match answer.as_str() {
            "null" => Json::Null,
            text => Json::parse(text.as_bytes()).unwrap(),
        })
    }

    /// Runs a command whose answer is to be the same on both.
    fn compare(&mut self, command: &str, arguments: &str) {
        let answer = match self.invoke(command, arguments) {
            Ok(answer) => plain(&answer),
            Err(kind) => format!("{kind:?}"),
        };
        self.answers
            .push(format!("{command} {arguments}: {answer}"));
    }

    /// The same, when the answer is what it is to be.
    fn compare_when(&mut self, command: &str, arguments: &str, is_so: impl Fn(&Json) -> bool) {
        let deadline = Deadline::after(PATIENCE);
        loop {
            let answer = self.invoke(command, arguments);
            if answer.as_ref().is_ok_and(&is_so) {
                return self.compare(command, arguments);
            }
            assert!(!deadline.passed(), "{command} {arguments}: {answer:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn consumer(&self) -> PushConsumer {
        let options = ConsumerOptions {
            start_from: StartFrom::First,
            commit_interval_ms: 200,
            ..ConsumerOptions::new("g", self.namesrv.address())
        };
        let all = vec![Subscription::tags("T", "*").unwrap()];
        PushConsumer::start(options, all, |_: &[ReceivedMessage]| ConsumeStatus::Success).unwrap()
    }

    /// Two messages to each of the two queues; those of the first queue.
    fn send(&self) -> Vec<SendResult> {
        let options = ProducerOptions {
            send_timeout_ms: 10_000,
            ..ProducerOptions::new("senders", self.namesrv.address())
        };
        let producer = Producer::start(options).unwrap();
        let mut sent = Vec::new();
        for queue in producer.queues("T").unwrap() {
            for number in 0..2 {
                let mut message = Message::new("T", format!("m{}-{number}", queue.queue_id));
                message.set_tag("red").set_keys(["k"]);
                let to_queue = SendOptions::to_queue(queue.clone());
                sent.push(producer.send_with(message, to_queue).unwrap());
            }
        }
        sent.retain(|sent| sent.queue.queue_id == 0);
        sent
    }

    fn topics_and_settings(&mut self) {
        let in_cluster = |json: &Json| {
            json.get("brokerAddrTable")
                .is_some_and(|table| table.get("broker-a").is_some())
        };
        self.compare_when("clusterList", "", in_cluster);
        let topic = "{\"topic\":\"T\",\"readQueueNums\":2,\"writeQueueNums\":2}";
        self.compare("updateTopic", topic);
        self.compare_when("topicRoute", "{\"topic\":\"T\"}", |_| true);
        self.compare("topicClusterList", "{\"topic\":\"T\"}");
        let names = self.invoke("topicList", "").unwrap();
        let names = names.get("topicList").and_then(Json::as_array).unwrap();
        assert!(names.contains(&Json::String("T".to_owned())), "{names:?}");
        self.compare("topicStatus", "{\"topic\":\"T\"}");
        self.compare("topicRoute", "{\"topic\":\"none\"}");
        self.compare("topicStatus", "{\"topic\":\"none\"}");
        self.compare("updateTopicPerm", "{\"topic\":\"T\",\"perm\":4}");
        let is = |perm: i64| {
            move |json: &Json| {
                let queues = json.get("queueDatas").and_then(Json::as_array).unwrap();
                queues[0].get("perm").and_then(Json::as_i64) == Some(perm)
            }
        };
        self.compare_when("topicRoute", "{\"topic\":\"T\"}", is(4));
        self.compare("updateTopicPerm", "{\"topic\":\"T\",\"perm\":6}");
        self.compare_when("topicRoute", "{\"topic\":\"T\"}", is(6));
        let order = "{\"topic\":\"T\",\"method\":\"put\",\"orderConf\":\"broker-a:2\"}";
        self.compare("updateOrderConf", order);
        self.compare("updateOrderConf", "{\"topic\":\"T\",\"method\":\"get\"}");
        self.compare("updateOrderConf", "{\"topic\":\"T\",\"method\":\"delete\"}");
        let pair = "{\"namespace\":\"n\",\"key\":\"k\",\"value\":\"v\"}";
        self.compare("updateKvConfig", pair);
        self.compare("deleteKvConfig", "{\"namespace\":\"n\",\"key\":\"k\"}");
        let change = "{\"key\":\"fileReservedTime\",\"value\":\"71\"}";
        self.invoke("updateBrokerConfig", change).unwrap();
        let config = self.invoke("getBrokerConfig", "").unwrap();
        let of_broker = config.get("BROKER").unwrap();
        for (key, value) in [("brokerName", "broker-a"), ("fileReservedTime", "71")] {
            assert_eq!(of_broker.get(key).and_then(Json::as_str), Some(value));
        }
        let status = self.invoke("brokerStatus", "").unwrap();
        assert!(status.get("BROKER").unwrap().get("bootTimestamp").is_some());
    }

    fn groups(&mut self) {
        let group = "{\"group\":\"g\",\"retryMaxTimes\":3,\"consumeBroadcastEnable\":false}";
        self.compare("updateSubGroup", group);
        self.compare("updateSubGroup", "{\"group\":\"h\"}");
        self.compare("getConsumerConfig", "{\"group\":\"g\"}");
        self.compare("consumerConnection", "{\"group\":\"g\"}");
        let consumer = self.consumer();
        let of_group = "{\"group\":\"g\",\"topic\":\"T\"}";
        let ends = |json: &Json| {
            let rows = json.get("offsetTable").and_then(Json::as_array).unwrap();
            let at = |row: &Json| row.get("consumerOffset").and_then(Json::as_i64);
            rows.len() == 2 && rows.iter().all(|row| at(row) == Some(2))
        };
        self.compare_when("consumerProgress", of_group, ends);
        self.compare_when("consumerConnection", "{\"group\":\"g\"}", |_| true);
        let told = self.invoke("consumerStatus", "{\"group\":\"g\"}").unwrap();
        let of_consumer = told.get(consumer.client_id()).unwrap();
        let queues = of_consumer.get("mqTable").and_then(Json::as_array).unwrap();
        assert!(queues.len() >= 2, "{queues:?}");
        consumer.close(PATIENCE).unwrap();
        let first = "{\"group\":\"g\",\"topic\":\"T\",\"timestamp\":0}";
        self.compare("resetOffsetByTime", first);
        self.compare("consumerProgress", of_group);
        self.compare("skipAccumulatedMessage", of_group);
        self.compare("consumerProgress", of_group);
        let clone = "{\"srcGroup\":\"g\",\"destGroup\":\"h\",\"topic\":\"T\"}";
        self.compare("cloneGroupOffset", clone);
        self.compare("consumerProgress", "{\"group\":\"h\",\"topic\":\"T\"}");
        self.compare("deleteSubGroup", "{\"group\":\"h\",\"removeOffset\":true}");
    }

    fn messages(&mut self, sent: &SendResult) {
        let mut same = |message: &Json| {
            let members = [
                "topic",
                "body",
                "queueId",
                "queueOffset",
                "commitLogOffset",
                "flag",
            ];
            let told = members.map(|name| plain(message.get(name).unwrap()));
            let properties = message.get("properties").unwrap();
            let own = ["TAGS", "KEYS"].map(|name| plain(properties.get(name).unwrap()));
            let id = message.get("msgId").and_then(Json::as_str);
            assert_eq!(id, Some(&*sent.msg_id));
            self.answers.push(format!("message {told:?} {own:?}"));
        };
        let by_id = format!("{{\"msgId\":\"{}\"}}", sent.offset_msg_id);
        let found = admin_invoke(&self.admin, "queryMsgById", &by_id).unwrap();
        same(&Json::parse(found.as_bytes()).unwrap());
        let place = "{\"topic\":\"T\",\"brokerName\":\"broker-a\",\"queueId\":0,\"offset\":0}";
        let found = admin_invoke(&self.admin, "queryMsgByOffset", place).unwrap();
        same(&Json::parse(found.as_bytes()).unwrap());
        let beyond = place.replace("\"offset\":0", "\"offset\":9");
        self.compare("queryMsgByOffset", &beyond);
        self.compare("queryCq", "{\"topic\":\"T\",\"queueId\":1,\"index\":0}");
        let beyond = "{\"topic\":\"T\",\"queueId\":1,\"index\":9}";
        self.invoke("queryCq", beyond).unwrap();
        let unique = format!("{{\"topic\":\"T\",\"msgId\":\"{}\"}}", sent.msg_id);
        let keyed = "{\"topic\":\"T\",\"msgKey\":\"k\"}";
        for (command, arguments, count) in [
            ("queryMsgByUniqueKey", unique.as_str(), 1),
            ("queryMsgByKey", keyed, 4),
        ] {
            // The index follows the log.
            let deadline = Deadline::after(PATIENCE);
            loop {
                let found = self.invoke(command, arguments);
                let found = found.as_ref().ok().and_then(Json::as_array);
                if found.is_some_and(|found| found.len() == count) {
                    break;
                }
                assert!(!deadline.passed(), "{command}: {found:?}");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        let nobody = "{\"topic\":\"T\",\"msgKey\":\"nobody's\"}";
        self.compare("queryMsgByKey", nobody);
    }

    fn ends(&mut self) {
        self.compare("deleteTopic", "{\"topic\":\"T\"}");
        let deadline = Deadline::after(PATIENCE);
        while self.invoke("topicRoute", "{\"topic\":\"T\"}").is_ok() {
            assert!(!deadline.passed(), "the topic is still there");
            std::thread::sleep(Duration::from_millis(20));
        }
        self.compare("topicRoute", "{\"topic\":\"T\"}");
    }
}

fn answers(maker: Maker, workspace: &Workspace) -> Vec<String> {
    let mut on = On::start(maker, workspace);
    on.topics_and_settings();
    let sent = on.send();
    on.messages(&sent[0]);
    on.groups();
    on.ends();
    on.answers
}

#[test]
fn commands_by_name_answer_on_apache_as_on_rmq() {
    if !prepare(&["java", "mvn"], &["server-5.5.0"]) {
        return;
    }
    let _alone = exclusive();
    let workspace = Workspace::new();
    let (ours, theirs) = (
        answers(Maker::Rmq, &workspace),
        answers(Maker::Apache, &workspace),
    );
    assert_eq!(ours.len(), theirs.len());
    let differ = ours
        .iter()
        .zip(&theirs)
        .filter(|(ours, theirs)| ours != theirs);
    let differ: Vec<String> = differ
        .map(|(ours, theirs)| format!("rmq:    {ours}\nApache: {theirs}"))
        .collect();
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

//! Administration by the names of `mqadmin`'s commands, against servers of this process.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use rmq_core::base::clock::{Clock, SystemClock};
use rmq_core::embed::{
    Admin, ClientOptions, Cluster, ClusterOptions, ConsumeStatus, ConsumerOptions, Deployment,
    ErrorKind, Message, Producer, ProducerOptions, PushConsumer, SendResult, StartFrom,
    Subscription, admin_invoke,
};
use rmq_core::protocol::json::Json;

const LONG: Duration = Duration::from_secs(30);

struct Fixture {
    cluster: Cluster,
    admin: Admin,
}

impl Fixture {
    fn new(masters: usize) -> Self {
        let mut options = ClusterOptions::new(Deployment::Masters(masters));
        options.auto_create_topics = false;
        let cluster = Cluster::start(options).unwrap();
        let admin = Admin::start(ClientOptions::new(cluster.nameserver_addresses())).unwrap();
        Self { cluster, admin }
    }

    fn nameservers(&self) -> String {
        self.cluster.nameserver_addresses()
    }

    fn invoke(&self, command: &str, args_json: &str) -> Json {
        let answer = admin_invoke(&self.admin, command, args_json);
        let answer = answer.unwrap_or_else(|error| panic!("{command} {args_json}: {error}"));
        match answer.as_str() {
            "null" => Json::Null,
            text => Json::parse(text.as_bytes()).unwrap(),
        }
    }

    fn refused(&self, command: &str, args_json: &str) -> ErrorKind {
        admin_invoke(&self.admin, command, args_json)
            .unwrap_err()
            .kind()
    }

    /// A topic of two queues on every broker, known to the nameserver.
    fn with_topic(&self, topic: &str) {
        let arguments = format!(
            "{{\"topic\":\"{topic}\",\"readQueueNums\":2,\"writeQueueNums\":\"2\",\
             \"attributes\":\"+message.type=NORMAL\"}}"
        );
        assert_eq!(self.invoke("updateTopic", &arguments), Json::Null);
        let arguments = format!("{{\"topic\":\"{topic}\"}}");
        await_true(
            || admin_invoke(&self.admin, "topicRoute", &arguments).is_ok(),
            "the route",
        );
    }

    fn send(&self, topic: &str, body: &[u8], key: &str) -> SendResult {
        let producer = Producer::start(ProducerOptions::new("senders", self.nameservers()));
        let mut message = Message::new(topic, body.to_vec());
        message.set_keys([key]);
        producer.unwrap().send(message).unwrap()
    }

    fn consumer(&self, group: &str, topic: &str) -> PushConsumer {
        let options = ConsumerOptions {
            start_from: StartFrom::First,
            ..ConsumerOptions::new(group, self.nameservers())
        };
        let subscriptions = vec![Subscription::tags(topic, "*").unwrap()];
        PushConsumer::start(options, subscriptions, |_: &[_]| ConsumeStatus::Success).unwrap()
    }
}

fn await_true(mut is_so: impl FnMut() -> bool, what: &str) {
    let clock = SystemClock::new();
    while !is_so() {
        assert!(clock.monotonic() < LONG, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn members(json: &Json) -> Vec<(&str, &Json)> {
    let members = json.as_object().unwrap().iter();
    members
        .map(|(name, value)| (name.as_str().unwrap(), value))
        .collect()
}

fn rows<'a>(json: &'a Json, table: &str) -> &'a [Json] {
    json.get(table).unwrap().as_array().unwrap()
}

fn number(json: &Json, name: &str) -> i64 {
    json.get(name).unwrap().as_i64().unwrap()
}

#[test]
fn topics_and_clusters_are_told_and_changed() {
    let on = Fixture::new(2);
    let info = on.invoke("clusterList", "");
    assert_eq!(members(info.get("brokerAddrTable").unwrap()).len(), 2);
    on.with_topic("T");
    let route = on.invoke("topicRoute", "{\"topic\":\"T\"}");
    assert_eq!(rows(&route, "queueDatas").len(), 2);
    assert_eq!(number(&rows(&route, "queueDatas")[0], "writeQueueNums"), 2);
    let names = on.invoke("topicList", "{\"clusterName\":\"DefaultCluster\"}");
    assert!(rows(&names, "topicList").contains(&Json::String("T".to_owned())));
    let clusters = on.invoke("topicClusterList", "{\"topic\":\"T\"}");
    assert_eq!(
        clusters.as_array().unwrap(),
        [Json::String("DefaultCluster".to_owned())]
    );

    on.invoke("updateTopicPerm", "{\"topic\":\"T\",\"perm\":4}");
    let perms = |wanted: i64| {
        let route = on.invoke("topicRoute", "{\"topic\":\"T\"}");
        let mut queues = rows(&route, "queueDatas").iter();
        queues.all(|row| number(row, "perm") == wanted && number(row, "readQueueNums") == 2)
    };
    await_true(|| perms(4), "a topic that is only read");
    on.invoke("updateTopicPerm", "{\"topic\":\"T\",\"perm\":6}");
    await_true(|| perms(6), "a topic that is written again");

    on.send("T", b"x", "k");
    let stats = on.invoke("topicStatus", "{\"topic\":\"T\"}");
    assert_eq!(rows(&stats, "offsetTable").len(), 4);
    let stored = rows(&stats, "offsetTable")
        .iter()
        .map(|row| number(row, "maxOffset"));
    assert_eq!(stored.sum::<i64>(), 1);

    on.invoke("deleteTopic", "{\"topic\":\"T\"}");
    await_true(
        || on.refused("topicRoute", "{\"topic\":\"T\"}") == ErrorKind::NotFound,
        "the topic is still there",
    );
}

#[test]
fn configurations_are_told_and_changed() {
    let on = Fixture::new(2);
    let before = on.invoke("getBrokerConfig", "");
    let brokers = members(&before);
    assert_eq!(brokers.len(), 2);
    let address = brokers[0].0;
    let change = format!(
        "{{\"brokerAddr\":\"{address}\",\"key\":\"flushDiskType\",\"value\":\"SYNC_FLUSH\"}}"
    );
    assert_eq!(members(&on.invoke("updateBrokerConfig", &change)).len(), 1);
    let after = on.invoke("getBrokerConfig", "{\"clusterName\":\"DefaultCluster\"}");
    let sync = members(&after)
        .iter()
        .filter(|(_, config)| {
            config.get("flushDiskType").and_then(Json::as_str) == Some("SYNC_FLUSH")
        })
        .count();
    assert_eq!(sync, 1);
    assert_eq!(
        on.refused("getBrokerConfig", "{\"clusterName\":\"no\"}"),
        ErrorKind::NotFound
    );
    let status = on.invoke("brokerStatus", "");
    assert!(members(&status)[0].1.get("bootTimestamp").is_some());
    let ha = on.invoke("haStatus", "");
    assert_eq!(members(&ha)[0].1.get("master"), Some(&Json::Bool(true)));
    for command in [
        "cleanExpiredCQ",
        "cleanUnusedTopic",
        "deleteExpiredCommitLog",
    ] {
        assert_eq!(on.invoke(command, ""), Json::Null);
    }

    assert_eq!(members(&on.invoke("getNamesrvConfig", "")).len(), 1);
    on.invoke(
        "updateNamesrvConfig",
        "{\"key\":\"orderMessageEnable\",\"value\":\"true\"}",
    );
    let config = on.invoke("getNamesrvConfig", "");
    let enabled = members(&config)[0].1.get("orderMessageEnable");
    assert_eq!(enabled, Some(&Json::String("true".to_owned())));
    on.invoke(
        "updateKvConfig",
        "{\"namespace\":\"n\",\"key\":\"k\",\"value\":\"v\"}",
    );
    on.invoke("deleteKvConfig", "{\"namespace\":\"n\",\"key\":\"k\"}");
    let order = "{\"topic\":\"T\",\"method\":\"put\",\"orderConf\":\"broker-a:4\"}";
    on.invoke("updateOrderConf", order);
    let get = "{\"topic\":\"T\",\"method\":\"get\"}";
    assert_eq!(
        on.invoke("updateOrderConf", get),
        Json::String("broker-a:4".to_owned())
    );
    on.invoke("updateOrderConf", "{\"topic\":\"T\",\"method\":\"delete\"}");
    assert_eq!(on.invoke("updateOrderConf", get), Json::Null);

    on.with_topic("T");
    let wiped = on.invoke("wipeWritePerm", "{\"brokerName\":\"broker-a\"}");
    assert!(members(&wiped)[0].1.as_i64().unwrap() > 0);
    let added = on.invoke("addWritePerm", "{\"brokerName\":\"broker-a\"}");
    assert!(members(&added)[0].1.as_i64().unwrap() > 0);
}

#[test]
fn groups_are_made_and_followed() {
    let on = Fixture::new(1);
    on.with_topic("T");
    let group = "{\"group\":\"g\",\"retryMaxTimes\":3,\"consumeBroadcastEnable\":false,\
                 \"groupRetryPolicy\":{\"type\":\"EXPONENTIAL\"}}";
    on.invoke("updateSubGroup", group);
    let config = on.invoke("getConsumerConfig", "{\"groupName\":\"g\"}");
    assert_eq!(number(members(&config)[0].1, "retryMaxTimes"), 3);
    for number in 0..4 {
        on.send("T", format!("m{number}").as_bytes(), "k");
    }
    let consumer = on.consumer("g", "T");
    let progress = || {
        on.invoke(
            "consumerProgress",
            "{\"consumerGroup\":\"g\",\"topic\":\"T\"}",
        )
    };
    let done = || {
        let progress = progress();
        let at = rows(&progress, "offsetTable")
            .iter()
            .map(|row| number(row, "consumerOffset"));
        number(&progress, "diffTotal") == 0 && at.sum::<i64>() == 4
    };
    await_true(done, "the group has not come to the end");
    assert!(
        number(
            &on.invoke("consumerProgress", "{\"group\":\"g\"}"),
            "diffTotal"
        ) == 0
    );
    let connected = on.invoke("consumerConnection", "{\"group\":\"g\"}");
    assert_eq!(rows(&connected, "connectionSet").len(), 1);
    let told = on.invoke("consumerStatus", "{\"group\":\"g\"}");
    assert!(!rows(members(&told)[0].1, "mqTable").is_empty());
    let stats = on.invoke("statsAll", "{\"topic\":\"T\"}");
    let stats = &stats.as_array().unwrap()[0];
    assert_eq!(
        rows(stats, "groups")[0].get("group"),
        Some(&Json::String("g".to_owned()))
    );
    consumer.close(LONG).unwrap();
    assert!(matches!(
        on.refused("consumerConnection", "{\"group\":\"g\"}"),
        ErrorKind::Remote(_)
    ));
}

#[test]
fn groups_are_moved() {
    let on = Fixture::new(1);
    on.with_topic("T");
    on.invoke("updateSubGroup", "{\"group\":\"g\"}");
    for number in 0..4 {
        on.send("T", format!("m{number}").as_bytes(), "k");
    }
    let progress = || {
        on.invoke(
            "consumerProgress",
            "{\"consumerGroup\":\"g\",\"topic\":\"T\"}",
        )
    };

    let first = "{\"group\":\"g\",\"topic\":\"T\",\"timestamp\":0}";
    let moved = on.invoke("resetOffsetByTime", first);
    assert_eq!(moved.as_array().unwrap().len(), 2);
    assert_eq!(number(&progress(), "diffTotal"), 4);
    let one = "{\"group\":\"g\",\"topic\":\"T\",\"timestamp\":0,\"queueId\":1,\"offset\":1}";
    assert_eq!(
        number(
            &on.invoke("resetOffsetByTime", one).as_array().unwrap()[0],
            "offset"
        ),
        1
    );
    let no_queue = "{\"group\":\"g\",\"topic\":\"T\",\"timestamp\":0,\"offset\":1}";
    assert_eq!(
        on.refused("resetOffsetByTime", no_queue),
        ErrorKind::Invalid
    );
    on.invoke(
        "skipAccumulatedMessage",
        "{\"group\":\"g\",\"topic\":\"T\"}",
    );
    assert_eq!(number(&progress(), "diffTotal"), 0);
    on.invoke("updateSubGroup", "{\"group\":\"h\"}");
    on.invoke(
        "cloneGroupOffset",
        "{\"srcGroup\":\"g\",\"destGroup\":\"h\",\"topic\":\"T\"}",
    );
    let of_clone = on.invoke("consumerProgress", "{\"group\":\"h\",\"topic\":\"T\"}");
    assert_eq!(number(&of_clone, "diffTotal"), 0);
    let all = on.invoke("brokerConsumeStats", "");
    assert!(members(&all)[0].1.get("consumeStatsList").is_some());
    on.invoke(
        "setConsumeMode",
        "{\"topic\":\"T\",\"group\":\"g\",\"mode\":\"POP\"}",
    );
    on.invoke("deleteSubGroup", "{\"group\":\"h\",\"removeOffset\":true}");
}

#[test]
fn messages_and_producers_are_found() {
    let on = Fixture::new(1);
    on.with_topic("T");
    let producer = Producer::start(ProducerOptions::new("p", on.nameservers())).unwrap();
    let sent = producer.send(Message::new("T", "first")).unwrap();
    let clients = on.invoke(
        "producerConnection",
        "{\"producerGroup\":\"p\",\"topic\":\"T\"}",
    );
    assert_eq!(rows(&clients, "connectionSet").len(), 1);
    let all = on.invoke("producer", "");
    assert!(members(&all)[0].1.get("data").unwrap().get("p").is_some());

    let by_id = format!("{{\"msgId\":\"{}\"}}", sent.offset_msg_id);
    let found = on.invoke("queryMsgById", &by_id);
    assert_eq!(found.get("body"), Some(&Json::String("first".to_owned())));
    let place = format!(
        "{{\"topic\":\"T\",\"brokerName\":\"{}\",\"queueId\":{},\"offset\":{}}}",
        sent.queue.broker_name, sent.queue.queue_id, sent.queue_offset
    );
    assert_eq!(on.invoke("queryMsgByOffset", &place), found);
    let after = place.replace("\"offset\":0", "\"offset\":9");
    assert_eq!(on.refused("queryMsgByOffset", &after), ErrorKind::NotFound);
    let entries = format!(
        "{{\"topic\":\"T\",\"queue\":{},\"index\":0}}",
        sent.queue.queue_id
    );
    let entries = on.invoke("queryCq", &entries);
    assert_eq!(rows(members(&entries)[0].1, "queueData").len(), 1);

    on.send("T", &[0xff, 0, 0xfe], "key-1");
    let by_key = |key: &str| {
        let arguments = format!("{{\"topic\":\"T\",\"msgKey\":\"{key}\"}}");
        on.invoke("queryMsgByKey", &arguments)
    };
    // The index follows the log.
    await_true(
        || by_key("key-1").as_array().unwrap().len() == 1,
        "the message of the key",
    );
    let found = &by_key("key-1").as_array().unwrap()[0].clone();
    assert_eq!(
        found.get("bodyBase64"),
        Some(&Json::String("/wD+".to_owned()))
    );
    let unique = format!("{{\"topic\":\"T\",\"msgId\":\"{}\"}}", sent.msg_id);
    assert_eq!(
        on.invoke("queryMsgByUniqueKey", &unique)
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert!(by_key("other").as_array().unwrap().is_empty());
    assert_eq!(
        on.refused("queryMsgById", "{\"msgId\":\"x\"}"),
        ErrorKind::Invalid
    );
    assert_eq!(on.refused("noCommand", ""), ErrorKind::Invalid);
    assert_eq!(
        on.refused("topicList", &" ".repeat((1 << 20) + 1)),
        ErrorKind::Limit
    );
}

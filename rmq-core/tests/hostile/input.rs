//! Nonsense, and the codes and fields of RocketMQ's requests to fill with it.

/// Every code that some server of RocketMQ knows is in one of these ranges.
pub(crate) fn codes() -> impl Iterator<Item = i32> {
    (9..=49)
        .chain(100..=106)
        .chain(200..=236)
        .chain(300..=361)
        .chain(900..=906)
        .chain(1_000..=1_020)
        .chain(3_001..=3_014)
        .chain(200_050..=200_075)
}

/// Fields of their headers.
pub(crate) fn fields() -> impl Iterator<Item = &'static str> {
    "a b c d e f g h i j k l m n topic queueId producerGroup consumerGroup group defaultTopic \
     defaultTopicQueueNums sysFlag bornTimestamp flag properties reconsumeTimes unitMode batch \
     queueOffset maxMsgNums commitOffset suspendTimeoutMillis subscription subVersion \
     expressionType offset timestamp boundaryType committed readQueueNums writeQueueNums perm \
     topicFilterType order attributes clientID clientId brokerName brokerAddr clusterName \
     haServerAddr brokerId bodyCrc32 compressed namespace key value originMsgId originTopic \
     maxReconsumeTimes delayLevel msgId groupName isForce maxNum beginTimestamp endTimestamp \
     tranStateTableOffset commitLogOffset commitOrRollback transactionId bname lo ns unitMode"
        .split_whitespace()
}

/// JSON headers that mean nothing, and what is wrong with them.
const TEXT: [(&str, &str); 12] = [
    ("no header", ""),
    ("no object", "[]"),
    ("null", "null"),
    ("a number", "17"),
    ("half an object", r#"{"code":105,"#),
    ("half a text", r#"{"code":105,"remark":"abc"#),
    ("a lone surrogate", r#"{"code":105,"remark":"\ud800"}"#),
    ("a text as code", r#"{"code":"send","opaque":7}"#),
    ("a huge code", r#"{"code":99999999999999999999,"opaque":7}"#),
    ("a list of fields", r#"{"code":105,"extFields":[1,2]}"#),
    ("two objects", r#"{"code":999}{"code":999}"#),
    ("a control character", "{\"code\":999,\"remark\":\"\u{1}\"}"),
];

/// Headers that mean nothing: what is wrong, the serialization, the bytes.
pub(crate) fn headers() -> Vec<(&'static str, u8, Vec<u8>)> {
    let mut all: Vec<(&str, u8, Vec<u8>)> = TEXT
        .iter()
        .map(|(what, text)| (*what, 0, text.as_bytes().to_vec()))
        .collect();
    let mut json = |what, parts: &[&[u8]]| all.push((what, 0, parts.concat()));
    json("no UTF-8", &[b"{\"remark\":\"\xff\xfe\xc0\"}"]);
    json("deep lists", &[&b"[".repeat(500_000)]);
    json("deep objects", &[&b"{\"a\":".repeat(150_000)]);
    let deep = b"{\"a\":".repeat(150_000);
    json("deep fields", &[b"{\"code\":105,\"extFields\":", &deep]);
    let long = vec![b'x'; 2 << 20];
    json(
        "a header over its limit",
        &[b"{\"remark\":\"", &long, b"\"}"],
    );
    // Code, language, version, opaque, flag.
    let start: &[u8] = &[0, 105, 0, 1, 223, 0, 0, 0, 7, 0, 0, 0, 0];
    let (none, negative): (&[u8], &[u8]) = (&[0; 4], &[0xff; 4]);
    let mut binary = |what, parts: &[&[u8]]| all.push((what, 1, parts.concat()));
    binary("a short binary header", &[&start[..9]]);
    binary("a negative remark", &[start, negative]);
    binary("a huge remark", &[start, &[0x7f, 0xff, 0xff, 0xff], b"x"]);
    binary("negative fields", &[start, none, negative]);
    binary(
        "a negative key",
        &[start, none, &[0, 0, 0, 6], &[0xff; 2], none],
    );
    let value = [0, 0, 0, 7, 0, 1, b'k', 0x80, 0, 0, 0];
    binary("a negative value", &[start, none, &value]);
    all
}

const BODIES: [&str; 17] = [
    "",
    "null",
    "[]",
    "{}",
    "0",
    "\"x\"",
    "{{{{",
    r#"{"mqSet":null}"#,
    r#"{"mqSet":[null,1,"x",{}]}"#,
    r#"{"clientID":7,"consumerDataSet":{"a":1}}"#,
    r#"{"consumerDataSet":[{"groupName":null}]}"#,
    r#"{"clientID":"c","consumerDataSet":[{"groupName":"g","subscriptionDataSet":[null]}]}"#,
    r#"{"topicConfigSerializeWrapper":{"topicConfigTable":{"t":null},"dataVersion":null}}"#,
    r#"{"topicConfigSerializeWrapper":{"dataVersion":{"counter":"x","timestamp":[]}}}"#,
    r#"{"topicConfigTable":{"../../t":{"readQueueNums":-5,"perm":"x"}}}"#,
    r#"{"offsetTable":{"t@g":{0:"5","1":null}}}"#,
    "a=b\nlistenPort=no\n",
];

/// Bodies of the wrong shape, some of them deep.
pub(crate) fn bodies() -> Vec<Vec<u8>> {
    let deep = [b"[".repeat(300_000), b"{\"mqSet\":".repeat(100_000)];
    let texts = BODIES.iter().map(|text| text.as_bytes().to_vec());
    texts.chain(deep).collect()
}

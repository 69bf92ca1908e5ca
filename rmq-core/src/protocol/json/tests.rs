use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ser::push_string;
use super::*;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Sample {
    b: bool,
    child: Option<Box<Sample>>,
    d: f64,
    i: i32,
    l: i64,
    ls: Vec<String>,
    mi: BTreeMap<i64, String>,
    mq: BTreeMap<Queue, i64>,
    ms: BTreeMap<String, String>,
    s: Option<String>,
    seven: i32,
}

impl Default for Sample {
    fn default() -> Self {
        Self {
            b: false,
            child: None,
            d: 0.0,
            i: 0,
            l: 0,
            ls: Vec::new(),
            mi: BTreeMap::new(),
            mq: BTreeMap::new(),
            ms: BTreeMap::new(),
            s: None,
            seven: 7,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Queue {
    broker_name: String,
    queue_id: i32,
    topic: String,
}

fn read(text: &str) -> Result<Sample, JsonError> {
    from_slice(text.as_bytes())
}

fn ok(text: &str) -> Sample {
    read(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn strings(values: &[&str]) -> Vec<String> {
    values.iter().map(|&s| s.to_owned()).collect()
}

#[test]
fn scalars_are_coerced() {
    let sample = ok(r#"{"i":"8","l":"9","b":"true","s":1,"d":"1.5"}"#);
    assert_eq!((sample.i, sample.l, sample.b, sample.d), (8, 9, true, 1.5));
    assert_eq!(sample.s.as_deref(), Some("1"));
    for (text, want) in [
        ("1.5", 1),
        ("\"\"", 0),
        ("\"null\"", 0),
        ("true", 1),
        ("+5", 5),
        ("05", 5),
        ("5L", 5),
        ("\"1,000\"", 1000),
        ("-0", 0),
        ("1e3", 1000),
    ] {
        assert_eq!(ok(&format!("{{\"i\":{text}}}")).i, want, "{text}");
    }
    for text in [
        "\"1.5\"",
        "\"abc\"",
        "{}",
        "[]",
        "[5]",
        "2147483648",
        "\" 5 \"",
        "0x10",
        ".5",
    ] {
        assert!(read(&format!("{{\"i\":{text}}}")).is_err(), "{text}");
    }
    assert_eq!(ok(r#"{"l":9223372036854775807}"#).l, i64::MAX);
    assert!(read(r#"{"l":9223372036854775808}"#).is_err());
    for (text, want) in [
        ("1", true),
        ("2", false),
        ("\"Y\"", true),
        ("\"TRUE\"", true),
        ("\"\"", false),
    ] {
        assert_eq!(ok(&format!("{{\"b\":{text}}}")).b, want, "{text}");
    }
    assert!(read(r#"{"b":"yes"}"#).is_err());
}

#[test]
fn what_is_to_be_text_takes_anything() {
    for (text, want) in [
        ("true", "true"),
        ("1.50", "1.50"),
        (r#"{"a" : 1}"#, r#"{"a":1}"#),
        (r#"[1,"x"]"#, r#"[1,"x"]"#),
    ] {
        assert_eq!(ok(&format!("{{\"s\":{text}}}")).s.as_deref(), Some(want));
    }
    let sample = ok(r#"{"ls":["a",1,null,true,{"x":1},[1]]}"#);
    assert_eq!(sample.ls, strings(&["a", "1", "true", "{\"x\":1}", "[1]"]));
    assert_eq!(ok(r#"{"ls":"a"}"#).ls, strings(&["a"]));
}

#[test]
fn null_counts_as_absent() {
    assert_eq!(
        ok(r#"{"i":null,"s":null,"ls":null,"ms":null,"seven":null}"#),
        Sample::default()
    );
    assert_eq!(ok(r#"{"seven":undefined}"#).seven, 7);
    assert_eq!(ok(r#"{"ms":{"a":null,"b":"c"}}"#).ms.len(), 1);
    assert!(read("null").is_err());
    assert!(read("").is_err());
    assert!(read("  ").is_err());
}

#[test]
fn loose_syntax_is_read() {
    for text in [
        "{i:8}",
        "{'i':8}",
        r#"{"i":8,}"#,
        r#"{"i":8,,"l":0}"#,
        r#"{,"i":8}"#,
        r#"{/*c*/"i":8 /* d */}"#,
        "{\"i\":8} // tail",
        "{//x\n\"i\":8}",
        "{ \"i\" :\t8\r\n}",
        "\u{feff}{\"i\":8}",
        r#"{"\u0069":8}"#,
        "{i:8;l:0}",
        r#"{"I":8}"#,
        r#"{"_i":8}"#,
        r#"{"i":1,"i":8}"#,
        r#"{"x":{"a":[1,2,{"b":null}],{1:2}:3},"i":8}"#,
        r#"{"x":undefined,"y":NaN,"z":Set[1],"i":8}"#,
    ] {
        assert_eq!(ok(text).i, 8, "{text}");
    }
    assert!(ok(r#"{"isB":true}"#).b);
    assert!(ok(r#"{"is_b":true}"#).b);
    assert_eq!(ok(r#"{"L-S":[,1,,2,]}"#).ls, strings(&["1", "2"]));
}

#[test]
fn broken_syntax_is_an_error() {
    for text in [
        r#"{"i":8}garbage"#,
        r#"{"i":8"#,
        r#"{"i":8}}"#,
        r#"{"i"=1}"#,
        r#"{"i":1 "l":2}"#,
        r#"{"s":abc}"#,
        "{abc}",
        r#"{"i"}"#,
        r#"{"ls":["a","b"}"#,
        r#"{"ms":{"a":"b"],"i":1}"#,
        r#"{"s":"\q"}"#,
        r#"{"s":"abc}"#,
        r#"{"s":"\u12"}"#,
        r#"{"x":tru}"#,
        r#"{"x":1.2.3}"#,
        "[1]",
        "\"x\"",
        "5",
        "{/*",
        "{/",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
}

#[test]
fn escapes_are_decoded() {
    let text = r#"{"s":"\u4e2d\x41\/\'\0\1\7\v\f\b\t\n\r\F\"\\\ud83d\ude00\ud83dx"}"#;
    assert_eq!(
        ok(text).s.unwrap(),
        "\u{4e2d}A/'\0\u{1}\u{7}\u{b}\u{c}\u{8}\t\n\r\u{c}\"\\\u{1f600}\u{fffd}x"
    );
    assert_eq!(ok("{'s':'a\"b'}").s.unwrap(), "a\"b");
    assert_eq!(
        from_slice::<Sample>(b"{\"s\":\"\xff\"}")
            .unwrap()
            .s
            .unwrap(),
        "\u{fffd}"
    );
}

#[test]
fn maps_take_integer_and_object_keys_in_every_spelling() {
    let sample = ok(r#"{"mi":{0:"a","1":"b",'2':3}}"#);
    let want = [(0, "a"), (1, "b"), (2, "3")].map(|(k, v)| (k, v.to_owned()));
    assert_eq!(sample.mi, BTreeMap::from(want));
    assert!(read(r#"{"mi":{"x":"a"}}"#).is_err());
    let queue = Queue {
        broker_name: "b".into(),
        queue_id: 1,
        topic: "T".into(),
    };
    for text in [
        r#"{"mq":{{"brokerName":"b","queueId":1,"topic":"T"}:7}}"#,
        r#"{"mq":{{"brokerName":"b","queueId":"1","topic":"T"} : "7"}}"#,
        r#"{"mq":{"{\"brokerName\":\"b\",\"queueId\":1,\"topic\":\"T\"}":7}}"#,
        r#"{"mq":{'{"brokerName":"b","queueId":1,"topic":"T"}':7}}"#,
    ] {
        assert_eq!(ok(text).mq, BTreeMap::from([(queue.clone(), 7)]), "{text}");
    }
    assert_eq!(ok(r#"{"ms":{1:2,true:"t",c:4,{"q":1}:"o"}}"#).ms.len(), 4);
    assert_eq!(ok(r#"{"ms":{{"q":1}:"o"}}"#).ms["{\"q\":1}"], "o");
    assert_eq!(ok(r#"{"ms":{"a":1,"a":2}}"#).ms["a"], "2");
}

#[test]
fn the_later_of_two_members_counts_at_every_level() {
    let sample = ok(r#"{"child":{"i":1},"l":3,"child":{"l":2,"l":4},"mi":{1:"a","1":"b"}}"#);
    let child = sample.child.unwrap();
    assert_eq!((child.i, child.l, sample.l), (0, 4, 3));
    assert_eq!(sample.mi[&1], "b");
}

#[test]
fn nothing_stands_for_an_empty_object() {
    for text in [r#"{"ms":[]}"#, r#"{"ms":""}"#, r#"{"ms":{}}"#] {
        assert!(ok(text).ms.is_empty(), "{text}");
    }
    assert_eq!(ok(r#"{"child":[]}"#).child, Some(Box::default()));
    assert!(read(r#"{"ms":[1]}"#).is_err());
    assert!(read(r#"{"ms":"x"}"#).is_err());
}

#[test]
fn depth_is_limited_at_the_limit() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(Json::parse(nested(MAX_DEPTH).as_bytes()).is_ok());
    let error = Json::parse(nested(MAX_DEPTH + 1).as_bytes()).unwrap_err();
    assert_eq!(error.kind(), JsonErrorKind::Limit);
    let skipped = format!("{{\"x\":{}}}", nested(MAX_DEPTH));
    assert_eq!(read(&skipped).unwrap_err().kind(), JsonErrorKind::Limit);
    assert!(read(&format!("{{\"x\":{}}}", nested(MAX_DEPTH - 1))).is_ok());
    let keys = format!("{}1{}", "{".repeat(40), ":1}".repeat(40));
    assert!(Json::parse(keys.as_bytes()).is_ok());
}

fn full() -> Sample {
    let queue = |id| Queue {
        broker_name: "b".into(),
        queue_id: id,
        topic: "T/x".into(),
    };
    Sample {
        child: Some(Box::default()),
        ls: strings(&["a", "b"]),
        mi: BTreeMap::from([(1, "a".into()), (10, "\u{e9}".into())]),
        mq: BTreeMap::from([(queue(1), 5), (queue(2), 6)]),
        ms: BTreeMap::from([("k\"".into(), "v/\u{7f}".into())]),
        ..Sample::default()
    }
}

const EMPTY: &str = r#"{"b":false,"d":0.0,"i":0,"l":0,"ls":[],"mi":{},"mq":{},"ms":{},"seven":7}"#;

#[test]
fn the_default_flavour_leaves_keys_bare() {
    let want = format!(
        r#"{{"b":false,"child":{EMPTY},"d":0.0,"i":0,"l":0,"ls":["a","b"],"mi":{{1:"a",10:"{}"}},"mq":{{{{"brokerName":"b","queueId":1,"topic":"T/x"}}:5,{{"brokerName":"b","queueId":2,"topic":"T/x"}}:6}},"ms":{{"k\"":"v/\u007F"}},"seven":7}}"#,
        '\u{e9}'
    );
    assert_eq!(to_text(&full(), Flavour::Fastjson), want);
    assert_eq!(ok(&want), full());
}

#[test]
fn the_standard_flavour_quotes_and_escapes() {
    let text = to_text(&full(), Flavour::Standard);
    assert!(text.contains(r#""mi":{"1":"a","10":"\u00E9"}"#), "{text}");
    assert!(text.contains(r#""mq":{"{\"brokerName\":\"b\",\"queueId\":1,\"topic\":\"T\/x\"}":5,"#));
    assert!(text.contains(r#""ms":{"k\"":"v\/\u007F"}"#));
    assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
    assert_eq!(ok(&text), full());
}

#[test]
fn the_pretty_flavour_breaks_lines_where_fastjson_does() {
    #[derive(Serialize)]
    struct Pretty {
        e: Vec<i32>,
        list: Vec<Vec<i32>>,
        mi: BTreeMap<i64, Vec<&'static str>>,
        ms: BTreeMap<&'static str, i32>,
        none: Option<i32>,
        #[serde(serialize_with = "inline")]
        set: Vec<&'static str>,
    }
    fn inline<S: serde::Serializer>(set: &[&str], serializer: S) -> Result<S::Ok, S::Error> {
        inline_set(set, serializer)
    }
    let value = Pretty {
        e: vec![],
        list: vec![vec![1, 2], vec![]],
        mi: BTreeMap::from([(1, vec!["x"]), (2, vec![])]),
        ms: BTreeMap::from([("y", 1)]),
        none: None,
        set: vec!["a", "b"],
    };
    let want = "{
\t\"e\":[],
\t\"list\":[
\t\t[
\t\t\t1,
\t\t\t2
\t\t],
\t\t[]
\t],
\t\"mi\":{1:[
\t\t\t\"x\"
\t\t],2:[]
\t},
\t\"ms\":{
\t\t\"y\":1
\t},
\t\"set\":[\"a\",\"b\"]
}";
    assert_eq!(to_text(&value, Flavour::Pretty), want);
    assert_eq!(ok(&to_text(&full(), Flavour::Pretty)), full());
}

#[test]
fn strings_are_escaped_as_fastjson_escapes_them() {
    let mut plain = String::new();
    push_string(
        "a\"\\/\u{1}\u{7f}\u{9f}\u{a0}\u{2028}\u{4e2d}\u{1f600}\u{b}",
        false,
        &mut plain,
    );
    assert_eq!(
        plain,
        "\"a\\\"\\\\/\\u0001\\u007F\\u009F\u{a0}\\u2028\u{4e2d}\u{1f600}\\u000B\""
    );
    let mut ascii = String::new();
    push_string("/\u{a0}\u{4e2d}\u{1f600}", true, &mut ascii);
    assert_eq!(ascii, r#""\/\u00A0\u4E2D\uD83D\uDE00""#);
}

#[test]
fn a_tree_keeps_what_it_does_not_know() {
    let text = r#"{"a":null,"b":[1,2.5,"x",true,{}],1:2,{"c":3}:"d"}"#;
    let tree = Json::parse(text.as_bytes()).unwrap();
    assert_eq!(
        to_text(&tree, Flavour::Fastjson),
        r#"{"b":[1,2.5,"x",true,{}],1:2,{"c":3}:"d"}"#
    );
    assert_eq!(
        tree.get("b").unwrap().as_array().unwrap()[1],
        Json::Float(2.5)
    );
    assert_eq!(tree.get("a"), Some(&Json::Null));
    assert_eq!(
        Json::parse(br#"{"a":1,"a":2}"#)
            .unwrap()
            .get("a")
            .unwrap()
            .as_i64(),
        Some(2)
    );
}

#[test]
fn references_are_followed() {
    let sample = ok(r#"{"child":{"ms":{"a.b":"c"}},"ms":{"$ref":"$.child.ms"}}"#);
    assert_eq!(sample.ms["a.b"], "c");
    assert_eq!(sample.child.unwrap().ms, sample.ms);
    let list: Vec<Queue> = from_text(
        r#"[{"topic":"T"},{"$ref":"$[0]"},{"$ref":"$[1]"},{"$ref":"$[9]"},{"$ref":"..","a":1}]"#,
    )
    .unwrap();
    assert_eq!(
        list.iter()
            .map(|queue| queue.topic.as_str())
            .collect::<Vec<_>>(),
        ["T", "T", "T", ""]
    );
    assert_eq!(ok(r#"{"l":3,"ms":{"a\\.b":"x","$ref":"y"}}"#).ms.len(), 2);
    let names: BTreeMap<String, Json> =
        from_text(r#"{"a.b":{"x":[5]},"c":{"$ref":"$.a\\.b.x"}}"#).unwrap();
    assert_eq!(names["c"], Json::Array(vec![Json::Int(5)]));
}

#[test]
fn references_that_never_end_are_an_error() {
    assert_eq!(
        read(r#"{"child":{"$ref":"$"}}"#).unwrap_err().kind(),
        JsonErrorKind::Limit
    );
    assert_eq!(
        read(r#"{"child":{"$ref":"$.x"},"x":{"$ref":"$.child"}}"#)
            .unwrap_err()
            .kind(),
        JsonErrorKind::Limit
    );
    // Each member holds the one before it eight times.
    let mut text = r#"{"a0":[1]"#.to_owned();
    for i in 1..12 {
        let copies = vec![format!(r#"{{"$ref":"$.a{}"}}"#, i - 1); 8].join(",");
        text.push_str(&format!(r#","a{i}":[{copies}]"#));
    }
    text.push('}');
    assert_eq!(
        Json::parse(text.as_bytes()).unwrap_err().kind(),
        JsonErrorKind::Limit
    );
}

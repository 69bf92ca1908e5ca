use super::*;

const BEGIN: &str = "<!-- commands: made by the tests of admin_invoke -->\n";
const END: &str = "<!-- end of commands -->\n";

fn entry(name: &str) -> &'static Entry {
    entries().find(|entry| entry.name == name).unwrap()
}

fn read(name: &str, args_json: &str) -> Result<Arguments> {
    Arguments::read(entry(name), args_json)
}

fn refusal(name: &str, args_json: &str) -> String {
    let error = read(name, args_json).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    error.context().to_owned()
}

/// `RMQ_BLESS=1` writes the table anew.
#[test]
fn the_page_lists_every_command() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/ADMIN.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let mut table = "| command | arguments | answer |\n|---|---|---|\n".to_owned();
    for entry in entries() {
        let (name, takes, answers) = (entry.name, entry.takes, entry.answers);
        let takes = match takes {
            "" => String::new(),
            takes => format!("`{takes}`"),
        };
        table.push_str(&format!("| `{name}` | {takes} | {answers} |\n"));
    }
    let made = format!("{before}{BEGIN}{table}{END}{after}");
    if std::env::var_os("RMQ_BLESS").is_some() {
        std::fs::write(path, &made).unwrap();
        return;
    }
    assert!(page == made, "`make bless` writes docs/ADMIN.md");
}

#[test]
fn names_occur_once() {
    let mut names: Vec<&str> = entries().map(|entry| entry.name).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[test]
fn arguments_are_checked_by_name_and_by_type() {
    assert!(refusal("topicRoute", "").contains("needs topic"));
    assert!(refusal("topicRoute", "{\"topic\":null}").contains("needs topic"));
    assert!(refusal("topicRoute", "{\"topc\":\"T\"}").contains("does not take \"topc\""));
    assert!(refusal("topicRoute", "{\"topic\":\"T\",\"topicName\":\"T\"}").contains("twice"));
    assert!(refusal("topicRoute", "[1]").contains("no JSON object"));
    assert!(refusal("topicRoute", "{\"topic\"").contains("no JSON"));
    assert!(refusal("getNamesrvConfig", "{\"a\":1}").contains("takes nothing"));
    let call = "{\"topicName\":\"T\",\"readQueueNums\":\"3\",\"perm\":4,\"order\":\"true\"}";
    let arguments = read("updateTopic", call).unwrap();
    assert_eq!(arguments.needed("topic").unwrap(), "T");
    assert_eq!(arguments.int("readQueueNums").unwrap(), Some(3));
    assert_eq!(arguments.int("perm").unwrap(), Some(4));
    assert_eq!(arguments.flag("order").unwrap(), Some(true));
    assert_eq!(arguments.flag("unit").unwrap(), None);
    let wrong = "{\"topic\":[],\"perm\":1.5,\"order\":1,\"readQueueNums\":4294967296}";
    let wrong = read("updateTopic", wrong).unwrap();
    assert!(wrong.text("topic").is_err() && wrong.flag("order").is_err());
    assert!(wrong.int("perm").is_err() && wrong.int("readQueueNums").is_err());
}

#[test]
fn attributes_are_changes_or_values() {
    let of = |attributes: &str| {
        let call = format!("{{\"topic\":\"T\",\"attributes\":{attributes}}}");
        read("updateTopic", &call).unwrap().attributes()
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let expected = vec![pair("+a", "b"), pair("-c", "")];
    assert_eq!(of("\"+a=b, -c\"").unwrap(), expected);
    assert_eq!(of("{\"a\":\"b\"}").unwrap(), vec![pair("+a", "b")]);
    for wrong in ["\"a=b\"", "\"+a\"", "3", "{\"a\":1}"] {
        assert!(of(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn tables_of_queues_become_lists() {
    let table = r#"{"t":{{"brokerName":"b","queueId":1,"topic":"T"}:{"maxOffset":7}},"n":{0:"a"},
        "r":{{"brokerName":"b","queueId":1,"topic":"T"}:9}}"#;
    let shown = tree::plain(Json::parse(table.as_bytes()).unwrap());
    assert_eq!(
        json::to_text(&shown, Flavour::Standard),
        r#"{"t":[{"brokerName":"b","queueId":1,"topic":"T","maxOffset":7}],"n":{"0":"a"},"#
            .to_owned()
            + r#""r":[{"brokerName":"b","queueId":1,"topic":"T","offset":9}]}"#
    );
}

#[test]
fn unknown_commands_are_refused() {
    assert!(unknown("topicroute").context().contains("topicRoute"));
    assert!(unknown("\n").context().contains("\"\\n\""));
}

use super::*;
use crate::base::clock::ManualClock;
use crate::protocol::message::properties::PropertiesBuilder;
use crate::store::disk::{Disk, MemDisk};

const DAY_MS: i64 = 86_400_000;

fn config() -> BrokerConfig {
    BrokerConfig::embedded_defaults("/store")
}

struct Fixture {
    disk: Arc<dyn Disk>,
}

impl Fixture {
    fn new() -> Self {
        let disk = MemDisk::new(ManualClock::new(0));
        Self {
            disk: Arc::new(disk),
        }
    }

    fn open(&self, now_ms: i64) -> ConsumerFilters {
        self.open_with(&config(), now_ms)
    }

    fn open_with(&self, config: &BrokerConfig, now_ms: i64) -> ConsumerFilters {
        let file = MetadataFile::new(Arc::clone(&self.disk), "/store/config/consumerFilter.json");
        ConsumerFilters::open(file, config, now_ms)
    }
}

fn subscription(topic: &str, text: &str, version: i64) -> SubscriptionData {
    SubscriptionData {
        sub_version: version,
        ..SubscriptionData::from_expression(topic, text, TYPE_SQL92)
    }
}

fn register(filters: &ConsumerFilters, group: &str, all: &[SubscriptionData], now_ms: i64) {
    filters.register(group, all, &SelectorLimits::default(), now_ms);
}

fn stored_text(filters: &ConsumerFilters, topic: &str, group: &str) -> Option<String> {
    Some(filters.get(topic, group)?.data.expression.clone())
}

#[test]
fn a_newer_version_replaces_and_an_older_one_does_not() {
    let filters = Fixture::new().open(0);
    register(&filters, "g", &[subscription("T", "a = 1", 5)], 10);
    register(&filters, "g", &[subscription("T", "a = 2", 4)], 11);
    register(&filters, "g", &[subscription("T", "a = 3", 5)], 12);
    assert_eq!(stored_text(&filters, "T", "g").unwrap(), "a = 1");
    register(&filters, "g", &[subscription("T", "a = 4", 6)], 13);
    let filter = filters.get("T", "g").unwrap();
    assert_eq!((filter.version(), filter.data.born_ms), (6, 13));
    assert_eq!(filter.selector().to_string(), "(a = 4)");
    // The same expression under a newer version is the same filter.
    register(&filters, "g", &[subscription("T", "a = 4", 7)], 14);
    let filter = filters.get("T", "g").unwrap();
    assert_eq!((filter.version(), filter.data.born_ms), (7, 13));
}

#[test]
fn a_filter_that_does_not_compile_takes_the_old_one_away() {
    let filters = Fixture::new().open(0);
    register(&filters, "g", &[subscription("T", "a = ", 1)], 1);
    assert!(filters.get("T", "g").is_none());
    register(&filters, "g", &[subscription("T", "a = 1", 2)], 1);
    register(&filters, "g", &[subscription("T", "a = ", 3)], 1);
    assert!(filters.get("T", "g").is_none());
    let unknown = SubscriptionData {
        sub_version: 4,
        ..SubscriptionData::from_expression("T", "a", "XPATH")
    };
    register(&filters, "g", &[unknown], 1);
    register(&filters, "g", &[subscription("T", "", 5)], 1);
    assert!(filters.get("T", "g").is_none());
}

#[test]
fn tags_are_no_filter_and_leave_one_where_it_is() {
    let filters = Fixture::new().open(0);
    let tags = |version| SubscriptionData {
        sub_version: version,
        ..SubscriptionData::from_tags("T", Some("A")).unwrap()
    };
    register(&filters, "g", &[tags(1)], 1);
    assert!(filters.get("T", "g").is_none());
    register(&filters, "g", &[subscription("T", "a = 1", 2)], 1);
    register(&filters, "g", &[tags(3)], 2);
    assert!(!filters.get("T", "g").unwrap().data.is_dead());
}

#[test]
fn filters_die_with_their_subscription_and_with_their_group() {
    let filters = Fixture::new().open(0);
    let dead = |topic: &str| filters.get(topic, "g").unwrap().data.is_dead();
    let (t, u) = (subscription("T", "a = 1", 1), subscription("U", "a = 1", 1));
    register(&filters, "g", &[t.clone(), u.clone()], 10);
    register(&filters, "h", std::slice::from_ref(&t), 10);
    register(&filters, "g", std::slice::from_ref(&t), 20);
    assert_eq!((dead("T"), dead("U")), (false, true));
    // The same version brings it back to life.
    register(&filters, "g", &[t.clone(), u], 30);
    assert_eq!((dead("T"), dead("U")), (false, false));
    filters.unregister("g", 40);
    assert_eq!((dead("T"), dead("U")), (true, true));
    assert_eq!(filters.get("T", "g").unwrap().data.dead_ms, 40);
    filters.unregister("g", 50);
    assert_eq!(filters.get("T", "g").unwrap().data.dead_ms, 40);
    assert!(!filters.get("T", "h").unwrap().data.is_dead());
}

#[test]
fn filters_outlive_a_restart_and_die_a_day_after_their_group() {
    let fixture = Fixture::new();
    let filters = fixture.open(0);
    register(&filters, "g", &[subscription("T", "a = 1", 1)], 100_000);
    register(&filters, "h", &[subscription("T", "a = 2", 1)], 100_000);
    filters.unregister("h", 150_000);
    filters.persist(DAY_MS, 150_000).unwrap();
    let filters = fixture.open(200_000);
    let dead_ms = |group| filters.get("T", group).unwrap().data.dead_ms;
    // Nobody is there after a start; `g` was there shortly before.
    assert_eq!((dead_ms("g"), dead_ms("h")), (170_000, 150_000));
    assert_eq!(stored_text(&filters, "T", "g").unwrap(), "a = 1");
    assert!(fixture.open(100_001).get("T", "g").unwrap().data.dead_ms >= 100_000);
    register(&filters, "g", &[subscription("T", "a = 1", 1)], 210_000);
    filters.persist(DAY_MS, 150_000 + DAY_MS - 1).unwrap();
    assert!(filters.get("T", "h").is_some());
    filters.persist(DAY_MS, 150_000 + DAY_MS).unwrap();
    assert!(filters.get("T", "h").is_none());
    assert!(!filters.get("T", "g").unwrap().data.is_dead());
    let filters = fixture.open(300_000);
    assert!(filters.get("T", "h").is_none() && filters.get("T", "g").is_some());
}

#[test]
fn a_file_of_other_bloom_filters_or_with_damage_is_not_used() {
    let fixture = Fixture::new();
    let filters = fixture.open(0);
    register(&filters, "g", &[subscription("T", "a = 1", 1)], 1);
    filters.persist(DAY_MS, 1).unwrap();
    let mut other = config();
    other.bloom_members = 64;
    assert!(fixture.open_with(&other, 2).get("T", "g").is_none());
    let mut strict = config();
    strict.filter_bytes_max = 3;
    assert!(fixture.open_with(&strict, 2).get("T", "g").is_none());
    assert!(fixture.open(2).get("T", "g").is_some());
    let file = MetadataFile::new(
        Arc::clone(&fixture.disk),
        "/store/config/consumerFilter.json",
    );
    file.save(b"{\"filterDataByTopic\":7").unwrap();
    file.save(b"{\"filterDataByTopic\":7").unwrap();
    assert!(fixture.open(2).get("T", "g").is_none());
}

#[test]
fn the_file_is_written_only_when_it_lacks_something() {
    let fixture = Fixture::new();
    let filters = fixture.open(0);
    filters.persist(DAY_MS, 1).unwrap();
    let exists = || {
        fixture
            .disk
            .read("/store/config/consumerFilter.json".as_ref())
            .is_ok()
    };
    assert!(!exists());
    register(&filters, "g", &[subscription("T", "a = 1", 1)], 1);
    filters.persist(DAY_MS, 1).unwrap();
    assert!(exists());
    assert!(!filters.topics.read().dirty);
    register(&filters, "g", &[subscription("T", "a = 1", 1)], 2);
    assert!(!filters.topics.read().dirty);
}

#[test]
fn a_budget_lets_one_message_through_and_counts_long_properties() {
    let selector = Selector::parse("a = 1 OR b = 2 OR c = 3", &SelectorLimits::default()).unwrap();
    let mut properties = PropertiesBuilder::new();
    properties.push("c", "3").unwrap();
    let mut budget = Budget::new(1);
    assert_eq!(budget.judge(&selector, properties.as_bytes()), Wanted::Yes);
    assert_eq!(
        budget.judge(&selector, properties.as_bytes()),
        Wanted::Later
    );
    let steps = selector.operators() + 1;
    let mut budget = Budget::new(3 * steps);
    for want in [Wanted::Yes, Wanted::No, Wanted::Yes, Wanted::Later] {
        let properties = if want == Wanted::No {
            &[]
        } else {
            properties.as_bytes()
        };
        assert_eq!(budget.judge(&selector, properties), want);
    }
    properties
        .push("long", &"x".repeat(2 * STEP_BYTES))
        .unwrap();
    let mut budget = Budget::new(3 * steps);
    assert_eq!(budget.judge(&selector, properties.as_bytes()), Wanted::Yes);
    assert_eq!(
        budget.judge(&selector, properties.as_bytes()),
        Wanted::Later
    );
}

#[test]
fn compiled_expressions_of_pulls_are_kept_within_bounds() {
    let mut cache = SelectorCache::default();
    let limits = SelectorLimits::default();
    let first = cache.get(TYPE_SQL92, "a = 1", &limits).unwrap();
    assert!(Arc::ptr_eq(
        &first,
        &cache.get(TYPE_SQL92, "a = 1", &limits).unwrap()
    ));
    assert!(cache.get("XPATH", "a = 1", &limits).is_err());
    assert!(cache.get(TYPE_SQL92, "a = ", &limits).is_err());
    for number in 0..10 * CACHED_MAX {
        cache
            .get(TYPE_SQL92, &format!("a = {number}"), &limits)
            .unwrap();
        assert!(cache.selectors.len() <= CACHED_MAX);
    }
}

#[test]
fn the_group_of_a_retry_topic() {
    for (topic, want) in [("%RETRY%g", "g"), ("%RETRY%g+T", "g")] {
        let Selection::ByOrigin(group) = Selection::by_origin(topic) else {
            panic!("{topic}");
        };
        assert_eq!(group, want);
    }
}

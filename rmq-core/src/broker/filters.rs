//! What consumer groups filter by when they filter by an expression, kept in
//! `config/consumerFilter.json`. The expression is compiled once for each version of a
//! subscription; pulls look it up.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::base::Result;
use crate::broker::names;
use crate::config::BrokerConfig;
use crate::protocol::body::consumer_filter::{
    BloomPositions, ConsumerFilter, ConsumerFilterTable, TopicFilters,
};
use crate::protocol::filter::bloom::Bloom;
use crate::protocol::filter::sql::{ParseError, Selector, SelectorLimits};
use crate::protocol::filter::tag::{SubscriptionData, TYPE_SQL92};
use crate::protocol::message::properties::{self, names as property};
use crate::protocol::message::record::{CheckLevel, Checked, RecordRef};
use crate::store::{MetadataFile, Wanted};

/// A group that was there when the broker stopped is taken to have gone this long before the start.
const GONE_BEFORE_LOAD_MS: i64 = 30_000;

/// Properties up to this length cost an operator nothing extra.
const STEP_BYTES: usize = 1024;

/// What a group takes of a topic.
#[derive(Clone, Debug)]
pub(crate) struct GroupFilter {
    data: ConsumerFilter,
    selector: Arc<Selector>,
}

impl GroupFilter {
    /// The version of the subscription that it was made from.
    #[must_use]
    pub(crate) fn version(&self) -> i64 {
        self.data.client_version
    }

    /// It as it is kept.
    #[must_use]
    pub(crate) fn data(&self) -> &ConsumerFilter {
        &self.data
    }

    /// The expression.
    #[must_use]
    pub(crate) fn selector(&self) -> &Arc<Selector> {
        &self.selector
    }
}

type Table = HashMap<String, BTreeMap<String, Arc<GroupFilter>>>;

/// The filters of a broker. Lookups may come from any thread, changes from the control thread.
pub(crate) struct ConsumerFilters {
    topics: RwLock<State>,
    file: MetadataFile,
    bloom: Bloom,
}

/// The table, and whether the file lacks something of it.
#[derive(Default)]
struct State {
    table: Table,
    dirty: bool,
}

impl fmt::Debug for ConsumerFilters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsumerFilters")
            .field("topics", &self.topics.read().table.len())
            .finish_non_exhaustive()
    }
}

/// The limits of expressions.
#[must_use]
pub(crate) fn limits(config: &BrokerConfig) -> SelectorLimits {
    SelectorLimits {
        max_bytes: config.filter_bytes_max,
        max_depth: config.filter_depth_max,
        max_operators: config.filter_operators_max,
    }
}

/// Why an expression cannot be used.
#[derive(Debug)]
pub(crate) enum CompileError {
    /// The type is none that a broker knows.
    UnknownType(String),
    /// It is no expression.
    Parse(ParseError),
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownType(kind) => write!(f, "The expression type {kind} is unknown"),
            Self::Parse(error) => write!(f, "Invalid MessageSelector. {error}"),
        }
    }
}

/// Compiles an expression of a type that is not tags.
pub(crate) fn compile(
    expression_type: &str,
    expression: &str,
    limits: &SelectorLimits,
) -> Result<Selector, CompileError> {
    if expression_type != TYPE_SQL92 {
        return Err(CompileError::UnknownType(expression_type.to_owned()));
    }
    Selector::parse(expression, limits).map_err(CompileError::Parse)
}

impl ConsumerFilters {
    /// Loads the filters. A file that is damaged, or made with other Bloom filter settings, is not
    /// used: consumers bring their filters again.
    pub(crate) fn open(file: MetadataFile, config: &BrokerConfig, now_ms: i64) -> Self {
        let bloom = Bloom::new(config.bloom_error_percent, config.bloom_members);
        let filters = Self {
            topics: RwLock::default(),
            bloom,
            file,
        };
        let stored = match filters.file.load(ConsumerFilterTable::decode) {
            Ok(stored) => stored.unwrap_or_default(),
            Err(error) => {
                tracing::warn!(%error, "consumer filters are not loaded");
                return filters;
            }
        };
        filters.take_over(stored, config, now_ms);
        filters
    }

    fn take_over(&self, stored: ConsumerFilterTable, config: &BrokerConfig, now_ms: i64) {
        let all: Vec<ConsumerFilter> = stored
            .topics
            .into_values()
            .flat_map(|topic| topic.groups.into_values())
            .collect();
        let sound = |filter: &ConsumerFilter| {
            let positions = self.positions(&filter.consumer_group, &filter.topic);
            filter.bloom.as_ref() == Some(&positions)
        };
        if !all.iter().all(sound) {
            tracing::info!("the stored consumer filters have other Bloom filter settings");
            return;
        }
        let mut state = self.topics.write();
        for mut data in all {
            let compiled = compile(&data.expression_type, &data.expression, &limits(config));
            let Ok(selector) = compiled.inspect_err(|error| warn_bad(&data, error)) else {
                continue;
            };
            if !data.is_dead() {
                data.dead_ms = (now_ms - GONE_BEFORE_LOAD_MS).max(data.born_ms);
            }
            let selector = Arc::new(selector);
            put(&mut state.table, GroupFilter { data, selector });
        }
    }

    fn positions(&self, group: &str, topic: &str) -> BloomPositions {
        BloomPositions {
            bit_num: self.bloom.bits(),
            bit_pos: self.bloom.positions(&format!("{group}#{topic}")),
        }
    }

    /// What the group takes of the topic, by the newest of its subscriptions that was one.
    #[must_use]
    pub(crate) fn get(&self, topic: &str, group: &str) -> Option<Arc<GroupFilter>> {
        let state = self.topics.read();
        state.table.get(topic)?.get(group).cloned()
    }

    /// Takes all subscriptions of a group, which a heartbeat brought.
    pub(crate) fn register(
        &self,
        group: &str,
        subscriptions: &[SubscriptionData],
        limits: &SelectorLimits,
        now_ms: i64,
    ) {
        let by_expression = |one: &&SubscriptionData| !one.is_tag_type();
        if !subscriptions.iter().any(|one| by_expression(&one)) && !self.knows(group) {
            return;
        }
        for subscription in subscriptions.iter().filter(by_expression) {
            self.register_one(group, subscription, limits, now_ms);
        }
        self.settle(group, now_ms, |topic| {
            subscriptions.iter().any(|one| one.topic == topic)
        });
    }

    fn knows(&self, group: &str) -> bool {
        let state = self.topics.read();
        state
            .table
            .values()
            .any(|groups| groups.contains_key(group))
    }

    fn register_one(
        &self,
        group: &str,
        subscription: &SubscriptionData,
        limits: &SelectorLimits,
        now_ms: i64,
    ) {
        let topic = &subscription.topic;
        let (kind, text) = (&subscription.expression_type, &subscription.sub_string);
        if text.is_empty() {
            return;
        }
        let version = subscription.sub_version;
        let old = self.get(topic, group);
        let same = old
            .as_ref()
            .filter(|old| old.data.expression == *text && old.data.expression_type == *kind);
        let new = match (&old, same) {
            (Some(old), _) if old.version() > version => return,
            (Some(old), _) if old.version() == version => revived(old, version),
            (_, Some(same)) => revived(same, version),
            _ => {
                let data = ConsumerFilter {
                    bloom: Some(self.positions(group, topic)),
                    born_ms: now_ms,
                    client_version: version,
                    consumer_group: group.to_owned(),
                    dead_ms: 0,
                    expression: text.clone(),
                    expression_type: kind.clone(),
                    topic: topic.clone(),
                };
                match compile(kind, text, limits) {
                    Ok(selector) => {
                        warn_unread(&data, &selector);
                        let selector = Arc::new(selector);
                        Some(GroupFilter { data, selector })
                    }
                    Err(error) => {
                        warn_bad(&data, &error);
                        // Without its filter the group's pulls are refused.
                        self.remove(topic, group);
                        None
                    }
                }
            }
        };
        if let Some(new) = new {
            let mut state = self.topics.write();
            state.dirty = true;
            put(&mut state.table, new);
        }
    }

    fn remove(&self, topic: &str, group: &str) {
        let mut state = self.topics.write();
        if let Some(groups) = state.table.get_mut(topic)
            && groups.remove(group).is_some()
        {
            state.dirty = true;
        }
    }

    /// Notes that a group has no member any more.
    pub(crate) fn unregister(&self, group: &str, now_ms: i64) {
        if self.knows(group) {
            self.settle(group, now_ms, |_| false);
        }
    }

    /// Notes the death of a group's filters, but for topics that are `alive`.
    fn settle(&self, group: &str, now_ms: i64, alive: impl Fn(&str) -> bool) {
        let mut state = self.topics.write();
        let state = &mut *state;
        for (topic, groups) in &mut state.table {
            if let Some(filter) = groups.get_mut(group)
                && !filter.data.is_dead()
                && !alive(topic)
            {
                Arc::make_mut(filter).data.dead_ms = now_ms;
                state.dirty = true;
            }
        }
    }

    /// Forgets filters of groups that went too long ago, and writes the file if it lacks something.
    pub(crate) fn persist(&self, keep_ms: i64, now_ms: i64) -> Result<()> {
        let mut state = self.topics.write();
        let gone = |filter: &GroupFilter| {
            filter.data.is_dead() && now_ms.saturating_sub(filter.data.dead_ms) >= keep_ms
        };
        let mut removed = false;
        for groups in state.table.values_mut() {
            let before = groups.len();
            groups.retain(|_, filter| !gone(filter));
            removed |= groups.len() != before;
        }
        state.table.retain(|_, groups| !groups.is_empty());
        if !removed && !state.dirty {
            return Ok(());
        }
        state.dirty = false;
        let bytes = stored(&state.table).encode_file();
        drop(state);
        self.file
            .save(&bytes)
            .inspect_err(|_| self.topics.write().dirty = true)
    }
}

fn put(table: &mut Table, filter: GroupFilter) {
    let groups = table.entry(filter.data.topic.clone()).or_default();
    groups.insert(filter.data.consumer_group.clone(), Arc::new(filter));
}

/// The same filter under another version, alive; nothing if that changes nothing.
fn revived(old: &GroupFilter, version: i64) -> Option<GroupFilter> {
    if old.version() == version && !old.data.is_dead() {
        return None;
    }
    let mut filter = old.clone();
    filter.data.client_version = version;
    if filter.data.is_dead() {
        filter.data.dead_ms = 0;
    }
    Some(filter)
}

fn stored(table: &Table) -> ConsumerFilterTable {
    let topics = table.iter().map(|(topic, groups)| {
        let groups = groups
            .iter()
            .map(|(group, filter)| (group.clone(), filter.data.clone()))
            .collect();
        let filters = TopicFilters {
            groups,
            topic: topic.clone(),
        };
        (topic.clone(), filters)
    });
    ConsumerFilterTable {
        topics: topics.collect(),
    }
}

fn warn_bad(data: &ConsumerFilter, error: &CompileError) {
    tracing::warn!(
        group = data.consumer_group,
        topic = data.topic,
        %error,
        "a consumer's expression cannot be used"
    );
}

fn warn_unread(data: &ConsumerFilter, selector: &Selector) {
    if let Some(from) = selector.unread_from() {
        tracing::warn!(
            group = data.consumer_group,
            topic = data.topic,
            unread = &data.expression[from..],
            "the end of a consumer's expression is not read"
        );
    }
}

/// Expressions that pulls bring with them, compiled; a few for each reactor.
#[derive(Debug, Default)]
pub(crate) struct SelectorCache {
    selectors: HashMap<String, Arc<Selector>>,
}

/// Expressions kept; then it begins anew.
const CACHED_MAX: usize = 64;

impl SelectorCache {
    /// The compiled expression.
    pub(crate) fn get(
        &mut self,
        expression_type: &str,
        expression: &str,
        limits: &SelectorLimits,
    ) -> Result<Arc<Selector>, CompileError> {
        if let Some(known) = self.selectors.get(expression)
            && expression_type == TYPE_SQL92
        {
            return Ok(Arc::clone(known));
        }
        let selector = Arc::new(compile(expression_type, expression, limits)?);
        if self.selectors.len() >= CACHED_MAX {
            self.selectors.clear();
        }
        let (key, kept) = (expression.to_owned(), Arc::clone(&selector));
        self.selectors.insert(key, kept);
        Ok(selector)
    }

    /// Forgets everything, after a change of the limits.
    pub(crate) fn clear(&mut self) {
        self.selectors.clear();
    }
}

/// How a pull chooses messages beyond their tags.
#[derive(Clone, Debug)]
pub(crate) enum Selection {
    /// Not at all.
    ByTags,
    /// By this expression.
    By(Arc<Selector>),
    /// By what this group takes of the topic that a retried message came from.
    ByOrigin(String),
}

impl Selection {
    /// For a topic of retries: by what its group takes of the topics that messages came from.
    #[must_use]
    pub(crate) fn by_origin(retry_topic: &str) -> Self {
        let group = retry_topic.trim_start_matches(names::RETRY_PREFIX);
        // A pop retry topic has the origin's name behind its group.
        let group = group.split_once('+').map_or(group, |(group, _)| group);
        Self::ByOrigin(group.to_owned())
    }
}

/// The work that one pull may do; at least one message is looked at.
#[derive(Debug)]
pub(crate) struct Budget {
    steps_left: usize,
}

impl Budget {
    /// A budget of this many steps.
    #[must_use]
    pub(crate) fn new(steps: usize) -> Self {
        Self { steps_left: steps }
    }

    /// Whether a record is wanted by the expression, or the budget is used up.
    pub(crate) fn judge(&mut self, selector: &Selector, properties: &[u8]) -> Wanted {
        if self.steps_left == 0 {
            return Wanted::Later;
        }
        let operators = selector.operators() + 1;
        let steps = operators + operators * properties.len() / STEP_BYTES;
        self.steps_left = self.steps_left.saturating_sub(steps);
        match selector.matches(properties) {
            true => Wanted::Yes,
            false => Wanted::No,
        }
    }
}

/// What a record is chosen by: its properties.
pub(crate) fn properties_of(record: &[u8]) -> &[u8] {
    match RecordRef::check(record, CheckLevel::Bounds) {
        Ok(Checked::Record(record)) => record.properties_bytes(),
        _ => &[],
    }
}

/// The topic that a retried message came from.
pub(crate) fn origin(properties: &[u8]) -> Option<&str> {
    properties::find_str(properties, property::RETRY_TOPIC)
}

#[cfg(test)]
mod tests;

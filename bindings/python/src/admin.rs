//! Administration.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pyo3::prelude::*;
use rmq_core::embed::{
    Admin, Error, SubscriptionGroupConfig, TopicConfig, admin_invoke, admin_options,
};

use crate::arguments::{self, Keys};
use crate::errors;
use crate::job;
use crate::mailbox::Ticket;
use crate::message::MessageQueue;
use crate::received;

/// An admin client.
#[pyclass(frozen, module = "rmq._rmq")]
pub(crate) struct NativeAdmin {
    inner: Arc<Admin>,
}

/// Broker name, broker id and address of each broker of a cluster.
type Brokers = BTreeMap<String, Vec<(String, i64, String)>>;

fn clusters(admin: &Admin) -> Result<Brokers, Error> {
    let info = admin.cluster()?;
    let brokers = |names: BTreeSet<String>| {
        let known = names.into_iter().filter_map(|name| info.brokers.get(&name));
        let addresses = known.flat_map(|broker| {
            let name = broker.broker_name.clone();
            let addresses = broker.broker_addrs.iter();
            addresses.map(move |(id, address)| (name.clone(), *id, address.clone()))
        });
        addresses.collect()
    };
    let clusters = info.clusters.clone().into_iter();
    Ok(clusters
        .map(|(name, names)| (name, brokers(names)))
        .collect())
}

#[pymethods]
impl NativeAdmin {
    /// Starts one with the keys that all clients have.
    #[staticmethod]
    #[pyo3(signature = (keys, file=None))]
    fn start(py: Python<'_>, keys: Keys, file: Option<&str>) -> PyResult<Self> {
        let start = || {
            let keys = arguments::properties(&keys, file)?;
            Admin::start(admin_options(&keys)?)
        };
        let inner = Arc::new(errors::told(py, py.detach(start))?);
        Ok(Self { inner })
    }

    /// The brokers of each cluster: name, id, address.
    #[pyo3(signature = (ticket=None))]
    fn clusters(&self, py: Python<'_>, ticket: Option<&Ticket>) -> PyResult<Py<PyAny>> {
        let admin = Arc::clone(&self.inner);
        job::run(py, ticket, move || clusters(&admin), job::object)
    }

    /// The names of all topics.
    #[pyo3(signature = (ticket=None))]
    fn topics(&self, py: Python<'_>, ticket: Option<&Ticket>) -> PyResult<Py<PyAny>> {
        let admin = Arc::clone(&self.inner);
        let work = move || Ok(admin.topics()?.into_iter().collect::<Vec<String>>());
        job::run(py, ticket, work, job::object)
    }

    /// Of each broker that has a topic: its name, queues to read and to write, permission.
    #[pyo3(signature = (topic, ticket=None))]
    fn route(&self, py: Python<'_>, topic: String, ticket: Option<&Ticket>) -> PyResult<Py<PyAny>> {
        let admin = Arc::clone(&self.inner);
        let work = move || {
            let queues = admin.route(&topic)?.queues.into_iter();
            let told = queues.map(|queue| {
                let (read, write) = (queue.read_queue_nums, queue.write_queue_nums);
                (queue.broker_name, read, write, queue.perm)
            });
            Ok(told.collect::<Vec<(String, i32, i32, i32)>>())
        };
        job::run(py, ticket, work, job::object)
    }

    /// Creates or changes a topic.
    #[pyo3(signature = (topic, read_queues, write_queues, perm, order, attributes, ticket=None))]
    #[expect(clippy::too_many_arguments, reason = "named arguments of Python")]
    fn create_topic(
        &self,
        py: Python<'_>,
        topic: String,
        read_queues: i32,
        write_queues: i32,
        perm: i32,
        order: bool,
        attributes: BTreeMap<String, String>,
        ticket: Option<&Ticket>,
    ) -> PyResult<Py<PyAny>> {
        let config = TopicConfig {
            topic_name: topic,
            read_queue_nums: read_queues,
            write_queue_nums: write_queues,
            perm,
            order,
            attributes,
            ..TopicConfig::default()
        };
        let admin = Arc::clone(&self.inner);
        let work = move || admin.create_topic(&config);
        job::run(py, ticket, work, job::nothing)
    }

    /// Deletes a topic.
    #[pyo3(signature = (topic, ticket=None))]
    fn delete_topic(
        &self,
        py: Python<'_>,
        topic: String,
        ticket: Option<&Ticket>,
    ) -> PyResult<Py<PyAny>> {
        let admin = Arc::clone(&self.inner);
        job::run(py, ticket, move || admin.delete_topic(&topic), job::nothing)
    }

    /// Creates or changes a consumer group.
    #[pyo3(signature = (group, retry_max_times, retry_queues, enabled, broadcast, orderly,
        ticket=None))]
    #[expect(clippy::too_many_arguments, reason = "named arguments of Python")]
    fn create_group(
        &self,
        py: Python<'_>,
        group: String,
        retry_max_times: i32,
        retry_queues: i32,
        enabled: bool,
        broadcast: bool,
        orderly: bool,
        ticket: Option<&Ticket>,
    ) -> PyResult<Py<PyAny>> {
        let config = SubscriptionGroupConfig {
            group_name: group,
            retry_max_times,
            retry_queue_nums: retry_queues,
            consume_enable: enabled,
            consume_broadcast_enable: broadcast,
            consume_message_orderly: orderly,
            ..SubscriptionGroupConfig::default()
        };
        let admin = Arc::clone(&self.inner);
        let work = move || admin.create_group(&config);
        job::run(py, ticket, work, job::nothing)
    }

    /// Deletes a consumer group.
    #[pyo3(signature = (group, ticket=None))]
    fn delete_group(
        &self,
        py: Python<'_>,
        group: String,
        ticket: Option<&Ticket>,
    ) -> PyResult<Py<PyAny>> {
        let admin = Arc::clone(&self.inner);
        job::run(py, ticket, move || admin.delete_group(&group), job::nothing)
    }

    /// First and last offset of every queue of a topic.
    #[pyo3(signature = (topic, ticket=None))]
    fn topic_offsets(
        &self,
        py: Python<'_>,
        topic: String,
        ticket: Option<&Ticket>,
    ) -> PyResult<Py<PyAny>> {
        let admin = Arc::clone(&self.inner);
        let work = move || {
            let offsets = admin.topic_offsets(&topic)?.offsets.into_iter();
            let told = offsets
                .map(|(queue, of)| (MessageQueue::from(queue), of.min_offset, of.max_offset));
            Ok(told.collect::<Vec<(MessageQueue, i64, i64)>>())
        };
        job::run(py, ticket, work, job::object)
    }

    /// Of every queue of a topic: the broker's offset and the group's.
    #[pyo3(signature = (group, topic, ticket=None))]
    fn group_offsets(
        &self,
        py: Python<'_>,
        group: String,
        topic: String,
        ticket: Option<&Ticket>,
    ) -> PyResult<Py<PyAny>> {
        let admin = Arc::clone(&self.inner);
        let work = move || {
            let offsets = admin.group_offsets(&group, &topic)?.offsets.into_iter();
            let told = offsets.map(|(queue, of)| {
                (
                    MessageQueue::from(queue),
                    of.broker_offset,
                    of.consumer_offset,
                )
            });
            Ok(told.collect::<Vec<(MessageQueue, i64, i64)>>())
        };
        job::run(py, ticket, work, job::object)
    }

    /// Has a connected group go on at a time.
    #[pyo3(signature = (group, topic, timestamp_ms, ticket=None))]
    fn reset_offsets(
        &self,
        py: Python<'_>,
        group: String,
        topic: String,
        timestamp_ms: i64,
        ticket: Option<&Ticket>,
    ) -> PyResult<Py<PyAny>> {
        let admin = Arc::clone(&self.inner);
        let work = move || {
            let offsets = admin.reset_offsets(&group, &topic, timestamp_ms)?;
            let told = offsets
                .into_iter()
                .map(|(queue, offset)| (queue.into(), offset));
            Ok(told.collect::<Vec<(MessageQueue, i64)>>())
        };
        job::run(py, ticket, work, job::object)
    }

    /// The message that is stored at a place.
    #[pyo3(signature = (offset_msg_id, ticket=None))]
    fn message_at(
        &self,
        py: Python<'_>,
        offset_msg_id: String,
        ticket: Option<&Ticket>,
    ) -> PyResult<Py<PyAny>> {
        let admin = Arc::clone(&self.inner);
        let work = move || admin.message_at(&offset_msg_id);
        job::run(py, ticket, work, received::object)
    }

    /// The messages of a topic with a key, or, without `max`, with a unique id.
    #[pyo3(signature = (topic, key, max=None, ticket=None))]
    fn messages(
        &self,
        py: Python<'_>,
        topic: String,
        key: String,
        max: Option<i32>,
        ticket: Option<&Ticket>,
    ) -> PyResult<Py<PyAny>> {
        let admin = Arc::clone(&self.inner);
        let work = move || match max {
            Some(max) => admin.messages_by_key(&topic, &key, max),
            None => admin.messages_by_id(&topic, &key),
        };
        job::run(py, ticket, work, received::list)
    }

    /// Runs a command of `mqadmin`: a JSON object of arguments in, JSON out.
    #[pyo3(signature = (command, arguments, ticket=None))]
    fn invoke(
        &self,
        py: Python<'_>,
        command: String,
        arguments: String,
        ticket: Option<&Ticket>,
    ) -> PyResult<Py<PyAny>> {
        let admin = Arc::clone(&self.inner);
        let work = move || admin_invoke(&admin, &command, &arguments);
        job::run(py, ticket, work, job::object)
    }

    /// Ends its connections. That waits for nothing; `timeout` is there as everywhere.
    #[pyo3(signature = (timeout, ticket=None))]
    fn close(&self, py: Python<'_>, timeout: f64, ticket: Option<&Ticket>) -> PyResult<Py<PyAny>> {
        arguments::duration(timeout)?;
        let admin = Arc::clone(&self.inner);
        let work = move || {
            admin.close();
            Ok(())
        };
        job::run(py, ticket, work, job::nothing)
    }
}

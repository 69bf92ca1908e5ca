//! Whole clusters in this process, for tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use rmq_core::embed::cluster::{ClusterClock, ClusterStorage};
use rmq_core::embed::{Cluster, ClusterOptions, Deployment, FlushDiskType};

use crate::arguments::{self, Keys};
use crate::errors;
use crate::job;
use crate::mailbox::Ticket;

/// A cluster.
#[pyclass(frozen, module = "rmq._rmq")]
pub(crate) struct NativeCluster {
    inner: Arc<Cluster>,
}

/// A member as Python sees it: name, kind, address, folder, running, paused.
type Member = (String, &'static str, String, String, bool, bool);

fn deployment(name: &str, masters: usize, slaves_each: usize) -> PyResult<Deployment> {
    Ok(match name {
        "single_master" => Deployment::SingleMaster,
        "masters" => Deployment::Masters(masters),
        "async_slaves" => Deployment::AsyncSlaves {
            masters,
            slaves_each,
        },
        "sync_double_write" => Deployment::SyncDoubleWrite {
            masters,
            slaves_each,
        },
        _ => {
            return Err(PyValueError::new_err(format!(
                "there is no deployment {name:?}"
            )));
        }
    })
}

fn flush(name: &str) -> PyResult<FlushDiskType> {
    match name {
        "async" => Ok(FlushDiskType::AsyncFlush),
        "sync" => Ok(FlushDiskType::SyncFlush),
        _ => {
            let why = format!("flush is \"sync\" or \"async\", not {name:?}");
            Err(PyValueError::new_err(why))
        }
    }
}

#[pymethods]
impl NativeCluster {
    /// Starts one.
    #[staticmethod]
    #[pyo3(signature = (deployment, masters, slaves_each, nameservers, flush, name,
        auto_create_topics, settings, member_settings, store, manual_clock, ticket=None))]
    #[expect(clippy::too_many_arguments, reason = "named arguments of Python")]
    fn start(
        py: Python<'_>,
        deployment: &str,
        masters: usize,
        slaves_each: usize,
        nameservers: usize,
        flush: &str,
        name: String,
        auto_create_topics: bool,
        settings: Keys,
        member_settings: BTreeMap<String, Keys>,
        store: Option<&str>,
        manual_clock: bool,
        ticket: Option<&Ticket>,
    ) -> PyResult<Py<PyAny>> {
        let options = ClusterOptions {
            deployment: self::deployment(deployment, masters, slaves_each)?,
            nameservers,
            flush: self::flush(flush)?,
            cluster_name: name,
            auto_create_topics,
            settings,
            member_settings,
            storage: match store {
                None => ClusterStorage::Temporary,
                Some(":memory:") => ClusterStorage::Memory,
                Some(folder) => ClusterStorage::Directory(folder.into()),
            },
            clock: match manual_clock {
                true => ClusterClock::Manual,
                false => ClusterClock::System,
            },
        };
        let convert = |py: Python<'_>, inner| {
            let inner = Arc::new(inner);
            job::object(py, Self { inner })
        };
        job::run(py, ticket, move || Cluster::start(options), convert)
    }

    /// What may take time, by its name: "reset", "await_ready", "await_replicated"; of a member:
    /// "kill", "close_member", "start_member", "restart", "wipe".
    #[pyo3(signature = (what, timeout, member=String::new(), ticket=None))]
    fn act(
        &self,
        py: Python<'_>,
        what: &str,
        timeout: f64,
        member: String,
        ticket: Option<&Ticket>,
    ) -> PyResult<Py<PyAny>> {
        type Act = fn(&Cluster, String, std::time::Duration) -> rmq_core::embed::Result<()>;
        let act: Act = match what {
            "reset" => |cluster, _, _| cluster.reset(),
            "await_ready" => |cluster, _, timeout| cluster.await_ready(timeout),
            "await_replicated" => |cluster, _, timeout| cluster.await_replicated(timeout),
            "kill" => |cluster, member, _| cluster.kill(member),
            "close_member" => |cluster, member, timeout| cluster.close_member(member, timeout),
            "start_member" => |cluster, member, _| cluster.start_member(member),
            "restart" => |cluster, member, timeout| cluster.restart(member, timeout),
            "wipe" => |cluster, member, _| cluster.wipe(member),
            _ => return Err(PyValueError::new_err(what.to_owned())),
        };
        let (inner, timeout) = (Arc::clone(&self.inner), arguments::duration(timeout)?);
        let work = move || act(&inner, member, timeout);
        job::run(py, ticket, work, job::nothing)
    }

    /// Closes every member within `timeout` seconds.
    #[pyo3(signature = (timeout, ticket=None))]
    fn close(&self, py: Python<'_>, timeout: f64, ticket: Option<&Ticket>) -> PyResult<Py<PyAny>> {
        let (inner, timeout) = (Arc::clone(&self.inner), arguments::duration(timeout)?);
        job::run(py, ticket, move || inner.close(timeout), job::nothing)
    }

    /// The nameservers as clients take them.
    #[getter]
    fn namesrv(&self) -> String {
        self.inner.nameserver_addresses()
    }

    /// Where clients reach a member.
    fn address(&self, py: Python<'_>, member: &str) -> PyResult<String> {
        let address = errors::told(py, self.inner.address(member))?;
        Ok(address.to_string())
    }

    /// How every member does.
    fn members(&self, py: Python<'_>) -> Vec<Member> {
        let members = py.detach(|| self.inner.members());
        let told = members.into_iter().map(|member| {
            let kind = match member.name.starts_with("namesrv-") {
                true => "namesrv",
                false => "broker",
            };
            (
                member.name,
                kind,
                member.address.to_string(),
                member.folder.display().to_string(),
                member.running,
                member.paused,
            )
        });
        told.collect()
    }

    /// Moves the clock of every member forward.
    fn advance(&self, py: Python<'_>, seconds: f64) -> PyResult<()> {
        let by = arguments::duration(seconds)?;
        errors::told(py, self.inner.advance(by))
    }

    /// Stops a member's traffic.
    fn pause(&self, py: Python<'_>, member: &str) -> PyResult<()> {
        errors::told(py, py.detach(|| self.inner.pause(member)))
    }

    /// Lets a paused member go on.
    fn resume(&self, py: Python<'_>, member: &str) -> PyResult<()> {
        errors::told(py, py.detach(|| self.inner.resume(member)))
    }

    /// Divides the network.
    fn partition(&self, py: Python<'_>, groups: Vec<Vec<String>>) -> PyResult<()> {
        let groups: Vec<Vec<&str>> = groups
            .iter()
            .map(|group| group.iter().map(String::as_str).collect())
            .collect();
        let groups: Vec<&[&str]> = groups.iter().map(Vec::as_slice).collect();
        errors::told(py, py.detach(|| self.inner.partition(&groups)))
    }

    /// Keeps what one member sends from another.
    fn cut(&self, py: Python<'_>, sender: &str, receiver: &str) -> PyResult<()> {
        errors::told(py, py.detach(|| self.inner.cut(sender, receiver)))
    }

    /// Ends every partition and cut.
    fn heal(&self, py: Python<'_>) {
        py.detach(|| self.inner.heal());
    }
}

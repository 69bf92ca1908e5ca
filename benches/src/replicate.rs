//! A master and its slave as processes: what waiting for the slave costs, how far it lags, how fast
//! a new one catches up.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rmq_core::base::clock::{Clock, SystemClock};
use rmq_core::base::error::{Error, ErrorKind, Result};
use rmq_core::base::thread;
use rmq_core::protocol::code::RequestCode;
use serde_json::Value;
use tempfile::TempDir;

use crate::compare::server::{Maker, Process, Programs, Role, free_port, spawn, started};
use crate::load::frames::SendKind;
use crate::load::{Operation, Plan, Report, run};
use crate::peer::Peer;

/// A slave that is not in sync by then is given up.
const CATCH_UP_LIMIT: Duration = Duration::from_secs(300);

/// How often the lag is looked at.
const SAMPLE: Duration = Duration::from_millis(20);

/// What a master tells of its only slave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// End of the master's log.
    pub end: i64,
    /// Bytes that the slave has not acknowledged; none while it is not connected.
    pub gap: Option<i64>,
}

/// How far the slave was behind, sampled.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Lag {
    /// The median, MiB.
    pub p50_mib: f64,
    /// 99 of 100 samples were below, MiB.
    pub p99_mib: f64,
    /// The worst, MiB.
    pub max_mib: f64,
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn mib(bytes: i64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

impl Lag {
    fn of(mut gaps: Vec<i64>) -> Self {
        gaps.sort_unstable();
        let at = |part: usize| gaps.get((gaps.len() * part / 100).min(gaps.len().max(1) - 1));
        let figure = |part| at(part).map_or(0.0, |gap| mib(*gap));
        Self {
            p50_mib: figure(50),
            p99_mib: figure(99),
            max_mib: figure(100),
        }
    }
}

/// A nameserver, a master and, once it is started, its slave.
#[derive(Debug)]
pub struct Group {
    // Fields are dropped in this order.
    slave: Option<Process>,
    _master: Process,
    _namesrv: Process,
    maker: Maker,
    programs: Programs,
    namesrv_port: u16,
    /// The address of the master.
    pub master: SocketAddr,
    dir: TempDir,
}

impl Group {
    /// Starts a nameserver and a master with these lines in its configuration.
    ///
    /// # Errors
    /// When one does not start.
    pub fn start(maker: Maker, programs: &Programs, lines: &str) -> Result<Self> {
        let io = |e| Error::io("start", "temporary folder", e);
        let dir = tempfile::Builder::new()
            .prefix("rmq-replicate-")
            .tempdir_in(&programs.stores)
            .map_err(io)?;
        let namesrv_port = free_port(&[])?;
        let conf = format!("listenPort={namesrv_port}\n");
        fs::write(dir.path().join("namesrv.conf"), conf).map_err(io)?;
        let namesrv = spawn(maker, programs, dir.path(), "namesrv", Role::Namesrv)?;
        let (namesrv, _) = started(namesrv, namesrv_port)?;
        let port = broker_conf(
            &dir,
            "master",
            namesrv_port,
            &format!("brokerId=0\n{lines}"),
        )?;
        let master = spawn(maker, programs, dir.path(), "master", Role::Broker)?;
        let (master, _) = started(master, port)?;
        Ok(Self {
            slave: None,
            _master: master,
            _namesrv: namesrv,
            maker,
            programs: programs.clone(),
            namesrv_port,
            master: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            dir,
        })
    }

    /// Starts the slave, empty.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_slave(&mut self, lines: &str) -> Result<()> {
        let lines = format!("brokerId=1\nbrokerRole=SLAVE\n{lines}");
        let port = broker_conf(&self.dir, "slave", self.namesrv_port, &lines)?;
        let dir = self.dir.path();
        let slave = spawn(self.maker, &self.programs, dir, "slave", Role::Broker)?;
        self.slave = Some(started(slave, port)?.0);
        Ok(())
    }

    /// How the slave stands.
    ///
    /// # Errors
    /// When the master does not answer.
    pub fn standing(&self) -> Result<Standing> {
        standing(&mut Peer::connect(self.master)?)
    }

    /// Waits until the slave lacks less than `gap` bytes.
    ///
    /// # Errors
    /// When it does not come so far in five minutes.
    pub fn caught_up(&self, gap: i64) -> Result<Duration> {
        let clock = SystemClock::new();
        let mut peer = Peer::connect(self.master)?;
        loop {
            let now = standing(&mut peer)?;
            if now.gap.is_some_and(|lacks| lacks <= gap) {
                return Ok(clock.monotonic());
            }
            if clock.monotonic() > CATCH_UP_LIMIT {
                let context = format!("{now:?} after {CATCH_UP_LIMIT:?}");
                return Err(Error::new(
                    ErrorKind::Timeout,
                    "wait for the slave",
                    context,
                ));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Runs a plan against the master and samples the lag meanwhile.
    ///
    /// # Errors
    /// When the plan cannot be run.
    pub fn measure(&self, plan: &Plan) -> Result<(Report, Lag)> {
        plan.create_topic()?;
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, master) = (Arc::clone(&stop), self.master);
        let (sender, gaps) = std::sync::mpsc::channel();
        let sampler = thread::spawn("lag", move || {
            let Ok(mut peer) = Peer::connect(master) else {
                return;
            };
            while !stopped.load(Ordering::Relaxed) {
                if let Ok(Standing { gap: Some(gap), .. }) = standing(&mut peer) {
                    // The receiver outlives this thread.
                    let _ = sender.send(gap);
                }
                std::thread::sleep(SAMPLE);
            }
        })?;
        let report = run(plan);
        stop.store(true, Ordering::Relaxed);
        sampler.join_deadline(Duration::from_secs(20))?;
        Ok((report?, Lag::of(gaps.iter().collect())))
    }

    /// A plan of sends to the master.
    #[must_use]
    pub fn plan(&self, body: usize, warm_up: Duration, measure: Duration) -> Plan {
        Plan {
            topic: format!("replicate-{body}"),
            body,
            warm_up,
            measure,
            ..Plan::new(vec![self.master], Operation::Send(SendKind::V2))
        }
    }
}

/// Writes `NAME.conf` for a broker on a free port, which is returned.
fn broker_conf(dir: &TempDir, name: &str, namesrv_port: u16, lines: &str) -> Result<u16> {
    let port = free_port(&[-2, 1])?;
    let root = dir.path().join(name);
    let root = root.display();
    let conf = format!(
        "brokerClusterName=replicate\nbrokerName=broker-a\nbrokerIP1=127.0.0.1\n\
         brokerIP2=127.0.0.1\nlistenPort={port}\nnamesrvAddr=127.0.0.1:{namesrv_port}\n\
         storePathRootDir={root}\nstorePathCommitLog={root}/commitlog\n{lines}"
    );
    let path = dir.path().join(format!("{name}.conf"));
    fs::write(&path, conf).map_err(|e| Error::io("write", path.display().to_string(), e))?;
    Ok(port)
}

fn standing(peer: &mut Peer) -> Result<Standing> {
    let answer = peer.must(RequestCode::GET_BROKER_HA_STATUS, &[])?;
    let bad = |why: String| Error::new(ErrorKind::Corrupt, "replication status", why);
    let body: Value = serde_json::from_slice(&answer.body).map_err(|e| bad(e.to_string()))?;
    let end = body["masterCommitLogMaxOffset"]
        .as_i64()
        .ok_or_else(|| bad(body.to_string()))?;
    let gap = body["haConnectionInfo"][0]["slaveAckOffset"].as_i64();
    Ok(Standing {
        end,
        gap: gap.map(|ack| (end - ack).max(0)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_is_told_by_its_middle_and_its_worst() {
        let lag = Lag::of((0..=100).rev().map(|n| n << 20).collect());
        let expected = Lag {
            p50_mib: 50.0,
            p99_mib: 99.0,
            max_mib: 100.0,
        };
        assert_eq!(lag, expected);
        assert_eq!(Lag::of(Vec::new()), Lag::default());
        assert!((Lag::of(vec![1 << 20]).max_mib - 1.0).abs() < 1e-9);
    }
}

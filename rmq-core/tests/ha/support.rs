//! Stores on disks in memory, both ends of replication, and peers made of bare sockets.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rmq_core::base::backoff::BackoffConfig;
use rmq_core::base::clock::{Clock, SharedClock, SystemClock};
use rmq_core::ha::wire::{HEADER_BYTES, Header};
use rmq_core::ha::{InSync, Master, MasterOptions, Slave, SlaveOptions, SlaveState};
use rmq_core::store::disk::{Crash, MemDisk};
use rmq_core::store::{FlushMode, Store, StoreOptions};

use crate::store_support::{LONG, ROOT, files, options, put, rebuilt_queue_files};

pub(crate) const SEGMENT: i64 = 8 * 1024;

/// A store and its disk.
pub(crate) struct Node {
    pub(crate) disk: MemDisk,
    pub(crate) store: Arc<Store>,
    pub(crate) options: StoreOptions,
    pub(crate) clock: SharedClock,
}

/// Small files and threads.
pub(crate) fn node_options(flush: FlushMode) -> StoreOptions {
    StoreOptions {
        background: true,
        flush_interval_ms: 5,
        queue_flush_interval_ms: 5,
        ..options(flush)
    }
}

impl Node {
    pub(crate) fn new() -> Self {
        Self::with(node_options(FlushMode::Async))
    }

    /// For a synchronous master.
    pub(crate) fn waiting() -> Self {
        Self::with(StoreOptions {
            await_slaves: true,
            ..node_options(FlushMode::Async)
        })
    }

    pub(crate) fn with(options: StoreOptions) -> Self {
        let clock = SystemClock::shared();
        Self::on(MemDisk::new(Arc::clone(&clock)), options, clock)
    }

    fn on(disk: MemDisk, options: StoreOptions, clock: SharedClock) -> Self {
        let store = Store::open(options.clone(), disk.shared(), Arc::clone(&clock)).unwrap();
        Self {
            disk,
            store,
            options,
            clock,
        }
    }

    /// The same after the power went.
    pub(crate) fn crashed(self, mode: Crash) -> Self {
        self.store.kill();
        Self::on(self.disk.crash(mode), self.options, self.clock)
    }

    pub(crate) fn end(&self) -> i64 {
        self.store.watermarks().appended()
    }

    pub(crate) fn log(&self) -> Vec<u8> {
        let found = files(&self.disk, &Path::new(ROOT).join("commitlog"));
        let len = usize::try_from(self.end() - self.store.min_offset()).unwrap();
        let bytes: Vec<u8> = found.into_values().flatten().collect();
        bytes[..len].to_vec()
    }

    /// Appends `count` messages of different lengths.
    pub(crate) fn fill(&self, count: usize) {
        for number in 0..count {
            self.put(&vec![b'a' + (number % 26) as u8; number * 37 % 700]);
        }
    }

    pub(crate) fn put(&self, body: &[u8]) -> i64 {
        put(&self.store, "topic", 0, body).unwrap();
        self.end()
    }

    pub(crate) fn master(&self) -> Master {
        self.master_with(master_options())
    }

    pub(crate) fn master_with(&self, options: MasterOptions) -> Master {
        Master::start(options, Arc::clone(&self.store), Arc::clone(&self.clock)).unwrap()
    }

    pub(crate) fn slave(&self, master: SocketAddr) -> Slave {
        self.slave_with(slave_options(), master)
    }

    pub(crate) fn slave_with(&self, options: SlaveOptions, master: SocketAddr) -> Slave {
        let slave = Slave::start(options, Arc::clone(&self.store), Arc::clone(&self.clock));
        let slave = slave.unwrap();
        slave.set_master(Some(master.to_string()));
        slave
    }

    /// Waits until this store has what `master` has, and compares.
    pub(crate) fn equals(&self, master: &Self) {
        eventually("the slave has all", || self.end() == master.end());
        assert!(self.log() == master.log(), "the logs differ");
    }

    /// Closes the store; its queues are what its log says.
    pub(crate) fn check_queues(self) {
        self.store.close(LONG).unwrap();
        let manual = crate::store_support::clock();
        let want = rebuilt_queue_files(&self.disk, &manual, options(FlushMode::Async));
        assert!(crate::store_support::queue_files(&self.disk) == want);
    }
}

pub(crate) fn master_options() -> MasterOptions {
    MasterOptions {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        heartbeat_ms: 50,
        batch_bytes: 700,
        ..MasterOptions::default()
    }
}

/// For a synchronous master that waits for `slaves`.
pub(crate) fn sync_options(slaves: usize) -> MasterOptions {
    MasterOptions {
        ack_timeout_ms: 300,
        in_sync: Some(InSync {
            replicas: slaves + 1,
            min: 1,
            auto: false,
        }),
        ..master_options()
    }
}

pub(crate) fn slave_options() -> SlaveOptions {
    SlaveOptions {
        heartbeat_ms: 50,
        backoff: BackoffConfig {
            initial: Duration::from_millis(5),
            max: Duration::from_millis(50),
            jitter_percent: 20,
        },
        refused_pause_ms: 50,
        ..SlaveOptions::default()
    }
}

pub(crate) fn bound(last: u8) -> SlaveOptions {
    SlaveOptions {
        bind: Some(IpAddr::from([127, 0, 0, last])),
        ..slave_options()
    }
}

/// Waits until `done`, for a time that is only reached when something is wrong.
pub(crate) fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let clock = SystemClock::new();
    while !done() {
        assert!(clock.monotonic() < Duration::from_secs(30), "not: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Waits until the slave is refused; the reason.
pub(crate) fn refusal(slave: &Slave) -> String {
    let clock = SystemClock::new();
    loop {
        let status = slave.status();
        if let SlaveState::Refused(why) = status.state {
            return why;
        }
        assert!(clock.monotonic() < Duration::from_secs(30), "{status:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A bare socket that plays a slave.
pub(crate) struct RawSlave {
    pub(crate) stream: TcpStream,
}

impl RawSlave {
    pub(crate) fn connect(master: SocketAddr, report: i64) -> Self {
        let stream = TcpStream::connect(master).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        let mut slave = Self { stream };
        slave.report(report);
        slave
    }

    pub(crate) fn report(&mut self, offset: i64) {
        self.stream.write_all(&offset.to_be_bytes()).unwrap();
    }

    /// The next frame. `None` when the master closed.
    pub(crate) fn frame(&mut self) -> Option<(i64, Vec<u8>)> {
        let mut header = [0; HEADER_BYTES];
        match self.stream.read_exact(&mut header) {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => panic!("silence"),
            Err(_) => return None,
        }
        let header = Header::decode(header).unwrap();
        let mut body = vec![0; header.size];
        self.stream.read_exact(&mut body).unwrap();
        Some((header.offset, body))
    }

    /// Reads frames up to log offset `end`, which must follow each other from `from` on.
    pub(crate) fn read_to(&mut self, from: i64, end: i64) -> Vec<u8> {
        let (mut at, mut log) = (from, Vec::new());
        while at < end {
            let (offset, body) = self.frame().unwrap();
            assert_eq!(offset, at);
            at += body.len() as i64;
            log.extend(body);
        }
        log
    }

    /// Whether the master closes, whatever it sends before.
    pub(crate) fn ends(mut self) -> bool {
        let mut sink = [0; 4096];
        loop {
            match self.stream.read(&mut sink) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(e) if matches!(e.kind(), ErrorKind::ConnectionReset) => return true,
                Err(_) => return false,
            }
        }
    }
}

/// A bare socket that plays a master.
pub(crate) struct RawMaster {
    pub(crate) listener: TcpListener,
}

impl RawMaster {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self { listener }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// The next slave and its first report.
    pub(crate) fn accept(&self) -> (RawLink, i64) {
        let (stream, _) = self.listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        let mut link = RawLink { stream };
        let report = link.report().unwrap();
        (link, report)
    }
}

pub(crate) struct RawLink {
    stream: TcpStream,
}

impl RawLink {
    /// The next report. `None` when the slave closed.
    pub(crate) fn report(&mut self) -> Option<i64> {
        let mut report = [0; 8];
        match self.stream.read_exact(&mut report) {
            Ok(()) => Some(i64::from_be_bytes(report)),
            Err(e) if e.kind() == ErrorKind::WouldBlock => panic!("silence"),
            Err(_) => None,
        }
    }

    /// Waits until it reports `offset`.
    pub(crate) fn reports(&mut self, offset: i64) {
        while self.report().unwrap() != offset {}
    }

    pub(crate) fn send(&mut self, offset: i64, body: &[u8]) {
        let size = body.len();
        let mut frame = Header { offset, size }.encode().to_vec();
        frame.extend_from_slice(body);
        self.stream.write_all(&frame).unwrap();
    }
}

/// Passes connections on to `target`, and cuts each after so many bytes from there.
pub(crate) struct Cutter {
    pub(crate) address: SocketAddr,
    pub(crate) stop: Arc<AtomicBool>,
}

impl Cutter {
    pub(crate) fn new(
        target: SocketAddr,
        mut budget: impl FnMut() -> usize + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        rmq_core::base::thread::spawn("test-cutter", move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (mut slave, mut left) = (stream.unwrap(), budget());
                let Ok(mut master) = TcpStream::connect(target) else {
                    continue;
                };
                let (mut up, mut down) = (slave.try_clone().unwrap(), master.try_clone().unwrap());
                let reports = rmq_core::base::thread::spawn("test-cutter-up", move || {
                    let _ = std::io::copy(&mut up, &mut down);
                });
                let mut bytes = [0; 1000];
                while left > 0 {
                    let most = left.min(bytes.len());
                    match master.read(&mut bytes[..most]) {
                        Ok(count) if count > 0 => {
                            left -= count;
                            if slave.write_all(&bytes[..count]).is_err() {
                                break;
                            }
                        }
                        _ => break,
                    }
                }
                let _ = slave.shutdown(std::net::Shutdown::Both);
                let _ = master.shutdown(std::net::Shutdown::Both);
                reports.unwrap().join_deadline(LONG).unwrap();
            }
        })
        .unwrap();
        Self { address, stop }
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

//! rmq-store: what the message store does alone: append, flush, read, recover.

#![expect(clippy::print_stdout, reason = "a program")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::Parser;
use rmq_core::base::clock::{SharedClock, SystemClock};
use rmq_core::base::{Error, Result, thread};
use rmq_core::protocol::message::record::NewRecord;
use rmq_core::store::{FlushMode, Queue, ReadLimits, RealDisk, Store, StoreOptions};

/// Measures the message store without a network.
#[derive(Parser)]
struct Args {
    /// Directory to make stores in.
    #[arg(long, default_value = "target/store-bench")]
    dir: PathBuf,
    /// Messages to append.
    #[arg(long, default_value_t = 8_000_000)]
    messages: u64,
    /// Bytes of a body.
    #[arg(long, default_value_t = 128)]
    size: usize,
    /// Messages in a batch.
    #[arg(long, default_value_t = 64)]
    batch: usize,
    /// Queues.
    #[arg(long, default_value_t = 8)]
    queues: i32,
    /// Topics, each with that many queues.
    #[arg(long, default_value_t = 1)]
    topics: usize,
    /// Threads that append.
    #[arg(long, default_value_t = 1)]
    threads: u64,
    /// Also measure this many one-message SYNC_FLUSH appends.
    #[arg(long, default_value_t = 2000)]
    syncs: u64,
}

const PROPERTIES: &[u8] = b"UNIQ_KEY\x017F0000010000000000000000000000000001\x02WAIT\x01true\x02";
const BROKER_PROPERTIES: &[u8] =
    b"CLUSTER\x01DefaultCluster\x02MSG_REGION\x01DefaultRegion\x02TRACE_ON\x01true\x02";

fn host() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 10911))
}

fn append_all(store: &Store, clock: &SharedClock, args: &Args, topic: usize, count: u64) {
    let body = vec![7u8; args.size];
    let names: Vec<String> = (0..args.topics).map(|i| format!("Topic{i}")).collect();
    let queues: Vec<(usize, Arc<Queue>)> = (0..args.topics)
        .flat_map(|t| (0..args.queues).map(move |q| (t, q)))
        .map(|(t, q)| (t, store.queue(&names[t], q)))
        .collect();
    let mut batch = store.new_batch();
    let mut at = topic;
    let mut left = count;
    while left > 0 {
        let many = left.min(args.batch as u64);
        let now = clock.wall_ms();
        for _ in 0..many {
            let (topic, queue) = &queues[at % queues.len()];
            at += 1;
            let record = NewRecord {
                topic: &names[*topic],
                queue_id: queue.id(),
                flag: 0,
                sys_flag: 0,
                born_timestamp_ms: now,
                born_host: host(),
                store_host: host(),
                reconsume_times: 0,
                prepared_transaction_offset: 0,
                body: &body,
                properties: PROPERTIES,
                extra_properties: BROKER_PROPERTIES,
            };
            let pushed = batch.push(&record, Arc::clone(queue), 0);
            assert!(pushed.is_ok(), "{pushed:?}");
        }
        store.append(&mut batch);
        assert!(batch.results().iter().all(|result| result.is_ok()));
        batch = batch.recycle();
        left -= many;
    }
}

/// Time that passed, and processor time that the whole process took.
#[derive(Clone, Copy)]
struct Spent {
    wall: Duration,
    cpu: Duration,
}

fn cpu_time() -> Duration {
    use nix::time::{ClockId, clock_gettime};
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

fn timed(clock: &SharedClock, work: impl FnOnce() -> Result<()>) -> Result<Spent> {
    let (start, cpu) = (clock.monotonic(), cpu_time());
    work()?;
    Ok(Spent {
        wall: clock.monotonic() - start,
        cpu: cpu_time() - cpu,
    })
}

fn options(dir: &Path, flush: FlushMode) -> StoreOptions {
    StoreOptions {
        flush,
        ..StoreOptions::new(dir)
    }
}

fn append(args: &Arc<Args>, clock: &SharedClock, dir: &Path) -> Result<u64> {
    let store = Store::open(
        options(dir, FlushMode::Async),
        RealDisk::shared(),
        clock.clone(),
    )?;
    let spent = timed(clock, || {
        let mut threads = Vec::new();
        for index in 0..args.threads {
            let (store, clock, args) = (Arc::clone(&store), clock.clone(), Arc::clone(args));
            threads.push(thread::spawn(format!("append-{index}"), move || {
                let count = args.messages / args.threads;
                append_all(&store, &clock, &args, index as usize, count);
            })?);
        }
        threads
            .iter()
            .try_for_each(|thread| thread.join_deadline(Duration::from_secs(600)))
    })?;
    let bytes = store.watermarks().appended() as u64;
    report("append", args.messages, bytes, spent);
    let read = timed(clock, || {
        let mut read = 0;
        for index in 0..args.topics {
            for queue in store.queues_of(&format!("Topic{index}")) {
                let mut at = queue.min_offset();
                while at < queue.max_offset() {
                    let found = store.read(&queue, at, ReadLimits::default(), &mut |_| true);
                    read += found.records.len() as u64;
                    at = found.next_offset;
                }
            }
        }
        assert_eq!(read, args.messages / args.threads * args.threads);
        Ok(())
    })?;
    report("read", args.messages, bytes, read);
    store.kill();
    Ok(bytes)
}

fn recover(args: &Args, clock: &SharedClock, dir: &Path, bytes: u64, what: &str) -> Result<()> {
    let mut store = None;
    let spent = timed(clock, || {
        store = Some(Store::open(
            options(dir, FlushMode::Async),
            RealDisk::shared(),
            clock.clone(),
        )?);
        Ok(())
    })?;
    report(what, args.messages, bytes, spent);
    let spent = timed(clock, || {
        store
            .iter()
            .try_for_each(|s| s.close(Duration::from_secs(600)))
    })?;
    report("close", 0, 0, spent);
    Ok(())
}

fn sync(args: &Args, clock: &SharedClock, dir: &Path) -> Result<()> {
    let store = Store::open(
        options(dir, FlushMode::Sync),
        RealDisk::shared(),
        clock.clone(),
    )?;
    let moved = Arc::new(AtomicU64::new(0));
    let (seen, waiter) = (Arc::clone(&moved), std::thread::current());
    store.on_progress(Box::new(move || {
        seen.fetch_add(1, Ordering::Release);
        waiter.unpark();
    }));
    let spent = timed(clock, || {
        for index in 0..args.syncs {
            append_all(&store, clock, args, index as usize, 1);
            while store.watermarks().flushed() < store.watermarks().appended() {
                std::thread::park_timeout(Duration::from_millis(100));
            }
        }
        Ok(())
    })?;
    report(
        "sync flush, one by one",
        args.syncs,
        store.watermarks().appended() as u64,
        spent,
    );
    store.close(Duration::from_secs(60))
}

fn report(what: &str, messages: u64, bytes: u64, spent: Spent) {
    let (wall, cpu) = (spent.wall.as_secs_f64(), spent.cpu.as_secs_f64());
    println!(
        "{what:<26} {wall:>8.3} s {cpu:>8.3} s cpu {:>12.0} msg/s {:>9.1} MiB/s {:>12.0} msg/cpu-s",
        messages as f64 / wall,
        bytes as f64 / wall / f64::from(1 << 20),
        messages as f64 / cpu,
    );
}

fn main() -> Result<()> {
    let args = Arc::new(Args::parse());
    let clock: SharedClock = SystemClock::shared();
    let dir = args.dir.join("run");
    let clean = || match std::fs::remove_dir_all(&dir) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("clean", dir.display().to_string(), e))
        }
        _ => Ok(()),
    };
    clean()?;
    let bytes = append(&args, &clock, &dir)?;
    recover(&args, &clock, &dir, bytes, "recover, from checkpoint")?;
    let _ = std::fs::remove_dir_all(dir.join("consumequeue"));
    recover(&args, &clock, &dir, bytes, "recover, whole log")?;
    recover(&args, &clock, &dir, 0, "open after close")?;
    clean()?;
    sync(&args, &clock, &dir)?;
    clean()
}

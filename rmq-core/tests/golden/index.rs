//! Index files: read, made again from the log that they belong to, and queried.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rmq_core::base::clock::ManualClock;
use rmq_core::protocol::message::record::{CheckLevel, Checked, RecordRef};
use rmq_core::store::disk::{Disk, MemDisk};
use rmq_core::store::{IndexOptions, KeyKind, KeyQuery, Store, StoreOptions};

use crate::data::{Line, RELEASES, lines};

const LONG: Duration = Duration::from_secs(60);

/// Whose files have entries for tags.
fn has_tags(release: &str) -> bool {
    release != "5.3.3"
}

fn of<'a>(lines: &'a [Line], what: &'a str) -> impl Iterator<Item = &'a Line> {
    lines.iter().filter(move |line| line.text("what") == what)
}

fn number(line: &Line, name: &str) -> u32 {
    u32::try_from(line.int(name)).unwrap()
}

fn content(line: &Line) -> Vec<u8> {
    let mut bytes = line.bytes("start");
    bytes.resize(usize::try_from(line.int("length")).unwrap(), 0);
    bytes
}

fn options(release: &str, lines: &[Line]) -> StoreOptions {
    let shape = of(lines, "shape").next().unwrap();
    StoreOptions {
        segment_bytes: number(shape, "segment") as usize,
        consume_queue_file_bytes: 2000,
        background: false,
        index: IndexOptions {
            hash_slots: number(shape, "slots"),
            max_entries: number(shape, "entries"),
            tags: has_tags(release),
            ..IndexOptions::default()
        },
        ..StoreOptions::new("/store")
    }
}

fn put_files(disk: &MemDisk, lines: &[Line], what: &str, dir: &str) {
    let dir = Path::new("/store").join(dir);
    disk.create_dir(&dir).unwrap();
    for line in of(lines, what) {
        let file = disk.create(&dir.join(line.text("file"))).unwrap();
        file.write_at(&content(line), 0).unwrap();
    }
}

fn index_files(disk: &MemDisk) -> Vec<(PathBuf, Vec<u8>)> {
    let dir = Path::new("/store/index");
    let entries = disk.list(dir).unwrap();
    let paths = entries.into_iter().map(|entry| dir.join(entry.name));
    paths
        .map(|path| (path.clone(), disk.read(&path).unwrap()))
        .collect()
}

fn open(release: &str, lines: &[Line], with_index: bool) -> (MemDisk, Arc<Store>) {
    let clock = ManualClock::new(2_000_000_000_000);
    let disk = MemDisk::new(Arc::clone(&clock) as _);
    put_files(&disk, lines, "log", "commitlog");
    if with_index {
        put_files(&disk, lines, "index", "index");
    }
    let store = Store::open(options(release, lines), disk.shared(), clock).unwrap();
    store.run_index().unwrap();
    (disk, store)
}

#[test]
fn files_are_made_again_from_the_log_to_the_byte() {
    for release in RELEASES {
        let lines = lines(release, "index");
        let (disk, store) = open(release, &lines, false);
        store.close(LONG).unwrap();
        let made = index_files(&disk);
        let want: Vec<Vec<u8>> = of(&lines, "index").map(content).collect();
        assert_eq!(made.len(), want.len(), "{release}");
        for ((path, made), want) in made.iter().zip(&want) {
            assert!(made == want, "{release}: {}", path.display());
        }
    }
}

#[test]
fn files_that_are_there_are_kept_as_they_are() {
    for release in RELEASES {
        let lines = lines(release, "index");
        let (disk, store) = open(release, &lines, true);
        store.close(LONG).unwrap();
        let dir = Path::new("/store/index");
        let want: Vec<(PathBuf, Vec<u8>)> = of(&lines, "index")
            .map(|line| (dir.join(line.text("file")), content(line)))
            .collect();
        assert!(index_files(&disk) == want, "{release}");
    }
}

fn find(store: &Store, query: &KeyQuery<'_>) -> (Vec<i64>, i64, i64) {
    let found = store.query_by_key(query);
    let offset = |bytes: &[u8]| match RecordRef::check(bytes, CheckLevel::BodyCrc) {
        Ok(Checked::Record(record)) => record.physical_offset(),
        other => panic!("{other:?}"),
    };
    let offsets = found.records.iter().map(|bytes| offset(bytes)).collect();
    (offsets, found.last_update_ms, found.last_update_offset)
}

#[test]
fn queries_find_what_apaches_find() {
    for release in RELEASES {
        let lines = lines(release, "index");
        let (_disk, store) = open(release, &lines, true);
        let mut found_some = 0;
        for line in of(&lines, "query") {
            let max = number(line, "max") as usize;
            let query = KeyQuery {
                topic: line.text("topic"),
                key: line.text("key"),
                kind: KeyKind::Key,
                max_count: max.min(64),
                max_bytes: usize::MAX,
                begin_ms: line.int("begin"),
                end_ms: line.int("end"),
            };
            let (offsets, last_ms, last_offset) = find(&store, &query);
            // Apache's has a record twice, and counts it twice, if it has the key twice.
            let mut want = line.ints("offsets");
            want.dedup();
            assert!(offsets.ends_with(&want), "{}: {offsets:?}", line.place);
            assert!(offsets.len() == want.len() || max < 64, "{}", line.place);
            let last = (line.int("lastTime"), line.int("lastOffset"));
            assert_eq!((last_ms, last_offset), last, "{}", line.place);
            found_some += usize::from(!want.is_empty());
        }
        assert!(found_some > 50);
        let tag = KeyQuery {
            topic: "orders",
            key: "Tag0",
            kind: KeyKind::Tag,
            max_count: 64,
            max_bytes: usize::MAX,
            begin_ms: 0,
            end_ms: i64::MAX,
        };
        assert_eq!(!find(&store, &tag).0.is_empty(), has_tags(release));
    }
}

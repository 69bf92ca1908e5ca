use super::*;
use crate::base::clock::ManualClock;
use std::path::PathBuf;

fn mem() -> MemDisk {
    MemDisk::new(ManualClock::new(1_000))
}

/// What every disk does.
fn behaves(disk: &dyn Disk, root: &Path) {
    let dir = root.join("a/b");
    disk.create_dir(&dir).unwrap();
    disk.create_dir(&dir).unwrap();
    let path = dir.join("file");
    assert_eq!(
        disk.open(&path).unwrap_err().kind(),
        io::ErrorKind::NotFound
    );
    assert!(!disk.exists(&path).unwrap());
    let file = disk.create(&path).unwrap();
    file.write_at(b"hello", 3).unwrap();
    let mut buffer = [9; 10];
    assert_eq!(file.read_at(&mut buffer, 0).unwrap(), 8);
    assert_eq!(&buffer[..8], b"\0\0\0hello");
    assert_eq!(file.read_at(&mut buffer, 100).unwrap(), 0);
    assert!(file.read_exact_at(&mut buffer, 0).is_err());
    file.zero(4, 6).unwrap();
    assert_eq!(disk.read(&path).unwrap(), b"\0\0\0h\0\0lo");
    file.allocate(10_000).unwrap();
    assert_eq!(file.len().unwrap(), 10_000);
    file.allocate(5).unwrap();
    assert_eq!(file.len().unwrap(), 10_000);
    file.sync_data().unwrap();
    disk.sync_dir(&dir).unwrap();
    let (region, mut writer) = file.map_append(10_000, 8).unwrap();
    assert_eq!(region.bytes(), b"\0\0\0h\0\0lo");
    writer.reserve(3).unwrap().copy_from_slice(b"abc");
    writer.publish(3);
    file.sync_data().unwrap();
    assert_eq!(&disk.read(&path).unwrap()[..12], b"\0\0\0h\0\0loabc\0");
    assert_eq!(file.map(10_000).unwrap().get(8, 3).unwrap(), b"abc");
    assert!(file.map(10_001).is_err());
    disk.link(&path, &dir.join("second")).unwrap();
    let taken = disk.link(&path, &dir.join("second")).unwrap_err();
    assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
    let missing = disk.link(&dir.join("missing"), &dir.join("third"));
    assert_eq!(missing.unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(disk.read(&dir.join("second")).unwrap().len(), 10_000);
    disk.remove(&dir.join("second")).unwrap();
    disk.rename(&path, &dir.join("other")).unwrap();
    let names: Vec<String> = disk
        .list(&dir)
        .unwrap()
        .into_iter()
        .map(|e| e.name)
        .collect();
    assert_eq!(names, ["other"]);
    let listed = disk.list(root).unwrap();
    assert!(
        listed
            .iter()
            .any(|e| e.name == "a" && e.is_dir && e.len == 0)
    );
    assert!(disk.usage(root).unwrap().used_ratio <= 1.0);
    let held = disk.lock(&root.join("lock")).unwrap();
    let refused = disk.lock(&root.join("lock")).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
    drop(held);
    drop(disk.lock(&root.join("lock")).unwrap());
    assert_eq!(disk.read(&root.join("lock")).unwrap(), b"lock");
    disk.sync_all(root).unwrap();
    disk.remove(&dir.join("other")).unwrap();
    disk.remove_dir(&root.join("a")).unwrap();
    assert!(!disk.exists(&dir).unwrap());
}

#[test]
fn the_real_disk_behaves() {
    let dir = tempfile::tempdir().unwrap();
    behaves(&RealDisk, dir.path());
}

#[test]
fn the_disk_in_memory_behaves() {
    let disk = mem();
    disk.create_dir(Path::new("/x")).unwrap();
    behaves(&disk, Path::new("/x"));
}

#[test]
fn a_countdown_disk_that_never_fails_behaves() {
    let disk = CountdownDisk::new(mem().shared(), Plan::NEVER);
    disk.create_dir(Path::new("/x")).unwrap();
    behaves(&disk, Path::new("/x"));
    assert!(disk.passed() > 10);
}

#[test]
fn usage_rounds_up_to_whole_percents() {
    assert_eq!(Usage::from_counts(1000, 250, 250).used_ratio, 0.75);
    assert_eq!(Usage::from_counts(1000, 249, 249).used_ratio, 0.76);
    assert_eq!(Usage::from_counts(0, 0, 0).used_ratio, 0.0);
}

#[test]
fn a_crash_keeps_what_was_synced_and_nothing_else() {
    let disk = mem();
    let dir = PathBuf::from("/d");
    disk.create_dir(&dir).unwrap();
    let file = disk.create(&dir.join("f")).unwrap();
    file.write_at(b"one", 0).unwrap();
    file.sync_data().unwrap();
    // Neither the directory nor the name is durable.
    assert!(!disk.crash(Crash::Synced).exists(&dir).unwrap());
    disk.sync_dir(Path::new("/")).unwrap();
    assert!(!disk.crash(Crash::Synced).exists(&dir.join("f")).unwrap());
    disk.sync_dir(&dir).unwrap();
    file.write_at(b"two", 0).unwrap();
    assert_eq!(
        disk.crash(Crash::Synced).read(&dir.join("f")).unwrap(),
        b"one"
    );
    assert_eq!(
        disk.crash(Crash::Everything).read(&dir.join("f")).unwrap(),
        b"two"
    );
    disk.rename(&dir.join("f"), &dir.join("g")).unwrap();
    let crashed = disk.crash(Crash::Synced);
    assert!(crashed.exists(&dir.join("f")).unwrap() && !crashed.exists(&dir.join("g")).unwrap());
}

#[test]
fn random_crashes_keep_some_pages_and_torn_ones_some_sectors() {
    let disk = mem();
    let path = PathBuf::from("/f");
    let file = disk.create(&path).unwrap();
    file.write_at(&[1; 64 * 1024], 0).unwrap();
    disk.sync_all(&path).unwrap();
    file.write_at(&[2; 64 * 1024], 0).unwrap();
    let new_bytes = |seed, torn| {
        let bytes = disk
            .crash(Crash::Random { seed, torn })
            .read(&path)
            .unwrap();
        bytes.iter().filter(|&&b| b == 2).count()
    };
    let kept: Vec<usize> = (0..10).map(|seed| new_bytes(seed, false)).collect();
    assert!(kept.iter().all(|n| n % PAGE_BYTES == 0), "{kept:?}");
    assert!(kept.iter().any(|&n| n > 0 && n < 64 * 1024), "{kept:?}");
    assert!((0..10).any(|seed| new_bytes(seed, true) % PAGE_BYTES != 0));
    assert_eq!(new_bytes(3, true), new_bytes(3, true));
}

#[test]
fn a_full_disk_refuses_to_grow_files() {
    let disk = mem();
    disk.set_capacity(Some(10_000));
    let file = disk.create(Path::new("/f")).unwrap();
    file.allocate(8_000).unwrap();
    let refused = file.allocate(10_001).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::StorageFull);
    file.write_at(&[1; 100], 7_900).unwrap();
    assert!(file.write_at(&[1; 3_000], 7_900).is_err());
    assert!(disk.usage(Path::new("/")).unwrap().used_ratio >= 0.8);
    disk.set_capacity(None);
    file.allocate(20_000).unwrap();
}

#[test]
fn a_countdown_fails_as_planned_and_then_works_again() {
    let disk = CountdownDisk::new(
        mem().shared(),
        Plan {
            succeed: 2,
            fail: 1,
            errno: libc::ENOSPC,
        },
    );
    let file = disk.create(Path::new("/f")).unwrap();
    file.write_at(b"1", 0).unwrap();
    let failed = file.sync_data().unwrap_err();
    assert_eq!(failed.kind(), io::ErrorKind::StorageFull);
    file.sync_data().unwrap();
    disk.set_plan(Plan::gone_after(0));
    assert!(disk.sync_dir(Path::new("/")).is_err());
    assert!(disk.list(Path::new("/")).is_ok());
}

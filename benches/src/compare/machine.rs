//! The machine that figures belong to.

use std::fs;

/// Processes that want a core at the moment, as an average over the last minute.
#[must_use]
pub fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ')
        .next()
        .and_then(|load| load.parse().ok())
        .unwrap_or(0.0)
}

/// One line: processor, cores, memory, kernel.
#[must_use]
pub fn describe() -> String {
    let field = |file: &str, name: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text
            .lines()
            .find(|line| line.starts_with(name))
            .unwrap_or_default();
        line.split_once(':')
            .map_or(String::new(), |(_, value)| value.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory: u64 = field("/proc/meminfo", "MemTotal")
        .split(' ')
        .next()
        .and_then(|kib| kib.parse().ok())
        .unwrap_or(0);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{}, {cores} cores, {} GiB, Linux {}",
        field("/proc/cpuinfo", "model name"),
        memory >> 20,
        kernel.trim()
    )
}

/// Memory of a process in MiB.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Memory {
    /// Everything resident, pages of mapped files included, which the kernel takes back at will.
    pub resident_mib: f64,
    /// What is the process's own.
    pub anonymous_mib: f64,
}

/// Memory of a process.
#[must_use]
pub fn memory(pid: u32) -> Option<Memory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let mib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: f64 = line.trim().split(' ').next()?.parse().ok()?;
        Some(kib / 1024.0)
    };
    Some(Memory {
        resident_mib: mib("VmRSS:")?,
        anonymous_mib: mib("RssAnon:")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory() {
        let own = memory(std::process::id()).unwrap();
        assert!(
            own.anonymous_mib > 0.1 && own.resident_mib >= own.anonymous_mib,
            "{own:?}"
        );
        assert!(memory(u32::MAX).is_none());
        assert!(describe().contains("cores"));
    }
}

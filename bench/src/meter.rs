//! The use that a group of processes makes of the machine, as the kernel accounts it in `/proc`: processor time, peak memory, bytes written.
//! A group is a process and everything below it, so that PostgreSQL's backends and RabbitMQ's helpers count.

use std::{collections::BTreeMap, fs};

/// The unit of processor times in `/proc`, per second: `USER_HZ`, 100 on every Linux that runs Rust.
const TICKS_PER_SECOND: f64 = 100.0;

/// One reading of one group.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// User and system time, of ended children too.
    pub(crate) cpu_seconds: f64,
    /// The sum of the members' peaks, with what they map together (PostgreSQL's buffers, the program itself) counted once.
    pub(crate) memory_peak_bytes: u64,
    /// The bytes that reached the block layer.
    pub(crate) written_bytes: u64,
}

impl Usage {
    /// The use since `before`; the peak is not a difference.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            cpu_seconds: self.cpu_seconds - before.cpu_seconds,
            memory_peak_bytes: self.memory_peak_bytes,
            written_bytes: self.written_bytes.saturating_sub(before.written_bytes),
        }
    }
}

/// Lets the peaks of memory begin anew, so that a run does not show the peak of a heavier one before it (proc(5),
/// `clear_refs`). A system that does not allow it shows the peaks since the start.
pub(crate) fn forget_peaks(roots: &BTreeMap<&'static str, Vec<u32>>) {
    let parents = parents();
    let all: Vec<u32> = roots.values().flatten().copied().collect();
    let own = std::process::id();
    for pid in parents.keys().filter(|pid| **pid == own || is_below(**pid, &all, &parents)) {
        // A process may have ended meanwhile.
        fs::write(format!("/proc/{pid}/clear_refs"), "5").ok();
    }
}

/// Reads the group of each root process.
pub(crate) fn read(roots: &BTreeMap<&'static str, Vec<u32>>) -> BTreeMap<&'static str, Usage> {
    let parents = parents();
    roots.iter().map(|(name, roots)| (*name, group(roots, &parents))).collect()
}

/// Reads this process alone: the load, without the processes that it started.
pub(crate) fn own() -> Usage {
    let pid = std::process::id();
    let own_time = fs::read_to_string(format!("/proc/{pid}/stat")).ok().and_then(|text| {
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
        Some((ticks(11) + ticks(12)) / TICKS_PER_SECOND)
    });
    Usage {
        cpu_seconds: own_time.unwrap_or(0.0),
        memory_peak_bytes: field(pid, "status", "VmHWM:").unwrap_or(0) * 1024,
        written_bytes: field(pid, "io", "write_bytes:").unwrap_or(0),
    }
}

/// The memory that one process has at this moment, in megabytes.
pub(crate) fn resident_mb(pid: u32) -> f64 {
    field(pid, "status", "VmRSS:").map_or(f64::NAN, |kilobytes| kilobytes as f64 / 1e3)
}

fn group(roots: &[u32], parents: &BTreeMap<u32, u32>) -> Usage {
    let mut usage = Usage::default();
    let mut shared_bytes = 0;
    for (pid, _) in parents.iter().filter(|(pid, _)| is_below(**pid, roots, parents)) {
        let Some(stat) = stat(*pid) else { continue };
        usage.cpu_seconds += stat.cpu_seconds;
        let memory = |name: &str| field(*pid, "status", name).unwrap_or(0) * 1024;
        let shared = memory("RssFile:") + memory("RssShmem:");
        usage.memory_peak_bytes += memory("VmHWM:").saturating_sub(shared);
        shared_bytes = shared.max(shared_bytes);
        usage.written_bytes += field(*pid, "io", "write_bytes:").unwrap_or(0);
    }
    usage.memory_peak_bytes += shared_bytes;
    usage
}

fn is_below(pid: u32, roots: &[u32], parents: &BTreeMap<u32, u32>) -> bool {
    let mut at = Some(pid);
    while let Some(pid) = at {
        if roots.contains(&pid) {
            return true;
        }
        at = parents.get(&pid).copied().filter(|parent| *parent != pid);
    }
    false
}

fn parents() -> BTreeMap<u32, u32> {
    let Ok(folder) = fs::read_dir("/proc") else { return BTreeMap::new() };
    let pids = folder.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some((pid, stat(pid)?.parent))).collect()
}

struct Stat {
    parent: u32,
    cpu_seconds: f64,
}

/// `/proc/<pid>/stat`, behind the name in parentheses, which may hold anything (proc(5)).
fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    // Fields 14 to 17: utime, stime, cutime, cstime; the state, field 3, is the first one here.
    let cpu_seconds = (11..=14).map(ticks).sum::<f64>() / TICKS_PER_SECOND;
    Some(Stat { parent: fields.get(1)?.parse().ok()?, cpu_seconds })
}

fn field(pid: u32, file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let usage = read(&BTreeMap::from([("me", vec![std::process::id()])]))["me"];
        assert!(usage.memory_peak_bytes > 0, "{usage:?}");
    }

    #[test]
    fn a_peak_is_that_of_the_run() {
        let roots = BTreeMap::from([("me", vec![std::process::id()])]);
        // On a stack of its own: the system has it back when its thread ends, where an allocator may keep it.
        let stack = std::thread::Builder::new().stack_size(512 << 20);
        let had = stack.spawn(|| _ = std::hint::black_box([1_u8; 64 << 20]));
        had.unwrap().join().unwrap();
        let before = read(&roots)["me"].memory_peak_bytes;
        forget_peaks(&roots);
        let after = read(&roots)["me"].memory_peak_bytes;
        assert!(before > 64 << 20 && after < before, "{before} {after}");
    }
}

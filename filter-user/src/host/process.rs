//! What this process takes of the host.

use std::{fs, io, path::Path};

use filter_core::metrics::Process;
use rustix::{
    param::clock_ticks_per_second,
    process::{Resource, getrlimit},
    time::{ClockId, clock_gettime},
};

/// This process, as the file system below `root` and the kernel tell it.
///
/// # Errors
/// If `/proc` can't be read, or says something else than proc(5).
pub fn of(root: &Path) -> io::Result<Process> {
    let own = root.join("proc/self");
    let status = fs::read_to_string(own.join("status"))?;
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    // Counting opens the folder, which then is one more.
    let descriptors = fs::read_dir(own.join("fd"))?.count().saturating_sub(1);
    let began = began(
        &fs::read_to_string(own.join("stat"))?,
        &fs::read_to_string(root.join("proc/stat"))?,
        clock_ticks_per_second() as f64,
    );
    let strange = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    Ok(Process {
        cpu_seconds: cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9,
        start_time_seconds: began.ok_or_else(|| strange("/proc says no start"))?,
        resident_bytes: kibibytes(&status, "VmRSS:").ok_or_else(|| strange("no VmRSS"))?,
        virtual_bytes: kibibytes(&status, "VmSize:").ok_or_else(|| strange("no VmSize"))?,
        open_fds: descriptors as u64,
        max_fds: getrlimit(Resource::Nofile).current,
    })
}

/// When a process began, from its `stat` and the system's. Its name stands in
/// parentheses and may hold anything, so fields are counted behind the last one.
fn began(process: &str, system: &str, ticks_per_second: f64) -> Option<f64> {
    let (_, fields) = process.rsplit_once(')')?;
    let ticks: f64 = fields.split_ascii_whitespace().nth(19)?.parse().ok()?;
    let boot = system
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?;
    Some(boot.trim().parse::<f64>().ok()? + ticks / ticks_per_second)
}

/// The bytes of a line such as `VmRSS:    1024 kB`.
fn kibibytes(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    let number = line.trim().strip_suffix(" kB")?;
    number.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    #[test]
    fn this_process_is_seen() {
        let first = of(Path::new("/")).expect("Linux");
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.expect("after 1970").as_secs_f64();
        // The boot's moment is told in whole seconds.
        assert!(first.start_time_seconds <= now + 1.0, "{first:?}");
        assert!(first.start_time_seconds > now - 3600.0, "{first:?}");
        assert!(first.resident_bytes > 100_000, "{first:?}");
        assert!(first.virtual_bytes > first.resident_bytes, "{first:?}");
        assert!(first.open_fds >= 3, "{first:?}");
        assert!(first.max_fds.is_none_or(|most| most >= first.open_fds));
        assert!(first.cpu_seconds > 0.0, "{first:?}");
        let second = of(Path::new("/")).expect("Linux");
        assert!(second.cpu_seconds > first.cpu_seconds);
        assert_eq!(second.start_time_seconds, first.start_time_seconds);
    }

    #[test]
    fn the_start_is_found_behind_any_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 0 0 0 0 0 5 6 0 0 20 0 1 0 2550 99 0";
        let system = "cpu 1 2 3\nbtime 1700000000\nprocesses 9\n";
        assert_eq!(began(stat, system, 100.0), Some(1_700_000_025.5));
        assert_eq!(began("7 a S 1", system, 100.0), None);
        assert_eq!(began(stat, "cpu 1\n", 100.0), None);
    }

    #[test]
    fn kilobytes_are_kibibytes() {
        let status = "Name:\tweir\nVmSize:\t    2048 kB\nVmRSS:\t      12 kB\n";
        assert_eq!(kibibytes(status, "VmRSS:"), Some(12_288));
        assert_eq!(kibibytes(status, "VmSize:"), Some(2_097_152));
        assert_eq!(kibibytes(status, "VmSwap:"), None);
    }
}

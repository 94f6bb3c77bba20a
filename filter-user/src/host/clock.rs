//! The clocks of the host. Only the daemon reads them; everything else gets the
//! time as an argument.

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Unix time in seconds. It may be set, and jump.
#[must_use]
pub fn unix_seconds() -> u64 {
    seconds(clock_gettime(ClockId::Realtime))
}

/// Seconds since boot, suspended ones included: the kernel compares the ends of
/// verdicts with them.
#[must_use]
pub fn boot_seconds() -> u32 {
    u32::try_from(seconds(clock_gettime(ClockId::Boottime))).unwrap_or(u32::MAX)
}

/// Milliseconds since boot, suspended ones included: durations are measured by them.
#[must_use]
pub fn boot_milliseconds() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    seconds(time) * 1_000 + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000_000
}

/// Monotonic nanoseconds, the clock of rates and events.
#[must_use]
pub fn monotonic_nanoseconds() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    seconds(time) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// A time before 1970 is 1970.
fn seconds(time: Timespec) -> u64 {
    u64::try_from(time.tv_sec).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    #[test]
    fn clocks_agree_with_what_else_tells_the_time() {
        let before = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("after 1970")
            .as_secs();
        assert!((before..before + 60).contains(&unix_seconds()));

        let text = std::fs::read_to_string("/proc/uptime").expect("Linux");
        let uptime = text.split('.').next().and_then(|s| s.parse::<u32>().ok());
        let uptime = uptime.expect("seconds");
        assert!((uptime..uptime + 60).contains(&boot_seconds()));

        let first = monotonic_nanoseconds();
        assert!(monotonic_nanoseconds() >= first);
        assert!(first / 1_000_000_000 <= u64::from(boot_seconds()));
    }
}

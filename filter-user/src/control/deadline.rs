//! Deadlines of requests: what the daemon hasn't begun when its client gives up
//! isn't carried out later.
//!
//! A deadline is a time of `CLOCK_BOOTTIME` in milliseconds. Client and daemon run
//! on one host, so they read the same clock; a daemon in a time namespace of its
//! own doesn't, and would refuse too much or too little.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The header that carries a request's deadline.
pub const HEADER: &str = "weir-deadline";

/// The deadline of a request that may take so long from now on.
#[must_use]
pub fn after(limit: Duration) -> u64 {
    let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
    now().saturating_add(limit_ms)
}

/// Whether a deadline lies behind.
#[must_use]
pub fn passed(deadline_ms: u64) -> bool {
    now() > deadline_ms
}

/// Milliseconds since boot, suspended ones included.
fn now() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    let whole = u64::try_from(time.tv_sec).unwrap_or(0);
    whole * 1_000 + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_passes_when_its_time_has_come_and_not_before() {
        assert!(passed(0));
        assert!(passed(now().saturating_sub(1)));
        assert!(!passed(after(Duration::from_secs(60))));
        assert!(!passed(after(Duration::MAX)));
    }
}

//! A look at everything outside of the engine that a status shows.

use std::time::Duration;

use filter_common::source::Family;
use filter_core::{
    datapath::Datapath,
    engine::{Looked, Outside},
};
use tokio::time::timeout;

use super::{Daemon, checks::Checks};

impl<D: Datapath> Daemon<D> {
    pub(super) async fn outside(&self) -> Outside {
        let counts = self.datapath.counts();
        let mut problems: Vec<_> = self.checks.iter().flat_map(Checks::problems).collect();
        problems.extend(self.store.waiting().and_then(|waits| {
            (waits > SLOW_DISK).then(|| {
                format!(
                    "the disk of daemon.state_dir hasn't taken what was to be kept for {} s",
                    waits.as_secs()
                )
            })
        }));
        problems.extend(
            self.pulses.stuck().into_iter().map(|(name, age)| {
                format!("the thread {name} hasn't moved for {} s", age.as_secs())
            }),
        );
        let lost = self.log.lost_lines();
        if lost > 0 {
            problems.push(format!(
                "{lost} lines of the log were lost, since nobody reads standard error"
            ));
        }
        Outside {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            counts: Some(counts.map_err(|error| format!("{error:#}"))),
            looked: self.look_at_interfaces().await,
            fills: [Family::V4, Family::V6].map(|family| self.datapath.fill(family)),
            readers: self.events.followers(),
            check: self.checks.as_ref().map(Checks::status),
            problems,
        }
    }

    /// Whether the filter is where the configuration wants it.
    async fn look_at_interfaces(&self) -> Vec<Looked> {
        let mut looked = Vec::new();
        for interface in &self.engine.config().datapath.interfaces {
            let mut attached = self.engine.interfaces().iter();
            let ours = attached.find(|one| one.interface == *interface);
            let trouble = match ours {
                None => Some(format!(
                    "the filter is off on {interface}: weir reload puts it back"
                )),
                Some(ours) => {
                    let holds = timeout(KERNEL_TIMEOUT, self.datapath.holds(ours)).await;
                    match holds.unwrap_or_else(|late| Err(late.into())) {
                        Ok(true) => None,
                        Ok(false) => Some(format!(
                            "the filter was taken off {interface} behind weir's back: restart weir"
                        )),
                        Err(error) => Some(format!("{interface} can't be seen: {error:#}")),
                    }
                }
            };
            looked.push(Looked {
                interface: interface.clone(),
                attach: ours.map(|ours| ours.attach),
                trouble,
            });
        }
        looked
    }
}

/// The kernel answers at once, or something is wrong.
const KERNEL_TIMEOUT: Duration = Duration::from_secs(2);

/// A disk that takes longer is a problem.
const SLOW_DISK: Duration = Duration::from_secs(2);

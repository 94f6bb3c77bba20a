//! A thread beside the loop, with a runtime of its own: serving many or slow readers
//! there costs none of the loop's time.

use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Result};
use tokio::{
    runtime::Builder,
    time::{MissedTickBehavior, interval},
};

use crate::pulse::{BEAT_EVERY, Pulse};

/// Runs a future, and the tasks that it spawns, on a thread of its own. Dropped, it
/// waits for the future's end, which its owner has to bring about before.
pub struct WorkerThread {
    thread: Option<JoinHandle<()>>,
    /// It stays in the registry when the thread has panicked: then it ages.
    pulse: Pulse,
}

impl WorkerThread {
    /// Starts the thread. It is called as its pulse is, and keeps that beating.
    ///
    /// # Errors
    /// If there can't be another thread or runtime.
    pub fn run(pulse: Pulse, work: impl Future<Output = ()> + Send + 'static) -> Result<Self> {
        let name = pulse.name();
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .with_context(|| format!("making the runtime of {name}"))?;
        let beating = pulse.clone();
        beating.beat();
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = work => {}
                        () = beat(&beating) => {}
                    }
                });
                beating.rest();
            })
            .with_context(|| format!("starting the thread of {name}"))?;
        Ok(Self {
            thread: Some(thread),
            pulse,
        })
    }
}

/// Beats for ever, as long as the thread gets to it.
async fn beat(pulse: &Pulse) {
    let mut every = interval(BEAT_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        pulse.beat();
    }
}

impl Drop for WorkerThread {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(name = self.pulse.name(), "a thread panicked");
        }
    }
}

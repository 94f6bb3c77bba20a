//! A thread beside the loop, with a runtime of its own: serving many or slow readers
//! there costs none of the loop's time.

use std::{
    sync::mpsc::{self, RecvTimeoutError},
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, Result};
use tokio::{
    runtime::Builder,
    time::{MissedTickBehavior, interval},
};

use crate::pulse::{BEAT_EVERY, Pulse};

/// Runs a future, and the tasks that it spawns, on a thread of its own. Dropped, it
/// waits for the future's end, which its owner has to bring about before, but not for a
/// thread that is stuck.
#[derive(Debug)]
pub struct WorkerThread {
    thread: Option<JoinHandle<()>>,
    /// Disconnected when the thread ends.
    ended: mpsc::Receiver<()>,
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
        let (ends, ended) = mpsc::channel();
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let _ends: mpsc::Sender<()> = ends;
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
            ended,
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
        let Some(thread) = self.thread.take() else {
            return;
        };
        let name = self.pulse.name();
        if self.ended.recv_timeout(END_TIMEOUT) == Err(RecvTimeoutError::Timeout) {
            tracing::error!(name, "a thread is stuck, and isn't waited for");
        } else if thread.join().is_err() {
            tracing::error!(name, "a thread panicked");
        }
    }
}

/// How long the end of a thread is waited for.
const END_TIMEOUT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn a_thread_beats_while_it_moves_and_is_waited_for() {
        let pulse = Pulse::new("control");
        let (end, ended) = oneshot::channel::<()>();
        let (says, said) = mpsc::channel();
        let work = async move {
            let _end = ended.await;
            let _heard = says.send(());
        };
        let thread = WorkerThread::run(pulse.clone(), work).expect("a thread");
        let old = BEAT_EVERY / 10;
        while pulse.age() < old {
            thread::yield_now();
        }
        while pulse.age() >= old {
            thread::yield_now();
        }
        end.send(()).expect("it waits");
        drop(thread);
        said.try_recv().expect("it ended before");
        assert_eq!(pulse.age(), Duration::ZERO, "it rests");
    }

    #[test]
    fn a_thread_that_is_stuck_ages_and_is_not_waited_for() {
        let pulse = Pulse::new("check");
        let (let_go, hang) = mpsc::channel::<()>();
        let thread = WorkerThread::run(pulse.clone(), async move {
            let _end = hang.recv();
        });
        let start = Instant::now();
        drop(thread.expect("a thread"));
        assert!(start.elapsed() < 2 * END_TIMEOUT);
        assert!(pulse.age() >= END_TIMEOUT - BEAT_EVERY);
        drop(let_go);
    }

    #[test]
    fn a_thread_that_panicked_ages() {
        let pulse = Pulse::new("check");
        let thread = WorkerThread::run(pulse.clone(), async { panic!("on purpose") });
        let thread = thread.expect("a thread");
        while !thread.thread.as_ref().expect("it runs").is_finished() {
            thread::yield_now();
        }
        while pulse.age().is_zero() {
            thread::yield_now();
        }
    }
}

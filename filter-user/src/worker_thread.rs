//! A thread beside the loop: what speaks to readers, however many and however
//! slow, takes nothing of the loop's time.

use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Result};
use tokio::runtime::Builder;

/// Runs a future, and what it spawns, on a thread of its own. Dropped, it waits
/// for the future's end: whoever drops it has told the future to end.
pub(super) struct Apart(Option<(&'static str, JoinHandle<()>)>);

impl Apart {
    /// `name` is what speaks there, as a thread may be called.
    pub(super) fn run(
        name: &'static str,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .with_context(|| format!("making the runtime of {name}"))?;
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || runtime.block_on(work))
            .with_context(|| format!("starting the thread of {name}"))?;
        Ok(Self(Some((name, thread))))
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        if let Some((name, thread)) = self.0.take()
            && thread.join().is_err()
        {
            tracing::error!(name, "a thread panicked");
        }
    }
}

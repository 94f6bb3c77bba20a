//! A thread beside the loop: what speaks to readers, however many and however
//! slow, takes nothing of the loop's time.

use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Result};
use tokio::runtime::Builder;

/// Runs a future, and what it spawns, on a thread of its own. Dropped, it waits
/// for the future's end: whoever drops it has told the future to end.
pub(super) struct Apart(Option<JoinHandle<()>>);

impl Apart {
    pub(super) fn run(work: impl Future<Output = ()> + Send + 'static) -> Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .context("making the control API's runtime")?;
        let thread = thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || runtime.block_on(work))
            .context("starting the control API's thread")?;
        Ok(Self(Some(thread)))
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        let ended = self.0.take().map(JoinHandle::join);
        if ended.is_some_and(|ended| ended.is_err()) {
            tracing::error!("the control API panicked");
        }
    }
}

//! Work on files that may hang, such as on a network file system that is away: in
//! threads of its own, with a time limit, and only so many of them.
//!
//! A thread that hangs can't be ended. It is left alone, counts as one of those that
//! there may be, and ends with the process: unlike a thread of tokio's pool, it is
//! waited for by nobody.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{Arc, LazyLock},
    thread,
    time::Duration,
};

use tokio::{
    sync::{Semaphore, oneshot},
    time::{Instant, timeout_at},
};

use super::files;

/// A bound on threads that may hang. Clones share it.
#[derive(Clone, Debug)]
pub struct Reader {
    room: Arc<Semaphore>,
}

impl Reader {
    /// At most so many threads at a time.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        Self {
            room: Arc::new(Semaphore::new(threads)),
        }
    }

    /// Reads a regular file of at most so many bytes.
    ///
    /// # Errors
    /// If it can't be read, or not within the limit.
    pub async fn read(
        &self,
        path: PathBuf,
        max_bytes: u64,
        limit: Duration,
    ) -> io::Result<Vec<u8>> {
        self.run(limit, move || files::read(&path, max_bytes)).await
    }

    /// Does something that may hang.
    ///
    /// # Errors
    /// Its own, or that it didn't end within the limit. It may still end later.
    pub async fn run<T: Send + 'static>(
        &self,
        limit: Duration,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let end = Instant::now() + limit;
        let late = |_late| {
            io::Error::new(
                io::ErrorKind::TimedOut,
                format!("its file system didn't answer within {limit:?}"),
            )
        };
        let room = timeout_at(end, Arc::clone(&self.room).acquire_owned())
            .await
            .map_err(late)?
            .map_err(io::Error::other)?;
        let work = detached("file", move || {
            // Given back when the thread ends, however late.
            let _room = room;
            work()
        })?;
        timeout_at(end, work)
            .await
            .map_err(late)?
            .unwrap_or_else(|_panicked| Err(io::Error::other("reading it panicked")))
    }
}

/// Reads a regular file of at most so many bytes, in one of the threads that all of
/// the daemon shares.
///
/// # Errors
/// If it can't be read, or not within the limit.
pub async fn read_off(path: PathBuf, max_bytes: u64, limit: Duration) -> io::Result<Vec<u8>> {
    SHARED.read(path, max_bytes, limit).await
}

/// Does something in a thread that nobody waits for at the end of the process. What
/// comes of it is an error if it panics.
///
/// # Errors
/// If there can't be another thread.
pub fn detached<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<oneshot::Receiver<T>> {
    let (done, outcome) = oneshot::channel();
    let work = move || {
        // A panic is reported by its hook; the receiver sees that nothing came.
        let outcome = catch_unwind(AssertUnwindSafe(work));
        if let Ok(outcome) = outcome {
            // Nobody may wait for it any more.
            let _gone = done.send(outcome);
        }
    };
    let _thread = thread::Builder::new().name(name.to_owned()).spawn(work)?;
    Ok(outcome)
}

static SHARED: LazyLock<Reader> = LazyLock::new(|| Reader::new(MAX_THREADS));

/// Threads of [`read_off`]. Each that hangs costs its stack and nothing else.
const MAX_THREADS: usize = 16;

/// How long a file on a disk may take to be read.
pub const READ_TIMEOUT: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn what_hangs_holds_up_its_own_thread_and_no_more_of_them_than_may_be() {
        let reader = Reader::new(2);
        let (let_go, hang) = mpsc::channel::<()>();
        let hang = Arc::new(std::sync::Mutex::new(hang));
        for _ in 0..2 {
            let hang = Arc::clone(&hang);
            let late = reader
                .run(SHORT, move || {
                    let _end = hang.lock().expect("unpoisoned").recv();
                    Ok(())
                })
                .await
                .expect_err("it hangs");
            assert_eq!(late.kind(), io::ErrorKind::TimedOut);
            assert_eq!(
                late.to_string(),
                "its file system didn't answer within 20ms"
            );
        }
        assert_eq!(reader.room.available_permits(), 0);
        let file = PathBuf::from("/proc/self/comm");
        let late = reader.read(file.clone(), 100, SHORT).await;
        assert!(late.is_err(), "there is no room for a third one");
        // Once one of them ends, there is room again.
        let_go.send(()).expect("it waits");
        let read = reader.read(file, 100, READ_TIMEOUT).await;
        assert!(!read.expect("read").is_empty());
    }

    #[tokio::test]
    async fn what_panics_is_an_error() {
        let broken = || -> io::Result<()> { panic!("on purpose") };
        let outcome = Reader::new(1).run(READ_TIMEOUT, broken).await;
        assert_eq!(
            outcome.expect_err("it panicked").to_string(),
            "reading it panicked"
        );
    }
}

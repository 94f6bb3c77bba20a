//! The daemon's process: what it logs, and its end.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, ChildStderr, Command, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread,
    time::Instant,
};

use rustix::process::{Pid, Signal, kill_process};

use super::{CommandOutput, PLENTY};

/// A daemon that runs, or is about to; killed on drop.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    log: Arc<Log>,
}

#[derive(Debug, Default)]
struct Log {
    written: Mutex<Written>,
    grew: Condvar,
}

#[derive(Debug, Default)]
struct Written {
    text: String,
    /// The process has ended: nothing more comes.
    ended: bool,
}

impl Daemon {
    /// Starts it; what it logs is read from now on.
    ///
    /// # Panics
    /// If it can't be started.
    #[must_use]
    pub fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .env_remove("WEIR_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("nsenter is installed");
        let stderr = child.stderr.take().expect("it was asked for");
        let log = Arc::new(Log::default());
        thread::spawn({
            let log = Arc::clone(&log);
            move || log.follow(stderr)
        });
        Self { child, log }
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its log so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().text.clone()
    }

    /// Waits until it has logged these words.
    ///
    /// # Panics
    /// If it ends without, or doesn't in time.
    pub fn await_log(&self, words: &str) {
        let written = self
            .log
            .wait(|written| written.ended || written.text.contains(words));
        assert!(
            written.text.contains(words),
            "the daemon didn't log {words:?}, but:\n{}",
            written.text
        );
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it doesn't end in time.
    #[must_use]
    pub fn await_end(mut self) -> CommandOutput {
        let written = self.log.wait(|written| written.ended);
        assert!(written.ended, "the daemon goes on:\n{}", written.text);
        let err = written.text.clone();
        drop(written);
        CommandOutput {
            code: self.child.wait().expect("it has ended").code(),
            out: String::new(),
            err,
        }
    }

    /// Asks it to stop, as service managers do, and waits until it has.
    ///
    /// # Panics
    /// If it doesn't stop, or not well.
    pub fn stop(self) -> CommandOutput {
        self.signal(Signal::TERM);
        self.await_end().done()
    }

    /// Kills it: it can't do anything about it.
    ///
    /// # Panics
    /// If it has ended before.
    pub fn kill(mut self) {
        let ended = self.child.try_wait().expect("it is our child");
        assert!(ended.is_none(), "it ended before: {}", self.log());
        self.signal(Signal::KILL);
        self.child.wait().expect("it is our child");
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// If it is gone.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("it is our child");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail only where it has ended, which is what is wanted.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
        if thread::panicking() {
            eprintln!("the daemon's log:\n{}", self.log());
        }
    }
}

impl Log {
    fn follow(&self, stderr: ChildStderr) {
        for line in BufReader::new(stderr).lines() {
            let mut written = self.lock();
            match line {
                Ok(line) => written.text += &(line + "\n"),
                Err(error) => written.text += &format!("(unreadable: {error})\n"),
            }
            drop(written);
            self.grew.notify_all();
        }
        self.lock().ended = true;
        self.grew.notify_all();
    }

    fn wait(&self, is_so: impl Fn(&Written) -> bool) -> MutexGuard<'_, Written> {
        let end = Instant::now() + PLENTY;
        let mut written = self.lock();
        while !is_so(&written) {
            let Some(left) = end.checked_duration_since(Instant::now()) else {
                break;
            };
            let woken = self.grew.wait_timeout(written, left);
            written = woken.unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        }
        written
    }

    fn lock(&self) -> MutexGuard<'_, Written> {
        // A test that failed while it held the log must still be able to show it.
        self.written
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

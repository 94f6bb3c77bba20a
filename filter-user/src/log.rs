//! The daemon's log, on standard error: lines go through a bounded buffer to a thread
//! that writes them, so that a pipe that nobody reads (a stalled journald) never stops
//! the daemon. Lines for which there is no room are dropped and counted.

use std::{
    io::{self, IsTerminal as _, Write},
    panic,
    sync::mpsc,
    thread,
    time::Duration,
};

use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::pulse::Pulse;

/// The thread that writes the log. Dropped, it waits for what is in the buffer, but no
/// longer than 200 ms.
#[derive(Debug)]
pub struct Log {
    lost: ErrorCounter,
    guard: Option<WorkerGuard>,
}

impl Log {
    /// Sends the log to standard error; `WEIR_LOG` chooses how much of it.
    #[must_use]
    pub fn to_stderr(pulse: Pulse) -> Self {
        let (log, lines) = Self::to(io::stderr(), pulse);
        let filter = EnvFilter::try_from_env("WEIR_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
        let lines = fmt::layer()
            .with_writer(lines)
            .with_ansi(io::stderr().is_terminal())
            .with_target(false);
        // In a test of the library there may be one already.
        let _there_is_one = tracing_subscriber::registry()
            .with(filter)
            .with(lines)
            .try_init();
        // The usual hook writes to standard error by itself, and would wait for it.
        panic::set_hook(Box::new(|panicked| {
            let thread = thread::current();
            let thread = thread.name().unwrap_or("unnamed");
            tracing::error!(thread, "{panicked}");
        }));
        log
    }

    /// A log to any writer, and the end at which lines are put in.
    fn to(writer: impl Write + Send + 'static, pulse: Pulse) -> (Self, NonBlocking) {
        let (lines, guard) = NonBlockingBuilder::default()
            .lossy(true)
            .buffered_lines_limit(MAX_LINES)
            .thread_name("log")
            .finish(Beating { writer, pulse });
        let log = Self {
            lost: lines.error_counter(),
            guard: Some(guard),
        };
        (log, lines)
    }

    /// Counts the lines that were dropped because nobody took those before them.
    #[must_use]
    pub fn lost_lines(&self) -> u64 {
        self.lost.dropped_lines() as u64
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let Some(guard) = self.guard.take() else {
            return;
        };
        // The guard waits for more than a second where nobody reads, and writes to
        // standard output then: in a thread that nobody waits for longer.
        let (done, flushed) = mpsc::channel();
        let flush = thread::Builder::new().name("log-end".to_owned());
        let spawned = flush.spawn(move || {
            drop(guard);
            // Nobody may wait for it any more.
            let _late = done.send(());
        });
        if spawned.is_ok() {
            // Lines that weren't read until then are lost.
            let _late = flushed.recv_timeout(FLUSH_TIMEOUT);
        }
    }
}

/// A writer with a pulse: it rests between lines.
struct Beating<W> {
    writer: W,
    pulse: Pulse,
}

impl<W: Write> Write for Beating<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pulse.beat();
        let written = self.writer.write(bytes);
        self.pulse.rest();
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pulse.beat();
        let flushed = self.writer.flush();
        self.pulse.rest();
        flushed
    }
}

/// Lines that may wait for their reader: about a megabyte.
const MAX_LINES: usize = 8192;

/// How long the end of the daemon may wait for a reader of its last lines.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Read as _, time::Instant};

    use super::*;

    #[test]
    fn a_pipe_that_nobody_reads_stops_nobody_and_what_is_lost_is_counted() {
        let (mut reader, writer) = io::pipe().expect("a pipe");
        let pulse = Pulse::new("log");
        let (log, mut lines) = Log::to(writer, pulse.clone());
        let line = [b'x'; 1023];
        let start = Instant::now();
        let put_in = 2 * MAX_LINES;
        for _ in 0..put_in {
            lines.write_all(&line).expect("never refused");
            lines.write_all(b"\n").expect("never refused");
        }
        assert!(start.elapsed() < Duration::from_secs(5));
        assert!(log.lost_lines() > 0);
        while pulse.age() == Duration::ZERO {
            thread::yield_now();
        }
        // The end doesn't wait for a reader either.
        let start = Instant::now();
        drop(log);
        assert!(start.elapsed() < 2 * FLUSH_TIMEOUT);
        // It goes on where there is a reader again.
        let mut read = [0; 1024];
        reader.read_exact(&mut read).expect("the first line");
        assert_eq!(read[1023], b'\n');
    }

    #[test]
    fn the_last_lines_are_written_before_the_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let file = File::create(&path).expect("a file");
        let (log, mut lines) = Log::to(file, Pulse::new("log"));
        for number in 0..100 {
            writeln!(lines, "line {number}").expect("never refused");
        }
        assert_eq!(log.lost_lines(), 0);
        drop(log);
        let written = std::fs::read_to_string(&path).expect("a log");
        assert!(written.ends_with("line 99\n"), "{written}");
    }
}

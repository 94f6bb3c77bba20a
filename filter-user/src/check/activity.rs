//! A connection's activity, derived from its bytes: when it last received some, and
//! whether an answer is due.
//!
//! It also answers where HTTP can't be parsed. hyper would answer 400 or 431, of
//! which gateways make an error of their own; here every answer to a gateway is
//! one of three.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

/// State of a connection, shared by the stream of its bytes, its handler and its
/// time limit.
#[derive(Debug)]
pub(super) struct Activity {
    start: Instant,
    /// Milliseconds from the start to the first byte of a question that isn't
    /// whole yet, and one more; 0: there is none.
    asking: AtomicU64,
    /// Milliseconds from the start to the last sign of life.
    last: AtomicU64,
    /// It has asked something, ever.
    asked: AtomicBool,
    /// A question is whole and isn't answered.
    serving: AtomicBool,
    /// What is written next is an answer to a question.
    owed: AtomicBool,
    /// Something came that couldn't be read.
    unreadable: AtomicBool,
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            asking: AtomicU64::new(0),
            last: AtomicU64::new(0),
            asked: AtomicBool::new(false),
            serving: AtomicBool::new(false),
            owed: AtomicBool::new(false),
            unreadable: AtomicBool::new(false),
        })
    }

    /// A question's head is whole.
    pub(super) fn question(&self) {
        self.serving.store(true, Relaxed);
        self.owed.store(true, Relaxed);
        self.asked.store(true, Relaxed);
    }

    /// All of the question was received, and its answer is known.
    pub(super) fn answer(&self) {
        self.serving.store(false, Relaxed);
        self.asking.store(0, Relaxed);
    }

    /// For how long a question has been coming that isn't whole yet.
    pub(super) fn half_asked(&self) -> Duration {
        match self.asking.load(Relaxed) {
            0 => Duration::ZERO,
            since => Duration::from_millis(self.now().saturating_sub(since)),
        }
    }

    /// Less is what gives way first: who never asked, then who is idle the
    /// longest.
    pub(super) fn rank(&self) -> (bool, u64) {
        (self.asked.load(Relaxed), self.last.load(Relaxed))
    }

    pub(super) fn was_unreadable(&self) -> bool {
        self.unreadable.load(Relaxed)
    }

    fn now(&self) -> u64 {
        let since = self.start.elapsed().as_millis();
        u64::try_from(since).unwrap_or(u64::MAX).saturating_add(1)
    }

    fn bytes_came(&self) {
        let now = self.now();
        self.last.store(now, Relaxed);
        if self.asking.load(Relaxed) == 0 {
            self.asking.store(now, Relaxed);
        }
        if !self.serving.load(Relaxed) {
            self.owed.store(false, Relaxed);
        }
    }
}

/// The bytes of a connection.
pub(super) struct Watched<T> {
    io: T,
    activity: Arc<Activity>,
    /// Bytes of [`UNREADABLE`] that were written.
    said: usize,
}

impl<T> Watched<T> {
    pub(super) const fn new(io: T, activity: Arc<Activity>) -> Self {
        Self {
            io,
            activity,
            said: 0,
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.io).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.activity.bytes_came();
        }
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.activity.owed.load(Relaxed) {
            return Pin::new(&mut this.io).poll_write(context, bytes);
        }
        // Nobody has asked anything that could be read.
        this.activity.unreadable.store(true, Relaxed);
        while this.said < UNREADABLE.len() {
            match Pin::new(&mut this.io).poll_write(context, &UNREADABLE[this.said..]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(0)),
                Poll::Ready(Ok(written)) => this.said += written,
                other => return other,
            }
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

const UNREADABLE: &[u8] = b"HTTP/1.1 401 Unauthorized\r\nweir-reason: unreadable\r\n\
    connection: close\r\ncontent-length: 0\r\n\r\n";

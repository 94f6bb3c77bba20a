//! Streams that are never silent for long.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use tokio::time::{Interval, interval};
use tokio_stream::Stream;

/// Lines, with an empty one where none has come for a while.
pub(super) struct KeptAlive<S> {
    lines: Pin<Box<S>>,
    silence: Interval,
}

impl<S: Stream<Item = Bytes>> KeptAlive<S> {
    pub(super) fn new(lines: S) -> Self {
        Self::with_interval(lines, KEEPALIVE_INTERVAL)
    }

    fn with_interval(lines: S, silence: Duration) -> Self {
        Self {
            lines: Box::pin(lines),
            silence: interval(silence),
        }
    }
}

impl<S: Stream<Item = Bytes>> Stream for KeptAlive<S> {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Poll::Ready(line) = self.lines.as_mut().poll_next(context) {
            self.silence.reset();
            return Poll::Ready(line);
        }
        self.silence
            .poll_tick(context)
            .map(|_now| Some(Bytes::from_static(b"\n")))
    }
}

/// Between two empty lines. Less than any client waits.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};

    use super::*;

    #[tokio::test]
    async fn a_quiet_stream_has_empty_lines_and_ends_with_the_other() {
        let (lines, received) = tokio::sync::mpsc::channel(4);
        let received = ReceiverStream::new(received);
        let mut kept = KeptAlive::with_interval(received, Duration::from_millis(1));
        for _ in 0..10 {
            assert_eq!(kept.next().await.expect("a line"), "\n");
        }
        for _ in 0..3 {
            lines.send(Bytes::from_static(b"{}\n")).await.expect("room");
        }
        drop(lines);
        for _ in 0..3 {
            assert_eq!(kept.next().await.expect("a line"), "{}\n");
        }
        assert_eq!(kept.next().await, None);
    }
}

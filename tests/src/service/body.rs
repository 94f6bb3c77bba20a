//! Bodies that end as they should, and bodies that don't.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body, Frame};

use super::mischief::Ending;

/// A body, and how it ends.
#[derive(Debug)]
pub struct Sent {
    pub(super) body: Option<Bytes>,
    pub(super) ending: Ending,
    /// `None`: the client isn't told.
    pub(super) length: Option<u64>,
    /// What was said went out: before it breaks off.
    pub(super) flushed: bool,
}

impl Body for Sent {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(body) = self.body.take() {
            return Poll::Ready(Some(Ok(Frame::data(body))));
        }
        if self.ending == Ending::Broken && !self.flushed {
            // hyper writes when nothing more is to be had, and an error at once
            // would take what was said before with it.
            self.flushed = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        match &self.ending {
            Ending::Whole => Poll::Ready(None),
            Ending::Broken => Poll::Ready(Some(Err(io::Error::other("it breaks off")))),
            // Nobody is woken: the connection ends from the other side.
            Ending::Stalled => Poll::Pending,
            Ending::Endless(piece) => {
                let many = piece.repeat(1024).into();
                Poll::Ready(Some(Ok(Frame::data(many))))
            }
        }
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.length
            .map_or_else(Default::default, hyper::body::SizeHint::with_exact)
    }
}

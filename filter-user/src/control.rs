//! The control API: how an operator, a monitor and the CLI talk to the daemon.
//!
//! [`server`] turns HTTP on a Unix socket into [`Request`]s, [`client`] is the
//! other end, [`protocol`] is what travels in between. What a request means is
//! the daemon's affair: it takes them from a channel, one after the other, and
//! answers each.

use bytes::Bytes;
pub use filter_core::protocol;
use tokio::sync::{mpsc, oneshot};

pub mod client;
pub mod deadline;
pub mod eventlog;
pub mod lines;
pub mod peer;
pub mod server;
pub mod socket;

use eventlog::Subscription;
use protocol::{
    DetachAnswer, DetachRequest, ExplainQuery, Explanation, FeedAnswer, FeedDetails, FeedRequest,
    FeedsQuery, ForgiveAnswer, ForgiveRequest, ListQuery, ModeAnswer, ModeRequest, Refused,
    ReloadAnswer, ShadowLine, Status, UnderAttackAnswer, UnderAttackRequest, VerdictAnswer,
    VerdictRequest,
};

/// Where the answer to a [`Request`] goes: the answer, or a sentence that says
/// why there is none. The client may be gone by then.
#[derive(Debug)]
pub struct Reply<T> {
    sender: oneshot::Sender<Result<T, Refused>>,
    /// Until when the request may be begun, as [`deadline::passed`] counts; `None`:
    /// the client named no time.
    deadline: Option<u64>,
}

impl<T> Reply<T> {
    /// With this deadline, and where the answer will come.
    #[must_use]
    pub fn new(deadline: Option<u64>) -> (Self, oneshot::Receiver<Result<T, Refused>>) {
        let (sender, answer) = oneshot::channel();
        (Self { sender, deadline }, answer)
    }

    /// Sends the answer.
    ///
    /// # Errors
    /// With the answer, if the client is gone.
    pub fn send(self, answer: Result<T, Refused>) -> Result<(), Result<T, Refused>> {
        self.sender.send(answer)
    }

    /// Whether the client has gone, or has given up by now.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.sender.is_closed() || self.deadline.is_some_and(deadline::passed)
    }
}

/// What is asked of the daemon.
#[derive(Debug)]
pub enum Request {
    /// How it is doing.
    Status {
        /// Takes the answer.
        reply: Reply<Status>,
    },
    /// The claims, as chunks of lines ([`lines::send`] makes them). The list
    /// ends where the sender is dropped.
    List {
        /// Which of them.
        query: ListQuery,
        /// Takes the chunks.
        reply: Reply<mpsc::Receiver<Bytes>>,
    },
    /// What would happen to a packet now, and why.
    Explain {
        /// Which packet.
        query: ExplainQuery,
        /// Takes the answer.
        reply: Reply<Explanation>,
    },
    /// The operator's verdicts.
    Verdict {
        /// Which, on what.
        request: VerdictRequest,
        /// Takes an answer for each prefix.
        reply: Reply<VerdictAnswer>,
    },
    /// Another mode.
    Mode {
        /// Which.
        request: ModeRequest,
        /// Takes the answer.
        reply: Reply<ModeAnswer>,
    },
    /// The host is under attack, or isn't any more.
    UnderAttack {
        /// Which, until when.
        request: UnderAttackRequest,
        /// Takes the answer.
        reply: Reply<UnderAttackAnswer>,
    },
    /// What is known of the configured feeds.
    Feeds {
        /// Of which.
        query: FeedsQuery,
        /// Takes the answer.
        reply: Reply<Vec<FeedDetails>>,
    },
    /// Do something about a feed.
    Feed {
        /// What, about which.
        request: FeedRequest,
        /// Takes the answer.
        reply: Reply<FeedAnswer>,
    },
    /// Lift what the policy holds against a source.
    Forgive {
        /// Which source.
        request: ForgiveRequest,
        /// Takes the answer.
        reply: Reply<ForgiveAnswer>,
    },
    /// What feeds, reasons and steps in observe would have hit.
    Shadow {
        /// Takes the answer.
        reply: Reply<Vec<ShadowLine>>,
    },
    /// Read the configuration again.
    Reload {
        /// Takes the answer.
        reply: Reply<ReloadAnswer>,
    },
    /// Take the filter off.
    Detach {
        /// Where.
        request: DetachRequest,
        /// Takes the answer.
        reply: Reply<DetachAnswer>,
    },
    /// The events so far, and those to come.
    Events {
        /// Those to come, too.
        follow: bool,
        /// Takes the subscription.
        reply: Reply<Subscription>,
    },
    /// The metrics, in the Prometheus text format.
    Metrics {
        /// Takes the text.
        reply: Reply<String>,
    },
}

impl Request {
    /// Whether the client has gone, or has given up by now: then nothing is to be
    /// carried out for it.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        match self {
            Self::Status { reply } => reply.is_abandoned(),
            Self::List { reply, .. } => reply.is_abandoned(),
            Self::Explain { reply, .. } => reply.is_abandoned(),
            Self::Verdict { reply, .. } => reply.is_abandoned(),
            Self::Mode { reply, .. } => reply.is_abandoned(),
            Self::UnderAttack { reply, .. } => reply.is_abandoned(),
            Self::Feeds { reply, .. } => reply.is_abandoned(),
            Self::Feed { reply, .. } => reply.is_abandoned(),
            Self::Forgive { reply, .. } => reply.is_abandoned(),
            Self::Shadow { reply } => reply.is_abandoned(),
            Self::Reload { reply } => reply.is_abandoned(),
            Self::Detach { reply, .. } => reply.is_abandoned(),
            Self::Events { reply, .. } => reply.is_abandoned(),
            Self::Metrics { reply } => reply.is_abandoned(),
        }
    }
}

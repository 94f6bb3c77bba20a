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
use protocol::{Answer, Command, ListQuery, Query, Question, Refused};

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
    /// Something is to be changed.
    Command {
        /// What.
        command: Command,
        /// Takes the answer.
        reply: Reply<Answer>,
    },
    /// Something is to be shown.
    Query {
        /// What.
        query: Query,
        /// Takes the answer.
        reply: Reply<Answer>,
    },
    /// The claims, as chunks of lines ([`lines::send`] makes them). The list
    /// ends where the sender is dropped.
    List {
        /// Which of them.
        query: ListQuery,
        /// Takes the chunks.
        reply: Reply<mpsc::Receiver<Bytes>>,
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
    /// A question, and where its answer goes.
    #[must_use]
    pub fn new(question: Question, reply: Reply<Answer>) -> Self {
        match question {
            Question::Command(command) => Self::Command { command, reply },
            Question::Query(query) => Self::Query { query, reply },
        }
    }

    /// Whether the client has gone, or has given up by now: then nothing is to be
    /// carried out for it.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        match self {
            Self::Command { reply, .. } | Self::Query { reply, .. } => reply.is_abandoned(),
            Self::List { reply, .. } => reply.is_abandoned(),
            Self::Events { reply, .. } => reply.is_abandoned(),
            Self::Metrics { reply } => reply.is_abandoned(),
        }
    }
}

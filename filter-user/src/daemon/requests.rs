//! Requests of clients: commands go to the engine, and their answers find the way back;
//! what only shows something is answered at once.

use std::collections::BTreeMap;

use filter_core::{
    datapath::Datapath,
    engine::{Input, RequestId, Traffic},
    metrics,
    protocol::{Answer, Command, Query, Refused, VersionAnswer},
};

use super::{Daemon, now};
use crate::{
    control::{Reply, Request},
    host::{clock, process},
};

/// The clients whose commands aren't answered yet.
#[derive(Debug, Default)]
pub(super) struct Replies {
    next: RequestId,
    waiting: BTreeMap<RequestId, Reply<Answer>>,
}

impl Replies {
    fn wait(&mut self, reply: Reply<Answer>) -> RequestId {
        self.next += 1;
        self.waiting.insert(self.next, reply);
        self.next
    }

    /// Sends an answer to its client.
    pub(super) fn answer(&mut self, id: RequestId, answer: Result<Answer, Refused>) {
        if let Some(reply) = self.waiting.remove(&id) {
            send(reply, answer);
        }
    }
}

impl<D: Datapath> Daemon<D> {
    /// Answers what only shows something, and hands the engine what changes something.
    pub(super) async fn answer(&mut self, request: Request) {
        // Nothing is carried out for a client that has given up.
        if request.is_abandoned() {
            return;
        }
        match request {
            Request::Command { command, reply } => self.command(command, reply),
            Request::Query { query, reply } => {
                let answer = self.query(query).await;
                send(reply, answer);
            }
            Request::Metrics { reply } => {
                let outside = self.outside().await;
                let process = process::of(super::root())
                    .inspect_err(
                        |error| tracing::warn!(%error, "can't see the daemon's own process"),
                    )
                    .ok();
                let figures = self.engine.figures(&outside, process, now());
                send(reply, Ok(metrics::text(&figures)));
            }
            Request::List { query, reply } => send(reply, self.list(&query)),
            Request::Events {
                follow: false,
                reply,
            } => send(reply, Ok(self.events.recent())),
            Request::Events {
                follow: true,
                reply,
            } => send(reply, self.events.follow()),
        }
    }

    /// Answers what only shows something.
    async fn query(&mut self, query: Query) -> Result<Answer, Refused> {
        match query {
            Query::Status(_) => {
                let outside = self.outside().await;
                Ok(Answer::Status(self.engine.status(&outside, now())))
            }
            Query::Explain(query) => {
                let nanoseconds = clock::monotonic_nanoseconds();
                let (engine, datapath) = (&self.engine, &mut self.datapath);
                let explanation = engine.explain(&query, datapath, nanoseconds, now());
                explanation.map(Answer::Explain)
            }
            Query::Feeds(query) => self.engine.feed_details(&query, now()).map(Answer::Feeds),
            Query::Shadow(_) => Ok(Answer::Shadow(self.engine.shadow_lines())),
            Query::Version(_) => Ok(Answer::Version(VersionAnswer {
                version: env!("CARGO_PKG_VERSION").to_owned(),
            })),
        }
    }

    fn command(&mut self, command: Command, reply: Reply<Answer>) {
        let traffic = match &command {
            Command::Mode(_) => self
                .datapath
                .counts()
                .ok()
                .map(|counts| Traffic::of(&counts)),
            _ => None,
        };
        let id = self.replies.wait(reply);
        self.handle(Input::Command {
            id,
            command,
            traffic,
        });
    }
}

fn send<T>(reply: Reply<T>, answer: Result<T, Refused>) {
    // The client may be gone.
    let _gone = reply.send(answer);
}

//! Requests of clients: commands go to the engine, and their answers find the way back;
//! what only shows something is answered at once.

use std::collections::BTreeMap;

use filter_core::{
    datapath::Datapath,
    engine::{Input, RequestId, Traffic},
    metrics,
    protocol::{Answer, Command, Refused},
};

use super::{Daemon, now};
use crate::{
    control::{
        Reply, Request,
        protocol::{
            DetachAnswer, FeedAnswer, ForgiveAnswer, ModeAnswer, ReloadAnswer, UnderAttackAnswer,
            VerdictAnswer,
        },
    },
    host::{clock, process},
};

/// The clients whose commands aren't answered yet.
#[derive(Debug, Default)]
pub(super) struct Replies {
    next: RequestId,
    waiting: BTreeMap<RequestId, Waiting>,
}

#[derive(Debug)]
enum Waiting {
    Verdict(Reply<VerdictAnswer>),
    Mode(Reply<ModeAnswer>),
    UnderAttack(Reply<UnderAttackAnswer>),
    Feed(Reply<FeedAnswer>),
    Reload(Reply<ReloadAnswer>),
    Detach(Reply<DetachAnswer>),
    Forgive(Reply<ForgiveAnswer>),
}

impl Replies {
    fn wait(&mut self, waiting: Waiting) -> RequestId {
        self.next += 1;
        self.waiting.insert(self.next, waiting);
        self.next
    }

    /// Sends an answer to its client.
    pub(super) fn answer(&mut self, id: RequestId, answer: Result<Answer, Refused>) {
        let Some(waiting) = self.waiting.remove(&id) else {
            return;
        };
        match (waiting, answer) {
            (Waiting::Verdict(reply), Ok(Answer::Verdict(answer))) => send(reply, Ok(answer)),
            (Waiting::Mode(reply), Ok(Answer::Mode(answer))) => send(reply, Ok(answer)),
            (Waiting::UnderAttack(reply), Ok(Answer::UnderAttack(answer))) => {
                send(reply, Ok(answer));
            }
            (Waiting::Feed(reply), Ok(Answer::Feed(answer))) => send(reply, Ok(answer)),
            (Waiting::Reload(reply), Ok(Answer::Reload(answer))) => send(reply, Ok(answer)),
            (Waiting::Detach(reply), Ok(Answer::Detach(answer))) => send(reply, Ok(answer)),
            (Waiting::Forgive(reply), Ok(Answer::Forgive(answer))) => send(reply, Ok(answer)),
            (waiting, Err(refused)) => waiting.refuse(refused),
            (waiting, Ok(_)) => {
                waiting.refuse(Refused::new("the engine answered another question"));
            }
        }
    }
}

impl Waiting {
    fn refuse(self, refused: Refused) {
        match self {
            Self::Verdict(reply) => send(reply, Err(refused)),
            Self::Mode(reply) => send(reply, Err(refused)),
            Self::UnderAttack(reply) => send(reply, Err(refused)),
            Self::Feed(reply) => send(reply, Err(refused)),
            Self::Reload(reply) => send(reply, Err(refused)),
            Self::Detach(reply) => send(reply, Err(refused)),
            Self::Forgive(reply) => send(reply, Err(refused)),
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
            Request::Status { reply } => {
                let outside = self.outside().await;
                send(reply, Ok(self.engine.status(&outside, now())));
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
            Request::Explain { query, reply } => {
                let nanoseconds = clock::monotonic_nanoseconds();
                let (engine, datapath) = (&self.engine, &mut self.datapath);
                send(reply, engine.explain(&query, datapath, nanoseconds, now()));
            }
            Request::Shadow { reply } => send(reply, Ok(self.engine.shadow_lines())),
            Request::Feeds { query, reply } => {
                send(reply, self.engine.feed_details(&query, now()));
            }
            Request::Events {
                follow: false,
                reply,
            } => send(reply, Ok(self.events.recent())),
            Request::Events {
                follow: true,
                reply,
            } => send(reply, self.events.follow()),
            Request::Verdict { request, reply } => {
                self.command(Command::Verdict(request), Waiting::Verdict(reply));
            }
            Request::Mode { request, reply } => {
                self.command(Command::Mode(request), Waiting::Mode(reply));
            }
            Request::UnderAttack { request, reply } => {
                self.command(Command::UnderAttack(request), Waiting::UnderAttack(reply));
            }
            Request::Feed { request, reply } => {
                self.command(Command::Feed(request), Waiting::Feed(reply));
            }
            Request::Forgive { request, reply } => {
                self.command(Command::Forgive(request), Waiting::Forgive(reply));
            }
            Request::Reload { reply } => self.command(Command::Reload, Waiting::Reload(reply)),
            Request::Detach { request, reply } => {
                self.command(Command::Detach(request), Waiting::Detach(reply));
            }
        }
    }

    fn command(&mut self, command: Command, waiting: Waiting) {
        let traffic = match &command {
            Command::Mode(_) => self
                .datapath
                .counts()
                .ok()
                .map(|counts| Traffic::of(&counts)),
            _ => None,
        };
        let id = self.replies.wait(waiting);
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

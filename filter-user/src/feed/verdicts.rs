//! A verification service's stream as a feed: its whole word first, then what
//! changes as soon as it changes.
//!
//! [`Follower`] says what to ask and when, [`Trouble`] what can be wrong;
//! `transport` asks, `copy` keeps what was said in the state folder. What the
//! service said last goes on while it is away, or says what can't be taken.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher as _,
    io,
    net::IpAddr,
    path::PathBuf,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, mpsc::error::SendError, oneshot},
    time::{Instant, interval, sleep},
};

use super::{FeedId, Message, News, Refused, Rules, Sender, codec::stream::Answer};
use crate::{claim::Update, config::Stream, store::reader};

mod copy;
mod replay;
mod token;
mod transport;

use self::{
    copy::{Copy, Taken},
    replay::Replayed,
    transport::Transport,
};
pub use filter_core::feed::verdicts::{Asked, Follower, Said, Trouble};

/// What a feed of this kind is asked for from outside.
#[derive(Debug, Default)]
pub struct Wishes {
    /// Take the whole word anew.
    pub refresh: Arc<Notify>,
    /// Believe the next whole word also in what it leaves out.
    pub accept: AtomicBool,
}

/// Follows a service until nobody listens to the news. What it says is kept in
/// a file at `path`, which is read first.
pub async fn follow(
    stream: Stream,
    rules: Rules,
    path: PathBuf,
    feed: FeedId,
    news: Sender,
    wishes: Arc<Wishes>,
) {
    let opening = reader::detached("feed-copy", {
        let rules = rules.clone();
        move || Copy::open(&path, rules)
    });
    let opened = match opening {
        Ok(opening) => opening
            .await
            .map_err(|_panicked| io::Error::other("it panicked")),
        Err(error) => Err(error),
    };
    let (copy, kept) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            let error = format!("the copy of what the service said can't be opened: {error}");
            let state = "failed";
            // Nobody may listen any more.
            let _gone = news
                .send(Message::new(feed, News::Failed { state, error }))
                .await;
            return;
        }
    };
    let mut task = Task {
        follower: Follower::new(kept.cursor.clone()),
        transport: Transport::new(stream),
        rules,
        copy,
        feed,
        news,
        notes: Vec::new(),
        peers: Vec::new(),
        good_peers: Vec::new(),
        failed: None,
        dice: RandomState::new(),
        rolls: 0,
    };
    if task.restore(kept).await.is_some() {
        // It ends when nobody listens any more.
        let _ended = task.run(&wishes).await;
    }
}

/// Asks a service once for its whole word, and tells what is doubtful.
///
/// # Errors
/// If it couldn't be had, or isn't to be taken.
pub async fn ask_once(
    stream: Stream,
    rules: &Rules,
) -> Result<(Update, Refused, Vec<String>), Trouble> {
    let mut transport = Transport::new(stream);
    let answer = transport.ask(&Asked::Snapshot, rules, None).await?;
    Ok((answer.update, answer.refused, transport.notes()))
}

struct Task {
    follower: Follower,
    transport: Transport,
    rules: Rules,
    copy: Copy,
    feed: FeedId,
    news: Sender,
    /// What was told last: what is doubtful, and where the service is.
    notes: Vec<String>,
    peers: Vec<IpAddr>,
    /// Where the service was when it was last believed.
    good_peers: Vec<IpAddr>,
    /// The trouble that was told last, if the feed isn't well again.
    failed: Option<String>,
    dice: RandomState,
    rolls: u64,
}

impl Task {
    /// Asks again and again; `None` at its end, when nobody listens.
    async fn run(&mut self, wishes: &Wishes) -> Option<()> {
        let mut pause = Duration::ZERO;
        loop {
            tokio::select! {
                () = sleep(pause) => {}
                () = self.token_changes(), if !pause.is_zero() => {}
                () = wishes.refresh.notified() => self.begin_anew().await?,
                () = self.news.closed() => return None,
            }
            let asked = self.follower.asks();
            let accept = asked == Asked::Snapshot && wishes.accept.swap(false, Ordering::Relaxed);
            let start = Instant::now();
            let heard = self.ask(&asked, &wishes.refresh).await?;
            let dice = self.roll();
            pause = match heard {
                None => {
                    self.copy.forget();
                    wishes.accept.fetch_or(accept, Ordering::Relaxed);
                    self.begin_anew().await?;
                    Duration::ZERO
                }
                Some(Ok(answer)) => {
                    self.good_peers = self.transport.resolved();
                    self.take(answer, accept, start.elapsed(), dice).await?
                }
                Some(Err(trouble)) => {
                    self.copy.forget();
                    wishes.accept.fetch_or(accept, Ordering::Relaxed);
                    let pause = self.follower.failed(&trouble, dice);
                    self.fail(&trouble, pause).await?;
                    pause
                }
            };
            self.tell_about().await?;
        }
    }

    /// What the service answers, or `Some(None)` where somebody wants the whole
    /// word instead.
    async fn ask(
        &mut self,
        asked: &Asked,
        refresh: &Notify,
    ) -> Option<Option<Result<Answer, Trouble>>> {
        let resolving = self.transport.resolving();
        let mut look = interval(LOOK);
        let mut asking = pin!(self.transport.ask(asked, &self.rules, Some(&self.copy)));
        loop {
            tokio::select! {
                outcome = &mut asking => return Some(Some(outcome)),
                // Where the service was found is protected before it has
                // answered: an answer that is dropped never comes.
                _ = look.tick(), if self.failed.is_some() || self.good_peers.is_empty() => {
                    let peers = union(&self.good_peers, &resolving.found());
                    if peers != self.peers {
                        self.peers.clone_from(&peers);
                        let message = Message::new(self.feed, News::Peers(peers));
                        self.news.send(message).await.ok()?;
                    }
                }
                () = refresh.notified() => return Some(None),
                () = self.news.closed() => return None,
            }
        }
    }

    /// Hands over what an answer says, and keeps it once it is in force.
    async fn take(
        &mut self,
        answer: Answer,
        accept: bool,
        took: Duration,
        dice: u64,
    ) -> Option<Duration> {
        let Answer {
            cursor,
            update,
            refused,
            claims,
        } = answer;
        let whole = matches!(update, Update::Snapshot(_));
        let update = match update {
            Update::Snapshot(claims) if !accept => Update::Resync(claims),
            update => update,
        };
        let new = whole || claims > 0 || self.follower.asks() != Asked::After(cursor.clone());
        let (taken, held) = oneshot::channel();
        self.failed = None;
        let message = Message {
            feed: self.feed,
            news: News::Update { update, refused },
            applied: Some(taken),
        };
        self.news.send(message).await.ok()?;
        let held = held.await.ok()?;
        if new {
            let taken = match (whole, held) {
                (true, 0) => Taken::Whole,
                (true, _) => Taken::Held,
                (false, _) => Taken::Changes,
            };
            self.copy.keep(cursor.clone(), taken);
        } else {
            self.copy.forget();
        }
        let said = Said {
            cursor,
            whole,
            lines: claims,
        };
        Some(self.follower.said(said, took, dice))
    }

    /// What was kept counts again, and the whole word is asked for.
    async fn begin_anew(&mut self) -> Option<()> {
        self.follower.begin_anew();
        self.failed = None;
        let kept = self.copy.read().await;
        self.restore(kept).await
    }

    async fn restore(&self, kept: Replayed) -> Option<()> {
        if kept.cursor.is_none() {
            return Some(());
        }
        let (claims, held) = (kept.claims, kept.held);
        let news = News::Restored { claims, held };
        self.send(news).await.ok()
    }

    /// Tells what is wrong, once. What the whole word will mend is no trouble
    /// yet.
    async fn fail(&mut self, trouble: &Trouble, pause: Duration) -> Option<()> {
        if *trouble == Trouble::TooOld && pause.is_zero() {
            return Some(());
        }
        let error = trouble.to_string();
        if self.failed.as_ref() == Some(&error) {
            return Some(());
        }
        self.failed = Some(error.clone());
        let news = News::Failed {
            state: trouble.state(),
            error,
        };
        self.send(news).await.ok()
    }

    /// Tells what is doubtful and where the service is, where that is new.
    async fn tell_about(&mut self) -> Option<()> {
        let mut notes = self.transport.notes();
        notes.extend(self.copy.trouble());
        if notes != self.notes {
            self.notes = notes.clone();
            self.send(News::Notes(notes)).await.ok()?;
        }
        if self.good_peers != self.peers {
            self.peers = self.good_peers.clone();
            let peers = News::Peers(self.peers.clone());
            self.send(peers).await.ok()?;
        }
        Some(())
    }

    async fn send(&self, news: News) -> Result<(), SendError<Message>> {
        self.news.send(Message::new(self.feed, news)).await
    }

    /// Waits until the token's file is another.
    async fn token_changes(&self) {
        let mut look = interval(LOOK);
        loop {
            look.tick().await;
            if self.failed.is_some() && self.transport.token_has_changed().await {
                return;
            }
        }
    }

    fn roll(&mut self) -> u64 {
        self.rolls += 1;
        self.dice.hash_one(self.rolls)
    }
}

/// Both, each once, and no more than a service should have.
fn union(one: &[IpAddr], other: &[IpAddr]) -> Vec<IpAddr> {
    let mut all = one.to_vec();
    all.extend(other.iter().filter(|address| !one.contains(address)));
    all.truncate(MOST);
    all
}

/// How often is looked at what doesn't tell, while that matters.
const LOOK: Duration = Duration::from_millis(250);

/// Addresses of a service that are protected.
const MOST: usize = 16;

//! The feeds' tasks: started, ended and woken at the engine's word.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
};

use filter_core::engine::Input;
use tokio::{
    sync::{Notify, oneshot},
    task::JoinHandle,
};

use super::{
    copy::{LastGood, stream_copy},
    load::Loads,
};
use crate::{
    config::{self, Kind},
    feed::{self, FeedId, News, Rules, verdicts::Wishes},
};

/// The tasks that run, by the number of their feed.
pub(super) struct Tasks {
    tasks: BTreeMap<FeedId, Task>,
    /// Tasks that wait until their update is in force.
    waiting: BTreeMap<FeedId, oneshot::Sender<u32>>,
    messages: feed::Sender,
    /// The state folder.
    folder: PathBuf,
}

/// What runs for a feed; it ends when this is dropped.
struct Task {
    handle: JoinHandle<()>,
    wishes: Arc<Wishes>,
    /// A file's.
    last_good: Option<LastGood>,
}

impl Tasks {
    pub(super) const fn new(messages: feed::Sender, folder: PathBuf) -> Self {
        Self {
            tasks: BTreeMap::new(),
            waiting: BTreeMap::new(),
            messages,
            folder,
        }
    }

    pub(super) fn start(&mut self, feed: FeedId, config: &config::Feed, rules: &Rules) {
        let wishes = Arc::new(Wishes::default());
        let (rules, messages) = (rules.clone(), self.messages.clone());
        let (handle, last_good) = match &config.kind {
            Kind::File { path, .. } => {
                let refresh: Arc<Notify> = Arc::clone(&wishes.refresh);
                let last_good = LastGood::new(&self.folder, &config.name, path, &rules);
                let watch = feed::file::watch(path.clone(), rules, feed, messages, refresh);
                (tokio::spawn(watch), Some(last_good))
            }
            Kind::Verdicts(stream) => {
                let copy = stream_copy(&self.folder, &config.name, stream);
                let wishes = Arc::clone(&wishes);
                let stream = stream.clone();
                let follow = feed::verdicts::follow(stream, rules, copy, feed, messages, wishes);
                (tokio::spawn(follow), None)
            }
            Kind::Policy => {
                let refresh = Arc::clone(&wishes.refresh);
                let follow = feed::policy::follow(feed, messages, refresh);
                (tokio::spawn(follow), None)
            }
        };
        let task = Task {
            handle,
            wishes,
            last_good,
        };
        self.tasks.insert(feed, task);
    }

    pub(super) fn stop(&mut self, feed: FeedId) {
        self.tasks.remove(&feed);
        self.waiting.remove(&feed);
    }

    /// Has a task read all of its feed anew, and believe it also in what it leaves out.
    pub(super) fn fetch(&self, feed: FeedId, accept: bool) {
        if let Some(task) = self.tasks.get(&feed) {
            if accept {
                task.wishes.accept.store(true, Ordering::Relaxed);
            }
            task.wishes.refresh.notify_one();
        }
    }

    /// Notes that a task waits until what it sent is in force.
    pub(super) fn awaits(&mut self, feed: FeedId, applied: Option<oneshot::Sender<u32>>) {
        match applied {
            Some(applied) => self.waiting.insert(feed, applied),
            None => self.waiting.remove(&feed),
        };
    }

    /// A task's update is in force.
    pub(super) fn applied(&mut self, feed: FeedId, held: u32) {
        if let Some(applied) = self.waiting.remove(&feed) {
            // The task may have been stopped meanwhile.
            let _gone = applied.send(held);
        }
    }

    pub(super) fn keep_copy(&self, feed: FeedId) {
        if let Some(last_good) = self.last_good(feed) {
            last_good.changed();
        }
    }

    /// Has the last good copy of a feed's file read.
    pub(super) fn recall(&self, feed: FeedId, loads: &Loads) {
        let Some(last_good) = self.last_good(feed) else {
            return;
        };
        let read = last_good.reader();
        let started = loads.run("recall", move || {
            let news = News::Recalled(read());
            Some(Input::News { feed, news })
        });
        if let Err(error) = started {
            tracing::error!(%error, "a feed's last good copy can't be read");
        }
    }

    fn last_good(&self, feed: FeedId) -> Option<&LastGood> {
        self.tasks.get(&feed)?.last_good.as_ref()
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

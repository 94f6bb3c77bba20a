//! The policy's verdicts as a feed: at the start, and whenever somebody asks, the
//! daemon is to say all of them. What changes in between needs no task: it follows
//! from an observation.

use std::sync::Arc;

use tokio::sync::Notify;

use super::{FeedId, Message, News, Sender};

/// Asks for the whole word now and at each wish, until nobody listens.
pub async fn follow(feed: FeedId, news: Sender, refresh: Arc<Notify>) {
    while news.send(Message::new(feed, News::Whole)).await.is_ok() {
        refresh.notified().await;
    }
}

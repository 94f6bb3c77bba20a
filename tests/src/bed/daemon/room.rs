//! An edge host whose daemon follows a verification service.

use serde_json::Value;

use super::{Configuration, Edge, until};
use crate::service::{Options, Service};

/// A host whose daemon follows a service, and nothing else.
#[derive(Debug)]
pub struct Room {
    /// The host.
    pub edge: Edge,
    /// The service that its feed `verifier` follows.
    pub service: Service,
}

impl Room {
    /// Without a daemon yet.
    ///
    /// # Panics
    /// If it can't be made.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let edge = Edge::new();
        edge.list(&[""]);
        let service = Service::start_in(Some(&edge.host), options);
        let room = Self { edge, service };
        room.configure("");
        room
    }

    /// With these keys of the feed besides.
    ///
    /// # Panics
    /// If the configuration can't be written.
    pub fn configure(&self, more: &str) {
        let url = self.service.url();
        let feed = format!(
            "[[feed]]\nname = \"verifier\"\nkind = \"verdicts\"\nurl = {url:?}\nrank = 10\n{more}"
        );
        self.edge.configure(&Configuration {
            more: &feed,
            ..Configuration::default()
        });
    }

    /// The feed as the status has it.
    ///
    /// # Panics
    /// If it isn't there.
    #[must_use]
    pub fn feed(&self) -> Value {
        let status = self.edge.status();
        let feeds = status["feeds"].as_array().expect("a list of feeds");
        let verifier = feeds.iter().find(|feed| feed["name"] == "verifier");
        verifier.expect("the feed is there").clone()
    }

    /// The feed as `weir feed show` prints it.
    ///
    /// # Panics
    /// If it fails.
    #[must_use]
    pub fn shown(&self) -> String {
        self.edge.weir(&["feed", "show", "verifier"]).done().out
    }

    /// Waits until `weir feed show` says this state, in a sentence with these words.
    ///
    /// # Panics
    /// If it doesn't.
    pub fn await_shown(&self, state: &str, words: &str) {
        until(
            &format!("the feed is shown as {state}: … {words} …"),
            || {
                let shown = self.shown();
                let line = shown.lines().next().unwrap_or_default();
                let sentence = line.strip_prefix(&format!("verifier: {state}: "));
                sentence.is_some_and(|sentence| !sentence.is_empty() && sentence.contains(words))
            },
        );
    }

    /// Waits until the feed is in this state.
    ///
    /// # Panics
    /// If it doesn't come to it.
    pub fn await_state(&self, state: &str) {
        until(&format!("the feed is {state}: {}", self.feed()), || {
            self.feed()["state"] == state
        });
    }

    /// Waits until the feed has so many claims.
    ///
    /// # Panics
    /// If it doesn't come to them.
    pub fn await_claims(&self, claims: u64) {
        until(&format!("there are {claims} claims"), || {
            self.feed()["claims"] == claims
        });
    }

    /// Has the feed read all of it anew, however that goes.
    pub fn refresh(&self) {
        let _output = self.edge.weir(&["feed", "refresh", "verifier"]);
    }
}

//! The reference verification service: it speaks the stream of verdicts, learns
//! whose attestations fail, and misbehaves on command. Tests and the demo use
//! it. **It is no product**: it keeps everything in memory, and attests nothing
//! but the tokens that it gave away itself.
//!
//! [`state`] and [`mischief`] are pure: what is asked goes in, the bytes of an
//! answer come out. [`server`] carries them over HTTP, [`learn`] makes claims
//! of failed attestations, [`authority`] makes certificates. Nothing here uses
//! weir's own codec: it is another witness of the format.

use std::{
    net::{SocketAddr, TcpListener},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};

use crate::bed::Namespace;

pub mod authority;
pub mod body;
pub mod learn;
pub mod mischief;
pub mod server;
pub mod state;

use authority::Certificate;
use learn::Learner;
use mischief::Mischief;
use server::Shared;
use state::State;

/// A running service; gone when this is dropped.
#[derive(Debug)]
pub struct Service {
    shared: Arc<Shared>,
    address: SocketAddr,
    namespace: Option<String>,
    /// Ends the thread; `None`: it is dead.
    stop: Option<(oneshot::Sender<()>, thread::JoinHandle<()>)>,
}

/// How a service is run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The bearer token that it wants to see.
    pub token: Option<String>,
    /// Its certificate, for https.
    pub certificate: Option<Certificate>,
}

impl Service {
    /// Starts an empty one on some port of this host itself.
    ///
    /// # Panics
    /// If it can't listen.
    #[must_use]
    pub fn start(options: Options) -> Self {
        Self::start_in(None, options)
    }

    /// The same in a namespace.
    ///
    /// # Panics
    /// If it can't listen.
    #[must_use]
    pub fn start_in(namespace: Option<&Namespace>, options: Options) -> Self {
        Self::start_named(namespace.map(Namespace::name), options)
    }

    /// The same in the namespace of a name.
    ///
    /// # Panics
    /// If it can't listen.
    #[must_use]
    pub fn start_named(namespace: Option<&str>, options: Options) -> Self {
        let mut service = Self {
            shared: Arc::new(Shared {
                state: Mutex::new(State::new(1)),
                backup: Mutex::default(),
                learner: Mutex::new(Learner::default()),
                mischief: Mutex::new(None),
                news: watch::Sender::new(0),
                token: options.token,
                certificate: options.certificate,
                stats: Mutex::default(),
                answers: Condvar::new(),
                tell: false,
            }),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            namespace: namespace.map(ToOwned::to_owned),
            stop: None,
        };
        service.revive();
        service
    }

    /// Where its stream is.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = match self.shared.certificate {
            Some(_) => "https",
            None => "http",
        };
        format!("{scheme}://{}/v1/verdicts", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Says claims and withdrawals.
    ///
    /// # Panics
    /// If they have no prefix.
    pub fn say(&self, lines: &[Value]) {
        self.shared.say(lines).expect("claims that can be said");
    }

    /// Says that these prefixes are to be blocked.
    ///
    /// # Panics
    /// Never: a prefix can be said.
    pub fn block(&self, prefixes: &[&str]) {
        let lines: Vec<_> = prefixes.iter().map(|prefix| block(prefix)).collect();
        self.say(&lines);
    }

    /// Withdraws what was said of a prefix.
    ///
    /// # Panics
    /// Never: a prefix can be said.
    pub fn withdraw(&self, prefix: &str) {
        self.say(&[json!({"prefix": prefix, "withdrawn": true})]);
    }

    /// Misbehaves like this from now on, or no more.
    pub fn misbehave(&self, mischief: Option<Mischief>) {
        self.shared.misbehave(mischief);
    }

    /// Remembers its state as it is.
    pub fn back_up(&self) {
        self.shared.back_up();
    }

    /// Goes back to the state that it remembered, under the cursors of then.
    ///
    /// # Panics
    /// If it remembered none.
    pub fn restore(&self) {
        assert!(self.shared.restore(), "there is no backup");
    }

    /// The number of its last change.
    #[must_use]
    pub fn number(&self) -> u64 {
        lock(&self.shared.state).number()
    }

    /// The number of the last change in an answer.
    #[must_use]
    pub fn last_answered(&self) -> u64 {
        let stats = lock(&self.shared.stats);
        stats.answered.back().map_or(0, |(number, _)| *number)
    }

    /// Waits until a change of this number, or a later one, was in an answer.
    ///
    /// # Panics
    /// If that takes longer than `patience`.
    pub fn await_answered(&self, number: u64, patience: Duration) {
        let stats = lock(&self.shared.stats);
        let behind = |stats: &mut server::Stats| {
            let last = stats.answered.back();
            last.is_none_or(|(answered, _)| *answered < number)
        };
        let waited = self
            .shared
            .answers
            .wait_timeout_while(stats, patience, behind);
        let (_stats, late) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!late.timed_out(), "change {number} isn't asked for");
    }

    /// Says these claims in place of all that it knew, and that nobody can ask
    /// for changes any more.
    ///
    /// # Panics
    /// If they have no prefix.
    pub fn begin_anew(&self, lines: &[Value]) {
        let mut state = lock(&self.shared.state);
        state.forget_all();
        state.say(lines).expect("claims that can be said");
        drop(state);
        self.shared.news.send_modify(|_number| {});
    }

    /// What was asked of it, by kind; see [`server::Stats`].
    #[must_use]
    pub fn stats(&self) -> server::Stats {
        lock(&self.shared.stats).clone()
    }

    /// Dies: nobody listens any more, and every connection breaks.
    ///
    /// # Panics
    /// If its thread panicked.
    pub fn kill(&mut self) {
        if let Some((stop, thread)) = self.stop.take() {
            // It may have ended by itself, which `join` tells.
            let _ended = stop.send(());
            thread.join().expect("the service didn't panic");
        }
    }

    /// Comes back with what it knew.
    ///
    /// # Panics
    /// If it can't listen.
    pub fn revive(&mut self) {
        self.kill();
        let shared = Arc::clone(&self.shared);
        let (address, namespace) = (self.address, self.namespace.clone());
        let (stop, stopped) = oneshot::channel();
        let (told, bound) = std::sync::mpsc::channel();
        let thread = thread::spawn(move || {
            if let Some(name) = namespace {
                crate::bed::netns::enter_by_name(&name);
            }
            let listener = TcpListener::bind(address).expect("the port is free");
            told.send(listener.local_addr().expect("it is bound"))
                .expect("it is waited for");
            server::run(listener, shared, stopped);
        });
        self.address = bound.recv().expect("the service listens");
        self.stop = Some((stop, thread));
    }

    /// Comes back without its memory.
    ///
    /// # Panics
    /// If it can't listen.
    pub fn revive_empty(&mut self) {
        self.kill();
        lock(&self.shared.state).forget_all();
        self.revive();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.stop.take() {
            let _ended = stop.send(());
            let _ended = thread.join();
        }
    }
}

/// A claim that blocks a prefix.
#[must_use]
pub fn block(prefix: &str) -> Value {
    json!({"prefix": prefix, "verdict": "block", "reason": "tok_badsig", "evidence": 3, "expires": null})
}

/// What is said where somebody might take it for more than it is.
pub const DISCLAIMER: &str =
    "reference verification service for tests and demonstrations: no product";

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

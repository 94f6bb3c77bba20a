//! The keys of an attestation: where they lie for those who check, and how they
//! are kept fresh.
//!
//! A set that was good stays until a better one is there: what can't be had, or
//! can't be used, changes nothing but what is said of it. A set of an address is
//! kept in the state folder, so that a restart needs nobody.

use std::{
    fmt, io,
    path::Path,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until, timeout_at},
};

use crate::{
    config::KeySource,
    store::reader::{READ_TIMEOUT, Reader},
    token::keys::{Encoding, KeySet},
};
use fetch::Fetcher;

mod fetch;

/// Where keys lie.
#[derive(Debug, Default)]
pub struct Shelf {
    keys: RwLock<Option<Arc<KeySet>>>,
    state: Mutex<State>,
    /// A token named a key that isn't here.
    others: Notify,
}

/// How it stands with keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Keys that are in use.
    pub count: usize,
    /// Unix time at which the set was last had from its source.
    pub fetched: Option<u64>,
    /// It is the copy of an earlier run.
    pub kept: bool,
    /// Why there is no newer one.
    pub error: Option<String>,
    /// What of the set can't be used.
    pub left_out: Vec<String>,
}

impl Shelf {
    /// The keys, if there are any yet.
    #[must_use]
    pub fn get(&self) -> Option<Arc<KeySet>> {
        self.keys
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// How it stands with them.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Puts a set there in place of what there was.
    pub fn put(&self, keys: KeySet, fetched: Option<u64>) {
        let state = State {
            count: keys.count(),
            fetched,
            kept: fetched.is_none(),
            error: None,
            left_out: keys.left_out().to_vec(),
        };
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(keys));
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// A token names a key that isn't here: there may be others by now.
    pub(super) fn ask_for_others(&self) {
        self.others.notify_one();
    }

    fn fault(&self, error: String) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.error = Some(error);
    }
}

/// Reads the text of an earlier run. It may block.
pub type Read = Box<dyn FnOnce() -> io::Result<Option<String>> + Send>;

/// Stores a text where it outlives a restart. It may block.
pub type Keep = Arc<dyn Fn(&str) -> io::Result<()> + Send + Sync>;

/// A copy of a set that outlives a restart. Where it lies is somebody else's
/// affair.
pub struct Copy {
    /// Reads the set of an earlier run, if there was one.
    pub read: Read,
    /// Stores another one.
    pub keep: Keep,
}

impl fmt::Debug for Copy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Copy").finish_non_exhaustive()
    }
}

/// Keeps keys fresh, for ever. `name` is the attestation's, `clock` tells Unix
/// time in seconds.
pub async fn follow(
    shelf: Arc<Shelf>,
    source: KeySource,
    name: String,
    copy: Copy,
    clock: fn() -> u64,
) {
    at_pace(Pace::USUAL, shelf, source, name, copy, clock).await;
}

async fn at_pace(
    pace: Pace,
    shelf: Arc<Shelf>,
    source: KeySource,
    name: String,
    copy: Copy,
    clock: fn() -> u64,
) {
    let follower = Follower {
        pace,
        shelf,
        name,
        keep: copy.keep,
        files: Reader::new(1),
        clock,
    };
    match source {
        KeySource::Url {
            url,
            ca_file,
            refresh,
        } => {
            let fetcher = Fetcher::new(url, ca_file);
            let text = follower.files.run(READ_TIMEOUT, copy.read).await;
            follower.take_copy(text);
            follower.address(fetcher, refresh).await;
        }
        KeySource::File(path) => follower.file(&path, KeySet::parse).await,
        KeySource::Secret { path, raw } => {
            let encoding = if raw { Encoding::Raw } else { Encoding::Base64 };
            follower
                .file(&path, |text| KeySet::secret(text, encoding))
                .await;
        }
    }
}

/// How often keys are looked for.
struct Pace {
    /// Between two tries where the first failed; each time twice as long.
    again: Duration,
    /// However many tokens ask for other keys.
    at_most_every: Duration,
    /// How often a file is looked at.
    look: Duration,
}

struct Follower {
    pace: Pace,
    shelf: Arc<Shelf>,
    name: String,
    keep: Keep,
    /// A thread for files: one that hangs is enough.
    files: Reader,
    clock: fn() -> u64,
}

impl Follower {
    async fn address(&self, mut fetcher: Fetcher, refresh: Duration) {
        let mut failures = 0;
        loop {
            let begun = Instant::now();
            let next = match fetcher.fetch().await {
                Ok(text) => self.take(text).await,
                Err(why) => Err(why),
            };
            let wait = match next {
                Ok(()) => {
                    failures = 0;
                    refresh
                }
                Err(why) => {
                    tracing::warn!(attestation = self.name, why, "no newer keys");
                    self.shelf.fault(why);
                    failures += 1;
                    refresh.min(self.pace.again * (1 << failures.min(7)))
                }
            };
            // Whoever sends tokens with keys of his own invention has the set
            // fetched, but not often.
            let soonest = begun + self.pace.at_most_every;
            let asked = timeout_at(begun + wait, self.shelf.others.notified()).await;
            if asked.is_ok() {
                sleep_until(soonest).await;
            }
        }
    }

    async fn take(&self, text: Vec<u8>) -> Result<(), String> {
        let keys = KeySet::parse(&text).map_err(|error| error.to_string())?;
        self.tell(&keys);
        self.shelf.put(keys, Some((self.clock)()));
        // What can't be kept is still in use.
        let keep = Arc::clone(&self.keep);
        let keeping = move || keep(&String::from_utf8_lossy(&text));
        if let Err(error) = self.files.run(READ_TIMEOUT, keeping).await {
            self.shelf.fault(format!(
                "the keys can't be kept in the state folder: {error}"
            ));
        }
        Ok(())
    }

    fn take_copy(&self, kept: io::Result<Option<String>>) {
        match kept {
            Ok(None) => {}
            Ok(Some(text)) => match KeySet::parse(text.as_bytes()) {
                Ok(keys) => {
                    self.tell(&keys);
                    self.shelf.put(keys, None);
                }
                Err(error) => {
                    tracing::warn!(attestation = self.name, %error, "the kept keys are of no use");
                }
            },
            Err(error) => {
                tracing::warn!(attestation = self.name, %error, "the kept keys can't be read");
            }
        }
    }

    async fn file(
        &self,
        path: &Path,
        parse: impl Fn(&[u8]) -> Result<KeySet, crate::token::keys::NoKeys>,
    ) {
        let mut last: Option<Result<Vec<u8>, String>> = None;
        loop {
            let read = self.read(path).await;
            if last.as_ref() != Some(&read) {
                let taken = read.clone().and_then(|text| {
                    let keys =
                        parse(&text).map_err(|error| format!("{}: {error}", path.display()))?;
                    self.tell(&keys);
                    self.shelf.put(keys, Some((self.clock)()));
                    Ok(())
                });
                if let Err(why) = taken {
                    tracing::warn!(attestation = self.name, why, "no keys, or no newer ones");
                    self.shelf.fault(why);
                }
                last = Some(read);
            }
            sleep(self.pace.look).await;
        }
    }

    async fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        let read = self.files.read(path.to_owned(), LARGEST, READ_TIMEOUT);
        let path = path.display();
        read.await.map_err(|error| match error.kind() {
            io::ErrorKind::FileTooLarge => {
                format!("{path} has more than 1 MiB: that is no key set")
            }
            _ => format!("{path} can't be read ({error}): write the keys there"),
        })
    }

    fn tell(&self, keys: &KeySet) {
        tracing::info!(
            attestation = self.name,
            keys = keys.count(),
            "keys are there"
        );
        for why in keys.left_out() {
            tracing::warn!(attestation = self.name, why, "a key is left out");
        }
    }
}

impl Pace {
    const USUAL: Self = Self {
        again: Duration::from_secs(1),
        at_most_every: Duration::from_secs(10),
        look: Duration::from_secs(1),
    };
}

/// Bytes of the largest set.
const LARGEST: u64 = 1 << 20;

#[cfg(test)]
mod tests;

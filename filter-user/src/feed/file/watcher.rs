//! Watching a file through the directories on the way to it, so that it may
//! come, go, be replaced, or stand behind symbolic links that change: each
//! directory in which a name on the way stands is watched for that name.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    ffi::{OsStr, OsString},
    future::poll_fn,
    io,
    os::unix::fs::MetadataExt,
    path::{Component, Path, PathBuf},
    pin::Pin,
    task::Poll,
};

use inotify::{EventMask, EventOwned, EventStream, Inotify, WatchDescriptor, WatchMask};
use tokio_stream::Stream;

/// Changes on the way to the file since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// The file was closed by a writer, or something was moved into its place.
    pub(super) read: bool,
    /// Something on the way is gone.
    pub(super) gone: bool,
    /// A directory on the way was made; what is in it may still be written.
    pub(super) settle: bool,
    /// Somebody changed who may read it.
    pub(super) eased: bool,
}

/// An inotify watch on every directory on the way to one file.
pub(super) struct Watcher {
    path: PathBuf,
    events: EventStream<Vec<u8>>,
    watched: HashMap<WatchDescriptor, Watched>,
}

/// A directory, and the names in it that are on the way.
#[derive(Debug, PartialEq, Eq)]
struct Watched {
    directory: PathBuf,
    names: HashSet<OsString>,
}

impl Watcher {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: std::path::absolute(path)?,
            events: Inotify::init()?.into_event_stream(vec![0; 4096])?,
            watched: HashMap::new(),
        })
    }

    /// Watches the way as it is now. `false` if a change of the file might not
    /// be seen.
    pub(super) fn arm(&mut self) -> bool {
        let mut steps = way(&self.path);
        // What changes after a watch is set is an event; before that it shows
        // in a second look.
        for _ in 0..TRIES {
            let sees = self.watch(&steps);
            let again = way(&self.path);
            if again == steps {
                return sees;
            }
            steps = again;
        }
        false
    }

    /// Waits for changes, and gives all that wait as one.
    pub(super) async fn next(&mut self) -> io::Result<Seen> {
        let mut seen = Seen::default();
        let mut any = false;
        loop {
            let next = poll_fn(
                |context| match Pin::new(&mut self.events).poll_next(context) {
                    // Everything that waits is one seen.
                    Poll::Pending if any => Poll::Ready(None),
                    next => next.map(Some),
                },
            );
            let Some(event) = next.await else {
                return Ok(seen);
            };
            let ended = || io::Error::from(io::ErrorKind::UnexpectedEof);
            self.note(&event.ok_or_else(ended)??, &mut seen);
            any = seen != Seen::default();
        }
    }

    fn watch(&mut self, steps: &[(PathBuf, OsString)]) -> bool {
        let mut watches = self.events.watches();
        let mut watched: HashMap<WatchDescriptor, Watched> = HashMap::new();
        let mut sees = false;
        for (directory, name) in steps {
            let descriptor = watches.add(directory, mask());
            sees = descriptor.is_ok();
            // What isn't readable on the way up changes hardly ever.
            let Ok(descriptor) = descriptor else { continue };
            let entry = watched.entry(descriptor).or_insert_with(|| Watched {
                directory: directory.clone(),
                names: HashSet::new(),
            });
            entry.names.insert(name.clone());
        }
        for (descriptor, _) in self.watched.drain() {
            if !watched.contains_key(&descriptor) {
                // It fails where the directory is gone, and the watch with it.
                let _gone = watches.remove(descriptor);
            }
        }
        self.watched = watched;
        sees
    }

    fn note(&self, event: &EventOwned, seen: &mut Seen) {
        if event.mask.contains(EventMask::Q_OVERFLOW) {
            seen.read = true;
        }
        let Some(watched) = self.watched.get(&event.wd) else {
            return;
        };
        let Some(name) = &event.name else {
            // The directory itself was removed or moved.
            seen.gone = true;
            return;
        };
        if !watched.names.contains(name) {
            return;
        }
        if event
            .mask
            .intersects(EventMask::CLOSE_WRITE | EventMask::MOVED_TO)
        {
            seen.read = true;
        }
        if event
            .mask
            .intersects(EventMask::DELETE | EventMask::MOVED_FROM)
        {
            seen.gone = true;
        }
        if event.mask.contains(EventMask::ATTRIB) {
            seen.eased = true;
        }
        if event.mask.contains(EventMask::CREATE) {
            self.made(&watched.directory, name, seen);
        }
    }

    /// A file that was just made will be closed, and is read then; a link is
    /// whole at once.
    fn made(&self, directory: &Path, name: &OsStr, seen: &mut Seen) {
        match directory.join(name).symlink_metadata() {
            Ok(made) if made.is_dir() => seen.settle = true,
            Ok(made) => seen.read |= made.is_symlink() || made.nlink() > 1,
            Err(_) => {}
        }
    }
}

/// The directories on the way to a file, and the name in each that leads on; as
/// far as there is a way.
fn way(path: &Path) -> Vec<(PathBuf, OsString)> {
    let names = |path: &Path| -> Vec<OsString> {
        path.components()
            .map(|name| name.as_os_str().to_owned())
            .collect()
    };
    let mut ahead: VecDeque<_> = names(path).into();
    let mut here = PathBuf::new();
    let mut steps = Vec::new();
    while let Some(name) = ahead.pop_front() {
        match Path::new(&name).components().next() {
            Some(Component::Normal(_)) => {}
            Some(Component::ParentDir) => {
                here.pop();
                continue;
            }
            Some(Component::RootDir) => {
                here = PathBuf::from("/");
                continue;
            }
            _ => continue,
        }
        steps.push((here.clone(), name.clone()));
        here.push(&name);
        match here.symlink_metadata() {
            Ok(link) if link.is_symlink() && steps.len() < STEPS => {
                let Ok(target) = here.read_link() else { break };
                here.pop();
                for name in names(&target).into_iter().rev() {
                    ahead.push_front(name);
                }
            }
            Ok(metadata) if metadata.is_dir() => {}
            _ => break,
        }
    }
    steps
}

fn mask() -> WatchMask {
    WatchMask::CLOSE_WRITE
        | WatchMask::MOVE
        | WatchMask::CREATE
        | WatchMask::DELETE
        | WatchMask::ATTRIB
        | WatchMask::DELETE_SELF
        | WatchMask::MOVE_SELF
        | WatchMask::ONLYDIR
}

/// Looks at a way that changes all the time.
const TRIES: u32 = 8;

/// Steps after which links lead in a circle.
const STEPS: usize = 256;

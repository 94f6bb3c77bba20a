//! The control socket's file: made so that only the right ones can open it,
//! never taken from a daemon that lives, removed when it is no longer served.

use std::{
    fs::{self, DirBuilder, File, Permissions},
    io,
    os::unix::{
        fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, chown},
        net,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, Mode, fchmod, flock},
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType},
};
use tokio::net::UnixListener;

/// What is wanted of a socket.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// Where it is to be.
    pub path: &'a Path,
    /// The key of the configuration that says so.
    pub key: &'static str,
    /// The mode of its folder, if there is none yet.
    pub folder_mode: u32,
    /// The group that may open it; `None`: the daemon's.
    pub group: Option<u32>,
}

/// A socket that is listened on. Its file goes when this does.
#[derive(Debug)]
pub struct ControlSocket {
    pub(super) listener: UnixListener,
    pub(super) file: SocketFile,
}

/// The file of a socket, removed on drop.
#[derive(Debug)]
pub struct SocketFile {
    pub(super) path: PathBuf,
    device: u64,
    inode: u64,
}

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another daemon has it.
    #[error("another weir daemon answers on {0}: stop it first, or give this one another {1}")]
    Taken(PathBuf, &'static str),
    /// It can't be told whether another daemon has it.
    #[error(
        "{path} can't be tried, so it stays: another weir daemon may answer on it, or it is another user's"
    )]
    Untried {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something else is there.
    #[error("{0} is no socket, so it isn't replaced: move it away, or set another {1}")]
    NotASocket(PathBuf, &'static str),
    /// The system refused.
    #[error("the socket {path} can't be made: {what}")]
    System {
        /// The socket.
        path: PathBuf,
        /// The step that failed.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl ControlSocket {
    /// What is listened on, and the file, for whoever keeps them apart.
    #[must_use]
    pub fn into_parts(self) -> (UnixListener, SocketFile) {
        (self.listener, self.file)
    }
}

/// Makes the control socket, mode 0660, and its folder, mode 0750, if there is
/// none. A socket that nobody listens on any more is replaced. Needs a tokio
/// runtime.
///
/// # Errors
/// If another daemon listens there, if something else is there, or if the
/// system refuses.
pub fn bind(path: &Path) -> Result<ControlSocket, Error> {
    bind_as(Wish {
        path,
        key: "daemon.control",
        folder_mode: FOLDER_MODE,
        group: None,
    })
}

/// The same for any socket of the daemon's.
///
/// # Errors
/// As [`bind`].
pub fn bind_as(wish: Wish<'_>) -> Result<ControlSocket, Error> {
    let path = wish.path;
    let system = |what| {
        move |source: io::Error| Error::System {
            path: path.to_owned(),
            what,
            source,
        }
    };
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    DirBuilder::new()
        .recursive(true)
        .mode(wish.folder_mode)
        .create(folder)
        .map_err(system("its folder can't be made"))?;
    // Two daemons that start at once would each see the other's half-made
    // socket as left behind. The lock goes when the folder is closed.
    let lock = File::open(folder).map_err(system("its folder can't be opened"))?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive)
        .map_err(io::Error::from)
        .map_err(system(
            "another program has locked its folder, maybe a daemon that starts too",
        ))?;
    make_way(path, wish.key)?;

    let listener = listen(path).map_err(system("the system refused it"))?;
    if wish.group.is_some() {
        chown(path, None, wish.group).map_err(system("it can't be given to its group"))?;
    }
    let meta = fs::symlink_metadata(path).map_err(system("it vanished at once"))?;
    let file = SocketFile {
        path: path.to_owned(),
        device: meta.dev(),
        inode: meta.ino(),
    };
    let listener = UnixListener::from_std(listener).map_err(system("it can't be waited on"))?;
    Ok(ControlSocket { listener, file })
}

/// Removes a socket that nobody listens on.
fn make_way(path: &Path, key: &'static str) -> Result<(), Error> {
    let untried = |source| Error::Untried {
        path: path.to_owned(),
        source,
    };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(untried(error)),
        Ok(meta) if !meta.file_type().is_socket() => {
            return Err(Error::NotASocket(path.to_owned(), key));
        }
        Ok(_) => {}
    }
    match net::UnixStream::connect(path) {
        Ok(_) => Err(Error::Taken(path.to_owned(), key)),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(untried)
        }
        Err(error) => Err(untried(error)),
    }
}

fn listen(path: &Path) -> io::Result<net::UnixListener> {
    let socket = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?;
    // Linux gives the file the mode that the socket has before it is bound, less
    // the umask: so there is no moment in which others could open it, and what
    // the umask took is given back.
    fchmod(&socket, Mode::from_raw_mode(SOCKET_MODE))?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE))?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

impl Drop for SocketFile {
    /// Only if it still is this socket's: another daemon may have come since.
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|meta| (meta.dev(), meta.ino()) == (self.device, self.inode));
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "the socket stays behind");
        }
    }
}

const FOLDER_MODE: u32 = 0o750;
const SOCKET_MODE: u32 = 0o660;
const BACKLOG: i32 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path)
            .expect("it is there")
            .permissions()
            .mode()
            & 0o777
    }

    #[tokio::test]
    async fn the_socket_and_its_folder_are_made_with_their_modes_and_the_socket_goes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("run/control.sock");
        let socket = bind(&path).expect("a socket");
        assert_eq!(mode(&path), 0o660);
        assert_eq!(mode(path.parent().expect("a folder")), 0o750);
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_socket_left_behind_is_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("control.sock");
        drop(net::UnixListener::bind(&path).expect("a socket"));
        assert!(path.exists(), "std leaves it behind");
        let _socket = bind(&path).expect("a socket");
        net::UnixStream::connect(&path).expect("somebody listens");
    }

    #[tokio::test]
    async fn a_socket_that_is_listened_on_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("control.sock");
        let _first = bind(&path).expect("a socket");
        let error = bind(&path).expect_err("it is taken");
        assert!(matches!(error, Error::Taken(..)), "{error:?}");
        assert!(
            error
                .to_string()
                .starts_with("another weir daemon answers on /")
        );
        net::UnixStream::connect(&path).expect("the first still listens");
    }

    #[tokio::test]
    async fn what_is_no_socket_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("control.sock");
        fs::write(&path, "precious").expect("a file");
        let error = bind(&path).expect_err("it is no socket");
        assert!(matches!(error, Error::NotASocket(..)), "{error:?}");
        assert_eq!(fs::read(&path).expect("it is there"), b"precious");
    }

    #[tokio::test]
    async fn the_file_of_a_later_daemon_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("control.sock");
        let first = bind(&path).expect("a socket");
        fs::rename(&path, folder.path().join("old")).expect("moved");
        let _second = bind(&path).expect("a socket");
        drop(first);
        net::UnixStream::connect(&path).expect("the second still listens");
    }

    #[tokio::test]
    async fn a_folder_that_another_start_has_locked_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let lock = File::open(folder.path()).expect("a folder");
        flock(&lock, FlockOperation::LockExclusive).expect("locked");
        let error = bind(&folder.path().join("control.sock")).expect_err("locked");
        assert!(matches!(error, Error::System { .. }), "{error:?}");
    }
}

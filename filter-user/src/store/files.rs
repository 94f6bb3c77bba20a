//! Reading a file that somebody named: a regular one, at once, and not too much.
//!
//! A FIFO keeps its opener waiting, a terminal or a tape does as it likes: anything
//! but a regular file is refused before it is opened. A file system that hangs still
//! hangs: see [`reader`](super::reader) for those who can't wait.

use std::{
    fs::{File, FileType, Metadata, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _},
    path::Path,
};

use rustix::fs::OFlags;

/// Something else than a regular file; it is inside of the [`io::Error`].
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("it is a {kind}, not a regular file")]
pub struct NotRegular {
    /// A FIFO, folder, device or socket.
    pub kind: &'static str,
}

impl NotRegular {
    /// Finds it in an error.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

/// Opens a regular file for reading, and gives what it is.
///
/// # Errors
/// If it can't be opened, or is anything else than a regular file.
pub fn open(path: &Path) -> io::Result<(File, Metadata)> {
    open_as(path, OpenOptions::new().read(true))
}

/// Opens a regular file in a certain way. The options may make one that isn't there.
///
/// # Errors
/// If it can't be opened, or is anything else than a regular file.
pub fn open_as(path: &Path, options: &mut OpenOptions) -> io::Result<(File, Metadata)> {
    // Opening a device may do something to it, so that a look comes first.
    match path.metadata() {
        Ok(metadata) => regular(&metadata)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    // Whatever stands there since then mustn't keep anybody waiting either.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = options
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    let metadata = file.metadata()?;
    regular(&metadata)?;
    Ok((file, metadata))
}

/// Reads a regular file of at most so many bytes.
///
/// # Errors
/// If it can't be read, is longer, or is anything else than a regular file.
pub fn read(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    let (file, metadata) = open(path)?;
    let length = metadata.len().min(max_bytes);
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 1);
    file.take(max_bytes.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has more than {max_bytes} bytes"),
        ));
    }
    Ok(bytes)
}

/// Reads a regular file of at most so many bytes, and of UTF-8.
///
/// # Errors
/// If it can't be read, is longer, isn't UTF-8, or isn't a regular file.
pub fn read_text(path: &Path, max_bytes: u64) -> io::Result<String> {
    String::from_utf8(read(path, max_bytes)?).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..at].iter().filter(|byte| **byte == b'\n');
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("line {} isn't UTF-8", line.count() + 1),
        )
    })
}

fn regular(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    let refused = NotRegular {
        kind: kind(metadata.file_type()),
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, refused))
}

fn kind(file: FileType) -> &'static str {
    if file.is_dir() {
        "folder"
    } else if file.is_fifo() {
        "FIFO"
    } else if file.is_socket() {
        "socket"
    } else {
        "device"
    }
}

/// Bytes that the configuration may have.
pub const MAX_CONFIG_BYTES: u64 = 16 << 20;

/// Bytes that a file with a token or a secret may have.
pub const MAX_TOKEN_BYTES: u64 = 8192;

/// Bytes that a file with authorities' certificates may have.
pub const MAX_PEM_BYTES: u64 = 16 << 20;

#[cfg(test)]
pub(crate) mod tests {
    use std::{fs, os::unix::net::UnixListener, path::PathBuf};

    use super::*;

    /// Makes a FIFO, which nobody writes to.
    pub(crate) fn fifo(path: &Path) {
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
        rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).expect("a FIFO");
    }

    #[test]
    fn only_a_regular_file_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fifo(&at("fifo"));
        let _socket = UnixListener::bind(at("socket")).expect("a socket");
        std::os::unix::fs::symlink(at("fifo"), at("link")).expect("a link");
        fs::write(at("long"), "12345").expect("written");
        fs::write(at("latin"), b"a\nb\n\xe9").expect("written");
        for (path, sentence) in [
            (at("fifo"), "it is a FIFO, not a regular file"),
            (at("link"), "it is a FIFO, not a regular file"),
            (at("socket"), "it is a socket, not a regular file"),
            (
                folder.path().to_owned(),
                "it is a folder, not a regular file",
            ),
            (
                PathBuf::from("/dev/zero"),
                "it is a device, not a regular file",
            ),
            (at("long"), "it has more than 4 bytes"),
            (at("none"), "No such file or directory (os error 2)"),
            (at("latin"), "it has more than 4 bytes"),
        ] {
            let error = read(&path, 4).expect_err("refused");
            assert_eq!(error.to_string(), sentence, "{}", path.display());
        }
        assert_eq!(read(&at("long"), 5).expect("read"), b"12345");
        let error = read_text(&at("latin"), 5).expect_err("refused");
        assert_eq!(error.to_string(), "line 3 isn't UTF-8");
    }
}

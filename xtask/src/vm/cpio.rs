//! Writing an archive that the kernel unpacks as its first file system: "newc",
//! as in the kernel's `Documentation/driver-api/early-userspace/buffer-format.rst`.
//!
//! Several of them one after the other are one, so that what all machines have is
//! written once.

use std::{collections::BTreeSet, io::Write, path::Path};

use anyhow::{Context as _, Result};

/// An archive that is being written.
pub(crate) struct Archive<W> {
    out: W,
    /// Folders that are in it.
    folders: BTreeSet<String>,
    entries: u32,
}

impl<W: Write> Archive<W> {
    pub(crate) const fn new(out: W) -> Self {
        Self {
            out,
            folders: BTreeSet::new(),
            entries: 0,
        }
    }

    /// Adds a folder, and those that it lies in.
    pub(crate) fn folder(&mut self, path: &str) -> Result<()> {
        let path = path.trim_matches('/');
        if path.is_empty() || self.folders.contains(path) {
            return Ok(());
        }
        if let Some((above, _)) = path.rsplit_once('/') {
            self.folder(above)?;
        }
        self.folders.insert(path.to_owned());
        self.entry(path, FOLDER, &[])
    }

    /// Adds a file that may be executed, and the folders that it lies in.
    pub(crate) fn file(&mut self, path: &str, content: &[u8]) -> Result<()> {
        let path = path.trim_matches('/');
        if let Some((above, _)) = path.rsplit_once('/') {
            self.folder(above)?;
        }
        self.entry(path, FILE, content)
    }

    /// Adds a file as it is on this machine.
    pub(crate) fn copy(&mut self, path: &str, from: &Path) -> Result<()> {
        let content = std::fs::read(from).with_context(|| format!("reading {}", from.display()))?;
        self.file(path, &content)
    }

    /// Ends it.
    pub(crate) fn finish(mut self) -> Result<W> {
        self.entry("TRAILER!!!", 0, &[])?;
        Ok(self.out)
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) -> Result<()> {
        self.entries += 1;
        let length = u32::try_from(content.len()).context("a file of more than 4 GB")?;
        let name = u32::try_from(path.len() + 1).context("an endless path")?;
        let mut header = String::from("070701");
        // Owner, group, time and devices: all of them zero.
        for number in [self.entries, mode, 0, 0, 1, 0, length, 0, 0, 0, 0, name, 0] {
            header += &format!("{number:08x}");
        }
        let head = [header.as_bytes(), path.as_bytes(), b"\0"].concat();
        for part in [&head, content] {
            self.out.write_all(part).context("writing an archive")?;
            let rest = part.len().next_multiple_of(4) - part.len();
            let padding = &[0; 4][..rest];
            self.out.write_all(padding).context("writing an archive")?;
        }
        Ok(())
    }
}

/// `S_IFDIR`, and who may what.
const FOLDER: u32 = 0o040_755;
/// `S_IFREG`, the same.
const FILE: u32 = 0o100_755;

#[cfg(test)]
mod tests {
    use super::*;

    /// The paths, modes and contents of an archive, as the kernel reads it.
    fn read(mut archive: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let mut entries = Vec::new();
        loop {
            assert_eq!(&archive[..6], b"070701");
            let field = |number: usize| {
                let digits = &archive[6 + 8 * number..][..8];
                let digits = std::str::from_utf8(digits).expect("digits");
                u32::from_str_radix(digits, 16).expect("digits")
            };
            let (mode, length, name) = (field(1), field(6) as usize, field(11) as usize);
            let path = String::from_utf8(archive[110..110 + name - 1].to_vec()).expect("UTF-8");
            assert_eq!(archive[110 + name - 1], 0, "a name ends with a zero");
            let start = (110 + name).next_multiple_of(4);
            let content = archive[start..start + length].to_vec();
            archive = &archive[(start + length).next_multiple_of(4)..];
            if path == "TRAILER!!!" {
                assert_eq!(archive, b"", "nothing comes after the end");
                return entries;
            }
            entries.push((path, mode, content));
        }
    }

    #[test]
    fn what_is_put_in_is_found_again_after_its_folders() {
        let mut archive = Archive::new(Vec::new());
        archive.file("/init", b"12345").expect("written");
        archive.file("/lib/a/b.so", b"").expect("written");
        archive.file("/lib/a/c.so", b"1234").expect("written");
        archive.folder("/proc").expect("written");
        let entries = read(&archive.finish().expect("written"));
        let paths: Vec<_> = entries.iter().map(|(path, ..)| path.as_str()).collect();
        assert_eq!(
            paths,
            ["init", "lib", "lib/a", "lib/a/b.so", "lib/a/c.so", "proc"]
        );
        let modes: Vec<_> = entries.iter().map(|(_, mode, _)| *mode).collect();
        assert_eq!(modes, [FILE, FOLDER, FOLDER, FILE, FILE, FOLDER]);
        assert_eq!(entries[0].2, b"12345");
        assert_eq!(entries[4].2, b"1234");
    }

    #[test]
    fn every_entry_begins_at_a_multiple_of_four() {
        for length in 0..9 {
            let mut archive = Archive::new(Vec::new());
            archive.file("a", &vec![7; length]).expect("written");
            let archive = archive.finish().expect("written");
            assert_eq!(archive.len() % 4, 0);
            assert_eq!(read(&archive)[0].2, vec![7; length]);
        }
    }
}

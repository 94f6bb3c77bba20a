//! Pins: what keeps the filter in force when the daemon is gone.
//!
//! Below an own folder of the BPF file system (0700): `v<layout>/links/`,
//! `maps/` and `programs/`. A pinned link is the filter on an interface: while
//! the file is there it filters, when the file goes it is off. That needs no
//! daemon, so this is also the emergency exit.

use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io::ErrorKind,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use filter_common::abi::LAYOUT;
use rustix::{
    fs::statfs,
    mount::{MountFlags, mount},
};

use super::kernel::Kernel;

/// The folder, held by one daemon at a time.
#[derive(Debug)]
pub struct Pins {
    root: PathBuf,
    /// Whoever holds this is the daemon. It ends with the process, however that
    /// ends.
    _lock: File,
}

impl Pins {
    /// Opens the folder, making it if need be. Where the BPF file system isn't
    /// mounted at its usual place, it is.
    ///
    /// # Errors
    /// If another daemon holds it, or it isn't in a BPF file system.
    pub fn open(root: &Path) -> Result<Self> {
        ensure_bpf_file_system(root)?;
        make(root)?;
        let lock = File::open(root).with_context(|| format!("opening {}", root.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!(
                "another weir daemon holds {}: stop it first, or give this one its own daemon.pins",
                root.display()
            ),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("locking {}", root.display()));
            }
        }
        let pins = Self {
            root: root.to_owned(),
            _lock: lock,
        };
        make(&pins.layout().join(LINKS))?;
        Ok(pins)
    }

    /// Where the link of an interface is pinned by this layout.
    #[must_use]
    pub fn link(&self, interface: &str) -> PathBuf {
        self.layout().join(LINKS).join(escaped(interface))
    }

    /// Where the link of an interface is pinned now, by whichever layout.
    ///
    /// # Errors
    /// If the folder can't be read.
    pub fn pinned_link(&self, interface: &str) -> Result<Option<PathBuf>> {
        let all = links(&self.root)?;
        let of_interface = all.into_iter().filter(|(name, _)| name == interface);
        Ok(of_interface.map(|(_, path)| path).next())
    }

    /// Where the program is pinned that an interface's link has, by whichever layout.
    ///
    /// # Errors
    /// If the folder can't be read.
    pub fn program_before(&self, interface: &str) -> Result<Option<PathBuf>> {
        let link = self.pinned_link(interface)?;
        let layout = link
            .as_deref()
            .and_then(Path::parent)
            .and_then(Path::parent);
        let program = layout.map(|layout| layout.join("programs").join("filter"));
        Ok(program.filter(|program| program.exists()))
    }

    /// Every interface that has a pinned link.
    ///
    /// # Errors
    /// If the folder can't be read.
    pub fn interfaces(&self) -> Result<Vec<String>> {
        Ok(links(&self.root)?
            .into_iter()
            .map(|(name, _)| name)
            .collect())
    }

    /// Where fresh maps are pinned before they are in force.
    ///
    /// # Errors
    /// If the folder can't be made empty.
    pub fn staging(&self) -> Result<PathBuf> {
        let staging = self.layout().join("maps-new");
        clear(&staging)?;
        make(&staging)?;
        Ok(staging)
    }

    /// What was staged is in force now: pins it under its name, and the
    /// programs, in the place of what was there.
    ///
    /// # Errors
    /// If the BPF file system refuses. The filter is in force all the same.
    pub fn settle(&self, kernel: &mut Kernel) -> Result<()> {
        let maps = self.layout().join("maps");
        clear(&maps)?;
        fs::rename(self.layout().join("maps-new"), &maps).context("renaming the pinned maps")?;
        let programs = self.layout().join("programs");
        clear(&programs)?;
        make(&programs)?;
        kernel.pin_programs(&programs)
    }

    /// Takes the filter off an interface. `false`: it wasn't on it.
    ///
    /// # Errors
    /// If the pin can't be removed.
    pub fn detach(&self, interface: &str) -> Result<bool> {
        Ok(!detach(&self.root, Some(interface))?.is_empty())
    }

    /// Layouts of other versions of weir that left links here.
    ///
    /// # Errors
    /// If the folder can't be read.
    pub fn other_layouts(&self) -> Result<Vec<String>> {
        let own = self.layout();
        let mut others: Vec<_> = links(&self.root)?
            .into_iter()
            .filter(|(_, path)| !path.starts_with(&own))
            .filter_map(|(_, path)| Some(layout_of(&path)?.to_owned()))
            .collect();
        others.sort();
        others.dedup();
        Ok(others)
    }

    fn layout(&self) -> PathBuf {
        self.root.join(format!("v{LAYOUT}"))
    }
}

/// Takes the filter off one interface or all, without a daemon, and gives the
/// interfaces that it was on.
///
/// # Errors
/// If a pin can't be removed.
pub fn detach(root: &Path, interface: Option<&str>) -> Result<Vec<String>> {
    let mut detached = Vec::new();
    for (name, path) in links(root)? {
        if interface.is_none_or(|wanted| wanted == name) {
            fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
            detached.push(name);
        }
    }
    detached.sort();
    detached.dedup();
    Ok(detached)
}

/// Every pinned link of every layout: the interface, and where. Those of this
/// layout come first.
fn links(root: &Path) -> Result<Vec<(String, PathBuf)>> {
    let own = format!("v{LAYOUT}");
    let mut layouts = entries(root)?;
    layouts.sort_by_key(|path| path.file_name().is_none_or(|name| name != own.as_str()));
    let mut links = Vec::new();
    for layout in layouts {
        for path in entries(&layout.join(LINKS))? {
            if let Some(name) = path.file_name().and_then(|name| name.to_str()) {
                links.push((unescaped(name), path));
            }
        }
    }
    Ok(links)
}

fn layout_of(link: &Path) -> Option<&str> {
    link.parent()?.parent()?.file_name()?.to_str()
}

/// What is in a folder; nothing if it isn't there.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = match fs::read_dir(folder) {
        Ok(read) => read,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => {
            return Err(error).with_context(|| format!("reading {}", folder.display()));
        }
    };
    read.map(|entry| {
        Ok(entry
            .with_context(|| format!("reading {}", folder.display()))?
            .path())
    })
    .collect()
}

fn clear(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("clearing {}", folder.display()))
        }
        _ => Ok(()),
    }
}

fn make(folder: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("making {}", folder.display()))
}

fn ensure_bpf_file_system(root: &Path) -> Result<()> {
    let existing = root.ancestors().find(|path| path.exists());
    let existing = existing.unwrap_or_else(|| Path::new("/"));
    if is_bpf(existing)? {
        return Ok(());
    }
    let usual = Path::new(USUAL);
    if root.starts_with(usual) && !is_bpf(usual)? {
        mount("bpf", usual, "bpf", MountFlags::empty(), None).with_context(|| {
            format!("no BPF file system is mounted: mount -t bpf bpf {USUAL} (weir may not)")
        })?;
        tracing::info!(path = USUAL, "mounted the BPF file system");
        return Ok(());
    }
    bail!(
        "daemon.pins is {}, which isn't in a BPF file system: take a folder below {USUAL}",
        root.display()
    )
}

fn is_bpf(path: &Path) -> Result<bool> {
    let found = statfs(path).with_context(|| format!("looking at {}", path.display()))?;
    Ok(found.f_type as u64 & 0xffff_ffff == BPF_FS_MAGIC)
}

/// The BPF file system keeps names with dots for itself, and interfaces may
/// have them.
fn escaped(interface: &str) -> String {
    interface.replace('%', "%25").replace('.', "%2e")
}

fn unescaped(name: &str) -> String {
    name.replace("%2e", ".").replace("%25", "%")
}

const LINKS: &str = "links";

const USUAL: &str = "/sys/fs/bpf";

/// `BPF_FS_MAGIC` of the kernel's magic.h.
const BPF_FS_MAGIC: u64 = 0xcafe_4a11;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_with_dots_have_names_without() {
        for name in ["eth0", "eth0.100", "a%2eb", "%25", "a.b.c"] {
            assert!(!escaped(name).contains('.'));
            assert_eq!(unescaped(&escaped(name)), name);
        }
    }

    #[test]
    fn links_of_all_layouts_are_found_and_own_ones_first() {
        let root = tempfile::tempdir().expect("a folder");
        for (layout, name) in [("v0", "eth0"), ("v9", "eth1%2e5"), ("v2", "eth0")] {
            let folder = root.path().join(layout).join(LINKS);
            fs::create_dir_all(&folder).expect("a folder");
            fs::write(folder.join(name), "").expect("a file");
        }
        let all = links(root.path()).expect("links");
        assert_eq!(all.len(), 3);
        assert_eq!(
            all[0],
            ("eth0".to_owned(), root.path().join("v2/links/eth0"))
        );
        assert_eq!(
            detach(root.path(), Some("eth0")).expect("detached"),
            ["eth0"]
        );
        assert_eq!(detach(root.path(), None).expect("detached"), ["eth1.5"]);
        assert_eq!(detach(root.path(), None).expect("detached"), [""; 0]);
        assert_eq!(
            detach(&root.path().join("missing"), None).expect("detached"),
            [""; 0]
        );
    }

    #[test]
    fn a_folder_elsewhere_is_refused() {
        let root = tempfile::tempdir().expect("a folder");
        let error = Pins::open(&root.path().join("weir")).expect_err("not a BPF file system");
        assert!(
            error.to_string().contains("isn't in a BPF file system"),
            "{error}"
        );
    }
}

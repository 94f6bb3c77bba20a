//! The modules of a kernel that the tests need, and those that these need.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

/// A module's name, and what is loaded.
pub(crate) type Module = (String, Vec<u8>);

/// The modules among the files of a kernel, each after those that it needs.
pub(crate) fn in_order(files: &[PathBuf]) -> Result<Vec<Module>> {
    let mut order = Vec::new();
    for wanted in WANTED {
        add(wanted, files, &mut order)?;
    }
    Ok(order)
}

/// Adds a module after those that it needs. One that isn't there is a part of
/// the kernel itself.
fn add(wanted: &str, files: &[PathBuf], order: &mut Vec<Module>) -> Result<()> {
    // `depends` says `_` where a file may say `-`.
    let module = |file: &Path| Some(name(file).split_once(".ko")?.0.replace('-', "_"));
    let is_there = order.iter().any(|(name, _)| name == wanted);
    let file = files
        .iter()
        .find(|file| module(file).as_deref() == Some(wanted));
    let Some(file) = file.filter(|_| !is_there) else {
        return Ok(());
    };
    let content = if file.extension().is_some_and(|end| end == "xz") {
        let xz = Command::new("xz")
            .args(["--decompress", "--stdout"])
            .arg(file)
            .output();
        let xz = xz.context("starting xz")?;
        if !xz.status.success() {
            bail!("{} can't be decompressed", file.display());
        }
        xz.stdout
    } else {
        fs::read(file).with_context(|| format!("reading {}", file.display()))?
    };
    for needed in needs(&content) {
        add(&needed, files, order)?;
    }
    order.push((wanted.to_owned(), content));
    Ok(())
}

/// The modules that a module needs, by its own `depends=`.
fn needs(module: &[u8]) -> Vec<String> {
    let mark = b"\0depends=";
    let Some(at) = module.windows(mark.len()).position(|bytes| bytes == mark) else {
        return Vec::new();
    };
    let rest = &module[at + mark.len()..];
    let end = rest.iter().position(|byte| *byte == 0).unwrap_or(0);
    String::from_utf8_lossy(&rest[..end])
        .split(',')
        .filter(|name| !name.is_empty())
        .map(|name| name.replace('-', "_"))
        .collect()
}

/// Every file with something in it, below a folder.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    for entry in entries {
        let entry = entry.context("reading a folder")?;
        let about = entry.metadata().context("reading a folder")?;
        if about.is_dir() {
            files.extend(self::files(&entry.path())?);
        } else if about.is_file() && about.len() > 0 {
            files.push(entry.path());
        }
    }
    Ok(files)
}

/// The last part of a path.
pub(crate) fn name(file: &Path) -> String {
    file.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// The kernel has some of them in itself.
const WANTED: [&str; 4] = ["virtio_pci", "virtio_net", "veth", "8021q"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_comes_after_those_that_it_needs_and_once() {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, needs) in [
            ("net-core", ""),
            ("8021q", "mrp,net_core"),
            ("mrp", "net-core"),
            ("veth", "net-core"),
        ] {
            let file = folder.path().join(format!("{name}.ko"));
            fs::write(file, format!("ELF\0depends={needs}\0")).expect("written");
        }
        let files = files(folder.path()).expect("a folder");
        let order = in_order(&files).expect("modules");
        let names: Vec<_> = order.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["net_core", "veth", "mrp", "8021q"]);
    }

    #[test]
    fn a_module_says_what_it_needs() {
        let module = b"\x7fELF..\0license=GPL\0depends=garp,net-failover\0name=8021q\0";
        assert_eq!(needs(module), ["garp", "net_failover"]);
        assert!(needs(b"..\0depends=\0name=veth\0").is_empty());
        assert!(needs(b"").is_empty());
    }
}

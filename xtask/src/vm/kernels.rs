//! Debian's cloud kernels: the newest of each series that the mirror has, its
//! image and the few modules that the tests need, unpacked into the target
//! folder. What is there already is used again.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};

use super::{mirror::Mirror, modules};
use crate::{setup, workspace};

/// A kernel in the target folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kernel {
    /// As `uname -r` has it, such as `6.1.0-56-cloud-amd64`.
    pub(crate) release: String,
    pub(crate) series: Series,
}

/// The first two numbers of a kernel.
pub(crate) type Series = (u64, u64);

impl Kernel {
    fn of(release: &str) -> Option<Self> {
        let key = key(release.strip_suffix(FLAVOUR)?);
        let (&[first, second], [_, ..]) = key.split_first_chunk()? else {
            return None;
        };
        Some(Self {
            release: release.to_owned(),
            series: (first, second),
        })
    }

    pub(crate) fn image(&self) -> PathBuf {
        folder().join(&self.release).join(IMAGE)
    }

    /// Its modules, each after those that it needs.
    pub(crate) fn modules(&self) -> Result<Vec<PathBuf>> {
        let folder = folder().join(&self.release).join(MODULES);
        let files =
            fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))?;
        let mut modules: Vec<_> = files.filter_map(|file| Some(file.ok()?.path())).collect();
        modules.sort();
        Ok(modules)
    }
}

/// A kernel for each version that was asked for, oldest first: a series such as
/// `6.1`, or [`NEWEST`].
pub(crate) fn find(versions: &[String]) -> Result<Vec<Kernel>> {
    let mut there = unpacked();
    let mut mirror = None;
    let mut found: Vec<Kernel> = Vec::new();
    for version in versions {
        let newest = folder().join(NEWEST);
        let known = if version == NEWEST {
            let release = fs::read_to_string(&newest).unwrap_or_default();
            there.iter().find(|kernel| kernel.release == release)
        } else {
            choose(&there, Some(series(version)?))
        };
        let kernel = if let Some(known) = known {
            known.clone()
        } else {
            let (mirror, all) = match &mut mirror {
                Some(open) => open,
                none => none.insert(look()?),
            };
            let wanted = (version != NEWEST).then(|| series(version)).transpose()?;
            let kernel = choose(all, wanted)
                .with_context(|| format!("the mirror has no cloud kernel {version}"))?;
            if !there.contains(kernel) {
                unpack(mirror, kernel)?;
                there.push(kernel.clone());
            }
            if version == NEWEST {
                fs::write(&newest, &kernel.release)
                    .with_context(|| format!("writing {}", newest.display()))?;
            }
            kernel.clone()
        };
        if !found.contains(&kernel) {
            found.push(kernel);
        }
    }
    found.sort_by_key(|kernel| key(&kernel.release));
    Ok(found)
}

/// The newest kernel, of a series if one is given.
fn choose(kernels: &[Kernel], series: Option<Series>) -> Option<&Kernel> {
    kernels
        .iter()
        .filter(|kernel| series.is_none_or(|series| kernel.series == series))
        .max_by_key(|kernel| key(&kernel.release))
}

/// All numbers in a version, for comparing.
fn key(version: &str) -> Vec<u64> {
    // The flavour's name has one, and it is the same for all.
    let version = version.strip_suffix(FLAVOUR).unwrap_or(version);
    version
        .split(|letter: char| !letter.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect()
}

fn series(version: &str) -> Result<Series> {
    let numbers = version.split_once('.');
    let numbers = numbers.and_then(|(one, two)| Some((one.parse().ok()?, two.parse().ok()?)));
    numbers.with_context(|| format!("{version} is no series of kernels: write 6.1, or {NEWEST}"))
}

fn unpacked() -> Vec<Kernel> {
    let folders = fs::read_dir(folder()).into_iter().flatten().flatten();
    folders
        .filter(|kernel| kernel.path().join(IMAGE).is_file())
        .filter_map(|kernel| Kernel::of(&kernel.file_name().to_string_lossy()))
        .collect()
}

/// Opens the mirror, and sees which kernels it has.
fn look() -> Result<(Mirror, Vec<Kernel>)> {
    setup::say("fetching the lists of Debian's kernels (12 MB, kept nowhere)");
    let mirror = Mirror::open(&SUITES.map(String::from))?;
    let kernels = released(&mirror.names(PACKAGE)?);
    Ok((mirror, kernels))
}

/// The kernels among packages' names. One without a third number is a candidate
/// for release, `-dbg` and `-unsigned` are other packages of the same kernel.
fn released(names: &[String]) -> Vec<Kernel> {
    names
        .iter()
        .filter_map(|name| Kernel::of(name.strip_prefix(PACKAGE)?))
        .collect()
}

/// Unpacks what is needed of a kernel.
fn unpack(mirror: &Mirror, kernel: &Kernel) -> Result<()> {
    let release = &kernel.release;
    let split = [
        format!("linux-binary-{release}"),
        format!("linux-modules-{release}"),
    ];
    // From 7.0 on the image's package only needs two others.
    let packages = if mirror.names(&split[0])?.contains(&split[0]) {
        split.to_vec()
    } else {
        vec![format!("{PACKAGE}{release}")]
    };
    setup::say(&format!(
        "unpacking the kernel {release} into the target folder (25 to 50 MB, 15 kept)"
    ));
    let whole = tempfile::TempDir::with_prefix_in("kernel-", workspace::tools())
        .context("making a folder for a kernel")?;
    mirror.unpack(&packages, whole.path())?;
    let files = modules::files(whole.path())?;
    let image = files
        .iter()
        .find(|file| modules::name(file).starts_with(IMAGE))
        .context("the package has no kernel in it")?;

    let new = folder().join(format!("{release}.new"));
    let made = fs::create_dir_all(new.join(MODULES));
    made.with_context(|| format!("making {}", new.display()))?;
    for (number, (name, content)) in modules::in_order(&files)?.iter().enumerate() {
        let file = new.join(MODULES).join(format!("{number:02}-{name}.ko"));
        fs::write(&file, content).with_context(|| format!("writing {}", file.display()))?;
    }
    fs::copy(image, new.join(IMAGE)).with_context(|| format!("copying {}", image.display()))?;
    fs::rename(&new, folder().join(release)).context("moving a kernel into place")
}

/// The folder of kernels.
fn folder() -> PathBuf {
    workspace::tools().join("kernels")
}

/// Asks for the newest kernel of all; and the file that remembers which it was.
pub(crate) const NEWEST: &str = "newest";

const PACKAGE: &str = "linux-image-";
const FLAVOUR: &str = "-cloud-amd64";
const IMAGE: &str = "vmlinuz";
const MODULES: &str = "modules";

/// The places at which Debian has kernels of the series from 6.1 on. Those of the stable suites
/// are also in security's, which are small.
const SUITES: [&str; 5] = [
    "bookworm-security",
    "bookworm-backports",
    "trixie-security",
    "trixie-backports",
    "sid",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn kernels() -> Vec<Kernel> {
        released(
            &[
                "linux-image-6.1.0-9-cloud-amd64",
                "linux-image-6.1.0-56-cloud-amd64",
                "linux-image-6.1.0-57-amd64",
                "linux-image-6.1.0-57-cloud-amd64-dbg",
                "linux-image-6.1.0-57-cloud-amd64-unsigned",
                "linux-image-6.12.90+deb13-cloud-amd64",
                "linux-image-6.12.90+deb13.1-cloud-amd64",
                "linux-image-6.12.117+deb12-cloud-amd64",
                "linux-image-7.3.4+deb13-cloud-amd64",
                "linux-image-7.4-cloud-amd64",
                "linux-image-cloud-amd64",
            ]
            .map(String::from),
        )
    }

    #[test]
    fn of_a_series_the_newest_is_chosen() {
        let kernels = kernels();
        let chosen = |series| choose(&kernels, series).map(|kernel| kernel.release.as_str());
        assert_eq!(chosen(Some((6, 1))), Some("6.1.0-56-cloud-amd64"));
        assert_eq!(chosen(Some((6, 12))), Some("6.12.117+deb12-cloud-amd64"));
        assert_eq!(chosen(Some((6, 2))), None);
        assert_eq!(chosen(None), Some("7.3.4+deb13-cloud-amd64"));
    }

    #[test]
    fn candidates_for_release_and_other_packages_of_a_kernel_arent_chosen() {
        assert_eq!(kernels().len(), 6);
    }

    #[test]
    fn a_series_is_two_numbers() {
        assert_eq!(series("6.12").expect("one"), (6, 12));
        for wrong in ["6", "6.x", "6.1.3", "new", ""] {
            series(wrong).expect_err("none");
        }
    }
}

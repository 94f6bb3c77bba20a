//! Whether the kernel and this process are up to it.

use std::{fmt, io, path::Path};

/// What this process must be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// `CAP_NET_ADMIN`: attach to interfaces.
    NetAdmin = 12,
    /// `CAP_PERFMON`: without it the verifier refuses the walk through headers.
    Perfmon = 38,
    /// `CAP_BPF`: load programs and make maps.
    Bpf = 39,
}

impl Capability {
    const ALL: [Self; 3] = [Self::Bpf, Self::NetAdmin, Self::Perfmon];

    /// As it is spelled in capabilities(7).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NetAdmin => "CAP_NET_ADMIN",
            Self::Perfmon => "CAP_PERFMON",
            Self::Bpf => "CAP_BPF",
        }
    }

    /// `CAP_SYS_ADMIN` holds what BPF and PERFMON were split from.
    const fn is_in(self, effective: u64) -> bool {
        let by_admin = matches!(self, Self::Bpf | Self::Perfmon);
        effective & 1 << self as u64 != 0 || (by_admin && effective & 1 << SYS_ADMIN != 0)
    }
}

/// Capabilities that this process lacks; at least one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Missing(Vec<Capability>);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(|one| one.name()).collect();
        write!(
            f,
            "this process lacks {}: run weir as root, or give it AmbientCapabilities={} in its unit",
            names.join(" and "),
            Capability::ALL.map(Capability::name).join(" ")
        )
    }
}

impl Missing {
    /// Which.
    #[must_use]
    pub fn capabilities(&self) -> &[Capability] {
        &self.0
    }
}

/// A kernel that can't run the filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// Before 6.1.
    #[error(
        "kernel {0} is too old: exact rates need compare-and-swap in BPF (5.12), and weir is tested from 6.1 on; install a kernel of 6.1 or later"
    )]
    TooOld(String),
    /// Not a version of Linux.
    #[error("{0:?} is no release of a Linux kernel: weir runs on Linux 6.1 or later")]
    NotARelease(String),
}

/// The capabilities that this process lacks, by `/proc/self/status`.
///
/// # Errors
/// If it can't be read.
pub fn capabilities(root: &Path) -> io::Result<Result<(), Missing>> {
    let status = std::fs::read_to_string(root.join("proc/self/status"))?;
    Ok(missing(&status))
}

/// The release of the running kernel.
#[must_use]
pub fn release() -> String {
    rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned()
}

/// Whether a kernel of this release can run the filter.
///
/// # Errors
/// If it is older than 6.1, or no release.
pub fn supported(release: &str) -> Result<(), Unsupported> {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|number| number.parse::<u32>().ok());
    let (Some(Some(major)), Some(Some(minor))) = (numbers.next(), numbers.next()) else {
        return Err(Unsupported::NotARelease(release.to_owned()));
    };
    if (major, minor) < (6, 1) {
        return Err(Unsupported::TooOld(release.to_owned()));
    }
    Ok(())
}

/// A status that doesn't say what is effective has nothing.
fn missing(status: &str) -> Result<(), Missing> {
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|word| u64::from_str_radix(word.trim(), 16).ok())
        .unwrap_or(0);
    let missing: Vec<_> = Capability::ALL
        .into_iter()
        .filter(|one| !one.is_in(effective))
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Missing(missing))
    }
}

/// `CAP_SYS_ADMIN`
const SYS_ADMIN: u64 = 21;

/// Whether this process sees the kernel's own clock of the time since boot, by which the
/// kernel ends verdicts: in a time namespace it may not (time_namespaces(7)).
///
/// # Errors
/// If the clock has an offset.
pub fn same_clock(root: &Path) -> Result<(), OtherClock> {
    // A kernel without time namespaces has no such file.
    let Ok(text) = std::fs::read_to_string(root.join("proc/self/timens_offsets")) else {
        return Ok(());
    };
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let is_boot = words
            .next()
            .is_some_and(|clock| clock == "boottime" || clock == "7");
        if is_boot && words.any(|number| number != "0") {
            return Err(OtherClock(line.to_owned()));
        }
    }
    Ok(())
}

/// The clock of the time since boot isn't the kernel's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this process is in a time namespace ({0:?}), so that verdicts would end at another time than the kernel's: start weir outside of it"
)]
pub struct OtherClock(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_with_an_offset_is_another_one() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("proc/self");
        std::fs::create_dir_all(&folder).expect("a folder");
        same_clock(root.path()).expect("no namespaces");
        let own = "monotonic           0         0\nboottime            0         0\n";
        for (text, is_same) in [
            (own.to_owned(), true),
            (
                own.replace("boottime            0", "boottime       -86400"),
                false,
            ),
            (
                own.replace("boottime            0         0", "boottime 0 5"),
                false,
            ),
            (
                own.replace("monotonic           0", "monotonic          7"),
                true,
            ),
        ] {
            std::fs::write(folder.join("timens_offsets"), &text).expect("written");
            assert_eq!(same_clock(root.path()).is_ok(), is_same, "{text}");
        }
        same_clock(Path::new("/")).expect("this host's");
    }

    #[test]
    fn what_is_missing_is_named() {
        let status = |word: u64| format!("Name:\tweir\nCapPrm:\tffff\nCapEff:\t{word:016x}\n");
        let (admin, perfmon, bpf) = (1 << 12, 1 << 38, 1 << 39);
        for (word, lacks) in [
            (admin | perfmon | bpf, &[][..]),
            (u64::MAX, &[]),
            (admin | 1 << SYS_ADMIN, &[]),
            (1 << SYS_ADMIN, &[Capability::NetAdmin]),
            (admin | bpf, &[Capability::Perfmon]),
            (0, &Capability::ALL),
        ] {
            let missing = missing(&status(word))
                .err()
                .map_or(vec![], |missing| missing.0);
            assert_eq!(missing, lacks, "{word:x}");
        }
        assert_eq!(missing("").expect_err("nothing").capabilities().len(), 3);
        let sentence = missing(&status(admin)).expect_err("two").to_string();
        assert_eq!(
            sentence,
            "this process lacks CAP_BPF and CAP_PERFMON: run weir as root, or give it AmbientCapabilities=CAP_BPF CAP_NET_ADMIN CAP_PERFMON in its unit"
        );
        let _either = capabilities(Path::new("/")).expect("this process can be read");
    }

    #[test]
    fn kernels_from_6_1_on_are_supported() {
        for release in ["6.1.0-13-amd64", "6.1", "6.18.15", "7.0-rc1", "10.0.0"] {
            assert_eq!(supported(release), Ok(()), "{release}");
        }
        for release in ["6.0.19", "5.15.0-91-generic", "4.19", "5.10.0"] {
            let sentence = supported(release).expect_err(release).to_string();
            assert!(sentence.starts_with(&format!("kernel {release} is too old: ")));
        }
        for release in ["", "6", "linux", "6.x", "-6.1"] {
            assert!(matches!(
                supported(release),
                Err(Unsupported::NotARelease(_))
            ));
        }
        assert_ne!(release(), "");
    }
}

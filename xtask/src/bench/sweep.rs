//! Takes away what a bench left that couldn't do so itself: namespaces, pins
//! and its folder. All of them bear the number of its process.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Removes what benches left that aren't running any more.
pub(super) fn left() {
    for pid in things()
        .into_iter()
        .map(|(pid, _)| pid)
        .collect::<BTreeSet<_>>()
    {
        let name = fs::read_to_string(format!("/proc/{pid}/comm"));
        if !name.is_ok_and(|name| name.trim() == "bench") {
            eprintln!("bench: taking away what the bench of process {pid} left behind");
            of(pid);
        }
    }
}

/// Removes what the bench of this process left.
pub(super) fn of(pid: u32) {
    for (_, thing) in things().into_iter().filter(|(of, _)| *of == pid) {
        let removed = if thing.starts_with(NAMESPACES) {
            let name = thing.file_name().unwrap_or_default();
            Command::new("ip")
                .args(["netns", "del"])
                .arg(name)
                .status()
                .is_ok_and(|status| status.success())
        } else {
            fs::remove_dir_all(&thing).is_ok()
        };
        if !removed {
            eprintln!("bench: {} couldn't be removed", thing.display());
        }
    }
}

/// Everything whose name is that of a bench's thing, and whose.
fn things() -> Vec<(u32, PathBuf)> {
    [NAMESPACES.into(), BPF.into(), env::temp_dir()]
        .into_iter()
        .filter_map(|folder: PathBuf| fs::read_dir(folder).ok())
        .flat_map(|entries| entries.flatten())
        .filter_map(|entry| Some((owner(&entry.path())?, entry.path())))
        .collect()
}

fn owner(thing: &Path) -> Option<u32> {
    let name = thing.file_name()?.to_str()?.strip_prefix(PREFIX)?;
    name.split('-').next()?.parse().ok()
}

const PREFIX: &str = "weir-bench-";
const NAMESPACES: &str = "/run/netns";
const BPF: &str = "/sys/fs/bpf";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_tells_whose_it_is() {
        let owner = |path: &str| owner(Path::new(path));
        assert_eq!(owner("/run/netns/weir-bench-412-edge"), Some(412));
        assert_eq!(owner("/sys/fs/bpf/weir-bench-412"), Some(412));
        assert_eq!(owner("/tmp/weir-bench-412-Ab3"), Some(412));
        assert_eq!(owner("/tmp/weir-bench-x"), None);
        assert_eq!(owner("/tmp/weir-demo-412"), None);
    }
}

//! The network interfaces there are.

use std::{fs, io, path::Path};

/// An interface that isn't there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no interface {name}: there {}", those(.present))]
pub struct NoInterface {
    name: String,
    present: Vec<String>,
}

/// The names of all interfaces of this process's network namespace, in order.
///
/// From `/proc/net/dev`: `/sys/class/net` shows the namespace in which it was
/// mounted, which may be another one.
///
/// # Errors
/// If it can't be read.
pub fn interfaces(root: &Path) -> io::Result<Vec<String>> {
    let text = fs::read_to_string(root.join("proc/net/dev"))?;
    // Two lines of headings, then `name: counters` each.
    let named = text
        .lines()
        .skip(2)
        .filter_map(|line| line.rsplit_once(": "));
    let mut names: Vec<_> = named.map(|(name, _)| name.trim().to_owned()).collect();
    names.sort_unstable();
    Ok(names)
}

/// Whether an interface is one of these.
///
/// # Errors
/// If it isn't; the sentence names those that are.
pub fn exists(name: &str, present: &[String]) -> Result<(), NoInterface> {
    if present.iter().any(|one| one == name) {
        return Ok(());
    }
    Err(NoInterface {
        name: name.to_owned(),
        present: present.to_vec(),
    })
}

fn those(names: &[String]) -> String {
    match names {
        [] => "are none".to_owned(),
        [one] => format!("is only {one}"),
        many => format!("are {}", many.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_interface_is_told_with_those_there_are() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("proc/net");
        fs::create_dir_all(&folder).expect("the folder is made");
        let table = "Inter-|   Receive\n face |bytes\n    lo: 1 2\n  eth0: 98765 4\n";
        fs::write(folder.join("dev"), table).expect("written");
        let present = interfaces(root.path()).expect("readable");
        assert_eq!(present, ["eth0", "lo"]);
        assert_eq!(exists("lo", &present), Ok(()));
        for (present, sentence) in [
            (
                &present[..],
                "there is no interface eth7: there are eth0, lo",
            ),
            (
                &present[1..],
                "there is no interface eth7: there is only lo",
            ),
            (&[], "there is no interface eth7: there are none"),
        ] {
            let refused = exists("eth7", present).expect_err("it isn't there");
            assert_eq!(refused.to_string(), sentence);
        }
        let here = interfaces(Path::new("/")).expect("this host can be read");
        assert_eq!(exists("lo", &here), Ok(()));
    }
}

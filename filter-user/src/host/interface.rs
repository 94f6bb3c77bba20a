//! The network interfaces there are.

use std::{io, path::Path};

/// An interface that isn't there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no interface {name}: there {}", those(.present))]
pub struct NoInterface {
    name: String,
    present: Vec<String>,
}

/// The names of all interfaces, in order.
///
/// # Errors
/// If `/sys/class/net` can't be read.
pub fn interfaces(root: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in root.join("sys/class/net").read_dir()? {
        let entry = entry?;
        // `bonding_masters` is a file; one that vanishes meanwhile is none.
        if entry.path().is_dir() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
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
        let folder = root.path().join("sys/class/net");
        for name in ["lo", "eth0"] {
            std::fs::create_dir_all(folder.join(name)).expect("the folder is made");
        }
        std::fs::write(folder.join("bonding_masters"), "").expect("written");
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

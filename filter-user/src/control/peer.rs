//! Who may speak to the daemon.
//!
//! The socket's file mode is the first door; this is the second, for the day on
//! which somebody opens the first too wide.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use tokio::net::unix::UCred;

/// Who is at the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
    /// The groups it is also in.
    pub groups: Vec<u32>,
    /// Its process, where it can be seen from here.
    pub pid: Option<i32>,
}

/// Who is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The daemon's own user. (Root always is let in.)
    pub uid: u32,
    /// The socket's group.
    pub gid: u32,
}

impl Rules {
    /// The daemon's user, and the group that the socket has now.
    ///
    /// # Errors
    /// If nothing can be said of the socket.
    pub fn of(socket: &Path) -> io::Result<Self> {
        Ok(Self {
            uid: rustix::process::geteuid().as_raw(),
            gid: fs::symlink_metadata(socket)?.gid(),
        })
    }

    /// Whether this peer is let in.
    #[must_use]
    pub fn admits(&self, peer: &Peer) -> bool {
        peer.uid == ROOT
            || peer.uid == self.uid
            || peer.gid == self.gid
            || peer.groups.contains(&self.gid)
    }
}

impl From<UCred> for Peer {
    /// The kernel's word on the connection. It doesn't name the further groups
    /// of a user, by which operators usually are let in: those are read of the
    /// process.
    fn from(peer: UCred) -> Self {
        let groups = peer
            .pid()
            .and_then(|pid| fs::read_to_string(format!("/proc/{pid}/status")).ok())
            .map(|status| groups(&status, peer.uid()))
            .unwrap_or_default();
        Self {
            uid: peer.uid(),
            gid: peer.gid(),
            groups,
            pid: peer.pid(),
        }
    }
}

/// The groups in `/proc/PID/status`, if that process still is this user's.
fn groups(status: &str, uid: u32) -> Vec<u32> {
    let numbers = |key: &str| -> Vec<u32> {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        let words = line.unwrap_or_default().split_ascii_whitespace();
        words.filter_map(|word| word.parse().ok()).collect()
    };
    // Real, effective, saved and file system's.
    if numbers("Uid:").get(1) == Some(&uid) {
        numbers("Groups:")
    } else {
        Vec::new()
    }
}

const ROOT: u32 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules { uid: 900, gid: 950 };

    fn peer(uid: u32, gid: u32, groups: &[u32]) -> Peer {
        Peer {
            uid,
            gid,
            groups: groups.to_vec(),
            pid: None,
        }
    }

    #[test]
    fn root_the_daemon_itself_and_its_group_are_let_in() {
        assert!(RULES.admits(&peer(0, 0, &[])));
        assert!(RULES.admits(&peer(900, 1, &[])));
        assert!(RULES.admits(&peer(1000, 950, &[])));
        assert!(RULES.admits(&peer(1000, 1000, &[27, 950])));
    }

    #[test]
    fn nobody_else_is_let_in() {
        assert!(!RULES.admits(&peer(1000, 1000, &[])));
        assert!(!RULES.admits(&peer(950, 900, &[0, 900])));
        assert!(!RULES.admits(&peer(1000, 0, &[0])));
    }

    #[test]
    fn groups_are_read_of_the_same_users_process_only() {
        let status =
            "Name:\tweir\nUid:\t1000\t1000\t1000\t1000\nGid:\t5\t5\t5\t5\nGroups:\t27 950 \n";
        assert_eq!(groups(status, 1000), [27, 950]);
        assert_eq!(groups(status, 1001), [0_u32; 0]);
        assert_eq!(groups("", 1000), [0_u32; 0]);
    }
}

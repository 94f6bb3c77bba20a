//! What weir needs to know of the host: who the operator is logged in from,
//! whom the host can't do without, what time it is, whether the kernel and this
//! process are up to it, and what this process takes.
//!
//! What reads takes the root of the file system, `/` or a test's folder; what
//! parses is pure.

pub mod clock;
pub mod fitness;
pub mod interface;
pub mod process;
pub mod route;
mod session;
mod socket;

use std::{collections::BTreeSet, io, path::Path};

use filter_common::source::Address;

/// The peers of the operator's SSH sessions: hosts from which somebody logged in
/// and that have a connection to one of these local TCP ports. A connection
/// alone never counts: nobody has proved anything on it.
///
/// # Errors
/// If what is there can't be read. What isn't there says nothing.
pub fn ssh_peers(root: &Path, ports: &[u16]) -> io::Result<Vec<Address>> {
    let users: BTreeSet<_> = session::peers(root)?.into_iter().collect();
    // The lists of connections are long where there is much to protect.
    if users.is_empty() || ports.is_empty() {
        return Ok(Vec::new());
    }
    let connected = socket::peers(root, ports)?;
    Ok(users.intersection(&connected).copied().collect())
}

/// What a file holds, or nothing where there is none.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read,
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::prefix::address;

    fn of(text: &str) -> Address {
        address(text.parse::<IpAddr>().expect(text))
    }

    struct Host(tempfile::TempDir);

    impl Host {
        fn new() -> Self {
            Self(tempfile::tempdir().expect("a folder"))
        }

        fn with(self, path: &str, content: impl AsRef<[u8]>) -> Self {
            let path = self.0.path().join(path);
            let folder = path.parent().expect("it lies in the root");
            std::fs::create_dir_all(folder).expect("the folder is made");
            std::fs::write(path, content).expect("the file is written");
            self
        }

        fn peers(&self) -> Vec<Address> {
            ssh_peers(self.0.path(), &[22]).expect("readable")
        }
    }

    fn connections(lines: &[&str]) -> String {
        let mut text = "  sl  local_address rem_address   st\n".to_owned();
        for line in lines {
            text += &format!("   0: {line} 00000000:00000000 00:00000000\n");
        }
        text
    }

    /// From 192.0.2.7 to port 22.
    fn connected() -> String {
        connections(&[&socket::tests::line([192, 0, 2, 7], 22, "01")])
    }

    #[test]
    fn a_session_with_a_connection_is_a_peer() {
        let host = Host::new()
            .with("proc/net/tcp", connected())
            .with("run/utmp", session::tests::record(7, [192, 0, 2, 7]));
        assert_eq!(host.peers(), [of("192.0.2.7")]);

        let host = Host::new().with("proc/net/tcp", connected()).with(
            "run/systemd/sessions/3",
            "STATE=active\nREMOTE_HOST=192.0.2.7\nSERVICE=sshd\n",
        );
        assert_eq!(host.peers(), [of("192.0.2.7")]);
    }

    #[test]
    fn a_connection_without_a_session_is_no_peer() {
        let host = Host::new().with("proc/net/tcp", connected());
        assert_eq!(host.peers(), []);
        let host = host.with("run/utmp", session::tests::record(7, [192, 0, 2, 8]));
        assert_eq!(host.peers(), []);
        let before_login = session::tests::record(6, [192, 0, 2, 7]);
        assert_eq!(host.with("run/utmp", before_login).peers(), []);
    }

    #[test]
    fn a_session_without_a_connection_is_no_peer() {
        let session = session::tests::record(7, [192, 0, 2, 7]);
        let host = Host::new().with("run/utmp", &session);
        assert_eq!(host.peers(), []);
        for (port, state) in [(443, "01"), (22, "06"), (22, "03")] {
            let line = socket::tests::line([192, 0, 2, 7], port, state);
            let host = Host::new()
                .with("run/utmp", &session)
                .with("proc/net/tcp", connections(&[&line]));
            assert_eq!(host.peers(), [], "port {port}, state {state}");
        }
    }

    #[test]
    fn a_host_without_sessions_has_no_peers() {
        assert_eq!(Host::new().peers(), []);
        ssh_peers(Path::new("/"), &[22]).expect("this host can be read");
    }
}

//! Who is logged in, and from where: utmp and systemd's sessions.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
};

use filter_common::source::Address;

use super::read;
use crate::prefix::address;

/// The hosts that somebody is logged in from.
pub(super) fn peers(root: &Path) -> io::Result<Vec<Address>> {
    let mut peers: Vec<_> = utmp(&read(&root.join("run/utmp"))?).collect();
    let sessions = match root.join("run/systemd/sessions").read_dir() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(peers),
        sessions => sessions?,
    };
    for session in sessions {
        let session = session?;
        // Beside each session stands a pipe that would never be read to its end.
        if session.file_type()?.is_file() {
            let text = read(&session.path())?;
            peers.extend(systemd(&String::from_utf8_lossy(&text)));
        }
    }
    Ok(peers)
}

/// The hosts in a utmp file. See utmp(5) and `struct utmp` in glibc: it is the
/// same on every 64-bit system with glibc.
fn utmp(bytes: &[u8]) -> impl Iterator<Item = Address> {
    bytes.chunks_exact(RECORD).filter_map(|record| {
        let kind = i16::from_ne_bytes(record[..2].try_into().expect("two bytes"));
        if kind != USER_PROCESS {
            return None;
        }
        let bytes: [u8; 16] = record[ADDRESS..ADDRESS + 16]
            .try_into()
            .expect("sixteen bytes");
        let (first, rest) = bytes.split_at(4);
        let ip: IpAddr = if rest.iter().all(|byte| *byte == 0) {
            let first: [u8; 4] = first.try_into().expect("four bytes");
            Ipv4Addr::from(first).into()
        } else {
            Ipv6Addr::from(bytes).into()
        };
        (!ip.is_unspecified()).then(|| address(ip))
    })
}

/// The host in a file of `/run/systemd/sessions`, if it is of a session that
/// lasts and that the SSH server opened.
fn systemd(text: &str) -> Option<Address> {
    let value = |key: &str| {
        let of = |line: &'_ str| {
            let rest = line.strip_prefix(key)?.strip_prefix('=')?;
            Some(rest.trim_matches('"').to_owned())
        };
        text.lines().find_map(of)
    };
    let lasts = matches!(value("STATE")?.as_str(), "active" | "online");
    if !lasts || value("SERVICE")? != "sshd" {
        return None;
    }
    let host = value("REMOTE_HOST")?;
    // A link-local address may name its interface.
    let host = host.split('%').next()?;
    host.parse().ok().map(address)
}

/// Bytes of a `struct utmp`.
const RECORD: usize = 384;

/// Where `ut_addr_v6` stands in it.
const ADDRESS: usize = 348;

/// `ut_type` of somebody who is logged in. A login that isn't complete is
/// `LOGIN_PROCESS`, 6.
const USER_PROCESS: i16 = 7;

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A record of utmp.
    pub(in crate::host) fn record(kind: i16, ip: [u8; 4]) -> Vec<u8> {
        let mut record = vec![0xff; RECORD];
        record[..2].copy_from_slice(&kind.to_ne_bytes());
        record[ADDRESS..ADDRESS + 16].fill(0);
        record[ADDRESS..ADDRESS + 4].copy_from_slice(&ip);
        record
    }

    fn of(text: &str) -> Address {
        address(text.parse().expect(text))
    }

    #[test]
    fn utmp_holds_users_of_either_family() {
        let mut six = record(7, [0; 4]);
        let ip: Ipv6Addr = "2001:db8::7".parse().expect("an address");
        six[ADDRESS..ADDRESS + 16].copy_from_slice(&ip.octets());
        let bytes = [
            record(7, [192, 0, 2, 7]),
            record(8, [192, 0, 2, 8]),
            record(7, [0; 4]),
            six,
            vec![7; 100],
        ]
        .concat();
        let peers: Vec<_> = utmp(&bytes).collect();
        assert_eq!(peers, [of("192.0.2.7"), of("2001:db8::7")]);
    }

    #[test]
    fn a_systemd_session_counts_while_it_lasts() {
        let session = |state: &str, service: &str, host: &str| {
            format!(
                "# This is private data. Do not parse.\nUID=1000\nACTIVE=1\nSTATE={state}\nREMOTE=1\nREMOTE_HOST={host}\nSERVICE={service}\n"
            )
        };
        for (state, service, host, meant) in [
            ("active", "sshd", "192.0.2.7", Some("192.0.2.7")),
            ("online", "sshd", "2001:db8::7", Some("2001:db8::7")),
            ("online", "sshd", "::ffff:192.0.2.7", Some("192.0.2.7")),
            ("active", "sshd", "fe80::1%eth0", Some("fe80::1")),
            ("closing", "sshd", "192.0.2.7", None),
            ("opening", "sshd", "192.0.2.7", None),
            ("active", "login", "192.0.2.7", None),
            ("active", "sshd", "host.example.net", None),
        ] {
            let text = session(state, service, host);
            assert_eq!(systemd(&text), meant.map(of), "{text}");
        }
        assert_eq!(systemd(""), None);
        assert_eq!(systemd("STATE=active\nSERVICE=sshd\n"), None);
    }

    #[test]
    fn a_pipe_beside_a_session_is_left_alone() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("run/systemd/sessions");
        std::fs::create_dir_all(&folder).expect("the folder is made");
        let pipe = folder.join("3.ref");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, 0o600.into()).expect("the pipe is made");
        assert_eq!(peers(root.path()).expect("nothing is waited for"), []);
    }
}

//! Established TCP connections: `/proc/net/tcp` and `tcp6`.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, BufRead, BufReader},
    net::{Ipv4Addr, Ipv6Addr},
    path::Path,
};

use filter_common::source::Address;

use crate::prefix::address;

/// The peers of connections to these local ports.
pub(super) fn peers(root: &Path, ports: &[u16]) -> io::Result<BTreeSet<Address>> {
    let mut peers = BTreeSet::new();
    for table in ["proc/net/tcp", "proc/net/tcp6"] {
        let file = match File::open(root.join(table)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            file => file?,
        };
        for line in BufReader::new(file).lines() {
            peers.extend(
                established(&line?)
                    .filter(|(port, _peer)| ports.contains(port))
                    .map(|(_port, peer)| peer),
            );
        }
    }
    Ok(peers)
}

/// The local port and the peer of an established connection; `None` for every
/// other line. See proc_net_tcp in the kernel's documentation.
fn established(line: &str) -> Option<(u16, Address)> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (_local, port) = fields.next()?.split_once(':')?;
    let (peer, _port) = fields.next()?.split_once(':')?;
    if fields.next()? != ESTABLISHED {
        return None;
    }
    Some((u16::from_str_radix(port, 16).ok()?, hexadecimal(peer)?))
}

/// An address as the kernel prints it: words of 32 bits in network order, each
/// as a number of this machine.
pub(super) fn hexadecimal(text: &str) -> Option<Address> {
    let word = |at: usize| {
        let word = u32::from_str_radix(text.get(at * 8..at * 8 + 8)?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    match text.len() {
        8 => Some(address(Ipv4Addr::from(word(0)?).into())),
        32 => {
            let mut bytes = [0; 16];
            for (at, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(at)?);
            }
            Some(address(Ipv6Addr::from(bytes).into()))
        }
        _ => None,
    }
}

/// `TCP_ESTABLISHED`
const ESTABLISHED: &str = "01";

#[cfg(test)]
pub(super) mod tests {
    use std::net::{IpAddr, TcpListener, TcpStream};

    use super::*;

    /// What such a line says of a connection.
    pub(in crate::host) fn line(peer: [u8; 4], port: u16, state: &str) -> String {
        let peer = u32::from_ne_bytes(peer);
        format!("0100007F:{port:04X} {peer:08X}:D431 {state}")
    }

    #[test]
    fn established_connections_are_read() {
        let of = |text: &str| address(text.parse::<IpAddr>().expect(text));
        let four = format!("   0: {} 00000000:00000000", line([192, 0, 2, 7], 22, "01"));
        assert_eq!(established(&four), Some((22, of("192.0.2.7"))));
        for (port, written, meant) in [
            (22, "::ffff:192.0.2.7", "192.0.2.7"),
            (443, "2001:db8::1:7", "2001:db8::1:7"),
        ] {
            let ip: Ipv6Addr = written.parse().expect(written);
            let words: String = ip
                .octets()
                .chunks_exact(4)
                .map(|word| u32::from_ne_bytes(word.try_into().expect("four bytes")))
                .map(|word| format!("{word:08X}"))
                .collect();
            let six = format!("1: {:032}:{port:04X} {words}:D431 01 0", 0);
            assert_eq!(established(&six), Some((port, of(meant))));
        }
        for other in [
            "",
            "  sl  local_address rem_address   st tx_queue",
            "0: 00000000:0016 00000000:0000 0A",
            "0: 00000000:0016 00000000:0000",
            "0: 00000000:0016 000000:0000 01",
            "0: 00000000:99999 00000000:0000 01",
            "0: x y 01",
            "0: 00000000:0016 0000000000000000ÿFFF00000702A8C:0 01",
        ] {
            assert_eq!(established(other), None, "{other}");
        }
    }

    #[test]
    fn a_real_connection_is_found() {
        for any in ["127.0.0.1:0", "[::ffff:127.0.0.1]:0"] {
            let Ok(listener) = TcpListener::bind(any) else {
                continue;
            };
            let port = listener.local_addr().expect("it is bound").port();
            let mine = |ports: &[u16]| peers(Path::new("/"), ports).expect("readable");
            assert_eq!(mine(&[port]).len(), 0, "only listening");
            let _client = TcpStream::connect(("127.0.0.1", port)).expect("it connects");
            let loopback = address(IpAddr::V4(Ipv4Addr::LOCALHOST));
            assert!(mine(&[port]).contains(&loopback), "{any}");
        }
    }
}

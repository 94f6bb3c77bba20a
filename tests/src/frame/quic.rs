//! QUIC's first packets (RFC 9000 §17.2), and what real clients send of them. Only
//! the headers are real: nobody without the keys can read further, and what is
//! behind them is filling.

/// A packet with a long header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Long {
    /// Its version.
    pub version: u32,
    /// Its type, as version 1 numbers them.
    pub kind: Kind,
    /// The destination's connection id: at first of the client's choice, then of
    /// the server's.
    pub destination: Vec<u8>,
    /// The source's connection id.
    pub source: Vec<u8>,
    /// Of an Initial: what a Retry gave the client to show.
    pub token: Vec<u8>,
}

/// The types of long headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Opens a connection, and acknowledges what opened it.
    Initial = 0,
    /// Data with the first packets.
    ZeroRtt = 1,
    /// The rest of the handshake.
    Handshake = 2,
}

impl Long {
    /// An Initial without a token.
    #[must_use]
    pub fn initial(version: u32, destination: &[u8], source: &[u8]) -> Self {
        Self {
            version,
            kind: Kind::Initial,
            destination: destination.to_vec(),
            source: source.to_vec(),
            token: Vec::new(),
        }
    }

    /// The packet, `length` bytes in all.
    ///
    /// # Panics
    /// If that is less than its header.
    #[must_use]
    pub fn build(&self, length: usize) -> Vec<u8> {
        let kind = match self.version {
            // RFC 9369 §3.2.
            V2 => self.kind as u8 + 1,
            _ => self.kind as u8,
        };
        // The form, the fixed bit, and a packet number of four bytes.
        let mut bytes = vec![0xc3 | kind << 4];
        bytes.extend_from_slice(&self.version.to_be_bytes());
        for id in [&self.destination, &self.source] {
            bytes.push(id.len() as u8);
            bytes.extend_from_slice(id);
        }
        if self.kind == Kind::Initial {
            bytes.extend_from_slice(&varint(self.token.len()));
            bytes.extend_from_slice(&self.token);
        }
        let rest = length.checked_sub(bytes.len() + 2);
        let rest = rest.expect("room for the header");
        bytes.extend_from_slice(&varint(rest));
        bytes.resize(length, 0x5a);
        bytes
    }
}

/// A length in two bytes (RFC 9000 §16).
const fn varint(length: usize) -> [u8; 2] {
    (0x4000 | length as u16).to_be_bytes()
}

/// A client, by what its first datagrams look like.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    /// Which one.
    pub name: &'static str,
    /// The version that it begins with.
    pub version: u32,
    /// The length of the first destination's id.
    pub destination: usize,
    /// The length of its own id: nothing where a port of its own tells it apart.
    pub source: usize,
    /// The datagrams that its `ClientHello` takes.
    pub hello: usize,
    /// The bytes of each.
    pub size: usize,
}

impl Client {
    /// Its datagrams for the `number`th connection, up to the server's answer.
    #[must_use]
    pub fn first(&self, number: u64) -> Vec<Vec<u8>> {
        let packet = Long::initial(self.version, &self.theirs(number), &self.own(number));
        vec![packet.build(self.size); self.hello]
    }

    /// What it answers a Retry (RFC 9000 §8.1.2) with this id.
    #[must_use]
    pub fn again(&self, number: u64, destination: &[u8]) -> Vec<Vec<u8>> {
        let mut packet = Long::initial(self.version, destination, &self.own(number));
        packet.token = vec![0x77; 60];
        vec![packet.build(self.size); self.hello]
    }

    /// What it answers a server that calls itself so: in one datagram it
    /// acknowledges the Initial, and its handshake goes on (RFC 9000 §12.2).
    #[must_use]
    pub fn second(&self, number: u64, destination: &[u8]) -> Vec<u8> {
        let mut packet = Long::initial(self.version, destination, &self.own(number));
        let mut bytes = packet.build(100);
        packet.kind = Kind::Handshake;
        bytes.extend_from_slice(&packet.build(self.size - bytes.len()));
        bytes
    }

    /// The id that it chooses for the server.
    #[must_use]
    pub fn theirs(&self, number: u64) -> Vec<u8> {
        id(number, self.destination)
    }

    fn own(&self, number: u64) -> Vec<u8> {
        id(!number, self.source)
    }
}

/// A connection id of this length, another one for each number.
#[must_use]
pub fn id(number: u64, length: usize) -> Vec<u8> {
    // Every bit of the number is in each byte (splitmix64), as in real ones.
    let mut word = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word ^= word >> 27;
        (word >> 32) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// What clients send, by their sources: Chromium's and its parrots' (uquic),
/// Firefox' neqo, curl's use of ngtcp2, quiche's, quic-go's, quinn's, msquic's,
/// lsquic's, aioquic's. Where an id's length is drawn, both ends are here. A
/// `ClientHello` with a key share of ML-KEM takes two datagrams.
pub const CLIENTS: [Client; 14] = [
    client("Chromium", 8, 0, 1, 1_250),
    client("Chromium, ML-KEM", 8, 0, 2, 1_250),
    client("neqo, the shortest id", 8, 3, 2, 1_252),
    client("neqo, the longest id", 20, 3, 2, 1_252),
    client("neqo's own client", 8, 0, 1, 1_252),
    client("curl with ngtcp2", 20, 20, 2, 1_200),
    client("quiche", 16, 20, 1, 1_200),
    client("quic-go, the shortest id", 8, 0, 1, 1_280),
    client("quic-go, the longest id, a shared socket", 20, 4, 1, 1_280),
    client("quinn", 20, 8, 2, 1_200),
    client("msquic", 8, 0, 1, 1_240),
    client("lsquic", 8, 8, 1, 1_252),
    client("aioquic", 8, 8, 1, 1_200),
    Client {
        version: V2,
        ..client("aioquic, version 2", 8, 8, 2, 1_200)
    },
];

const fn client(
    name: &'static str,
    destination: usize,
    source: usize,
    hello: usize,
    size: usize,
) -> Client {
    Client {
        name,
        version: V1,
        destination,
        source,
        hello,
        size,
    }
}

/// RFC 9000.
pub const V1: u32 = 1;
/// RFC 9369.
pub const V2: u32 = 0x6b33_43cf;
/// The last draft that was in use (draft-ietf-quic-transport-29).
pub const DRAFT_29: u32 = 0xff00_001d;

/// Versions that aren't the IETF's, as they are registered: Google's Q046, Q050 and
/// T051, Facebook's mvfst, and two that only test whether a server says no
/// (RFC 9000 §15).
pub const FOREIGN: [u32; 6] = [
    0x5130_3436,
    0x5130_3530,
    0x5430_3531,
    0xface_b002,
    0x0a0a_0a0a,
    0x1a2a_3a4a,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_header_is_built_as_it_is_known() {
        // The client's Initial of RFC 9001 §A.2, before its protection.
        let packet = Long::initial(V1, &[0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08], &[]);
        let bytes = packet.build(1_200);
        assert_eq!(bytes.len(), 1_200);
        assert_eq!(
            bytes[..16],
            [
                0xc3, 0, 0, 0, 1, 8, 0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08, 0, 0x40
            ]
        );
    }

    #[test]
    fn ids_are_as_long_as_they_should_be_and_differ() {
        let ids: std::collections::BTreeSet<_> = (0..10_000).map(|number| id(number, 8)).collect();
        assert_eq!(ids.len(), 10_000);
        for client in CLIENTS {
            assert_eq!(client.first(1).len(), client.hello);
            assert_eq!(client.second(1, &id(9, 8)).len(), client.size);
            assert_eq!(client.theirs(1).len(), client.destination);
        }
    }
}

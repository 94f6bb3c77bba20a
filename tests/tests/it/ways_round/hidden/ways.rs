//! Ways in which a new connection's port is hidden: a table, and more that are
//! drawn by chance, as Linux puts them together.

use std::sync::atomic::{AtomicU32, Ordering};

use weir_tests::{
    bed::to_host,
    frame::{
        Frame,
        fragments::cut,
        header::{DESTINATION, FRAGMENT, ROUTING},
    },
    mutant::Random,
};

/// A way to begin a connection.
pub(crate) struct Way {
    /// The header or cut that hides the port.
    pub(crate) name: String,
    /// No genuine stack sends it.
    pub(crate) is_malformed: bool,
    pub(crate) is_v4: bool,
    /// The connection that the frame begins, in this way. Packets in fragments
    /// have this number.
    frames: Box<Frames>,
}

type Frames = dyn Fn(Frame, u32) -> Vec<Vec<u8>>;

impl Way {
    /// As everybody begins a connection.
    pub(crate) fn plain(is_v4: bool) -> Self {
        Self {
            name: "nothing".to_owned(),
            is_malformed: false,
            is_v4,
            frames: Box::new(|frame, _| vec![frame.build()]),
        }
    }

    /// A source of the way's family. In IPv6 each number is another /64.
    pub(crate) fn source(&self, number: u16) -> String {
        if self.is_v4 {
            format!("198.18.{}.{}", number >> 8, number & 0xff)
        } else {
            format!("2001:db8:66:{number:x}::12")
        }
    }

    /// The frames with which a source begins a connection from a port.
    pub(crate) fn sent(&self, source: &str, port: u16) -> Vec<Vec<u8>> {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let frame = to_host(source).tcp(port, 443).syn();
        (self.frames)(frame, NUMBER.fetch_add(1, Ordering::Relaxed))
    }
}

/// The table. In all of them the whole packet is a SYN that Linux answers.
pub(crate) fn ways() -> Vec<Way> {
    let malformed = |name, frames: fn(Frame, u32) -> Vec<Vec<u8>>| way(name, true, false, frames);
    let genuine = |name, frames: fn(Frame, u32) -> Vec<Vec<u8>>| way(name, false, false, frames);
    let v4 = |name, frames: fn(Frame, u32) -> Vec<Vec<u8>>| way(name, false, true, frames);
    vec![
        malformed("nine headers", |frame, _| vec![behind(frame, 9).build()]),
        malformed("sixteen headers", |frame, _| {
            vec![behind(frame, 16).build()]
        }),
        malformed(
            "nine headers, the TCP header in the first fragment",
            |frame, number| cut(&behind(frame.payload([0; 8]), 9).build(), &[96], number),
        ),
        malformed(
            "a first fragment that ends before the TCP header",
            |frame, number| cut(&behind(frame, 2).build(), &[8], number),
        ),
        malformed("the same, the second fragment first", |frame, number| {
            let mut pieces = cut(&behind(frame, 2).build(), &[8], number);
            pieces.reverse();
            pieces
        }),
        malformed(
            "the same, a TCP header in the Ethernet trailer",
            |frame, number| {
                let mut pieces = cut(&behind(frame, 2).build(), &[8], number);
                // The second header, and a connection that goes on, elsewhere.
                pieces[0].extend_from_slice(&[6, 0, 1, 4, 0, 0, 0, 0]);
                pieces[0].extend_from_slice(&ACK_TO_PORT_9);
                pieces
            },
        ),
        malformed(
            "eight headers, of which seven in the first fragment",
            |frame, number| cut(&behind(frame, 8).build(), &[56], number),
        ),
        genuine("eight headers", |frame, _| vec![behind(frame, 8).build()]),
        genuine("an atomic fragment", |frame, _| {
            vec![frame.extension(FRAGMENT).build()]
        }),
        genuine(
            "a first fragment that ends behind the TCP header",
            |frame, number| cut(&behind(frame.payload([0; 8]), 1).build(), &[32], number),
        ),
        v4("a first fragment of 8 bytes", |frame, number| {
            cut(&frame.build(), &[8], number)
        }),
        v4("the same, the second fragment first", |frame, number| {
            let mut pieces = cut(&frame.build(), &[8], number);
            pieces.reverse();
            pieces
        }),
        v4(
            "the same, flags of TCP in the Ethernet trailer",
            |frame, number| {
                let mut pieces = cut(&frame.build(), &[8], number);
                pieces[0].extend_from_slice(&ACK_TO_PORT_9[8..]);
                pieces
            },
        ),
    ]
}

fn way(name: &str, is_malformed: bool, is_v4: bool, frames: fn(Frame, u32) -> Vec<Vec<u8>>) -> Way {
    Way {
        name: name.to_owned(),
        is_malformed,
        is_v4,
        frames: Box::new(frames),
    }
}

/// Behind so many headers of destination options (RFC 8200 §4.6).
fn behind(frame: Frame, headers: usize) -> Frame {
    (0..headers).fold(frame, |frame, _| frame.extension(DESTINATION))
}

/// Chains of headers and cuts that nobody thought of, the same ones each time.
pub(crate) fn drawn() -> Vec<Way> {
    let mut random = Random::new(0x11b);
    (0..DRAWN).map(|_| draw(&mut random)).collect()
}

fn draw(random: &mut Random) -> Way {
    let is_v4 = random.once_in(8);
    let mut chain = Vec::new();
    for _ in 0..random.below(if is_v4 { 1 } else { 14 }) {
        let mut header = vec![0; 8 * (1 + random.below(3))];
        let length = header.len() as u8;
        header[1] = length / 8 - 1;
        chain.push(if random.once_in(4) {
            // Of an experiment (RFC 3692), with no segment left.
            header[2] = 253;
            (ROUTING, header)
        } else {
            // One option of an experiment (RFC 4727 §3.3), to be skipped.
            header[2..4].copy_from_slice(&[0x1e, length - 4]);
            (DESTINATION, header)
        });
    }
    let tail = 8 * random.below(3);
    let mut places = places(random, is_v4, &chain, tail);
    places.sort_unstable();
    places.dedup();
    if places.is_empty() && random.once_in(4) && !is_v4 {
        let at = random.below(chain.len() + 1);
        chain.insert(at, (FRAGMENT, vec![0; 8]));
    }
    let (trailer, is_backwards) = (random.once_in(3), random.once_in(4));
    let kinds: Vec<_> = chain
        .iter()
        .map(|(kind, bytes)| (kind, bytes.len()))
        .collect();
    let name = format!(
        "IPv{}, headers {kinds:?}, {tail} bytes, cut at {places:?}, backwards: {is_backwards}, trailer: {trailer}",
        if is_v4 { 4 } else { 6 },
    );
    let frames = move |frame: Frame, number| {
        let frame = frame.payload(vec![0; tail]);
        let frame = chain.iter().cloned().fold(frame, |frame, (kind, bytes)| {
            frame.extension_of(kind, bytes)
        });
        let mut pieces = if places.is_empty() {
            vec![frame.build()]
        } else {
            cut(&frame.build(), &places, number)
        };
        if trailer {
            for piece in &mut pieces {
                piece.extend_from_slice(&ACK_TO_PORT_9);
            }
        }
        if is_backwards {
            pieces.reverse();
        }
        pieces
    };
    Way {
        name,
        is_malformed: false,
        is_v4,
        frames: Box::new(frames),
    }
}

/// The place where the packet is cut, if it is. Of IPv6 Linux drops first fragments that end
/// within the last header of all or its last extension header.
fn places(random: &mut Random, is_v4: bool, chain: &[(u8, Vec<u8>)], tail: usize) -> Vec<usize> {
    let length = |headers: &[(u8, Vec<u8>)]| -> usize {
        headers.iter().map(|(_, header)| header.len()).sum()
    };
    let all = length(chain);
    let but_the_last = length(&chain[..chain.len().saturating_sub(1)]);
    let possible = (8..all + 20 + tail)
        .step_by(8)
        .filter(|place| is_v4 || *place <= but_the_last || *place >= all + 20);
    let possible: Vec<_> = possible.collect();
    if possible.is_empty() {
        return Vec::new();
    }
    (0..random.below(4))
        .map(|_| *random.of(&possible))
        .collect()
}

/// The beginning of a TCP segment within a connection, to a port that nobody guards.
const ACK_TO_PORT_9: [u8; 20] = [
    0x9c, 0x40, 0, 9, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0,
];

/// The number of ways that are drawn.
const DRAWN: usize = 150;

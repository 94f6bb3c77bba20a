//! Long headers of QUIC: whether one opens a connection, and of which handshake.

use core::array::from_fn;

use super::Packet;
use crate::{bucket::Seed, frame::Frame, handshake::Handshake};

/// Marks a packet whose datagram begins with these five bytes, if they are a long
/// header's (RFC 8999 §5.1).
#[inline(always)]
pub(super) const fn mark(begins: [u8; 5], packet: &mut Packet) {
    let [first, a, b, c, d] = begins;
    if first & LONG_HEADER == 0 {
        return;
    }
    packet.flags |= match opens(first, u32::from_be_bytes([a, b, c, d])) {
        Opens::Yes => Packet::OPENS,
        // An Initial may stand behind it in the datagram (RFC 9000 §12.2).
        Opens::No => Packet::LONG,
        Opens::Unknown if first & TYPE == 0 => Packet::LONG | Packet::INITIAL,
        Opens::Unknown => Packet::LONG,
    };
}

/// Which handshake a datagram belongs to that begins with a long header.
#[inline(always)]
pub(crate) fn handshake<F: Frame + ?Sized>(frame: &F, packet: &Packet, seed: &Seed) -> Handshake {
    // What is longer may be several datagrams that the stack merged (no client's Initial
    // is): nobody knows how many handshakes that is.
    if packet.upper == 0 || packet.length > LONGEST {
        return Handshake::untold(0);
    }
    let at = frame.offset(packet.upper as usize);
    let (Some(ports), Some(version)) = (frame.read::<4>(at), frame.read::<4>(at + 9)) else {
        return Handshake::untold(0);
    };
    let untold = Handshake::untold(u32::from_be_bytes(version));
    let Some((to, behind)) = id(frame, at + 13) else {
        return untold;
    };
    let Some((from, _)) = id(frame, behind) else {
        return untold;
    };
    untold.told(packet, u32::from_be_bytes(ports), to, from, seed)
}

/// A connection id of at most 20 bytes (RFC 9000 §17.2) as words, zeros behind its
/// end and its length last; and where the next field begins. `None` where it is longer
/// or the frame ends.
#[inline(always)]
fn id<F: Frame + ?Sized>(frame: &F, at: usize) -> Option<([u64; 3], usize)> {
    let bytes = frame.read::<21>(at)?;
    let length = frame.forget(u64::from(bytes[0]));
    if length > 20 {
        return None;
    }
    let word = |from: usize| u64::from_be_bytes(from_fn(|byte| bytes[from + byte]));
    let last = u32::from_be_bytes(from_fn(|byte| bytes[17 + byte]));
    let words = [
        word(1) & first_bytes(length),
        word(9) & first_bytes(length.saturating_sub(8)),
        u64::from(last) << 32 & first_bytes(length.saturating_sub(16)) | length,
    ];
    Some((words, frame.offset(at + 1 + length as usize)))
}

/// The first so many bytes of a word.
#[inline(always)]
const fn first_bytes(count: u64) -> u64 {
    let bits = if count < 8 { count * 8 } else { 64 };
    // A shift by 64 isn't one.
    !(u64::MAX >> (bits / 2) >> (bits - bits / 2))
}

/// Whether a packet opens a connection.
#[derive(Debug, PartialEq, Eq)]
enum Opens {
    Yes,
    No,
    Unknown,
}

/// An Initial of QUIC 1 (RFC 9000 §17.2.2), 2 (RFC 9369 §3.2) or a draft does, by the
/// type in the first byte. The fixed bit isn't asked for: servers accept an Initial
/// without it (RFC 9287 §3). What another version's types are nobody knows.
#[inline(always)]
const fn opens(first: u8, version: u32) -> Opens {
    let kind = first & TYPE;
    let initial = if version == VERSION_2 {
        kind == 0x10
    } else if version == 1 || version & 0xffff_ff00 == DRAFTS {
        kind == 0
    } else {
        return Opens::Unknown;
    };
    if initial { Opens::Yes } else { Opens::No }
}

/// The longest frame that is certainly one packet: 1,500 bytes behind Ethernet and every
/// VLAN tag.
pub(crate) const LONGEST: u32 = 1514 + 4 * super::MAX_TAGS as u32;
/// The bit of the first byte that says so.
const LONG_HEADER: u8 = 0x80;
/// The bits of the type (RFC 9000 §17.2).
const TYPE: u8 = 0x30;
const VERSION_2: u32 = 0x6b33_43cf;
const DRAFTS: u32 = 0xff00_0000;

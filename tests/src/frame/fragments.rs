//! Whole frames cut into fragments that a real stack puts together again.

use super::{checksum::checksum, header};

/// The fragments of an untagged frame of IPv4 without options or of IPv6: it is cut
/// at these places behind the IP header, extension headers among what is cut.
/// Packets of one source need an `identification` each.
///
/// # Panics
/// If it isn't such a frame, or the places aren't rising multiples of 8 within it.
#[must_use]
pub fn cut(frame: &[u8], places: &[usize], identification: u32) -> Vec<Vec<u8>> {
    let is_v4 = match frame[12..15] {
        [0x08, 0x00, 0x45] => true,
        [0x86, 0xdd, _] => false,
        _ => panic!("no untagged IP without options"),
    };
    let (head, payload) = frame.split_at(if is_v4 { 34 } else { 54 });
    let piece = if is_v4 { piece_v4 } else { piece_v6 };
    let ends = places.iter().copied().chain([payload.len()]);
    let mut begin = 0;
    let mut pieces = Vec::new();
    for end in ends {
        assert!(begin < end, "every fragment has something");
        assert!(begin.is_multiple_of(8), "all but the last have whole words");
        let place = (begin as u16 / 8, end < payload.len());
        pieces.push(piece(head, place, identification, &payload[begin..end]));
        begin = end;
    }
    pieces
}

/// RFC 791 §3.2.
fn piece_v4(
    head: &[u8],
    (offset, more): (u16, bool),
    identification: u32,
    bytes: &[u8],
) -> Vec<u8> {
    let mut piece = head.to_vec();
    let total = (20 + bytes.len()) as u16;
    piece[16..18].copy_from_slice(&total.to_be_bytes());
    piece[18..20].copy_from_slice(&(identification as u16).to_be_bytes());
    let place = offset | u16::from(more) << 13;
    piece[20..22].copy_from_slice(&place.to_be_bytes());
    piece[24..26].fill(0);
    let sum = checksum(&piece[14..34]);
    piece[24..26].copy_from_slice(&sum.to_be_bytes());
    piece.extend_from_slice(bytes);
    piece
}

/// RFC 8200 §4.5, everything behind the IPv6 header being fragmentable.
fn piece_v6(
    head: &[u8],
    (offset, more): (u16, bool),
    identification: u32,
    bytes: &[u8],
) -> Vec<u8> {
    let mut piece = head.to_vec();
    let length = (8 + bytes.len()) as u16;
    piece[18..20].copy_from_slice(&length.to_be_bytes());
    let mut fragment = header::fragment(offset, more);
    fragment[0] = std::mem::replace(&mut piece[20], header::FRAGMENT);
    fragment[4..].copy_from_slice(&identification.to_be_bytes());
    piece.extend_from_slice(&fragment);
    piece.extend_from_slice(bytes);
    piece
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::frame;

    #[test]
    fn fragments_are_what_the_builder_says_they_are() {
        let whole = frame().ip("192.0.2.7", "192.0.2.1").tcp(1, 2).syn();
        let fragments = cut(&whole.build(), &[8], 0x7765);
        let built = frame().ip("192.0.2.7", "192.0.2.1").protocol(header::TCP);
        let tcp = whole.build()[34..].to_vec();
        let pieces = [(0, true, &tcp[..8]), (1, false, &tcp[8..])];
        for (piece, (offset, more, bytes)) in fragments.iter().zip(pieces) {
            let expected = built.clone().fragment(offset, more).payload(bytes);
            assert_eq!(*piece, expected.build());
        }
    }

    #[test]
    fn extension_headers_are_cut_as_all_else() {
        let whole = frame()
            .ip("2001:db8:66::12", "2001:db8::2")
            .extension(header::DESTINATION)
            .extension(header::DESTINATION)
            .tcp(40_000, 443)
            .syn();
        let fragments = cut(&whole.build(), &[8, 24], 9);
        let behind = |piece: usize| &fragments[piece][54..];
        let first = [60, 0, 0, 1, 0, 0, 0, 9, 60, 0, 1, 4, 0, 0, 0, 0];
        assert_eq!(behind(0), first);
        assert_eq!(behind(1)[..9], [60, 0, 0, 9, 0, 0, 0, 9, 6]);
        assert_eq!(behind(2)[..8], [60, 0, 0, 24, 0, 0, 0, 9]);
        assert_eq!(fragments[2][18..20], [0, 8 + 36 - 24]);
    }
}

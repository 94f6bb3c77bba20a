//! The internet checksum (RFC 1071).

/// Of bytes in which its own place is zero; of bytes with a right one, 0.
pub(super) fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)))
        .sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !(sum as u16)
}

/// What is summed up besides the upper protocol: the same sum for RFC 9293 §3.1
/// and RFC 8200 §8.1, whose zeros count nothing.
pub(super) fn pseudo(addresses: &[u8], protocol: u8, length: usize) -> Vec<u8> {
    let mut bytes = addresses.to_vec();
    bytes.extend_from_slice(&(length as u32).to_be_bytes());
    bytes.extend_from_slice(&[0, 0, 0, protocol]);
    bytes
}

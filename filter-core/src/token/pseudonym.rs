//! Pseudonyms: keyed hashes that keep devices and tokens apart without naming them.

use aws_lc_rs::hmac;

/// Makes keyed hashes of 64 bits: the same for the same bytes, and of no use to
/// whoever doesn't have the key.
#[derive(Clone, Debug)]
pub struct Pseudonyms(hmac::Key);

impl Pseudonyms {
    /// By a secret key.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The pseudonym of a device's id.
    #[must_use]
    pub fn device(&self, id: &[u8]) -> u64 {
        self.pseudonym(b'd', id)
    }

    /// The pseudonym of what a token's signature is over.
    #[must_use]
    pub fn token(&self, signed: &[u8]) -> u64 {
        self.pseudonym(b't', signed)
    }

    fn pseudonym(&self, kind: u8, bytes: &[u8]) -> u64 {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(&[kind]);
        context.update(bytes);
        let tag = context.sign();
        let first = tag.as_ref().first_chunk().expect("a tag has 32 bytes");
        u64::from_be_bytes(*first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pseudonym_depends_on_the_key_the_kind_and_the_bytes() {
        let (one, other) = (Pseudonyms::new(&[1; 32]), Pseudonyms::new(&[2; 32]));
        let all = [
            one.device(b"a"),
            one.device(b"b"),
            one.token(b"a"),
            other.device(b"a"),
        ];
        for (place, pseudonym) in all.iter().enumerate() {
            assert!(!all[..place].contains(pseudonym), "{all:?}");
        }
        assert_eq!(Pseudonyms::new(&[1; 32]).device(b"a"), all[0]);
    }
}

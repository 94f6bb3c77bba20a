//! Tokens and key sets: an input is a header, and behind a right signature what
//! was signed. Nothing passes that an issuer didn't sign, and nothing that he
//! signed passes but claims whose end is still to come.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use weir::token::{
    Refusal, Rules,
    binding::Bound,
    keys::{Encoding, KeySet},
    presented, verify,
};

use super::kind;

pub(super) fn token(input: &[u8]) -> String {
    let keys = KeySet::secret(SECRET, Encoding::Raw).expect("it is long enough");
    let presented = presented::token([input], [], "");
    let found = presented.and_then(|token| {
        let verified = verify(token, &keys, &Rules::default(), None, NOW)?;
        assert!(is_signed(token), "it passed, and wasn't signed");
        Ok(verified.ends)
    });
    if let Ok(ends) = found {
        assert!(u64::from(ends) >= NOW, "it has ended");
    }
    let as_head = signed(input, CLAIMS);
    let as_head = verify(as_head.as_bytes(), &keys, &Rules::default(), None, NOW);
    if as_head.is_ok() {
        assert!(str::from_utf8(input).is_ok(), "a head is text");
    }
    // What isn't looked at may be what serde's own type can't hold.
    if let (true, Ok(head)) = (as_head.is_ok(), serde_json::from_slice::<Value>(input)) {
        assert_eq!(head["alg"], "HS256", "the key is for HS256");
        assert!(head["crit"].is_null());
    }
    let as_claims = signed(HEAD, input);
    let as_claims = verify(as_claims.as_bytes(), &keys, &Rules::default(), None, NOW);
    if as_claims.is_ok() {
        assert!(str::from_utf8(input).is_ok(), "claims are text");
    }
    if let (true, Ok(claims)) = (as_claims.is_ok(), serde_json::from_slice::<Value>(input)) {
        let exp = claims["exp"].as_f64().expect("claims have an end");
        assert!(exp > NOW as f64, "they ended at {exp}");
    }
    let bound = Bound::new([[&b"Bearer abc"[..]]]).check(&String::from_utf8_lossy(input));
    format!(
        "{} {} {} {}",
        word(found),
        word(as_head),
        word(as_claims),
        bound.is_ok()
    )
}

pub(super) fn keys(input: &[u8]) -> String {
    let shown = |keys: &KeySet| {
        assert!(keys.count() > 0, "a set without keys was taken");
        let left_out = keys.left_out().iter().map(|why| kind(why));
        left_out.collect::<Vec<_>>().join(", ")
    };
    let secret = KeySet::secret(input, Encoding::Base64).is_ok();
    match KeySet::parse(input) {
        Ok(keys) => format!("{} of use {secret} {}", keys.count(), shown(&keys)),
        Err(refused) => {
            let sentence: String = refused.to_string().chars().take(900).collect();
            format!("{secret} {}", kind(&sentence))
        }
    }
}

fn word<T>(found: Result<T, Refusal>) -> String {
    match found {
        Ok(_) => "passes".to_owned(),
        Err(refusal) => {
            assert!(!refusal.reason().is_empty());
            refusal.to_string()
        }
    }
}

/// A token with this head and this payload, rightly signed.
fn signed(head: &[u8], payload: &[u8]) -> String {
    let signed = [head, payload]
        .map(|part| URL_SAFE_NO_PAD.encode(part))
        .join(".");
    let signature = hmac::sign(&key(), signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// By another way than weir's.
fn is_signed(token: &[u8]) -> bool {
    let text = String::from_utf8_lossy(token);
    let (signed, signature) = text.rsplit_once('.').expect("it has parts");
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("it is base64url");
    hmac::verify(&key(), signed.as_bytes(), &signature).is_ok()
}

fn key() -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, SECRET)
}

/// The secret of the corpus' tokens.
const SECRET: &[u8] = b"a secret that has thirty-two bytes and more";
const NOW: u64 = 1_800_000_000;
const HEAD: &[u8] = br#"{"alg":"HS256"}"#;
const CLAIMS: &[u8] = br#"{"exp":1900000000}"#;

pub(super) const WORDS: &[&str] = &[
    "\"alg\":",
    "\"HS256\"",
    "\"none\"",
    "\"kid\":",
    "\"crit\":",
    "\"exp\":",
    "1900000000",
    "1900000000.5",
    "1e400",
    "\"nbf\":",
    "\"iss\":",
    "\"aud\":",
    "\"pay\":",
    "\"did\":",
    "\"ip\":",
    "null",
    "{",
    "}",
    "[",
    "]",
    ",",
    ".",
    "NO_NETWORK",
    "MITM_DETECTED",
    "=",
    "\\u0000",
];

pub(super) const KEY_WORDS: &[&str] = &[
    "\"keys\":",
    "\"kty\":",
    "\"RSA\"",
    "\"EC\"",
    "\"OKP\"",
    "\"oct\"",
    "\"crv\":",
    "\"P-256\"",
    "\"Ed25519\"",
    "\"x\":",
    "\"y\":",
    "\"n\":",
    "\"e\":",
    "\"k\":",
    "\"AQAB\"",
    "\"alg\":",
    "\"use\":",
    "\"sig\"",
    "\"enc\"",
    "\"key_ops\":",
    "[\"verify\"]",
    "\"kid\":",
    "{",
    "}",
    "[",
    "]",
];

use serde_json::json;

use super::*;
use crate::token::mint::{Issuer, set};

const SECRET: &str =
    "h+CX0tOzdAAR9l15bWAqvq7w9olk66daIH+Xk+IAHhVVHszjDzeGobzNnqyRze3lw/WVyWrc2gZfh3XXfBOmww==";

#[test]
fn what_cant_be_used_is_left_out_and_said() {
    let fine = Issuer::es256();
    let fine_key = fine.jwk_with(json!({"kid": "a"}));
    for (bad, why) in [
        (json!(5), "invalid type"),
        (json!({"kid": "x"}), "missing field `kty`"),
        (
            json!({"kty": "EC", "crv": "P-256", "x": "AA"}),
            "`y` is missing",
        ),
        (
            json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}),
            "must have 32 bytes",
        ),
        (
            json!({"kty": "EC", "crv": "P-256", "x": "A".repeat(43), "y": "A".repeat(43)}),
            "no point of its curve",
        ),
        (
            json!({"kty": "EC", "crv": "P-521", "x": "AA", "y": "AA"}),
            "of the kind EC P-521 aren't known",
        ),
        (
            json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"}),
            "of 17 bits isn't taken",
        ),
        (
            json!({"kty": "RSA", "n": "!", "e": "AQAB"}),
            "`n` isn't base64url",
        ),
        (json!({"kty": "oct", "k": "c2hvcnQ"}), "less than 32 bytes"),
        (json!({"kty": "AKP", "pub": "AA"}), "of the kind AKP"),
        (json!({"kty": "A\u{1b}[2J"}), "of the kind A[2J"),
        (fine.jwk_with(json!({"use": "enc"})), "isn't for signatures"),
        (
            fine.jwk_with(json!({"key_ops": ["sign"]})),
            "isn't for verifying",
        ),
        (
            fine.jwk_with(json!({"alg": "HS256"})),
            "isn't for the algorithm HS256",
        ),
        (
            fine.jwk_with(json!({"alg": "none"})),
            "isn't for the algorithm none",
        ),
        (
            fine.jwk_with(json!({"alg": "ES384"})),
            "isn't for the algorithm ES384",
        ),
    ] {
        let set = set(&[bad.clone(), fine_key.clone()]);
        assert_eq!(set.count(), 1, "{bad}");
        let [said] = set.left_out() else {
            panic!("{bad}: {:?}", set.left_out())
        };
        assert!(said.starts_with("key 1: ") && said.contains(why), "{said}");
        let alone = json!({"keys": [bad]}).to_string();
        let refused = KeySet::parse(alone.as_bytes()).expect_err("no key");
        assert!(refused.to_string().contains(why), "{refused}");
    }
}

#[test]
fn what_is_no_set_is_refused() {
    for text in ["", "[]", "{}", "<html>", r#"{"keys": 5}"#, "\u{0}"] {
        let refused = KeySet::parse(text.as_bytes()).expect_err(text);
        assert!(matches!(refused, NoKeys::NotASet(_)), "{text}: {refused:?}");
    }
    let refused = KeySet::parse(br#"{"keys": []}"#).expect_err("empty");
    assert_eq!(refused, NoKeys::NoneOfUse(Vec::new()));
}

#[test]
fn a_set_is_bounded() {
    let key = Issuer::es256();
    let many: Vec<_> = (0..200)
        .map(|id| key.jwk_with(json!({"kid": id.to_string()})))
        .collect();
    let many = set(&many);
    assert_eq!(many.count(), 64);
    assert_eq!(many.left_out(), ["all keys beyond the first 64"]);
    let unnamed = set(&vec![key.jwk(); 10]);
    assert_eq!((unnamed.count(), unnamed.left_out().len()), (4, 6));
    assert_eq!(unnamed.candidates(None).count(), 4);
}

#[test]
fn a_kid_chooses_and_a_set_without_is_tried() {
    let (one, other) = (Issuer::es256(), Issuer::rsa());
    let named = set(&[
        one.jwk_with(json!({"kid": "a"})),
        other.jwk_with(json!({"kid": "b"})),
    ]);
    assert!(named.knows("a") && named.knows("b") && !named.knows("c"));
    assert_eq!(named.candidates(Some("a")).count(), 1);
    assert_eq!(named.candidates(None).count(), 0, "which of the two?");
    let unnamed = set(&[one.jwk(), other.jwk()]);
    assert_eq!(unnamed.candidates(Some("whatever")).count(), 2);
    assert_eq!(unnamed.candidates(None).count(), 2);
    let only = set(&[one.jwk_with(json!({"kid": "a"}))]);
    assert_eq!(only.candidates(None).count(), 1, "there is no other");
    assert_eq!(only.candidates(Some("b")).count(), 0);
}

#[test]
fn a_secret_is_base64_of_either_alphabet_or_the_bytes_of_the_file() {
    let url_safe = SECRET.replace('+', "-").replace('/', "_");
    for written in [
        SECRET.to_owned(),
        format!("{SECRET}\n"),
        SECRET.trim_end_matches('=').to_owned(),
        url_safe.trim_end_matches('=').to_owned(),
        url_safe,
    ] {
        let set = KeySet::secret(written.as_bytes(), Encoding::Base64).expect(&written);
        assert_eq!(set.count(), 1);
        let shown = format!("{set:?}");
        assert!(!shown.contains("h+CX"), "{shown}");
    }
    let raw = [7; 32];
    KeySet::secret(&raw, Encoding::Raw).expect("long enough");
    let short = KeySet::secret(&raw[1..], Encoding::Raw).expect_err("too short");
    assert!(short.to_string().contains("less than 32 bytes"));
    let none = KeySet::secret(b"not base64!", Encoding::Base64).expect_err("no base64");
    assert!(none.to_string().contains("isn't base64"));
}

//! Whatever comes: no panic, and no pass for what wasn't signed.

use proptest::{collection::vec, prelude::*};
use serde_json::json;

use super::{
    mint::{Issuer, set},
    *,
};

const NOW: u64 = 1_800_000_000;

/// A set of keys of each kind, and a token of each of them.
fn issued() -> (KeySet, Vec<String>) {
    let issuers = [
        Issuer::hs256(),
        Issuer::es256(),
        Issuer::ed25519(),
        Issuer::rsa(),
    ];
    let jwk = |(id, issuer): (usize, &Issuer)| issuer.jwk_with(json!({"kid": id.to_string()}));
    let keys = set(&issuers.iter().enumerate().map(jwk).collect::<Vec<_>>());
    let claims = json!({"exp": NOW + 300, "did": "MSoSzkRlBoco17xZ146Gow==", "ip": "192.0.2.1"});
    let token = |(id, issuer): (usize, &Issuer)| issuer.token_of(&id.to_string(), &claims);
    let tokens = issuers.iter().enumerate().map(token).collect();
    (keys, tokens)
}

fn passes(token: &[u8], keys: &KeySet) -> bool {
    verify(token, keys, &Rules::default(), None, NOW).is_ok()
}

/// Exhaustively: each byte of a token, as every other byte.
#[test]
fn any_byte_that_is_another_makes_a_token_worthless() {
    let (keys, tokens) = issued();
    for token in tokens {
        let token = token.into_bytes();
        assert!(passes(&token, &keys));
        for place in 0..token.len() {
            // Public keys take their time: not every byte, but one of each kind.
            for other in [
                b'A',
                b'B',
                b'_',
                b'.',
                b'=',
                b'+',
                0,
                0x80,
                token[place] ^ 1,
            ] {
                if other == token[place] {
                    continue;
                }
                let mut mutant = token.clone();
                mutant[place] = other;
                assert!(
                    !passes(&mutant, &keys),
                    "byte {place} as {other}: {}",
                    String::from_utf8_lossy(&mutant)
                );
            }
            let mut cut = token.clone();
            cut.remove(place);
            assert!(!passes(&cut, &keys), "without byte {place}");
            assert!(!passes(&token[..place], &keys), "up to byte {place}");
        }
        let mut longer = token.clone();
        longer.push(b'A');
        assert!(!passes(&longer, &keys));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn arbitrary_bytes_never_pass(bytes in vec(any::<u8>(), 0..512)) {
        let (keys, _) = issued_once();
        prop_assert!(!passes(&bytes, keys));
        let header = presented::token([&bytes[..]], [], "");
        prop_assert!(!header.is_ok_and(|token| passes(token, keys)));
    }

    #[test]
    fn what_looks_like_a_token_never_passes(
        head in "\\{(\"(alg|kid|typ|crit|x)\":(\"(none|HS256|ES256|RS256|EdDSA|0|1|2|3)\"|null|5|\\[\\]),?){0,4}\\}",
        payload in "\\{(\"(exp|nbf|iss|aud|pay|did|ip)\":([0-9]{1,12}(\\.[0-9]{1,4})?|\"[a-z]{0,8}\"|null),?){0,5}\\}",
        signature in vec(any::<u8>(), 0..300),
    ) {
        let (keys, _) = issued_once();
        let token = [head.as_bytes(), payload.as_bytes(), &signature].map(mint::encode).join(".");
        prop_assert!(!passes(token.as_bytes(), keys));
    }

    #[test]
    fn parts_of_two_tokens_never_pass(
        (one, other) in (0usize..4, 0usize..4),
        (head, payload, signature) in any::<(bool, bool, bool)>(),
    ) {
        let (keys, tokens) = issued_once();
        let (one, other) = (&tokens[one], &tokens[other]);
        let parts: Vec<_> = one.split('.').zip(other.split('.')).collect();
        let choose = |choice, (one, other)| if choice { one } else { other };
        let mixed = [
            choose(head, parts[0]),
            choose(payload, parts[1]),
            choose(signature, parts[2]),
        ]
        .join(".");
        prop_assert_eq!(passes(mixed.as_bytes(), keys), mixed == *one || mixed == *other);
    }

    #[test]
    fn no_time_and_no_leeway_panics(now: u64, leeway: u32, exp: f64) {
        let issuer = Issuer::hs256();
        let keys = set(&[issuer.jwk()]);
        let token = issuer.token(&json!({"exp": exp}));
        let rules = Rules { leeway, ..Rules::default() };
        if verify(token.as_bytes(), &keys, &rules, None, now).is_ok() {
            prop_assert!((now as f64) < exp + f64::from(leeway));
        }
    }

    #[test]
    fn no_text_of_a_key_set_panics(bytes in vec(any::<u8>(), 0..256), text in "\\{\"keys\":\\[(\\{\"kty\":\"(RSA|EC|OKP|oct)\",\"(crv|n|x|k)\":\"[A-Za-z0-9_=-]{0,60}\"\\},?){0,3}\\]\\}") {
        let _set = KeySet::parse(&bytes);
        if let Ok(set) = KeySet::parse(text.as_bytes()) {
            prop_assert!(set.count() > 0);
        }
    }
}

/// Keys are dear.
fn issued_once() -> &'static (KeySet, Vec<String>) {
    static ISSUED: std::sync::OnceLock<(KeySet, Vec<String>)> = std::sync::OnceLock::new();
    ISSUED.get_or_init(issued)
}

use std::net::IpAddr;

use serde_json::json;

use super::{
    keys::Encoding,
    mint::{Issuer, encode, set},
    *,
};

const NOW: u64 = 1_800_000_000;

/// The issuer's public example: its secret, and what it signed.
const SECRET: &str =
    "h+CX0tOzdAAR9l15bWAqvq7w9olk66daIH+Xk+IAHhVVHszjDzeGobzNnqyRze3lw/WVyWrc2gZfh3XXfBOmww==";
const FLOAT: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJleHAiOjQ3MDg2ODMyMDUuODkxOTEyfQ.c8I4KNndbThAQ7zlgX4_QDtcxCrD9cff1elaCJe9p9U";
const ISSUED: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJleHAiOjIwNTAzNjk2MzYsImlzcyI6ImFwaS5leGFtcGxlLmNvbSJ9.fVIrUEUABZvDTsV5eAGXhL0DBDAzGj3QSMY6setlyB8";
const FORGED: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJleHAiOjQ3MDg2ODMyMDUuODkxOTEyfQ._ZdLOZmK4KXSIpVlhOpHBgboSHHTWer-X6oLqFIDQWI";

fn check<'t>(token: &'t str, keys: &KeySet, rules: &Rules) -> Result<Verified<'t>, Refusal> {
    verify(token.as_bytes(), keys, rules, None, NOW)
}

#[test]
fn the_issuers_own_vectors_hold() {
    let keys = KeySet::secret(SECRET.as_bytes(), Encoding::Base64).expect("a secret");
    let rules = Rules::default();
    let verified = check(FLOAT, &keys, &rules).expect("its end is a float");
    assert_eq!(verified.ends, u32::MAX, "in 2119");
    let verified = check(ISSUED, &keys, &rules).expect("genuine");
    assert_eq!(verified.ends, 2_050_369_636);
    assert_eq!(check(FORGED, &keys, &rules), Err(Refusal::Signature));
    let by = |issuer: &str| Rules {
        issuer: Some(issuer.to_owned()),
        ..Rules::default()
    };
    assert!(check(ISSUED, &keys, &by("api.example.com")).is_ok());
    assert_eq!(check(ISSUED, &keys, &by("other")), Err(Refusal::Issuer));
    assert_eq!(
        check(FLOAT, &keys, &by("api.example.com")),
        Err(Refusal::Issuer)
    );
}

#[test]
fn every_kind_of_key_verifies_its_own_tokens_and_no_others() {
    let issuers = [
        Issuer::hs256(),
        Issuer::es256(),
        Issuer::es384(),
        Issuer::ed25519(),
        Issuer::rsa(),
    ];
    let claims = json!({"exp": NOW + 300});
    for issuer in &issuers {
        let keys = set(&[issuer.jwk_with(json!({"kid": "k"}))]);
        for other in &issuers {
            let token = other.token_of("k", &claims);
            let verified = check(&token, &keys, &Rules::default());
            let expected = issuer.algorithm() == other.algorithm();
            assert_eq!(verified.is_ok(), expected, "{}", other.algorithm());
            if !expected {
                assert_eq!(verified, Err(Refusal::Algorithm));
            }
        }
    }
    let rsa = Issuer::rsa();
    let keys = set(&[rsa.jwk_with(json!({"alg": "PS256"}))]);
    let token = rsa.sign(r#"{"alg":"PS256"}"#, &claims.to_string());
    assert!(check(&token, &keys, &Rules::default()).is_ok());
    let token = rsa.token(&claims);
    assert_eq!(
        check(&token, &keys, &Rules::default()),
        Err(Refusal::Algorithm),
        "the key is for PS256"
    );
}

#[test]
fn a_key_is_for_its_algorithm_whatever_the_token_says() {
    let issuer = Issuer::rsa();
    let keys = set(&[issuer.jwk()]);
    let payload = json!({"exp": NOW + 300}).to_string();
    // The attack of old: the public key as if it were a secret.
    let modulus = issuer.jwk()["n"].as_str().expect("a modulus").to_owned();
    let forged = Issuer::Hmac(modulus.into_bytes()).sign(r#"{"alg":"HS256"}"#, &payload);
    assert_eq!(
        check(&forged, &keys, &Rules::default()),
        Err(Refusal::Algorithm)
    );
    for none in ["none", "None", "NONE", "", "HS1", "RS256 "] {
        let head = json!({"alg": none}).to_string();
        let unsigned = format!(
            "{}.{}.",
            encode(head.as_bytes()),
            encode(payload.as_bytes())
        );
        assert_eq!(
            check(&unsigned, &keys, &Rules::default()),
            Err(Refusal::Algorithm),
            "{none}"
        );
    }
}

#[test]
fn what_is_no_token_is_told_from_a_forged_one() {
    let issuer = Issuer::hs256();
    let keys = set(&[issuer.jwk_with(json!({"kid": "a"}))]);
    let payload = json!({"exp": NOW + 300}).to_string();
    let sign = |head: &str| issuer.sign(head, &payload);
    for (token, refusal) in [
        (String::new(), Refusal::NoToken),
        ("a".into(), Refusal::NoToken),
        ("a.b".into(), Refusal::NoToken),
        ("a.b.c.d".into(), Refusal::NoToken),
        ("..".into(), Refusal::NoToken),
        ("!.!.!".into(), Refusal::NoToken),
        ("é.é.é".into(), Refusal::NoToken),
        (sign("[]"), Refusal::NoToken),
        (sign("{}"), Refusal::NoToken),
        (sign(r#"{"alg":"HS256","alg":"none"}"#), Refusal::NoToken),
        (sign(r#"{"alg":5}"#), Refusal::NoToken),
        (
            sign(r#"{"alg":"HS256","crit":["b64"],"b64":false}"#),
            Refusal::Critical,
        ),
        (sign(r#"{"alg":"HS256","kid":"b"}"#), Refusal::UnknownKey),
        (sign(r#"{"alg":"HS384","kid":"a"}"#), Refusal::Algorithm),
        ("x".repeat(LONGEST + 1), Refusal::TooLong),
        (
            sign(&json!({"alg": "HS256", "x": "y".repeat(900)}).to_string()),
            Refusal::TooLong,
        ),
    ] {
        assert_eq!(
            check(&token, &keys, &Rules::default()),
            Err(refusal),
            "{token:.80}"
        );
    }
}

#[test]
fn what_is_deep_ends_no_stack() {
    let issuer = Issuer::hs256();
    let keys = set(&[issuer.jwk()]);
    let deep = format!("{}{}", "[".repeat(2000), "]".repeat(2000));
    for (payload, fine) in [
        (format!(r#"{{"exp":{},"x":{deep}}}"#, NOW + 300), true),
        (format!(r#"{{"exp":{},"aud":{deep}}}"#, NOW + 300), false),
    ] {
        let token = issuer.sign(r#"{"alg":"HS256"}"#, &payload);
        let verified = check(&token, &keys, &Rules::default());
        assert_eq!(verified.is_ok(), fine, "{payload:.40}");
    }
}

#[test]
fn claims_that_are_signed_and_no_good_dont_pass() {
    let issuer = Issuer::hs256();
    let keys = set(&[issuer.jwk()]);
    let later = NOW + 300;
    for (payload, refusal) in [
        ("{}".to_owned(), Refusal::Endless),
        ("[]".to_owned(), Refusal::Claims),
        ("\"x\"".to_owned(), Refusal::Claims),
        (r#"{"exp":"never"}"#.to_owned(), Refusal::Claims),
        (r#"{"exp":null}"#.to_owned(), Refusal::Claims),
        (r#"{"exp":1e999}"#.to_owned(), Refusal::Claims),
        (r#"{"exp":-5}"#.to_owned(), Refusal::Expired),
        (format!(r#"{{"exp":1,"exp":{later}}}"#), Refusal::Claims),
        (format!(r#"{{"exp":{later},"exp":1}}"#), Refusal::Claims),
        (
            format!(r#"{{"exp":{later},"did":"a","did":"b"}}"#),
            Refusal::Claims,
        ),
        (format!(r#"{{"exp":{later},"did":5}}"#), Refusal::Claims),
        (format!(r#"{{"exp":{later}}} "#) + "x", Refusal::Claims),
        (
            format!(r#"{{"exp":{later},"nbf":{later}}}"#),
            Refusal::NotYet,
        ),
    ] {
        let token = issuer.sign(r#"{"alg":"HS256"}"#, &payload);
        assert_eq!(
            check(&token, &keys, &Rules::default()),
            Err(refusal),
            "{payload}"
        );
    }
    let token = format!("{}.!.{}", encode(br#"{"alg":"HS256"}"#), encode(&[0; 32]));
    assert_eq!(
        check(&token, &keys, &Rules::default()),
        Err(Refusal::Signature),
        "nothing of it was looked at"
    );
}

#[test]
fn a_token_ends_when_it_says_and_clocks_may_differ_by_the_leeway() {
    let issuer = Issuer::hs256();
    let keys = set(&[issuer.jwk()]);
    let rules = |leeway| Rules {
        leeway,
        ..Rules::default()
    };
    for (exp, leeway, fine) in [
        (json!(NOW + 1), 0, true),
        (json!(NOW), 0, false),
        (json!(NOW as f64 + 0.5), 0, true),
        (json!(NOW as f64 - 0.5), 0, false),
        (json!(NOW - 59), 60, true),
        (json!(NOW - 60), 60, false),
        (json!(0), u32::MAX, true),
    ] {
        let token = issuer.token(&json!({"exp": exp}));
        let verified = check(&token, &keys, &rules(leeway));
        assert_eq!(verified.is_ok(), fine, "{exp} {leeway}");
        if !fine {
            assert_eq!(verified, Err(Refusal::Expired));
        }
    }
    let token = issuer.token(&json!({"exp": NOW + 300, "nbf": NOW + 30}));
    assert_eq!(check(&token, &keys, &rules(29)), Err(Refusal::NotYet));
    assert!(check(&token, &keys, &rules(30)).is_ok());
    let token = issuer.token(&json!({"exp": NOW + 300}));
    for now in [0, u64::MAX] {
        // A clock that jumped: no panic, and no pass beyond the end.
        let verified = verify(token.as_bytes(), &keys, &rules(60), None, now);
        assert_eq!(verified.is_ok(), now == 0);
    }
}

#[test]
fn what_the_issuer_says_comes_out() {
    let issuer = Issuer::es256();
    let keys = set(&[issuer.jwk()]);
    let token = issuer.token(&json!({
        "exp": NOW + 300, "did": "MSoSzkRlBoco17xZ146Gow==", "ip": "2001:db8::7",
        "arc": "N725GLOVQI", "anno": ["debug"], "aud": ["other", "api.example.com"],
    }));
    let rules = Rules {
        audience: Some("api.example.com".to_owned()),
        ..Rules::default()
    };
    let verified = check(&token, &keys, &rules).expect("genuine");
    assert_eq!(verified.device.as_deref(), Some("MSoSzkRlBoco17xZ146Gow=="));
    assert_eq!(verified.ip, "2001:db8::7".parse::<IpAddr>().ok());
    assert_eq!(u64::from(verified.ends), NOW + 300);
    // The signature isn't part of what a token is known by: of some, the same
    // token can have two.
    assert!(token.as_bytes().starts_with(verified.signed));
    assert_eq!(token.len() - verified.signed.len(), 1 + 86);
    for aud in [json!("another"), json!([]), json!(["another"])] {
        let token = issuer.token(&json!({"exp": NOW + 300, "aud": aud}));
        assert_eq!(check(&token, &keys, &rules), Err(Refusal::Audience));
    }
    for (claims, device) in [
        (json!({"exp": NOW + 300, "did": "", "ip": "nowhere"}), None),
        (json!({"exp": NOW + 300, "did": null}), None),
        (
            json!({"exp": NOW + 300, "did": "a\u{e9}\n"}),
            Some("a\u{e9}\n"),
        ),
    ] {
        let token = issuer.token(&claims);
        let verified = check(&token, &keys, &Rules::default()).expect("genuine");
        assert_eq!(verified.device.as_deref(), device);
        assert_eq!(verified.ip, None);
    }
}

#[test]
fn a_bound_token_is_of_no_use_elsewhere() {
    let issuer = Issuer::hs256();
    let keys = set(&[issuer.jwk()]);
    let pay = "w1Xc6WwWEogNEZQP/dkBTThsJT4MNlKmzQanIm970rY=";
    let token = issuer.token(&json!({"exp": NOW + 300, "pay": pay}));
    let unbound = issuer.token(&json!({"exp": NOW + 300}));
    let with = |token: &str, values: &[&str], lenient| {
        let rules = Rules {
            unbound: lenient,
            ..Rules::default()
        };
        let values: Vec<_> = values.iter().map(|value| value.as_bytes()).collect();
        verify(
            token.as_bytes(),
            &keys,
            &rules,
            Some(Bound::new([values])),
            NOW,
        )
        .map(drop)
    };
    assert_eq!(with(&token, &["Bearer abc"], false), Ok(()));
    assert_eq!(
        with(&token, &["Bearer abd"], false),
        Err(Refusal::BoundOther)
    );
    assert_eq!(with(&token, &[], false), Err(Refusal::BoundMissing));
    assert_eq!(
        with(&token, &["Bearer abc", "x"], false),
        Err(Refusal::BoundSeveral)
    );
    assert_eq!(
        with(&unbound, &["Bearer abc"], false),
        Err(Refusal::Unbound)
    );
    assert_eq!(with(&unbound, &["Bearer abc"], true), Ok(()));
    assert_eq!(
        with(&token, &["Bearer abd"], true),
        Err(Refusal::BoundOther)
    );
    assert!(
        check(&token, &keys, &Rules::default()).is_ok(),
        "none is asked for"
    );
}

#[test]
fn reasons_are_those_of_the_credential_integrity() {
    for (refusal, reason) in [
        (Refusal::Missing, "tok_missing"),
        (Refusal::Empty, "tok_missing"),
        (Refusal::NoToken, "tok_malformed"),
        (Refusal::Endless, "tok_malformed"),
        (Refusal::Signature, "tok_badsig"),
        (Refusal::Algorithm, "tok_badsig"),
        (Refusal::UnknownKey, "tok_badsig"),
        (Refusal::Expired, "tok_expired"),
        (Refusal::Unbound, "bind_missing"),
        (Refusal::BoundMissing, "bind_missing"),
        (Refusal::BoundSeveral, "bind_mismatch"),
        (Refusal::BoundOther, "bind_mismatch"),
    ] {
        assert_eq!(refusal.reason(), reason);
        let observed = Reason::from(refusal);
        assert_eq!(
            observed.integrity(),
            crate::observation::Integrity::Credential
        );
    }
}

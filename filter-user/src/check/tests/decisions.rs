//! What is decided and observed of a call.

use super::*;

#[test]
fn a_genuine_call_passes_and_is_observed() {
    let (mut endpoint, issuer) = attested("");
    let token = issuer.token_of(
        "k",
        &json!({"exp": NOW + 300, "did": "device", "ip": "203.0.113.7"}),
    );
    let answer = endpoint.ask(
        "",
        &[("Approov-Token", &token), ("X-Real-IP", "203.0.113.7")],
    );
    assert_eq!(answer, (200, "attested".to_owned()));
    let marker = Pseudonyms::new(&[7; 32]);
    let (signed, _signature) = token.rsplit_once('.').expect("three parts");
    let expected = Observation {
        source: source::prefix("203.0.113.7".parse().expect("an address")),
        outcome: Outcome::Attested,
        device: Some(marker.device(b"device")),
        token: Some(marker.token(signed.as_bytes())),
        ends: u32::try_from(NOW + 300).ok(),
        elsewhere: false,
        weight: 1,
    };
    assert_eq!(endpoint.observed(), Some(expected));

    let answer = endpoint.ask(
        "",
        &[("Approov-Token", &token), ("X-Real-IP", "203.0.113.8")],
    );
    assert_eq!(answer.0, 200);
    assert!(endpoint.observed().expect("observed").elsewhere);
}

#[test]
fn what_proves_nothing_is_refused_with_its_reason() {
    let (mut endpoint, issuer) = attested("");
    let stranger = Issuer::es256();
    let claims = json!({"exp": NOW + 300, "did": "device", "ip": "198.51.100.1"});
    let forged = stranger.token_of("k", &claims);
    let unknown = stranger.token_of("other", &claims);
    let expired = issuer.token_of("k", &json!({"exp": NOW - 300, "did": "device"}));
    for (token, told, reason) in [
        (None, "tok_missing; missing", "tok_missing"),
        (Some(""), "tok_missing; empty", "tok_missing"),
        (Some("NO_NETWORK"), "tok_missing; no_network", "tok_missing"),
        (
            Some("MITM_DETECTED"),
            "mitm_detected; mitm_detected",
            "mitm_detected",
        ),
        (Some("x.y"), "tok_malformed; no_token", "tok_malformed"),
        (Some(&forged), "tok_badsig; signature", "tok_badsig"),
        (Some(&unknown), "tok_badsig; unknown_key", "tok_badsig"),
        (Some(&expired), "tok_expired; expired", "tok_expired"),
    ] {
        let mut headers = vec![("X-Real-IP", "203.0.113.7")];
        headers.extend(token.map(|token| ("Approov-Token", token)));
        assert_eq!(endpoint.ask("/any/path", &headers), (401, told.to_owned()));
        let observed = endpoint.observed().expect("observed");
        assert_eq!(observed.outcome, Outcome::Failed(Reason::new(reason)));
        // Nothing of what an unverified token says.
        assert_eq!((observed.device, observed.token), (None, None), "{told}");
        assert_eq!((observed.ends, observed.elsewhere), (None, false));
    }
    let several = [("Approov-Token", "a.b.c"), ("Approov-Token", "a.b.c")];
    assert_eq!(
        endpoint.ask("", &several),
        (401, "tok_malformed; several".to_owned())
    );
}

#[test]
fn why_there_is_no_token_may_stand_beside_it() {
    let (endpoint, _) = attested("");
    let headers = [("Approov-Token", ""), ("Approov-Status", "mitm_detected")];
    let told = "mitm_detected; mitm_detected".to_owned();
    assert_eq!(endpoint.ask("", &headers), (401, told));
    let (endpoint, _) = attested("status_header = \"\"");
    let told = "tok_missing; empty".to_owned();
    assert_eq!(endpoint.ask("", &headers), (401, told));
}

#[test]
fn the_configuration_says_what_a_token_has_to_be() {
    let (endpoint, issuer) = attested(
        "header = \"Authorization\"\nprefix = \"Bearer \"\nissuer = \"acme.approov.io\"\n\
         audience = \"api\"\nleeway = \"10s\"\nfail = 403",
    );
    let mut claims = json!({"exp": NOW - 9, "iss": "acme.approov.io", "aud": "api"});
    let ask = |claims: &serde_json::Value, scheme: &str| {
        let value = format!("{scheme} {}", issuer.token_of("k", claims));
        endpoint.ask("", &[("Authorization", &value)])
    };
    assert_eq!(ask(&claims, "Bearer").0, 200);
    assert_eq!(
        ask(&claims, "Basic"),
        (403, "tok_malformed; no_prefix".into())
    );
    claims["exp"] = json!(NOW - 10);
    assert_eq!(ask(&claims, "Bearer"), (403, "tok_expired; expired".into()));
    claims["exp"] = json!(NOW + 10);
    claims["iss"] = json!("other.approov.io");
    assert_eq!(
        ask(&claims, "Bearer"),
        (403, "tok_malformed; issuer".into())
    );
    claims["iss"] = json!("acme.approov.io");
    claims["aud"] = json!("another");
    assert_eq!(
        ask(&claims, "Bearer"),
        (403, "tok_malformed; audience".into())
    );
}

#[test]
fn a_token_is_bound_to_the_header_that_is_configured() {
    let pay = "w1Xc6WwWEogNEZQP/dkBTThsJT4MNlKmzQanIm970rY=";
    let (endpoint, issuer) = attested("bind = [\"Authorization\"]");
    let bound = issuer.token_of("k", &json!({"exp": NOW + 300, "pay": pay}));
    let unbound = issuer.token_of("k", &json!({"exp": NOW + 300}));
    let ask = |endpoint: &Endpoint, token: &str, values: &[&str]| {
        let mut headers = vec![("Approov-Token", token)];
        headers.extend(values.iter().map(|value| ("Authorization", *value)));
        endpoint.ask("", &headers)
    };
    for (token, values, answer) in [
        (&bound, &["Bearer abc"][..], (200, "attested")),
        (
            &bound,
            &["Bearer other"],
            (401, "bind_mismatch; bound_other"),
        ),
        (&bound, &[], (401, "bind_missing; bound_missing")),
        (
            &bound,
            &["Bearer abc", "Bearer abc"],
            (401, "bind_mismatch; bound_several"),
        ),
        (&unbound, &["Bearer abc"], (401, "bind_missing; unbound")),
    ] {
        let answer = (answer.0, answer.1.to_owned());
        assert_eq!(ask(&endpoint, token, values), answer, "{values:?}");
    }
    let (lenient, issuer) = attested("bind = [\"Authorization\"]\nunbound = \"pass\"");
    let unbound = issuer.token_of("k", &json!({"exp": NOW + 300}));
    assert_eq!(ask(&lenient, &unbound, &["Bearer abc"]).0, 200);
}

#[test]
fn in_observe_every_call_passes_and_the_reason_is_told() {
    let (mut endpoint, _) = attested("mode = \"observe\"");
    let answer = endpoint.ask("", &[("X-Real-IP", "203.0.113.7")]);
    assert_eq!(answer, (200, "tok_missing; missing".to_owned()));
    let observed = endpoint.observed().expect("observed");
    assert_eq!(
        observed.outcome,
        Outcome::Failed(Reason::new("tok_missing"))
    );
    let counted = endpoint.check.counts().answers();
    let passed = counted
        .iter()
        .find(|one| (one.outcome, one.reason) == ("pass", "tok_missing"));
    assert_eq!(passed.expect("counted").count, 1);
}

#[test]
fn without_keys_nothing_passes_and_nothing_is_held_against_anyone() {
    let text = "[[attestation]]\nname = \"app\"\nkeys_file = \"/k\"\n";
    for (more, status) in [
        ("", 401),
        ("fail = 403", 403),
        ("without_keys = \"pass\"", 200),
        ("mode = \"observe\"", 200),
    ] {
        let mut endpoint = endpoint(&format!("{text}{more}"));
        let headers = [("X-Real-IP", "203.0.113.7"), ("Approov-Token", "a.b.c")];
        assert_eq!(
            endpoint.ask("", &headers),
            (status, "keys_missing".to_owned()),
            "{more}"
        );
        assert_eq!(endpoint.observed(), None);
    }
}

#[test]
fn the_gateways_path_chooses_among_several_and_never_falls_back() {
    let endpoint = endpoint(
        "[[attestation]]\nname = \"a\"\nkeys_file = \"/k\"\n\
         [[attestation]]\nname = \"b\"\nkeys_file = \"/k\"\nfail = 403",
    );
    let issuer = Issuer::es256();
    for attestation in &endpoint.check.attestations {
        attestation.keys.put(set(&[issuer.jwk()]), Some(NOW));
    }
    for (path, status) in [
        ("/a", 401),
        ("/a/orders/7", 401),
        ("/b", 403),
        ("/b/", 403),
        ("/b/../a", 403),
    ] {
        let told = "tok_missing; missing".to_owned();
        assert_eq!(endpoint.ask(path, &[]), (status, told), "{path}");
    }
    let token = issuer.token(&json!({"exp": NOW + 300}));
    let headers = [("Approov-Token", token.as_str())];
    assert_eq!(endpoint.ask("/b/x", &headers).0, 200);
    for path in ["", "/", "/c", "/ab", "/A", "/%61"] {
        let told = "no_attestation".to_owned();
        assert_eq!(endpoint.ask(path, &headers), (401, told), "{path}");
    }
}

#[test]
fn without_a_source_the_token_decides_and_nothing_is_observed() {
    let (mut endpoint, issuer) = attested("");
    let token = issuer.token_of("k", &json!({"exp": NOW + 300}));
    for source in [
        &[][..],
        &[("X-Real-IP", "203.0.113.7"), ("X-Real-IP", "203.0.113.8")],
        &[("X-Real-IP", "nobody")],
        &[("X-Real-IP", "127.0.0.1")],
        &[("X-Forwarded-For", "203.0.113.7")],
    ] {
        let mut headers = source.to_vec();
        assert_eq!(endpoint.ask("", &headers).0, 401);
        headers.push(("Approov-Token", &token));
        assert_eq!(endpoint.ask("", &headers).0, 200);
        assert_eq!(endpoint.observed(), None, "{source:?}");
    }
    assert_eq!(endpoint.check.counts().observations().sourceless, 10);
}

#[test]
fn behind_a_load_balancer_nothing_is_observed_of_a_source() {
    let (mut endpoint, _) = attested("[check]\nsource_is_peer = false");
    assert_eq!(endpoint.ask("", &[("X-Real-IP", "203.0.113.7")]).0, 401);
    assert_eq!(endpoint.observed(), None);
    let observed = endpoint.check.counts().observations();
    assert_eq!((observed.of_no_peer, observed.sent), (1, 0));
}

#[test]
fn where_nobody_takes_observations_they_are_counted_and_dropped() {
    let text = "[[attestation]]\nname = \"app\"\nkeys_file = \"/k\"\nmode = \"observe\"";
    let endpoint = endpoint_with_room(text, 3);
    endpoint.check.attestations[0]
        .keys
        .put(set(&[Issuer::es256().jwk()]), Some(NOW));
    for _ in 0..10 {
        assert_eq!(endpoint.ask("", &[("X-Real-IP", "203.0.113.7")]).0, 200);
    }
    let observed = endpoint.check.counts().observations();
    assert_eq!((observed.sent, observed.lost), (3, 7));
}

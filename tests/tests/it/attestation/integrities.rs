//! From a token to a dropped packet: callers with addresses of their own, Debian's
//! nginx, the real daemon and its policy. One test for each integrity, and what
//! holds beside it.
//!
//! Carriers' NATs are in `nat.rs`; restarts, observe and the
//! breaker are in `holds.rs`.

use std::fs;

use serde_json::json;
use weir_tests::{
    bed::{
        EdgeApi,
        edge_api::{
            HOPS, Shown, abuser, abuser6, genuine,
            proof::{SHORT, called, ends_as_a_drop, flood, served},
        },
        until,
    },
    service::{Options, Service, authority::Authority},
};

#[test]
#[ignore = "needs root: cargo xtask test"]
fn app_whoever_forges_tokens_ends_as_a_drop_in_the_kernel() {
    let site = EdgeApi::new(ENFORCE);
    let _daemon = site.start();
    let _gateway = site.gateway();
    ends_as_a_drop(
        &site,
        "a forger",
        abuser(1).into(),
        Shown::forged(),
        "tok_badsig",
    );

    // Who owns an IPv6 /64 has no other address in it to go on from.
    let mut answered = 0;
    for hop in 1..HOPS {
        let mut hopper = site.client("a hopper", abuser6(hop), Shown::forged());
        hopper.patience = SHORT;
        answered += site.at(abuser6(hop), async || called(&mut hopper, 5).await);
    }
    assert!(answered >= 20, "{answered} calls of the /64");
    until("the /64 is blocked", || {
        site.edge.explain(&abuser6(HOPS).to_string())["cause"] == "blocked"
    });
    let mut hopper = site.client("a hopper", abuser6(HOPS), Shown::forged());
    hopper.patience = SHORT;
    let answered = site.at(abuser6(HOPS), async || called(&mut hopper, 5).await);
    assert_eq!(answered, 0, "nor from an address that it hadn't before");
    let explained = site.edge.explain(&abuser6(HOPS).to_string());
    assert_eq!(explained["prefix"], "2001:db8:bad2:1::/64", "{explained}");
    assert_eq!(site.api.served("a hopper"), 0);

    still_serves(&site);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn credential_a_wrong_second_factor_an_old_token_and_none_end_as_drops() {
    let site = EdgeApi::new(ENFORCE);
    let _daemon = site.start();
    let _gateway = site.gateway();
    let victim = Shown::genuine(&site.issuer, "the victim's telephone");
    let mut user = site.client("the victim", genuine(1), victim.clone());
    site.at(genuine(1), async || served(&mut user, 3).await);
    for (number, name, shown, reason) in [
        (1, "a thief", Shown::replayed(&victim), "bind_mismatch"),
        (2, "a sleeper", Shown::expired(&site.issuer), "tok_expired"),
        (3, "a script", Shown::missing(), "tok_missing"),
    ] {
        ends_as_a_drop(&site, name, abuser(number).into(), shown, reason);
    }
    // Whose token was stolen is none the worse for it.
    site.at(genuine(1), async || served(&mut user, 3).await);
    let explained = site.edge.explain(&genuine(1).to_string());
    assert_eq!(explained["tier"], "attested", "{explained}");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn device_what_is_said_of_devices_chooses_a_tier_and_never_blocks() {
    let site = EdgeApi::new(ENFORCE);
    let _daemon = site.start();
    let _gateway = site.gateway();
    let source = abuser(1).to_string();
    let report = |reason: &str, weight: u32| {
        let line = json!({
            "source": source, "outcome": "failed", "reason": reason, "weight": weight,
        });
        site.report(&[line]);
    };
    report("dev_rooted", 9);
    let explained = site.edge.explain(&source);
    assert!(explained["feed"].is_null(), "nine are too few: {explained}");
    report("dev_rooted", 1);
    let suspect = json!({"limit": "suspect"});
    until("it is held", || {
        site.edge.explain(&source)["verdict"] == suspect
    });
    for reason in ["dev_hooked", "dev_emulator", "dev_magisk", "dev_rooted"] {
        report(reason, 500);
    }
    // The daemon has received an observation sent after these: so it has these.
    site.report(&[json!({"source": "203.0.113.7", "outcome": "failed",
        "reason": "app_tampered", "weight": 100})]);
    until("what came later is in force", || {
        site.edge.explain("203.0.113.7")["cause"] == "blocked"
    });
    let explained = site.edge.explain(&source);
    assert_eq!(explained["verdict"], suspect, "{explained}");
    assert_eq!(explained["feed"], "attestation");
    assert_eq!(explained["reason"], "dev_rooted");
    // It calls as it did, by fewer new connections.
    let shown = Shown::genuine(&site.issuer, "a rooted telephone");
    let mut owner = site.client("an owner", abuser(1), shown);
    site.at(abuser(1), async || served(&mut owner, 50).await);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn channel_a_feed_under_another_authority_is_refused_and_blocks_nobody() {
    let site = EdgeApi::new(ENFORCE);
    let (its, another) = (Authority::new(), Authority::new());
    let service = Service::start_in(
        Some(&site.edge.host),
        Options {
            certificate: Some(its.good()),
            ..Options::default()
        },
    );
    service.block(&[&genuine(1).to_string()]);
    let authority = site.edge.path("ca.pem");
    fs::write(&authority, another.pem()).expect("written");
    site.configure(&format!(
        "{ENFORCE}\n[[feed]]\nname = \"verifier\"\nkind = \"verdicts\"\nurl = {:?}\nca_file = {authority:?}\n",
        service.url(),
    ));
    let _daemon = site.start();
    let _gateway = site.gateway();
    let feed = || {
        let status = site.edge.status();
        let feeds = status["feeds"].as_array().expect("feeds");
        let verifier = feeds.iter().find(|feed| feed["name"] == "verifier");
        verifier.expect("it is there").clone()
    };
    until("it isn't believed", || feed()["state"] == "untrusted");
    assert_eq!(feed()["claims"], 0);
    let said = feed()["last_error"].to_string();
    assert!(said.contains("isn't trusted"), "{said}");
    let shown = Shown::genuine(&site.issuer, "a telephone");
    let mut user = site.client("a user", genuine(1), shown);
    site.at(genuine(1), async || served(&mut user, 3).await);

    // What was refused was a word that would have been obeyed.
    fs::write(&authority, its.pem()).expect("written");
    let _output = site.edge.weir(&["feed", "refresh", "verifier"]);
    until("it is believed", || feed()["claims"] == 1);
    user.patience = SHORT;
    let answered = site.at(genuine(1), async || called(&mut user, 3).await);
    assert_eq!(answered, 0, "the feed's block holds");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn service_a_flood_is_held_whatever_it_shows() {
    let site = EdgeApi::new(&format!(
        "{ENFORCE}\n[tier.unknown]\nconnections = {{ rate = \"10/s\", burst = 20 }}\n\
         [tier.attested]\nconnections = {{ rate = \"10/s\", burst = 20 }}\n"
    ));
    let _daemon = site.start();
    let _gateway = site.gateway();
    let shown = Shown::genuine(&site.issuer, "a flooding telephone");
    let mut flooder = site.client("a flooder", abuser(1), shown);
    flooder.patience = SHORT;
    let got = site.at(abuser(1), async || flood(&flooder, 200).await);
    // The burst, and what the rate gives while it goes on.
    assert!((20..60).contains(&got), "{got} of 200 connections");
    let causes = site.edge.status()["causes"].clone();
    let held = causes["over_connections"]["dropped_packets"].as_u64();
    assert!(held >= Some(140), "{causes}");
    assert!(causes["blocked"].is_null() || causes["blocked"]["dropped_packets"] == 0);
    still_serves(&site);
}

/// A genuine caller elsewhere is served.
fn still_serves(site: &EdgeApi) {
    let shown = Shown::genuine(&site.issuer, "a telephone elsewhere");
    let mut user = site.client("a user elsewhere", genuine(200), shown);
    site.at(genuine(200), async || served(&mut user, 10).await);
}

/// The policy holds.
const ENFORCE: &str = "[policy]\nmode = \"enforce\"\n";

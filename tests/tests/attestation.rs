//! From a token to a dropped packet: callers with addresses of their own, Debian's
//! nginx, the real daemon and its policy. One test for each integrity, and what
//! holds beside it.
//!
//! What carriers' NATs add is in `attestation_nat.rs`.

use std::{
    fs,
    net::IpAddr,
    time::{Duration, Instant},
};

use hyper::StatusCode;
use serde_json::{Value, json};
use weir_tests::{
    daemon::until,
    edge_api::{Client, EdgeApi, HOPS, Shown, abuser, abuser6, api::ORDER, genuine},
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
    assert!((20..=21).contains(&answered), "{answered} calls of the /64");
    let explained = site.edge.explain(&abuser6(HOPS).to_string());
    assert_eq!(explained["prefix"], "2001:db8:bad2:1::/64", "{explained}");
    assert_eq!(site.api.served("a hopper"), 0);

    // What is kept is in force again, whichever way the daemon ended.
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
    // An observation behind these has been taken: so have they.
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
    let _said = site.edge.weir(&["feed", "refresh", "verifier"]);
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
    let (asked, got) = site.at(abuser(1), async || flood(&flooder, 200).await);
    // The burst, and what the rate gives while it goes on.
    assert!((20..60).contains(&got), "{got} of {asked} connections");
    let causes = site.edge.status()["causes"].clone();
    let held = causes["over_connections"]["dropped_packets"].as_u64();
    assert!(held >= Some(140), "{causes}");
    assert!(causes["blocked"].is_null() || causes["blocked"]["dropped_packets"] == 0);
    still_serves(&site);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_restart_forgets_nothing_in_force() {
    let site = EdgeApi::new(ENFORCE);
    let daemon = site.start();
    let gateway = site.gateway();
    let shown = Shown::genuine(&site.issuer, "a telephone");
    let mut user = site.client("a user", genuine(1), shown);
    site.at(genuine(1), async || served(&mut user, 3).await);
    ends_as_a_drop(
        &site,
        "a forger",
        abuser(1).into(),
        Shown::forged(),
        "tok_badsig",
    );
    let rooted = json!({"source": abuser(2), "outcome": "failed", "reason": "dev_rooted",
        "weight": 50});
    site.report(&[rooted]);
    until("three verdicts hold", || {
        site.claims("attestation").len() == 3
    });
    let before = verdicts(&site);
    daemon.stop();
    let mut forger = site.client("a forger", abuser(1), Shown::forged());
    forger.patience = SHORT;
    let dropped = site.at(abuser(1), async || called(&mut forger, 2).await);
    assert_eq!(dropped, 0, "the kernel goes on without the daemon");

    let daemon = site.start();
    assert_eq!(verdicts(&site), before);
    let dropped = site.at(abuser(1), async || called(&mut forger, 2).await);
    assert_eq!(dropped, 0);
    site.at(genuine(1), async || served(&mut user, 3).await);
    let kept = fs::read_to_string(site.edge.path("state/policy")).expect("it is kept");
    assert!(kept.contains(&abuser(1).to_string()), "{kept}");
    daemon.kill();
    let _daemon = site.start();
    assert_eq!(verdicts(&site), before, "nor does a crash");
    drop(gateway);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn in_observe_nothing_is_dropped_and_what_would_be_is_counted() {
    let site = EdgeApi::new("[policy]\nmode = \"observe\"\n");
    let _daemon = site.start();
    let _gateway = site.gateway();
    let mut forger = site.client("a forger", abuser(1), Shown::forged());
    let answered = site.at(abuser(1), async || called(&mut forger, 200).await);
    assert_eq!(answered, 200, "401 each, and none is dropped");
    assert_eq!(site.api.served("a forger"), 0);
    assert_eq!(site.claims("attestation"), Vec::<Value>::new());
    let claims = site.claims("attestation-shadow");
    assert_eq!(claims.len(), 1, "{claims:?}");
    assert_eq!(claims[0]["prefix"], format!("{}/32", abuser(1)));
    assert_eq!(claims[0]["verdict"], "block");
    assert_eq!(claims[0]["reason"], "tok_badsig");
    let status = site.edge.status();
    let counted = status["shadow"]["blocked"]["dropped_packets"].as_u64();
    // Two packets a call and more, of those behind the twentieth.
    assert!(counted >= Some(180), "{}", status["shadow"]);
    let dropped = status["causes"]["blocked"]["dropped_packets"].as_u64();
    assert_eq!(dropped.unwrap_or_default(), 0, "{}", status["causes"]);

    let rows = site.edge.weir(&["shadow", "--json"]).done().json_lines();
    let row = rows.iter().find(|row| row["verdict"] == "block");
    let row = row.expect("the block is told");
    assert_eq!(row["feed"], "attestation-shadow", "{row}");
    assert_eq!(row["reason"], "tok_badsig", "{row}");
    assert_eq!(
        (&row["sources"], &row["attested_sources"]),
        (&json!(1), &json!(0))
    );
    assert!(row["calls"].as_u64() >= Some(180), "{row}");

    // The operator has looked, and says so.
    site.configure(ENFORCE);
    let _said = site.edge.weir(&["reload"]).done();
    forger.patience = SHORT;
    let answered = site.at(abuser(1), async || called(&mut forger, 200).await);
    assert!(answered <= 21, "{answered}");
    let explained = site.edge.explain(&abuser(1).to_string());
    assert_eq!(explained["cause"], "blocked", "{explained}");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn when_a_rotated_key_fails_everybody_nobody_is_held_for_it() {
    let site = EdgeApi::new(ENFORCE);
    let _daemon = site.start();
    let _gateway = site.gateway();
    let known: Vec<_> = (1..=24).map(genuine).collect();
    let shown = |address| Shown::genuine(&site.issuer, &format!("the telephone of {address}"));
    let mut users: Vec<_> = known
        .iter()
        .map(|address| site.client("a user", *address, shown(address)))
        .collect();
    for user in &mut users {
        site.at(genuine(1), async || served(user, 2 * ROUNDS).await);
    }
    // A block of before, to see it lapse.
    ends_as_a_drop(
        &site,
        "a forger",
        abuser(1).into(),
        Shown::forged(),
        "tok_badsig",
    );

    // The issuer signs with another key, of which weir has the set: so that all
    // apps' tokens fail, whose signatures were good a moment ago.
    site.publish(&weir_tests::issuer::Issuer::es256("k1"));
    let one = &users[0];
    until("the tokens fail", || {
        let mut one = one.unconnected();
        let answer = site.at(genuine(1), async || one.call().await);
        answer.is_some_and(|answer| answer.status == StatusCode::UNAUTHORIZED)
    });
    let alarmed = || {
        let problems = site.edge.status()["problems"].to_string();
        problems.contains("the policy makes no verdicts")
    };
    // It looks at each half-minute, and this one had good calls: theirs go on.
    for _ in 0..ROUNDS {
        for user in &mut users {
            let answered = site.at(genuine(1), async || called(user, 1).await);
            assert_eq!(answered, 1, "the endpoint says 401, the kernel passes all");
        }
        if comes_true_within(Duration::from_secs(5), &alarmed) {
            break;
        }
    }
    assert!(alarmed(), "{}", site.edge.status()["problems"]);
    let mut forger = site.client("a forger", abuser(1), Shown::forged());
    let mut newcomer = site.client("a newcomer", abuser(2), Shown::missing());
    for (address, client) in [(abuser(1), &mut forger), (abuser(2), &mut newcomer)] {
        let answered = site.at(address, async || called(client, 60).await);
        assert_eq!(answered, 60, "no verdict holds {address}, and none is made");
    }
    for user in &mut users {
        let answered = site.at(genuine(1), async || called(user, 30).await);
        assert_eq!(answered, 30);
    }
    for claim in site.claims("attestation") {
        assert_eq!(claim["reason"], "attested", "nobody is held: {claim}");
    }
}

/// Calls until it isn't answered any more, and asserts that it is blocked for
/// this reason, within so many calls as the policy promises.
fn ends_as_a_drop(site: &EdgeApi, name: &str, from: IpAddr, shown: Shown, reason: &str) {
    let mut abuser = site.client(name, from, shown);
    abuser.patience = SHORT;
    let before = dropped(site);
    let answered = site.at(from, async || called(&mut abuser, 100).await);
    // The next may be on its way when the twentieth is judged.
    assert!((20..=21).contains(&answered), "{name}: {answered} calls");
    assert_eq!(site.api.served(name), 0, "the API never sees {name}");
    let explained = site.edge.explain(&from.to_string());
    assert_eq!(explained["cause"], "blocked", "{name}: {explained}");
    assert_eq!(explained["action"], "drop", "{name}: {explained}");
    assert_eq!(explained["feed"], "attestation", "{name}: {explained}");
    assert_eq!(explained["reason"], reason, "{name}: {explained}");
    assert!(explained["evidence"].as_u64() >= Some(20), "{explained}");
    let left = explained["expires_in_s"].as_u64();
    assert!(left.is_some_and(|left| left <= 61), "{explained}");
    assert!(dropped(site) > before, "{name}: packets are dropped");
}

/// Packets dropped because their source is blocked.
fn dropped(site: &EdgeApi) -> u64 {
    let status = site.edge.status();
    let dropped = status["causes"]["blocked"]["dropped_packets"].as_u64();
    dropped.unwrap_or_default()
}

/// What holds whom, without what passes with time.
fn verdicts(site: &EdgeApi) -> Vec<[Value; 3]> {
    let claims = site.claims("attestation");
    let mut verdicts: Vec<_> = claims
        .iter()
        .map(|claim| ["prefix", "verdict", "reason"].map(|key| claim[key].clone()))
        .collect();
    verdicts.sort_by_key(|[prefix, ..]| prefix.to_string());
    verdicts
}

/// A genuine caller elsewhere is served.
fn still_serves(site: &EdgeApi) {
    let shown = Shown::genuine(&site.issuer, "a telephone elsewhere");
    let mut user = site.client("a user elsewhere", genuine(200), shown);
    site.at(genuine(200), async || served(&mut user, 10).await);
}

/// Makes so many calls, all of which must be served.
async fn served(client: &mut Client, calls: u32) {
    client.hang_up();
    for _ in 0..calls {
        let answer = client.call().await.expect("it is answered");
        assert_eq!((answer.status, &*answer.body), (StatusCode::OK, ORDER));
    }
    client.hang_up();
}

/// Makes so many calls at most, until one isn't answered; those that are must be
/// 401. Gives how many were.
async fn called(client: &mut Client, calls: u32) -> u32 {
    client.hang_up();
    let mut answered = 0;
    for _ in 0..calls {
        let Some(answer) = client.call().await else {
            break;
        };
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        answered += 1;
    }
    client.hang_up();
    answered
}

/// Opens so many connections at once; how many were asked for, and came about.
async fn flood(client: &Client, connections: usize) -> (usize, usize) {
    let mut open = tokio::task::JoinSet::new();
    for _ in 0..connections {
        let client = client.unconnected();
        open.spawn(async move { client.connect().await });
    }
    let open = open.join_all().await;
    (connections, open.into_iter().flatten().count())
}

/// Whether it comes true in this time.
fn comes_true_within(time: Duration, is_so: &dyn Fn() -> bool) -> bool {
    let end = Instant::now() + time;
    until("time goes on", || is_so() || Instant::now() > end);
    is_so()
}

/// Half as many calls as genuine users made before, so that none of them is held
/// for failing.
const ROUNDS: u32 = 14;

/// The policy holds.
const ENFORCE: &str = "[policy]\nmode = \"enforce\"\n";

/// How long abusers wait.
const SHORT: Duration = Duration::from_millis(500);

//! Properties beside the five integrities: over a restart and a crash, in observe,
//! and where it isn't the callers who fail.

use std::{
    fs,
    time::{Duration, Instant},
};

use hyper::StatusCode;
use serde_json::{Value, json};
use weir_tests::bed::{
    EdgeApi,
    edge_api::{
        Shown, abuser, genuine,
        proof::{SHORT, called, ends_as_a_drop, served},
    },
    until,
};

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
    let answered = site.at(abuser(1), async || called(&mut forger, 20).await);
    assert_eq!(answered, 20);
    until("a block would follow", || {
        let claims = site.claims("attestation-shadow");
        claims.iter().any(|claim| claim["verdict"] == "block")
    });
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
    let _output = site.edge.weir(&["reload"]).done();
    forger.patience = SHORT;
    let answered = site.at(abuser(1), async || called(&mut forger, 2_000).await);
    assert!(answered < 2_000, "it is dropped before");
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

/// The claims in force by source, without the fields that change with time.
fn verdicts(site: &EdgeApi) -> Vec<[Value; 3]> {
    let claims = site.claims("attestation");
    let mut verdicts: Vec<_> = claims
        .iter()
        .map(|claim| ["prefix", "verdict", "reason"].map(|key| claim[key].clone()))
        .collect();
    verdicts.sort_by_key(|[prefix, ..]| prefix.to_string());
    verdicts
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

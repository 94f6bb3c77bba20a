//! The demo's second act, told line by line: forged and missing tokens become
//! drops in the kernel, while genuine clients behind the same NAT go on. Debian's
//! nginx asks the real daemon about each call; nobody is named in any configuration.
//!
//! `cargo xtask demo` starts it. It fails if anything that it claims isn't so.

use std::{
    io::{Write as _, stdout},
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use hyper::StatusCode;
use serde_json::Value;
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
    time::sleep,
};
use weir_tests::bed::{
    EdgeApi,
    edge_api::{CARRIER, Client, SetOnDrop, Shown, abuser, genuine, phone},
};

fn main() -> ExitCode {
    let stop = AtomicBool::new(false);
    let shown = thread::scope(|scope| {
        let over = tokio::sync::oneshot::channel();
        let watch = scope.spawn({
            let stop = &stop;
            move || await_signal(stop, over.1)
        });
        let shown = show(&stop);
        // It waits for this if nobody interrupts.
        let _over = over.0.send(());
        let watched = watch.join();
        watched.map_or_else(|_| bail!("the watch over signals panicked"), |()| shown)
    });
    match shown {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("error: the second act proved nothing: not all of its claims are true");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Asks for the end at the first signal; everything made is then taken away.
fn await_signal(stop: &AtomicBool, over: tokio::sync::oneshot::Receiver<()>) {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let listen = |kind| signal(kind).expect("signals can be waited for");
        let mut interrupt = listen(SignalKind::interrupt());
        let mut terminate = listen(SignalKind::terminate());
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = over => {}
        }
    });
    stop.store(true, SeqCst);
}

/// Plays all of it; whether everything came true.
fn show(stop: &AtomicBool) -> Result<bool> {
    let site = EdgeApi::new("[policy]\nmode = \"observe\"\n");
    let _daemon = site.start();
    let _gateway = site.gateway();
    say(&format!(
        "nginx asks weir about each call. {} genuine clients: {ALONE} alone, {BEHIND} behind a carrier's NAT\n\
         ({CARRIER}). Abusers: one with forged tokens and one with none, alone; one with a stolen token\n\
         (another user's) alone; and one with forged tokens behind the same NAT.\n",
        ALONE + BEHIND,
    ))?;
    let tallies = Tallies::default();
    let victim = Shown::genuine(&site.issuer, "the victim");
    let played = thread::scope(|scope| {
        scope.spawn(|| {
            let alone = (1..=ALONE).map(genuine);
            site.at(genuine(1), async || {
                users(&site, alone.map(Into::into).collect(), &tallies.alone, stop).await;
            });
        });
        scope.spawn(|| {
            let behind = (1..=BEHIND).map(phone);
            site.at(phone(1), async || {
                users(
                    &site,
                    behind.map(Into::into).collect(),
                    &tallies.behind,
                    stop,
                )
                .await;
            });
        });
        let _over = SetOnDrop(stop);
        play(&site, &tallies, scope, &victim, stop)
    });
    let (observed, enforced) = played?;
    conclude(&site, &tallies, &observed, &enforced)
}

/// What was so at the end of a phase.
struct Moment {
    status: Value,
    abusers: [u64; 4],
}

/// First observe, then enforce; in between the operator looks.
fn play<'scope, 'env: 'scope>(
    site: &'env EdgeApi,
    tallies: &'env Tallies,
    scope: &'scope thread::Scope<'scope, 'env>,
    victim: &Shown,
    stop: &'env AtomicBool,
) -> Result<(Moment, Moment)> {
    say(HEAD)?;
    let began = Instant::now();
    seconds(site, tallies, "calm", CALM, began, stop)?;
    let shown = [
        Shown::forged(),
        Shown::missing(),
        Shown::replayed(victim),
        Shown::forged(),
    ];
    for (place, shown) in shown.into_iter().enumerate() {
        let from = abuser_at(place);
        let mut client = site.client(ABUSERS[place], from, shown);
        client.patience = SHORT;
        let tally = &tallies.abusers[place];
        scope.spawn(move || {
            site.at(from, async || abuse(client, tally, stop).await);
        });
    }
    seconds(site, tallies, "observe", OBSERVE, began, stop)?;
    let observed = moment(site, tallies);
    let looked = site.edge.weir(&["shadow"]).done();
    say(&format!("\nweir shadow\n{}", looked.out))?;
    say("the operator has looked, and writes [policy] mode = \"enforce\"; weir reload")?;
    site.configure("[policy]\nmode = \"enforce\"\n");
    let _said = site.edge.weir(&["reload"]).done();
    seconds(site, tallies, "enforce", ENFORCE, began, stop)?;
    Ok((observed, moment(site, tallies)))
}

/// Shows what there is to be claimed, and whether it is true.
fn conclude(
    site: &EdgeApi,
    tallies: &Tallies,
    observed: &Moment,
    enforced: &Moment,
) -> Result<bool> {
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let mut explained = Vec::new();
    say("")?;
    for (place, name) in ABUSERS.iter().enumerate() {
        // Behind the NAT it is the carrier's address that the host sees.
        let source = match place {
            SHARED => CARRIER.to_string(),
            _ => abuser_at(place).to_string(),
        };
        let said = site.edge.explain(&source);
        say(&format!(
            "weir explain {source:<12} ({name}): {}, {}, tier {}, by the feed {:?} for {:?}",
            word(&said["cause"]),
            word(&said["action"]),
            word(&said["tier"]),
            word(&said["feed"]),
            word(&said["reason"]),
        ))?;
        explained.push(said);
    }
    let blocked = explained[..SHARED]
        .iter()
        .all(|said| said["cause"] == "blocked" && said["feed"] == "attestation");
    let held = &explained[SHARED];
    let tier = word(&held["tier"]);
    let genuine = [tallies.alone.read(), tallies.behind.read()];
    let [alone, behind] = genuine;
    let served: u64 = ABUSERS.iter().map(|name| site.api.served(name)).sum();
    let count = |moment: &Moment, set: &str, cause: &str| {
        let dropped = moment.status[set][cause]["dropped_packets"].as_u64();
        dropped.unwrap_or_default()
    };
    let early = count(observed, "causes", "blocked");
    let would = count(observed, "shadow", "blocked");
    let dropped = count(enforced, "causes", "blocked");
    let over = count(enforced, "causes", "over_connections");
    let claims = [
        (
            format!("in observe nothing was dropped as blocked; {would} packets would have been"),
            early == 0 && would > 0,
        ),
        (
            format!("in enforce {dropped} packets of blocked abusers were dropped in the kernel"),
            dropped > 0,
        ),
        (
            "the three abusers alone are blocked, by feed \"attestation\"".to_owned(),
            blocked,
        ),
        (
            format!(
                "the NAT with an abuser behind it is held to tier {tier}, and not blocked; {over} packets over its new connections were dropped"
            ),
            tier.starts_with("shared-") && held["action"] == "pass" && over > 0,
        ),
        (
            format!(
                "of the {} genuine calls from behind that NAT, {} failed",
                behind.asked, behind.failed
            ),
            behind.asked > 0 && behind.failed == 0,
        ),
        (
            format!(
                "of the {} genuine calls from elsewhere, {} failed",
                alone.asked, alone.failed
            ),
            alone.asked > 0 && alone.failed == 0,
        ),
        (
            format!(
                "the API saw none of the abusers' {} calls",
                enforced.abusers.iter().sum::<u64>()
            ),
            served == 0,
        ),
    ];
    say("")?;
    for (claim, is_so) in &claims {
        say(&format!(
            "{} {claim}",
            if *is_so { "  true " } else { "  FALSE" }
        ))?;
    }
    Ok(claims.iter().all(|(_, is_so)| *is_so))
}

/// So many seconds, a line each.
fn seconds(
    site: &EdgeApi,
    tallies: &Tallies,
    phase: &str,
    long: u64,
    began: Instant,
    stop: &AtomicBool,
) -> Result<()> {
    for _ in 0..long {
        let before = [tallies.alone.read(), tallies.behind.read()];
        let abused = tallies.abusers.each_ref().map(Tally::read);
        thread::sleep(Duration::from_secs(1));
        if stop.load(SeqCst) {
            bail!("interrupted; nothing was left behind");
        }
        let [alone, behind] = [&tallies.alone, &tallies.behind].map(Tally::read);
        let mut line = format!("{:>6}  {phase:<9}", began.elapsed().as_secs());
        for (now, before) in [(alone, before[0]), (behind, before[1])] {
            let (asked, failed) = (now.asked - before.asked, now.failed - before.failed);
            line += &format!("{asked:>8}{failed:>7}");
        }
        let now = tallies.abusers.each_ref().map(Tally::read);
        for (now, before) in now.iter().zip(abused) {
            line += &format!("{:>9}", now.answered() - before.answered());
        }
        let status = site.edge.status();
        let causes = status["causes"]
            .as_object()
            .context("a status without causes")?;
        let dropped = causes
            .values()
            .filter_map(|cause| cause["dropped_packets"].as_u64());
        say(&format!("{line}{:>10}", dropped.sum::<u64>()))?;
    }
    Ok(())
}

/// Genuine clients: each calls some five times a second, over its own connection.
async fn users(site: &EdgeApi, from: Vec<std::net::IpAddr>, tally: &Tally, stop: &AtomicBool) {
    let mut users: Vec<Client> = from
        .into_iter()
        .map(|address| {
            let shown = Shown::genuine(&site.issuer, &format!("the telephone of {address}"));
            site.client("genuine", address, shown)
        })
        .collect();
    while !stop.load(SeqCst) {
        for user in &mut users {
            let answer = user.call().await;
            let served = answer.is_some_and(|answer| answer.status == StatusCode::OK);
            tally.add(served);
            sleep(PACE / u32::from(ALONE.max(BEHIND))).await;
        }
    }
}

/// An abuser: now calls over a connection that it keeps, now over new ones, as
/// fast as it is let.
async fn abuse(mut client: Client, tally: &Tally, stop: &AtomicBool) {
    for number in 0_u32.. {
        if stop.load(SeqCst) {
            return;
        }
        let answer = client.call().await;
        tally.add(answer.is_some());
        // Half of the time it keeps its connection.
        if number / 50 % 2 == 1 {
            client.hang_up();
        }
        sleep(Duration::from_millis(5)).await;
    }
}

fn moment(site: &EdgeApi, tallies: &Tallies) -> Moment {
    Moment {
        status: site.edge.status(),
        abusers: tallies.abusers.each_ref().map(|tally| tally.read().asked),
    }
}

fn abuser_at(place: usize) -> std::net::IpAddr {
    match place {
        SHARED => phone(200).into(),
        0 => abuser(1).into(),
        1 => abuser(2).into(),
        _ => abuser(3).into(),
    }
}

#[derive(Debug, Default)]
struct Tallies {
    alone: Tally,
    behind: Tally,
    abusers: [Tally; 4],
}

/// How many calls there were.
#[derive(Debug, Default)]
struct Tally(Mutex<Calls>);

#[derive(Clone, Copy, Debug, Default)]
struct Calls {
    asked: u64,
    failed: u64,
}

impl Calls {
    const fn answered(self) -> u64 {
        self.asked - self.failed
    }
}

impl Tally {
    fn add(&self, went_well: bool) {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        calls.asked += 1;
        calls.failed += u64::from(!went_well);
    }

    fn read(&self) -> Calls {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn say(what: &str) -> Result<()> {
    writeln!(stdout(), "{what}").context("writing to standard output")
}

const HEAD: &str = concat!(
    "                  genuine alone  behind the NAT    abusers' calls that were answered      weir\n",
    "second  phase       asked failed   asked failed   forged  missing   stolen   in NAT   dropped",
);

/// The abusers' names, and of the last one that it is behind the carrier's NAT.
const ABUSERS: [&str; 4] = ["forged", "missing", "stolen", "forged, behind the NAT"];
const SHARED: usize = 3;

/// Genuine clients with an address of their own, and behind the carrier.
const ALONE: u8 = 6;
const BEHIND: u8 = 10;
/// A genuine client's time between two calls.
const PACE: Duration = Duration::from_millis(200);
/// How long an abuser waits for an answer.
const SHORT: Duration = Duration::from_millis(300);
/// Seconds of each phase.
const CALM: u64 = 3;
const OBSERVE: u64 = 6;
const ENFORCE: u64 = 12;

//! The second act: forged and missing tokens become drops in the kernel, while genuine
//! clients behind the same NAT go on. Debian's nginx asks the real daemon about each
//! call.
//!
//! [`callers`] are the genuine clients and the abusers, [`claims`] what must have come
//! true.

use std::{
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};
use weir_tests::bed::{
    EdgeApi,
    edge_api::{CARRIER, SetOnDrop, Shown, genuine, phone},
};

use self::callers::{ABUSERS, Tallies, Tally, abuse, abuser_at, users};
use crate::say;

mod callers;
mod claims;

/// Plays it, and takes away all that it made.
pub(crate) fn play() -> Result<()> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let (over, ended) = oneshot::channel();
        let watch = scope.spawn({
            let stop = &stop;
            move || await_signal(stop, ended)
        });
        let shown = show(&stop);
        // Ends the watch where no signal came.
        let _over = over.send(());
        let watched = watch.join();
        watched.map_or_else(|_| bail!("the watch over signals panicked"), |()| shown)
    })
}

/// Asks for the end at the first signal; everything made is then removed.
fn await_signal(stop: &AtomicBool, over: oneshot::Receiver<()>) {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let listen = |kind| signal(kind).expect("signals can be waited for");
        let mut interrupt = listen(SignalKind::interrupt());
        let mut terminate = listen(SignalKind::terminate());
        let mut hangup = listen(SignalKind::hangup());
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
            _ = over => {}
        }
    });
    stop.store(true, SeqCst);
}

fn show(stop: &AtomicBool) -> Result<()> {
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
        phases(&site, &tallies, scope, &victim, stop)
    });
    let (observed, enforced) = played?;
    claims::conclude(&site, &tallies, &observed, &enforced)
}

/// The counters at the end of a phase.
struct Moment {
    status: Value,
    abusers: [u64; 4],
}

/// First observe, then enforce; in between the operator looks.
fn phases<'scope, 'env: 'scope>(
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
        let client = site.client(ABUSERS[place], from, shown);
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
    let _reloaded = site.edge.weir(&["reload"]).done();
    seconds(site, tallies, "enforce", ENFORCE, began, stop)?;
    Ok((observed, moment(site, tallies)))
}

/// Lets so many seconds pass, and prints a line for each.
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

fn moment(site: &EdgeApi, tallies: &Tallies) -> Moment {
    Moment {
        status: site.edge.status(),
        abusers: tallies.abusers.each_ref().map(|tally| tally.read().asked),
    }
}

const HEAD: &str = concat!(
    "                  genuine alone  behind the NAT    abusers' calls that were answered      weir\n",
    "second  phase       asked failed   asked failed   forged  missing   stolen   in NAT   dropped",
);

/// Genuine clients with an address of their own, and behind the carrier.
const ALONE: u8 = 6;
const BEHIND: u8 = 10;
/// Seconds of each phase.
const CALM: u64 = 3;
const OBSERVE: u64 = 6;
const ENFORCE: u64 = 12;

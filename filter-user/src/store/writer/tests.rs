use std::{fs, path::Path};

use super::*;
use crate::{
    claim::{Claim, Verdict},
    feed::tests::{prefix, rules},
};

type Outcomes = mpsc::UnboundedReceiver<(u64, Result<(), String>)>;

const SOON: Duration = Duration::from_secs(20);

fn store(folder: &Path) -> (Store, Outcomes) {
    let (journal, ..) = Journal::open(folder, rules().tiers, 0).expect("a journal");
    let (done, outcomes) = mpsc::unbounded_channel();
    let store = Store::start(folder.to_owned(), journal, done).expect("a thread");
    (store, outcomes)
}

fn block(text: &str) -> Change {
    Change::Claim(Claim {
        prefix: prefix(text),
        verdict: Verdict::Block,
        reason: None,
        evidence: 0,
        expires: None,
        id: None,
    })
}

fn nameless(text: &str) -> Change {
    match block(text) {
        Change::Claim(claim) => Change::Claim(Claim {
            verdict: Verdict::Limit(9),
            ..claim
        }),
        other => other,
    }
}

fn kept(folder: &Path) -> Vec<String> {
    let (_, claims, _) = Journal::open(folder, rules().tiers, 0).expect("a journal");
    let claims = claims.iter().map(|claim| claim.prefix.to_string());
    claims.collect()
}

fn word(name: &str, word: &str) -> (String, Option<String>) {
    (name.to_owned(), Some(word.to_owned()))
}

/// A store whose disk hangs until something is sent, each time; then it may panic.
fn hanging(folder: &Path) -> (Store, Outcomes, std::sync::mpsc::Sender<bool>) {
    let (journal, ..) = Journal::open(folder, rules().tiers, 0).expect("a journal");
    let (done, outcomes) = mpsc::unbounded_channel();
    let (let_go, hang) = std::sync::mpsc::channel();
    let before = move || assert!(hang.recv() != Ok(false), "on purpose");
    let store = Store::start_with(folder.to_owned(), journal, done, before).expect("a thread");
    (store, outcomes, let_go)
}

fn next(outcomes: &mut Outcomes) -> (u64, Result<(), String>) {
    outcomes.blocking_recv().expect("an outcome")
}

#[test]
fn everything_is_written_in_order_and_answered() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, mut outcomes) = store(folder.path());
    let tiers = rules().tiers;
    let (mode, enforce) = word("mode", "enforce");
    store.journal(
        1,
        vec![block("192.0.2.1"), block("192.0.2.2")],
        tiers.clone(),
    );
    store.persist(2, mode.clone(), enforce);
    store.journal(
        3,
        vec![Change::Withdraw(prefix("192.0.2.1"))],
        tiers.clone(),
    );
    store.persist(4, "gone".to_owned(), None);
    store.journal(5, vec![block("192.0.2.3")], tiers);
    assert!(store.flush_within(SOON));
    assert_eq!(store.waiting(), None);
    for ticket in 1..=5 {
        assert_eq!(next(&mut outcomes), (ticket, Ok(())));
    }
    assert_eq!(kept(folder.path()), ["192.0.2.2/32", "192.0.2.3/32"]);
    let mode = state_dir::read(folder.path(), &mode).expect("read");
    assert_eq!(mode.as_deref(), Some("enforce"));
}

#[test]
fn what_cant_be_written_fails_by_itself_and_in_one_sentence() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, mut outcomes, let_go) = hanging(folder.path());
    fs::create_dir(folder.path().join("mode")).expect("a folder");
    let (name, word) = word("mode", "enforce");
    let tiers = rules().tiers;
    store.persist(1, name, word);
    // These three are one batch.
    store.journal(2, vec![block("192.0.2.1")], tiers.clone());
    store.journal(3, vec![nameless("192.0.2.2")], tiers.clone());
    store.journal(4, vec![block("192.0.2.3")], tiers);
    for _ in 0..2 {
        let_go.send(true).expect("it waits");
    }
    let (ticket, refused) = next(&mut outcomes);
    let path = folder.path().join("mode");
    let sentence = format!(
        "{} can't be written: Is a directory (os error 21)",
        path.display()
    );
    assert_eq!((ticket, refused), (1, Err(sentence)));
    assert_eq!(next(&mut outcomes), (2, Ok(())));
    let (ticket, refused) = next(&mut outcomes);
    assert_eq!(ticket, 3);
    assert!(refused.is_err());
    assert_eq!(next(&mut outcomes), (4, Ok(())));
    assert_eq!(kept(folder.path()), ["192.0.2.1/32", "192.0.2.3/32"]);
}

#[test]
fn a_disk_that_hangs_holds_up_nobody_and_what_waits_is_bounded() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, mut outcomes, let_go) = hanging(folder.path());
    let send = |ticket| {
        let (name, word) = word("mode", "observe");
        store.persist(ticket, name, word);
    };
    send(0);
    let limit = Duration::from_millis(20);
    assert!(!store.flush_within(limit), "it doesn't wait longer");
    assert!(store.waiting().expect("it hangs") >= limit);
    // The first one is under way, the others wait.
    while !store.shared.lock().jobs.is_empty() {
        thread::yield_now();
    }
    let most = MAX_JOBS as u64;
    for ticket in 1..=most + 2 {
        send(ticket);
    }
    for ticket in [most + 1, most + 2] {
        let (refused, why) = next(&mut outcomes);
        assert_eq!(refused, ticket);
        let why = why.expect_err("there is no room");
        assert!(why.contains("hasn't taken what waits for 0 s"), "{why}");
    }
    for ticket in 0..=most {
        let_go.send(true).expect("it waits");
        assert_eq!(next(&mut outcomes), (ticket, Ok(())));
    }
    // Bytes are bounded too, but for a single job.
    send(0);
    while !store.shared.lock().jobs.is_empty() {
        thread::yield_now();
    }
    for (ticket, length) in [(1, 2 * MAX_BYTES), (2, 1)] {
        store.persist(ticket, "large".to_owned(), Some("x".repeat(length)));
    }
    assert_eq!(next(&mut outcomes).0, 2, "there is no room");
    drop(let_go);
}

#[test]
fn whoever_waits_for_a_thread_that_panicked_has_an_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, mut outcomes, let_go) = hanging(folder.path());
    store.persist(1, "mode".to_owned(), None);
    while !store.shared.lock().jobs.is_empty() {
        thread::yield_now();
    }
    store.persist(2, "mode".to_owned(), None);
    let_go.send(false).expect("it waits");
    for ticket in [1, 2] {
        assert_eq!(next(&mut outcomes), (ticket, Err(ENDED.to_owned())));
    }
    store.persist(3, "mode".to_owned(), None);
    assert_eq!(next(&mut outcomes), (3, Err(ENDED.to_owned())));
    assert!(!store.flush_within(SOON), "nothing more is written");
}

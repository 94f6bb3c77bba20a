use super::*;
use crate::feed::tests::{prefix, rules};

const NOW: u32 = 1_800_000_000;

fn reopen(folder: &Path) -> (Journal, Vec<Claim>, Vec<String>) {
    Journal::open(folder, rules().tiers, NOW).expect("a journal")
}

/// A folder in memory where there is one: syncing hundreds of files takes long.
fn in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .expect("a folder")
}

fn claim(text: &str) -> Claim {
    Claim {
        prefix: prefix(text),
        verdict: Verdict::Limit(1),
        reason: Some("operator".into()),
        evidence: 0,
        expires: Some(NOW),
        id: None,
    }
}

fn block(text: &str) -> Change {
    Change::Claim(claim(text))
}

fn prefixes(claims: &[Claim]) -> Vec<String> {
    claims
        .iter()
        .map(|claim| claim.prefix.to_string())
        .collect()
}

fn written(folder: &Path) -> String {
    fs::read_to_string(folder.join(NAME)).expect("a journal")
}

#[test]
fn what_was_said_is_there_after_a_restart() {
    let folder = in_memory();
    let path = folder.path().join("not/yet/there");
    let (mut journal, claims, warnings) = reopen(&path);
    assert!(claims.is_empty() && warnings.is_empty());
    journal
        .append(
            &[block("192.0.2.2"), block("2001:db8::1"), block("192.0.2.1")],
            NOW,
        )
        .expect("kept");
    let again = Claim {
        verdict: Verdict::Allow,
        ..claim("192.0.2.1")
    };
    let clear = Change::Withdraw(prefix("192.0.2.2"));
    journal
        .append(&[clear, Change::Claim(again.clone())], NOW)
        .expect("kept");
    drop(journal);
    let (mut journal, claims, warnings) = reopen(&path);
    assert_eq!(claims, [again, claim("2001:db8::1")]);
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(written(&path).lines().count(), 2, "it was compacted");
    journal.append(&[block("192.0.2.3")], NOW).expect("kept");
    assert_eq!(reopen(&path).1.len(), 3);
}

#[test]
fn whatever_byte_it_crashes_at_what_was_answered_is_there() {
    let folder = in_memory();
    let (mut journal, ..) = reopen(folder.path());
    let changes = [
        block("192.0.2.1"),
        block("2001:db8::/32"),
        Change::Withdraw(prefix("192.0.2.1")),
        block("192.0.2.2"),
        block("192.0.2.1"),
    ];
    // The length of the journal, and what it says, after each answer.
    let mut answered = vec![(0, vec![])];
    for change in &changes {
        journal
            .append(std::slice::from_ref(change), NOW)
            .expect("kept");
        let text = written(folder.path());
        answered.push((
            text.len(),
            replay(text.as_bytes(), &rules().tiers, NOW)
                .live
                .into_values()
                .collect(),
        ));
    }
    assert_eq!(answered[3].1, [claim("2001:db8::/32")]);
    let whole = written(folder.path());
    for length in 0..=whole.len() {
        let crashed = in_memory();
        let path = crashed.path().join(NAME);
        fs::write(&path, &whole[..length]).expect("written");
        fs::write(crashed.path().join(format!(".{NAME}.new")), "{\"pre").expect("written");
        let (mut journal, claims, warnings) = reopen(crashed.path());
        let (kept, said) = answered
            .iter()
            .rfind(|(end, _)| *end <= length)
            .expect("nothing is something");
        assert_eq!(&claims, said, "cut at {length}");
        assert_eq!(warnings.len(), usize::from(*kept != length), "{warnings:?}");
        assert!(!crashed.path().join(DAMAGED).exists());
        journal.append(&[block("198.51.100.1")], NOW).expect("kept");
        let (_, claims, warnings) = reopen(crashed.path());
        assert_eq!(claims.len(), said.len() + 1, "cut at {length}");
        assert!(warnings.is_empty(), "{warnings:?}");
    }
}

#[test]
fn damaged_lines_are_told_and_kept_aside() {
    let folder = in_memory();
    let (mut journal, ..) = reopen(folder.path());
    journal
        .append(&[block("192.0.2.1"), block("192.0.2.2")], NOW)
        .expect("kept");
    let good = written(folder.path());
    let damaged = [
        &b"\0\0\0\n"[..],
        b"{\"prefix\":\"x\",\"verdict\":\"block\"}\n",
        b"{\"prefix\":\"::1\",\"verdict\":{\"limit\":\"gone\"}}\n",
        b"\xff\n",
    ]
    .concat();
    let path = folder.path().join(NAME);
    fs::write(&path, [&damaged[..], good.as_bytes()].concat()).expect("written");
    let (_, claims, warnings) = reopen(folder.path());
    assert_eq!(prefixes(&claims), ["192.0.2.1/32", "192.0.2.2/32"]);
    assert_eq!(warnings.len(), 5);
    assert!(
        warnings[2].contains("line 3: \"gone\" is no tier"),
        "{}",
        warnings[2]
    );
    assert!(warnings[4].contains(DAMAGED));
    let aside = || fs::read(folder.path().join(DAMAGED)).expect("kept aside");
    assert_eq!(aside(), damaged);
    assert!(reopen(folder.path()).2.is_empty(), "it is told once");
    fs::write(&path, format!("x\n{good}")).expect("written");
    reopen(folder.path());
    assert_eq!(
        aside(),
        [&damaged[..], b"x\n"].concat(),
        "nothing aside is lost"
    );
}

#[test]
fn a_journal_that_grows_is_written_anew() {
    let folder = in_memory();
    let (mut journal, ..) = reopen(folder.path());
    let changes: Vec<_> = (0..10)
        .map(|last| block(&format!("192.0.2.{last}")))
        .collect();
    let mut lines = 0;
    for _ in 0..120 {
        journal.append(&changes, NOW).expect("kept");
        lines = lines.max(written(folder.path()).lines().count());
    }
    assert!((900..=1020).contains(&lines), "{lines}");
    assert_eq!(reopen(folder.path()).1.len(), 10);
}

#[test]
fn what_expired_a_day_ago_is_forgotten() {
    let folder = in_memory();
    let (mut journal, ..) = reopen(folder.path());
    let ended = |text, before| {
        let expires = Some(NOW - before);
        Change::Claim(Claim {
            expires,
            ..claim(text)
        })
    };
    journal
        .append(&[ended("192.0.2.1", DAY), ended("192.0.2.2", DAY + 1)], NOW)
        .expect("kept");
    assert_eq!(prefixes(&reopen(folder.path()).1), ["192.0.2.1/32"]);
}

#[test]
fn what_cant_be_written_changes_nothing() {
    let folder = in_memory();
    let (mut journal, ..) = reopen(folder.path());
    let nameless = Claim {
        verdict: Verdict::Limit(9),
        ..claim("192.0.2.2")
    };
    let refused = journal.append(&[block("192.0.2.1"), Change::Claim(nameless)], NOW);
    assert!(matches!(
        refused,
        Err(Error::Unwritable(Unwritable::Tier(9)))
    ));
    assert_eq!(written(folder.path()), "");

    // A file that can only be read stands for a full disk.
    let path = folder.path().join(NAME);
    journal.file = File::open(&path).expect("a journal");
    let failed = journal
        .append(&[block("192.0.2.1")], NOW)
        .expect_err("not written");
    assert!(failed.to_string().contains("can't be written"), "{failed}");
    assert_eq!(written(folder.path()), "");

    // It couldn't be undone either, so that the file is written anew.
    let warning = journal.append(&[block("192.0.2.3")], NOW).expect("kept");
    assert_eq!(warning, None, "nobody else did anything");
    assert_eq!(prefixes(&reopen(folder.path()).1), ["192.0.2.3/32"]);
}

#[test]
fn an_error_says_everything_once() {
    let folder = in_memory();
    let path = folder.path().join(NAME);
    files::tests::fifo(&path);
    let refused = Journal::open(folder.path(), rules().tiers, NOW).expect_err("a FIFO");
    assert_eq!(
        format!("{:#}", anyhow::Error::new(refused)),
        format!(
            "the operator's claims in {} can't be read: it is a FIFO, not a regular file",
            path.display()
        )
    );
}

/// Changes the file behind the journal's back.
type Way = fn(&Path);

#[test]
fn whatever_became_of_the_file_what_is_answered_survives() {
    let ways: [(&str, Way, bool); 9] = [
        (
            "removed",
            |path| fs::remove_file(path).expect("removed"),
            false,
        ),
        ("truncated", |path| cut(path, 0), false),
        ("cut in a line", |path| cut(path, 20), true),
        (
            "replaced by rename",
            |path| {
                let other = path.with_extension("other");
                fs::copy(path, &other).expect("copied");
                fs::rename(&other, path).expect("renamed");
            },
            true,
        ),
        (
            "overwritten",
            |path| {
                let length = fs::read(path).expect("a journal").len();
                fs::write(path, "#".repeat(length)).expect("written");
            },
            true,
        ),
        (
            "appended to",
            |path| {
                let line = "{\"prefix\":\"192.0.2.9\",\"verdict\":\"block\"}\n";
                let text = fs::read_to_string(path).expect("a journal") + line;
                fs::write(path, text).expect("written");
            },
            true,
        ),
        (
            "a FIFO in its place",
            |path| {
                fs::remove_file(path).expect("removed");
                files::tests::fifo(path);
            },
            false,
        ),
        (
            "folder moved away",
            |path| {
                let folder = path.parent().expect("a folder");
                fs::rename(folder, folder.with_extension("moved")).expect("moved");
            },
            false,
        ),
        (
            "folder moved away and made anew",
            |path| {
                let folder = path.parent().expect("a folder");
                fs::rename(folder, folder.with_extension("moved")).expect("moved");
                fs::create_dir(folder).expect("made");
            },
            false,
        ),
    ];
    for (way, change, aside) in ways {
        let within = in_memory();
        let folder = within.path().join("state");
        let (mut journal, ..) = reopen(&folder);
        let kept = journal.append(&[block("192.0.2.1"), block("192.0.2.2")], NOW);
        assert_eq!(kept.expect("kept"), None, "{way}");
        wait_a_tick(&folder.join(NAME));
        change(&folder.join(NAME));
        let clear = Change::Withdraw(prefix("192.0.2.2"));
        let kept = journal.append(&[block("192.0.2.3"), clear], NOW);
        let warning = kept.expect(way).expect(way);
        assert!(warning.contains("is written anew"), "{way}: {warning}");
        assert_eq!(warning.contains(FOREIGN), aside, "{way}: {warning}");
        assert_eq!(folder.join(FOREIGN).exists(), aside, "{way}");
        let kept = journal.append(&[block("192.0.2.4")], NOW);
        assert_eq!(kept.expect("kept"), None, "{way}: it is told once");
        drop(journal);
        let (_, claims, warnings) = reopen(&folder);
        assert_eq!(
            prefixes(&claims),
            ["192.0.2.1/32", "192.0.2.3/32", "192.0.2.4/32"],
            "{way}"
        );
        assert!(warnings.is_empty(), "{way}: {warnings:?}");
    }
}

fn cut(path: &Path, length: u64) {
    let file = OpenOptions::new().write(true).open(path).expect("a file");
    file.set_len(length).expect("cut");
}

/// Waits until a file that is written now has another time than this one: the kernel
/// gives both the time of its last tick.
fn wait_a_tick(path: &Path) {
    let before = path.metadata().expect("a file").modified().expect("a time");
    let probe = path.with_extension("probe");
    loop {
        fs::write(&probe, "").expect("written");
        let now = probe
            .metadata()
            .expect("a file")
            .modified()
            .expect("a time");
        fs::remove_file(&probe).expect("removed");
        if now > before {
            return;
        }
    }
}

#[test]
fn many_changes_are_one_write_into_the_same_file() {
    let folder = in_memory();
    let (mut journal, ..) = reopen(folder.path());
    let before = journal.left.expect("a file").file;
    let changes: Vec<_> = (0..100_000_u32)
        .map(|n| {
            let [_, a, b, c] = n.to_be_bytes();
            block(&format!("10.{a}.{b}.{c}"))
        })
        .collect();
    journal.append(&changes, NOW).expect("kept");
    assert_eq!(journal.left.expect("a file").file, before, "not compacted");
    assert_eq!(journal.lines, 100_000);
    assert_eq!(reopen(folder.path()).1.len(), 100_000);
}

//! What is kept outlives a crash at any byte.

use super::*;
use crate::{claim::Claim, feed::tests::rules};

fn cursor(text: &str) -> Cursor {
    text.parse().expect("a cursor")
}

fn answer(lines: &[&str]) -> Bytes {
    let lines: Vec<_> = lines.iter().map(|line| format!("{line}\n")).collect();
    format!("{{\"snapshot\": true}}\n{}", lines.concat()).into()
}

fn block(prefix: &str) -> String {
    format!("{{\"prefix\": \"{prefix}\", \"verdict\": \"block\"}}")
}

fn names(claims: &[Claim]) -> Vec<String> {
    claims
        .iter()
        .map(|claim| claim.prefix.to_string())
        .collect()
}

/// Says three things: a whole word, changes, and a whole word that isn't
/// believed in what it leaves out; and gives the copy when it is written.
async fn kept(path: &Path) -> Vec<u8> {
    let (copy, replayed) = Copy::open(path, rules());
    assert_eq!(replayed.cursor, None);
    let (one, two, three) = (block("192.0.2.1"), block("192.0.2.2"), block("192.0.2.3"));
    copy.piece(answer(&[&one, &two])).await;
    copy.keep(cursor("a"), Taken::Whole);
    // What wasn't taken leaves nothing.
    copy.piece(answer(&[&block("192.0.2.99")])).await;
    copy.forget();
    copy.piece(answer(&[
        "{\"prefix\": \"192.0.2.1\", \"withdrawn\": true}",
        &three,
    ]))
    .await;
    copy.keep(cursor("b"), Taken::Changes);
    copy.piece(answer(&[&three])).await;
    copy.keep(cursor("c"), Taken::Held);
    copy.finish();
    fs::read(path).expect("a copy")
}

#[tokio::test]
async fn what_was_taken_is_read_again_and_what_was_held_is_known_as_such() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("feeds/verifier.stream");
    kept(&path).await;
    let replayed = Replayed::read(&path, &rules());
    assert_eq!(names(&replayed.claims), ["192.0.2.2/32", "192.0.2.3/32"]);
    let held: Vec<_> = replayed.held.iter().map(ToString::to_string).collect();
    assert_eq!(held, ["192.0.2.2/32"]);
    assert_eq!(replayed.cursor, Some(cursor("c")));

    let rules = rules();
    let short: String = replayed.lines(&rules.tiers).collect();
    let again = super::super::replay::replay(short.as_bytes(), &rules);
    assert_eq!(
        (names(&again.claims), again.held),
        (names(&replayed.claims), replayed.held)
    );
    assert_eq!(again.cursor, replayed.cursor);
}

#[tokio::test]
async fn a_copy_that_was_cut_anywhere_says_what_was_taken_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("verifier.stream");
    let whole = kept(&path).await;
    let rules = rules();
    let mut seen = Vec::new();
    for end in 0..=whole.len() {
        let replayed = super::super::replay::replay(&whole[..end], &rules);
        let expected: &[&str] = match replayed.cursor.as_ref().map(Cursor::as_str) {
            None => &[],
            Some("a") => &["192.0.2.1/32", "192.0.2.2/32"],
            Some("b" | "c") => &["192.0.2.2/32", "192.0.2.3/32"],
            Some(other) => panic!("{other} was never said"),
        };
        assert_eq!(names(&replayed.claims), expected, "{end} bytes");
        assert!(replayed.end <= end as u64);
        seen.push(replayed.cursor);
    }
    seen.dedup();
    assert_eq!(seen.len(), 4);

    // And whoever goes on behind such a copy writes over its broken end.
    fs::write(&path, &whole[..whole.len() - 3]).expect("written");
    let (copy, replayed) = Copy::open(&path, rules.clone());
    assert_eq!(replayed.cursor, Some(cursor("b")));
    copy.piece(answer(&[&block("192.0.2.4")])).await;
    copy.keep(cursor("d"), Taken::Changes);
    copy.finish();
    let replayed = Replayed::read(&path, &rules);
    assert_eq!(replayed.cursor, Some(cursor("d")));
    assert_eq!(
        names(&replayed.claims),
        ["192.0.2.2/32", "192.0.2.3/32", "192.0.2.4/32"]
    );
}

#[tokio::test]
async fn what_comes_behind_a_gap_is_not_kept_before_the_whole_word_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("verifier.stream");
    kept(&path).await;
    let rules = rules();
    let (copy, _) = Copy::open(&path, rules.clone());
    assert_eq!(copy.read().await.cursor, Some(cursor("c")));
    let aside = folder.path().join("aside");
    fs::rename(&path, &aside).expect("moved");
    fs::create_dir(&path).expect("in its way");
    copy.piece(answer(&[&block("192.0.2.5")])).await;
    copy.keep(cursor("d"), Taken::Changes);
    assert_eq!(copy.read().await.cursor, None);
    assert!(copy.trouble().is_some());
    fs::remove_dir(&path).expect("out of its way");
    fs::rename(&aside, &path).expect("moved back");
    copy.piece(answer(&[&block("192.0.2.6")])).await;
    copy.keep(cursor("e"), Taken::Changes);
    assert_eq!(copy.read().await.cursor, None);
    assert_eq!(Replayed::read(&path, &rules).cursor, Some(cursor("c")));
    assert!(copy.trouble().is_some());
    copy.piece(answer(&[&block("192.0.2.7")])).await;
    copy.keep(cursor("f"), Taken::Whole);
    let whole = copy.read().await;
    assert_eq!(
        (whole.cursor, names(&whole.claims)),
        (Some(cursor("f")), vec!["192.0.2.7/32".to_owned()])
    );
    copy.finish();
}

#[tokio::test]
async fn one_at_a_time_writes_a_copy() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("verifier.stream");
    let (first, _) = Copy::open(&path, rules());
    let second = tokio::task::spawn_blocking({
        let path = path.clone();
        move || Copy::open(&path, rules())
    });
    first.piece(answer(&[&block("192.0.2.1")])).await;
    first.keep(cursor("a"), Taken::Whole);
    first.finish();
    let (second, replayed) = second.await.expect("opened");
    assert_eq!(replayed.cursor, Some(cursor("a")));
    second.finish();
}

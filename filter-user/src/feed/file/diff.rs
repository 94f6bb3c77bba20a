//! A line diff of two texts. Its hunks needn't be the smallest ones: the texts
//! agree in everything outside of them, and nothing else matters.

use std::{collections::HashMap, ops::Range};

/// Lines of the old text in whose place the new one has others.
#[derive(Debug)]
pub(super) struct Hunk {
    pub(super) old: Range<usize>,
    pub(super) new: Range<usize>,
}

/// Compares two texts and gives the hunks, in order.
pub(super) fn diff(old: &[u8], new: &[u8]) -> Vec<Hunk> {
    let tail = common_tail(old, new);
    let (old, new) = (&old[..old.len() - tail], &new[..new.len() - tail]);
    let (mut from, mut to) = (0, 0);
    let mut hunks = Vec::new();
    loop {
        let same = common_head(&old[from..], &new[to..]);
        (from, to) = (from + same, to + same);
        let (old_rest, new_rest) = (&old[from..], &new[to..]);
        if old_rest.is_empty() && new_rest.is_empty() {
            return hunks;
        }
        let (gone, come) = match meet(old_rest, new_rest) {
            Some(meeting) if hunks.len() < HUNKS => meeting,
            _ => (old_rest.len(), new_rest.len()),
        };
        hunks.push(Hunk {
            old: from..from + gone,
            new: to..to + come,
        });
        (from, to) = (from + gone, to + come);
    }
}

/// Lines in a text, the last one with or without its end.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|byte| *byte == b'\n')
}

/// Bytes of whole lines that both begin with.
fn common_head(old: &[u8], new: &[u8]) -> usize {
    let most = old.len().min(new.len());
    let mut same = 0;
    while same + BLOCK <= most && old[same..same + BLOCK] == new[same..same + BLOCK] {
        same += BLOCK;
    }
    while same < most && old[same] == new[same] {
        same += 1;
    }
    let end = old[..same].iter().rposition(|byte| *byte == b'\n');
    end.map_or(0, |end| end + 1)
}

/// Bytes of whole lines that both end with.
fn common_tail(old: &[u8], new: &[u8]) -> usize {
    let most = old.len().min(new.len());
    let (at, to) = (old.len(), new.len());
    let mut same = 0;
    while same + BLOCK <= most
        && old[at - same - BLOCK..at - same] == new[to - same - BLOCK..to - same]
    {
        same += BLOCK;
    }
    while same < most && old[at - same - 1] == new[to - same - 1] {
        same += 1;
    }
    let begins = |text: &[u8], at: usize| at == 0 || text[at - 1] == b'\n';
    if begins(old, at - same) && begins(new, to - same) {
        return same;
    }
    let end = old[at - same..].iter().position(|byte| *byte == b'\n');
    end.map_or(0, |end| same - end - 1)
}

/// How far to go in both until the same line stands in both.
fn meet(old: &[u8], new: &[u8]) -> Option<(usize, usize)> {
    let mut known = HashMap::new();
    let mut at = 0;
    for line in lines(old).take(SEEN) {
        known.entry(line).or_insert(at);
        at += line.len();
    }
    let mut at = 0;
    for line in lines(new).take(SEEN) {
        // Blank lines are everywhere, and lead astray.
        if line.len() > 2
            && let Some(gone) = known.get(line)
        {
            return Some((*gone, at));
        }
        at += line.len();
    }
    None
}

/// Bytes that are compared at once.
const BLOCK: usize = 256;

/// Lines that are looked through for a meeting.
const SEEN: usize = 512;

/// Hunks after which the rest is one: then it is cheaper to read the list anew.
const HUNKS: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Old lines and new lines of every hunk.
    fn seen<'a>(old: &'a str, new: &'a str) -> Vec<(&'a str, &'a str)> {
        let hunks = diff(old.as_bytes(), new.as_bytes());
        hunks
            .into_iter()
            .map(|hunk| (&old[hunk.old], &new[hunk.new]))
            .collect()
    }

    #[test]
    fn only_what_differs_is_in_a_hunk() {
        let old = "# made at ten\n10.0.0.1\n10.0.0.2\n10.0.0.3\n10.0.0.4\n";
        for (new, hunks) in [
            (old.to_owned(), vec![]),
            (old.replace("10.0.0.2\n", ""), vec![("10.0.0.2\n", "")]),
            (
                old.replace("10.0.0.3", "10.0.0.33"),
                vec![("10.0.0.3\n", "10.0.0.33\n")],
            ),
            (
                old.replace("ten", "eleven").replace("10.0.0.4", "10.0.0.5"),
                vec![
                    ("# made at ten\n", "# made at eleven\n"),
                    ("10.0.0.4\n", "10.0.0.5\n"),
                ],
            ),
            (format!("{old}10.0.0.5"), vec![("", "10.0.0.5")]),
            (format!("10.0.0.0\n{old}"), vec![("", "10.0.0.0\n")]),
            (String::new(), vec![(old, "")]),
        ] {
            assert_eq!(seen(old, &new), hunks, "{new}");
        }
    }

    #[test]
    fn a_line_is_never_cut() {
        assert_eq!(
            seen("10.0.0.1\n", "110.0.0.1\n"),
            [("10.0.0.1\n", "110.0.0.1\n")]
        );
        assert_eq!(seen("10.0.0.1", "10.0.0.12"), [("10.0.0.1", "10.0.0.12")]);
        assert_eq!(seen("10.0.0.1", "10.0.0.1\n"), [("10.0.0.1", "10.0.0.1\n")]);
    }

    fn text() -> impl Strategy<Value = String> {
        let line = prop_oneof![Just(String::new()), "[a-c]{1,3}", Just("x".repeat(300))];
        (proptest::collection::vec(line, 0..12), "[a-c]?")
            .prop_map(|(lines, last)| lines.join("\n") + &last)
    }

    proptest! {
        #[test]
        fn the_hunks_make_the_new_text_of_the_old(old in text(), new in text()) {
            let (old, new) = (old.as_bytes(), new.as_bytes());
            let mut made = Vec::new();
            let mut at = 0;
            for hunk in diff(old, new) {
                for (text, range) in [(old, &hunk.old), (new, &hunk.new)] {
                    for end in [range.start, range.end] {
                        prop_assert!(end == 0 || end == text.len() || text[end - 1] == b'\n');
                    }
                }
                made.extend_from_slice(&old[at..hunk.old.start]);
                prop_assert_eq!(made.len(), hunk.new.start);
                made.extend_from_slice(&new[hunk.new]);
                at = hunk.old.end;
            }
            made.extend_from_slice(&old[at..]);
            prop_assert_eq!(made, new);
        }
    }
}

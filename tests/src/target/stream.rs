//! The verification service's stream: what is taken doesn't depend on how it
//! was cut into pieces, is whole, and is read again as the same.

use weir::{
    claim::{Change, Update},
    feed::{
        Refused,
        codec::stream::{Answer, Asked, Cursor, Error, Reader, head},
    },
};

use super::{
    kind,
    list::{rules, written},
    number,
};
use crate::mutant::Random;

pub(super) fn body(input: &[u8]) -> String {
    let mut random = Random::new(number(input));
    if random.once_in(256) {
        ends(input);
    }
    let sent: Cursor = SENT.parse().expect("a cursor");
    [Asked::Snapshot, Asked::After(sent)]
        .map(|asked| {
            let read_at_once = read(&asked, [input]);
            if input.len() <= 1_024 {
                assert_eq!(read(&asked, input.chunks(1)), read_at_once);
            }
            assert_eq!(read(&asked, pieces(input, &mut random)), read_at_once);
            match read_at_once {
                Ok(answer) => taken(input, &asked, &answer, &mut random),
                Err(error) => kind(&error.to_string()),
            }
        })
        .join("; ")
}

/// What must hold of an answer that was taken.
fn taken(input: &[u8], asked: &Asked, answer: &Answer, random: &mut Random) -> String {
    let rules = rules(128);
    let line = |change: Change| written(&change, &rules);
    let (what, said, lines): (_, _, Vec<_>) = match answer.update.clone() {
        Update::Snapshot(claims) => {
            let lines = claims.into_iter().map(Change::Claim).map(line);
            ("whole", Asked::Snapshot, lines.collect())
        }
        Update::Delta(changes) => {
            let lines = changes.into_iter().map(line);
            ("changes", asked.clone(), lines.collect())
        }
        other => panic!("no service says this: {other:?}"),
    };
    assert!(answer.claims <= rules.max_claims as u64);
    assert_eq!(lines.len() as u64 + answer.refused.count, answer.claims);
    assert_eq!(
        answer.refused.first.len() as u64,
        answer.refused.count.min(10)
    );
    let refused = answer
        .refused
        .first
        .iter()
        .map(|sentence| kind(sentence))
        .max();

    // What it means can be said, and is the same then.
    let text = head(&said, &answer.cursor, lines.len() as u64) + &lines.concat();
    let again = Answer {
        claims: lines.len() as u64,
        refused: Refused::default(),
        ..answer.clone()
    };
    assert_eq!(read(asked, [text.as_bytes()]), Ok(again));

    // A part of it is never taken for the whole, and no more than the whole is.
    let end = str::from_utf8(input).map_or(0, |text| text.trim_end().len());
    for _ in 0..8 {
        let cut = random.below(end);
        let part = read(asked, [&input[..cut]]);
        assert!(part.is_err(), "{cut} of {end} bytes were taken: {part:?}");
    }
    let more = b"\n{\"prefix\": \"192.0.2.7\", \"verdict\": \"block\"}";
    assert!(read(asked, [input, more]).is_err());
    format!("{what}, {} lines, refused {refused:?}", lines.len().min(3))
}

/// However it goes on, it is given up.
fn ends(input: &[u8]) {
    if input.is_empty() {
        return;
    }
    let rules = rules(128);
    let piece = input.repeat(1 + PIECE / input.len());
    let mut reader = Reader::new(&rules, Asked::Snapshot);
    let mut read = 0;
    while reader.bytes(&piece).is_ok() {
        read += piece.len();
        assert!(
            read <= MOST,
            "{read} bytes of an answer without an end were taken"
        );
    }
}

fn read<'a>(asked: &Asked, pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Answer, Error> {
    let rules = rules(128);
    let mut reader = Reader::new(&rules, asked.clone());
    for piece in pieces {
        reader.bytes(piece)?;
    }
    reader.finish()
}

/// The input, cut at random; now and then a piece is empty.
fn pieces<'a>(mut rest: &'a [u8], random: &mut Random) -> Vec<&'a [u8]> {
    let longest = *random.of(&[3, 40, 400, 70_000]);
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let (piece, others) = rest.split_at(random.below(longest + 1).min(rest.len()));
        pieces.push(piece);
        rest = others;
    }
    pieces
}

/// The cursor that changes are asked for from.
const SENT: &str = "c1";

/// Bytes of a piece.
const PIECE: usize = 65_536;

/// Bytes that an answer may have: 1 MiB, and 512 for each of the 64 claims.
const MOST: usize = (1 << 20) + 64 * 512;

pub(super) const WORDS: &[&str] = &[
    "{\"snapshot\": true, \"cursor\": \"c1\", \"claims\": 1}\n",
    "{\"snapshot\": false, \"after\": \"c1\", \"cursor\": \"c2\", \"claims\": 1}\n",
    "{\"prefix\": \"203.0.113.7\", \"verdict\": \"block\"}\n",
    "{\"prefix\": \"2001:db8::/48\", \"verdict\": {\"limit\": \"suspect\"}, \"reason\": \"x\"}\n",
    "{\"prefix\": \"203.0.113.7/24\", \"withdrawn\": true}\n",
    "{\"prefix\": 7, \"verdict\": \"block\"}\n",
    "\"prefix\": \"::1\", ",
    "\"verdict\": \"allow\", ",
    "\"withdrawn\": true, ",
    "\"snapshot\": ",
    "\"after\": \"c1\", ",
    "\"cursor\": \"\", ",
    "\"claims\": 64, ",
    "\\u001b[2J",
    "true",
    "false",
    "null",
    "[[[[",
    "\"\\ud800\"",
    "\u{feff}",
    "\u{85}",
    "\u{3000}",
    "\r\n",
    "# ",
    "<html>",
];

//! Whole answers, and all the ways in which they aren't.

use super::*;
use crate::feed::tests::rules;

const WHOLE: &str = "{\"snapshot\": true, \"cursor\": \"e-7\", \"claims\": 3}\n\
    {\"prefix\": \"192.0.2.7\", \"verdict\": \"block\", \"reason\": \"dev_hooked\"}\n\
    {\"prefix\": \"2001:db8::/32\", \"verdict\": {\"limit\": \"suspect\"}, \"expires\": null}\n\
    {\"prefix\": \"192.0.2.8\", \"verdict\": {\"limit\": \"gold\"}}\n";

const CHANGES: &str = "{\"snapshot\": false, \"after\": \"e-7\", \"cursor\": \"e-9\", \"claims\": 2}\n\
    {\"prefix\": \"192.0.2.7/32\", \"withdrawn\": true}\n\
    {\"prefix\": \"192.0.2.9\", \"verdict\": \"allow\"}\n";

fn after() -> Asked {
    Asked::After("e-7".parse().expect("a cursor"))
}

fn read(asked: Asked, pieces: &[&[u8]]) -> Result<Answer, Error> {
    let rules = rules();
    let mut reader = Reader::new(&rules, asked);
    for piece in pieces {
        reader.bytes(piece)?;
    }
    reader.finish()
}

fn whole(text: &str) -> Result<Answer, Error> {
    read(Asked::Snapshot, &[text.as_bytes()])
}

#[test]
fn a_whole_word_is_read_and_a_single_claim_refused() {
    let answer = whole(WHOLE).expect("an answer");
    assert_eq!((answer.cursor.as_str(), answer.claims), ("e-7", 3));
    let Update::Snapshot(claims) = answer.update else {
        panic!("no whole word");
    };
    assert_eq!(claims.len(), 2);
    assert_eq!(answer.refused.count, 1);
    assert!(answer.refused.first[0].starts_with("line 4: \"gold\" is no tier"));
}

#[test]
fn changes_are_read_in_order() {
    let answer = read(after(), &[CHANGES.as_bytes()]).expect("an answer");
    let Update::Delta(changes) = answer.update else {
        panic!("no changes");
    };
    assert!(matches!(
        changes[..],
        [Change::Withdraw(_), Change::Claim(_)]
    ));
    let nothing = "{\"snapshot\": false, \"after\": \"e-7\", \"cursor\": \"e-7\", \"claims\": 0}";
    let answer = read(after(), &[nothing.as_bytes()]).expect("an answer");
    assert_eq!((answer.claims, answer.cursor.as_str()), (0, "e-7"));
    // Whoever has forgotten may say everything.
    let answer = read(after(), &[WHOLE.as_bytes()]).expect("an answer");
    assert!(matches!(answer.update, Update::Snapshot(_)));
}

#[test]
fn it_doesn_t_matter_in_which_pieces_it_comes() {
    for (asked, text) in [(Asked::Snapshot, WHOLE), (after(), CHANGES)] {
        let at_once = read(asked.clone(), &[text.as_bytes()]);
        for at in 0..=text.len() {
            let (one, two) = text.as_bytes().split_at(at);
            assert_eq!(read(asked.clone(), &[one, two]), at_once, "at {at}");
        }
        let single: Vec<_> = text.as_bytes().chunks(1).collect();
        assert_eq!(read(asked, &single), at_once);
    }
}

#[test]
fn what_is_cut_off_is_never_taken_for_whole() {
    for (asked, text) in [(Asked::Snapshot, WHOLE), (after(), CHANGES)] {
        // Without its last line end alone it is whole.
        for end in 0..text.len() - 1 {
            let cut = read(asked.clone(), &[&text.as_bytes()[..end]]);
            assert!(cut.is_err(), "{end} bytes were taken: {cut:?}");
        }
        assert!(read(asked, &[&text.as_bytes()[..text.len() - 1]]).is_ok());
    }
}

#[test]
fn every_way_of_not_being_a_stream_has_its_sentence() {
    let head =
        |claims: u64| format!("{{\"snapshot\": true, \"cursor\": \"1\", \"claims\": {claims}}}\n");
    let claim = "{\"prefix\": \"192.0.2.7\", \"verdict\": \"block\"}\n";
    for (text, says) in [
        (String::new(), "it is empty"),
        ("\n\n".to_owned(), "it is empty"),
        ("<!doctype html>".to_owned(), "it is a web page"),
        ("\n <html>\n".to_owned(), "it is a web page"),
        (
            "{\"error\": 5}\n".to_owned(),
            "its first line isn't a stream's: missing field `snapshot`",
        ),
        (
            "{\"snapshot\": true, \"cursor\": \"\", \"claims\": 0}\n".to_owned(),
            "its first line isn't a stream's: a cursor has 1 to 1024 visible",
        ),
        (CHANGES.to_owned(), "it has changes where the whole word"),
        (
            head(150_001),
            "it has 150001 claims, and there is room for 150000",
        ),
        (head(u64::MAX), "it has 18446744073709551615 claims"),
        (
            head(2) + claim,
            "it was cut off: 2 lines were announced, and 1 came",
        ),
        (head(1) + claim + claim, "it goes on after the 1 lines"),
        (head(0) + "x", "it goes on after the 0 lines"),
        (
            head(1) + "{\"prefix\": \"192.0.2.7\", \"verdict\": block}\n",
            "line 2: it is no JSON object",
        ),
        (
            head(1) + "# comment\n",
            "line 2: it is no JSON object: a stream has no comments",
        ),
        (head(1) + "\0\n", "line 2 is binary"),
        (head(1) + &"x".repeat(LONGEST + 1), "line 2 is longer than"),
    ] {
        let error = whole(&text).expect_err(says).to_string();
        assert!(error.starts_with(says), "{says}: {error}");
    }
    let bytes = [head(1).as_bytes(), b"\xff\n"].concat();
    assert_eq!(read(Asked::Snapshot, &[&bytes]), Err(Error::NotUtf8(2)));
    let elsewhere = CHANGES.replace("\"e-7\"", "\"e-6\"");
    let error = read(after(), &[elsewhere.as_bytes()]);
    assert_eq!(error, Err(Error::Elsewhere("e-6".to_owned())));
}

#[test]
fn a_withdrawal_in_a_whole_word_is_refused_singly() {
    let text = "{\"snapshot\": true, \"cursor\": \"1\", \"claims\": 2}\n\
        {\"prefix\": \"192.0.2.7\", \"withdrawn\": true}\n\
        {\"prefix\": \"192.0.2.8\", \"verdict\": \"block\"}\n";
    let answer = whole(text).expect("an answer");
    assert_eq!((answer.claims, answer.refused.count), (2, 1));
    assert!(answer.refused.first[0].starts_with("line 2: a whole word withdraws"));
}

#[test]
fn what_never_ends_is_given_up_early() {
    let rules = rules();
    for (head, piece, most) in [
        ("", vec![b' '; 4096], SPARE),
        ("", vec![b'x'; 4096], LONGEST as u64),
        ("", vec![b'\n'; 4096], SPARE),
        (
            "{\"snapshot\": true, \"cursor\": \"1\", \"claims\": 5}\n",
            vec![b'\n'; 4096],
            SPARE + 5 * A_CLAIM,
        ),
    ] {
        let mut reader = Reader::new(&rules, Asked::Snapshot);
        reader.bytes(head.as_bytes()).expect("a head");
        let mut taken = 0;
        while reader.bytes(&piece).is_ok() {
            taken += piece.len() as u64;
            assert!(taken <= most, "{taken} bytes were taken");
        }
        assert!(reader.partial.capacity() <= 2 * LONGEST);
    }
}

#[test]
fn a_head_is_read_as_it_was_written() {
    let cursor: Cursor = "e-9".parse().expect("a cursor");
    for asked in [Asked::Snapshot, after()] {
        let text = head(&asked, &cursor, 0);
        let answer = read(asked, &[text.as_bytes()]).expect("an answer");
        assert_eq!((&answer.cursor, answer.claims), (&cursor, 0));
    }
}

#[test]
fn what_can_be_known_of_an_answer_without_a_last_end_is_said() {
    let head = "{\"snapshot\": false, \"after\": \"e-6\", \"cursor\": \"e-9\", \"claims\": 0}";
    let error = read(after(), &[head.as_bytes()]);
    assert_eq!(error, Err(Error::Elsewhere("e-6".to_owned())));
    assert!(matches!(whole("192.0.2.7"), Err(Error::Head(_))));
    // The second claim is cut off, so one came.
    let cut = &CHANGES[..CHANGES.len() - 10];
    assert_eq!(read(after(), &[cut.as_bytes()]), Err(Error::Short(1, 2)));
}

#[test]
fn a_claim_of_another_shape_is_refused_singly_only_where_it_is_json_to_its_end() {
    let body =
        |line: &str| format!("{{\"snapshot\": true, \"cursor\": \"1\", \"claims\": 1}}\n{line}");
    for line in [
        "{\"prefix\": 7, \"verdict\": \"block\"}\n",
        "{\"prefix\": \"::1\", \"verdict\": \"block\", \"id\": \"\\ud800\"}\n",
        "{\"prefix\": \"::1\", \"verdict\": \"block\", \"evidence\": 1e999}\n",
    ] {
        let answer = whole(&body(line)).expect(line);
        assert_eq!((answer.claims, answer.refused.count), (1, 1), "{line}");
    }
    for line in [
        "{\"prefix\": 7, \"verdict\": block}\n",
        "[\"::1\", \"block\", null, null, null, null, null]\n",
        "21",
    ] {
        let broken = whole(&body(line));
        let error = broken.expect_err(line);
        assert!(
            matches!(error, Error::Syntax(2, _) | Error::Short(0, 1)),
            "{error}"
        );
    }
    let head = whole("[true, null, \"c\", 0]\n");
    assert!(matches!(head, Err(Error::Head(_))), "{head:?}");
    let cut = whole(&body("{\"prefix\": 7, \"verdict\": \"blo"));
    assert_eq!(cut, Err(Error::Short(0, 1)));
}

#[test]
fn an_answer_longer_than_one_piece_may_be_can_come_in_one() {
    let claims = 9_000_u64;
    let line = "{\"prefix\": \"192.0.2.7\", \"verdict\": \"block\", \"new\": \"";
    let line = format!("{line}{}\"}}\n", "x".repeat(200));
    let cursor: Cursor = "1".parse().expect("a cursor");
    let text = head(&Asked::Snapshot, &cursor, claims) + &line.repeat(claims as usize);
    assert!(text.len() as u64 > SPARE);
    assert_eq!(whole(&text).expect("an answer").claims, claims);
}

#[test]
fn a_cursor_is_told_so_that_it_steers_no_terminal() {
    let elsewhere = CHANGES.replace("\"e-7\"", "\"\\u001b[2J\"");
    let error = read(after(), &[elsewhere.as_bytes()]);
    assert_eq!(error, Err(Error::Elsewhere("\\u{1b}[2J".to_owned())));
}

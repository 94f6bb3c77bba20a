use std::{collections::BTreeMap, net::Ipv4Addr};

use proptest::prelude::*;

use super::*;
use crate::{
    claim::Claim,
    feed::tests::{prefix, rules},
};

fn keep(text: &str, rules: &Rules) -> (Kept, BTreeMap<Prefix, Claim>) {
    let decoded = codec::decode(text.as_bytes(), rules).expect("a list");
    let kept = Kept::new(text.into(), &decoded).expect("worth keeping");
    (kept, said(decoded.claims))
}

fn said(claims: Vec<Claim>) -> BTreeMap<Prefix, Claim> {
    claims
        .into_iter()
        .map(|claim| (claim.prefix, claim))
        .collect()
}

fn apply(changes: Vec<Change>, said: &mut BTreeMap<Prefix, Claim>) {
    for change in changes {
        match change {
            Change::Withdraw(prefix) => said.remove(&prefix),
            Change::Claim(claim) => said.insert(claim.prefix, claim),
        };
    }
}

fn long() -> String {
    (0..5000u32)
        .map(|number| format!("{}\n", Ipv4Addr::from(0x0a00_0000 | number)))
        .collect()
}

#[test]
fn a_changed_line_of_a_long_list_is_one_change_each_way() {
    let old = format!("# made at ten\n{}", long());
    let (mut kept, _) = keep(&old, &rules());
    let new = old
        .replace("ten", "eleven")
        .replace("\n10.0.7.7\n", "\n192.0.2.7\n");
    let changes = kept.follow(new.clone().into(), &rules()).expect("a delta");
    let come = text::claim(prefix("192.0.2.7"), &rules());
    assert_eq!(
        changes,
        [Change::Withdraw(prefix("10.0.7.7")), Change::Claim(come)]
    );
    assert!(kept.is(new.as_bytes()));
}

#[test]
fn a_prefix_that_stands_twice_isnt_withdrawn_with_one_of_its_lines() {
    let (mut kept, _) = keep(&format!("{}10.0.7.7\n", long()), &rules());
    assert!(
        kept.follow(long().into(), &rules()).is_err(),
        "it is read anew"
    );
    let (mut kept, _) = keep(&long(), &rules());
    let twice = format!("{}10.0.7.7\n", long());
    kept.follow(twice.into(), &rules()).expect("a delta");
    let moved = long().replace("\n10.0.7.7\n", "\n") + "10.0.7.7\n";
    assert!(kept.follow(moved.into(), &rules()).is_err());
}

#[test]
fn what_may_be_no_list_is_read_as_a_whole() {
    let (mut kept, _) = keep(&long(), &rules());
    let ndjson = "{\"prefix\":\"::1\",\"verdict\":\"block\"}\n";
    for new in [
        format!("{ndjson}{}", long()).into_bytes(),
        format!("<html>{}", long()).into(),
        format!("{}\0", long()).into(),
        [long().as_bytes(), b"\xff"].concat(),
        b"# nothing\n".to_vec(),
        vec![],
    ] {
        assert_eq!(kept.follow(new.clone(), &rules()), Err(new));
    }
    let few = Rules {
        max_claims: 5000,
        ..rules()
    };
    assert!(
        kept.follow((long() + "::1").into(), &few).is_err(),
        "one too many"
    );
}

#[derive(Clone, Debug)]
enum Edit {
    Insert(usize, String),
    Remove(usize),
    Move(usize, usize),
    Replace(usize, String),
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (0..40u8).prop_map(|last| format!("192.0.2.{last}")),
        2 => (0..9u8, 0..3u8).prop_map(|(net, host)| format!("2001:db8:0:{net}::{host}")),
        1 => (0..9u8).prop_map(|last| format!("10.0.0.{last}/24 # masked")),
        1 => Just(String::new()),
        1 => Just("# a comment\r".to_owned()),
        1 => "[x-z]",
        1 => Just("\u{feff}192.0.2.1".to_owned()),
    ]
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = 0..1000usize;
    prop_oneof![
        (at.clone(), line()).prop_map(|(at, line)| Edit::Insert(at, line)),
        at.clone().prop_map(Edit::Remove),
        (at.clone(), at.clone()).prop_map(|(from, to)| Edit::Move(from, to)),
        (at, line()).prop_map(|(at, line)| Edit::Replace(at, line)),
    ]
}

fn edited(lines: &mut Vec<String>, edit: Edit) {
    let count = lines.len();
    match edit {
        Edit::Insert(at, line) => lines.insert(at % (count + 1), line),
        _ if count == 0 => {}
        Edit::Remove(at) => drop(lines.remove(at % count)),
        Edit::Move(from, to) => {
            let line = lines.remove(from % count);
            lines.insert(to % count, line);
        }
        Edit::Replace(at, line) => lines[at % count] = line,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn changes_lead_where_reading_the_whole_list_leads(
        mut lines in proptest::collection::vec(line(), 0..60),
        steps in proptest::collection::vec((proptest::collection::vec(edit(), 0..4), any::<bool>()), 1..8),
        widen_ipv6 in prop_oneof![Just(64u8), Just(128)],
    ) {
        let rules = Rules { widen_ipv6, ..rules() };
        lines.push("198.51.100.1".to_owned());
        let mut kept: Option<Kept> = None;
        let mut all = BTreeMap::new();
        for (edits, end) in steps {
            edits.into_iter().for_each(|edit| edited(&mut lines, edit));
            let text = lines.join("\n") + if end { "\n" } else { "" };
            let whole = codec::decode(text.as_bytes(), &rules);
            let followed = kept.as_mut().map(|kept| kept.follow(text.clone().into(), &rules));
            match (followed, whole) {
                (Some(Ok(changes)), Ok(whole)) => {
                    apply(changes, &mut all);
                    let kept = kept.as_ref().expect("it was followed");
                    prop_assert_eq!(kept.refused(), whole.refused());
                    let anew = Kept::new(text.clone().into(), &whole).expect("complete");
                    prop_assert_eq!(&kept.index, &anew.index);
                    prop_assert_eq!(&all, &said(whole.claims));
                }
                (Some(Ok(_)), Err(error)) => prop_assert!(false, "{error} was followed"),
                (_, Ok(whole)) => {
                    kept = Kept::new(text.into(), &whole);
                    all = said(whole.claims);
                }
                (_, Err(_)) => {}
            }
        }
    }
}

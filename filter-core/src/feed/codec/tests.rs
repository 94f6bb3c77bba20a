use super::*;
use crate::{
    claim::Verdict,
    feed::tests::{prefix, rules},
};

fn read(bytes: impl AsRef<[u8]>) -> Decoded {
    decode(bytes.as_ref(), &rules()).expect("a list")
}

fn prefixes(bytes: impl AsRef<[u8]>) -> Vec<String> {
    let claims = read(bytes).claims;
    claims
        .iter()
        .map(|claim| claim.prefix.to_string())
        .collect()
}

fn rejected(bytes: impl AsRef<[u8]>) -> String {
    let error = decode(bytes.as_ref(), &rules()).expect_err("no list");
    error.to_string()
}

#[test]
fn a_list_as_people_write_it() {
    let list = "\u{feff}; my list\r\n\r\n192.0.2.7\r\n  2001:db8::/32 # lab\r\n10.1.2.3/8;x";
    let all = ["192.0.2.7/32", "2001:db8::/32", "10.0.0.0/8"];
    assert_eq!(prefixes(list), all, "the last line may lack its end");
    let decoded = read(list);
    assert_eq!((decoded.masked, decoded.format), (1, Some(Format::Text)));
    assert_eq!(decoded.claims[0].verdict, Verdict::Block);
    assert_eq!(decoded.bad, Bad::default());
}

#[test]
fn the_first_character_tells_the_format() {
    let object = r#"{"prefix":"192.0.2.7","verdict":"allow"}"#;
    for list in [
        object.to_owned(),
        format!("\u{feff}\r\n# claims\n \t{object}\r\n"),
        format!("{object}\n# a comment\n\n"),
    ] {
        let decoded = read(&list);
        assert_eq!(decoded.format, Some(Format::Ndjson), "{list}");
        assert_eq!(decoded.claims.len(), 1, "{list}");
        assert_eq!(decoded.claims[0].verdict, Verdict::Allow);
    }
    for list in ["", "\n\n", "# nothing today\n", "\u{feff}"] {
        let decoded = read(list);
        assert!(decoded.claims.is_empty() && decoded.format.is_none());
        assert_eq!(decoded.refused(), Refused::default());
    }
}

#[test]
fn bad_lines_are_refused_one_by_one_and_the_first_ten_are_told() {
    let list = format!("192.0.2.1\n{}192.0.2.2\n", "x\n".repeat(12));
    let refused = read(&list).refused();
    assert_eq!(prefixes(&list).len(), 2);
    assert_eq!((refused.count, refused.first.len()), (12, 10));
    assert!(refused.first[0].starts_with("line 2: \"x\" is no address"));
    assert!(refused.first[9].starts_with("line 11: "));
}

#[test]
fn a_prefix_has_one_spelling_of_its_length_in_either_format() {
    for length in [
        "024",
        "+24",
        " 24",
        "24.0",
        "-1",
        "\u{ff12}\u{ff14}",
        "255.255.255.0",
    ] {
        for list in [
            format!("192.0.2.1\n192.0.2.0/{length}\n"),
            format!(
                "{{\"prefix\":\"192.0.2.1\",\"verdict\":\"block\"}}\n{{\"prefix\":\"192.0.2.0/{length}\",\"verdict\":\"block\"}}\n"
            ),
        ] {
            assert_eq!(prefixes(&list), ["192.0.2.1/32"], "{list}");
            assert_eq!(read(&list).refused().count, 1, "{list}");
        }
    }
}

#[test]
fn a_cut_last_line_is_refused() {
    let list = "{\"prefix\":\"::1\",\"verdict\":\"block\"}\n{\"prefix\":\"::2\",\"verd";
    let decoded = read(list);
    assert_eq!(decoded.claims.len(), 1);
    assert!(decoded.refused().first[0].starts_with("line 2: it is no JSON object"));
    let decoded = read("192.0.2.1\n192.0.2.");
    assert_eq!((decoded.claims.len(), decoded.bad.count), (1, 1));
}

#[test]
fn a_withdrawal_undoes_what_stood_before_it() {
    let claim = |prefix| format!("{{\"prefix\":\"{prefix}\",\"verdict\":\"block\"}}\n");
    let withdrawal = "{\"prefix\":\"192.0.2.1\",\"withdrawn\":true}\n";
    let (one, two) = (claim("192.0.2.1"), claim("192.0.2.2"));
    assert_eq!(
        prefixes(format!("{one}{two}{withdrawal}")),
        ["192.0.2.2/32"]
    );
    assert_eq!(
        prefixes(format!("{one}{withdrawal}{two}{one}")),
        ["192.0.2.2/32", "192.0.2.1/32"]
    );
    assert!(
        prefixes(withdrawal).is_empty(),
        "an empty list, and a good one"
    );
}

#[test]
fn what_cant_be_a_list_is_rejected_whole() {
    for (bytes, part) in [
        (&b"192.0.2.1\n\x7fELF\0\n"[..], "line 2 is binary"),
        (b"\xff\xfe1\x009\x00", "line 1 is binary"),
        (b"192.0.2.1\n# M\xfcller\n", "line 2 is not UTF-8"),
        (b"\n<!DOCTYPE html>\n192.0.2.1\n", "a web page"),
        (b"<html>", "a web page"),
        (
            b"\nerror: no such list\nsorry\n",
            "none of its 2 lines can be taken: line 2: ",
        ),
        (b"{\"error\": \"denied\"}\n", "missing field `prefix`"),
    ] {
        let error = rejected(bytes);
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn one_claim_too_many_rejects_the_list() {
    let list = |count: u32| -> String {
        (0..count)
            .map(|number| format!("{}\n", std::net::Ipv4Addr::from(number)))
            .collect()
    };
    let rules = Rules {
        max_claims: 1000,
        ..rules()
    };
    let decoded = decode(list(1000).as_bytes(), &rules).expect("just enough");
    assert_eq!(decoded.claims.len(), 1000);
    let error = decode(list(200_000).as_bytes(), &rules).expect_err("too many");
    assert_eq!(error, Error::TooMany(1000));
}

#[test]
fn a_line_longer_than_any_claim_is_refused() {
    let list = format!("192.0.2.1\n192.0.2.2 #{}\n", "x".repeat(LONGEST));
    assert_eq!(read(&list).bad.first[0].fault, Fault::Long);
    assert_eq!(prefixes(&list), ["192.0.2.1/32"]);
}

#[test]
fn an_address_means_its_network_where_the_rules_say_so() {
    let rules = Rules {
        widen_ipv6: 64,
        ..rules()
    };
    for list in [
        "2001:db8::7",
        "{\"prefix\":\"2001:db8::7\",\"verdict\":\"block\"}",
    ] {
        let decoded = decode(list.as_bytes(), &rules).expect("a list");
        assert_eq!(decoded.claims[0].prefix, prefix("2001:db8::/64"));
        assert_eq!(decoded.masked, 0);
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, text in "[0-9a-f:./#;{}\"\n \r]*") {
        let _decoded = decode(&bytes, &rules());
        let _decoded = decode(text.as_bytes(), &rules());
    }
}

use proptest::{collection::vec, option, prelude::*};
use serde_json::{Value, json};

use super::*;

fn marker() -> Pseudonyms {
    Pseudonyms::new(&[7; 32])
}

fn observation(line: &str) -> Result<Observation, Fault> {
    let lines = read(line.as_bytes(), &marker()).expect(line);
    let [(1, read)] = <[Line; 1]>::try_from(lines).expect("one line") else {
        panic!("it is the first")
    };
    read
}

#[test]
fn a_line_says_what_was_observed() {
    let marker = marker();
    let all = r#"{"source": "203.0.113.7", "outcome": "failed", "reason": "dev_rooted", "device": "ab\u0063", "ends": 1764100000, "weight": 3}"#;
    let expected = Observation {
        source: source::prefix("203.0.113.7".parse().expect("an address")),
        outcome: Outcome::Failed(Reason::new("dev_rooted")),
        device: Some(marker.device(b"abc")),
        token: None,
        ends: Some(1_764_100_000),
        elsewhere: false,
        weight: 3,
    };
    assert_eq!(observation(all), Ok(expected.clone()));
    let least = r#"{"source":"2001:db8::7","outcome":"attested"}"#;
    let expected = Observation {
        source: source::prefix("2001:db8::".parse().expect("an address")),
        outcome: Outcome::Attested,
        device: None,
        ends: None,
        weight: 1,
        ..expected
    };
    assert_eq!(observation(least), Ok(expected));
    for (text, source) in [
        ("203.0.113.7/32", "203.0.113.7/32"),
        ("::ffff:203.0.113.7", "203.0.113.7/32"),
        ("2001:db8::/64", "2001:db8::/64"),
        ("2001:db8::7/128", "2001:db8::/64"),
        ("2001:db8::7/96", "2001:db8::/64"),
    ] {
        let line = json!({"source": text, "outcome": "attested"}).to_string();
        let read = observation(&line).expect(text);
        assert_eq!(read.source.to_string(), source);
    }
}

#[test]
fn each_bad_line_is_refused_by_itself() {
    let good = r#"{"source":"203.0.113.7","outcome":"attested"}"#;
    for (bad, fault) in [
        ("x", "it isn't an observation: "),
        ("5", "it isn't an observation: "),
        ("{}", "missing field `source`"),
        (r#"{"source":"203.0.113.7"}"#, "missing field `outcome`"),
        (
            r#"{"source":"203.0.113.7","outcome":"attested","weigth":1}"#,
            "unknown field `weigth`",
        ),
        (
            r#"{"source":"203.0.113.7","source":"203.0.113.8","outcome":"attested"}"#,
            "duplicate field `source`",
        ),
        (
            r#"{"source":"me","outcome":"attested"}"#,
            "\"me\" is no source",
        ),
        (
            r#"{"source":"203.0.113.0/24","outcome":"attested"}"#,
            "\"203.0.113.0/24\" is no source",
        ),
        (
            r#"{"source":"2001:db8::/56","outcome":"attested"}"#,
            "is no source",
        ),
        (
            r#"{"source":"127.0.0.1","outcome":"attested"}"#,
            "is no source",
        ),
        (
            r#"{"source":"0.0.0.0/0","outcome":"attested"}"#,
            "is no source",
        ),
        (
            r#"{"source":"203.0.113.7","outcome":"Attested"}"#,
            "\"Attested\" is no outcome",
        ),
        (
            r#"{"source":"203.0.113.7","outcome":"failed"}"#,
            "says no reason",
        ),
        (
            r#"{"source":"203.0.113.7","outcome":"attested","reason":"x"}"#,
            "leave it out",
        ),
        (
            r#"{"source":"203.0.113.7","outcome":"failed","reason":""}"#,
            "a reason has 1 to 64",
        ),
        (
            r#"{"source":"203.0.113.7","outcome":"failed","reason":"\u001b[2J"}"#,
            "a reason has 1 to 64",
        ),
        (
            r#"{"source":"203.0.113.7","outcome":"attested","device":""}"#,
            "1 to 256 bytes",
        ),
        (
            r#"{"source":"203.0.113.7","outcome":"attested","weight":0}"#,
            "from 1 to 1000000",
        ),
        (
            r#"{"source":"203.0.113.7","outcome":"attested","weight":1000001}"#,
            "from 1 to 1000000",
        ),
        (
            r#"{"source":"203.0.113.7","outcome":"attested","weight":-1}"#,
            "it isn't an observation: ",
        ),
    ] {
        let text = format!("{good}\r\n\n{bad}\n{good}");
        let lines = read(text.as_bytes(), &marker()).expect("lines");
        let [(1, Ok(_)), (3, Err(why)), (4, Ok(_))] = &lines[..] else {
            panic!("{bad}: {lines:?}")
        };
        assert!(why.to_string().contains(fault), "{bad}: {why}");
        // The same in an array, where elements are counted.
        if serde_json::from_str::<Value>(bad).is_ok() {
            let text = format!("[{good},{bad},{good}]");
            let lines = read(text.as_bytes(), &marker()).expect("elements");
            assert!(
                matches!(&lines[..], [(1, Ok(_)), (2, Err(_)), (3, Ok(_))]),
                "{bad}: {lines:?}"
            );
        }
    }
}

#[test]
fn what_isnt_whole_is_no_array() {
    for text in ["[", "[{}", "[] x", r#"[{"source":"#, "[1,]"] {
        let fault = read(text.as_bytes(), &marker()).expect_err(text);
        assert!(matches!(fault, Fault::NoObservation(_)), "{text}");
    }
    assert_eq!(read(b"[]", &marker()), Ok(Vec::new()));
    assert_eq!(read(b"\n \r\n", &marker()), Ok(Vec::new()));
}

#[test]
fn no_more_are_read_than_at_once() {
    let many = "x\n".repeat(AT_ONCE + 500);
    let lines = read(many.as_bytes(), &marker()).expect("lines");
    assert_eq!(lines.len(), AT_ONCE + 1);
    assert_eq!(lines.last(), Some(&(AT_ONCE + 1, Err(Fault::TooMany))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..512)) {
        if let Ok(lines) = read(&bytes, &marker()) {
            prop_assert!(lines.is_sorted_by_key(|(number, _)| *number));
        }
    }

    #[test]
    fn what_was_written_is_read(
        v4: u32, v6: u128, is_v6: bool, weight in 1u32..1_000_000, ends in option::of(any::<u32>()),
        reason in option::of("[a-z_:/.-]{1,64}"), device in option::of("\\PC{1,60}"), array: bool,
    ) {
        let ip = if is_v6 { std::net::IpAddr::V6(v6.into()) } else { std::net::IpAddr::V4(v4.into()) };
        let mut line = json!({"source": ip, "weight": weight, "ends": ends, "device": device});
        line["outcome"] = if reason.is_some() { "failed".into() } else { "attested".into() };
        line["reason"] = reason.clone().into();
        let text = if array { json!([line]).to_string() } else { line.to_string() };
        let lines = read(text.as_bytes(), &marker()).expect("lines");
        let [(1, one)] = &lines[..] else { panic!("{lines:?}") };
        let canonical = crate::prefix::ip(crate::prefix::address(ip));
        if !source::is_source(canonical) {
            prop_assert_eq!(one, &Err(Fault::Source(ip.to_string())));
            return Ok(());
        }
        let one = one.as_ref().expect("an observation");
        prop_assert_eq!(one.source, source::prefix(ip));
        prop_assert_eq!((one.weight, one.ends), (weight, ends));
        prop_assert_eq!(one.device, device.map(|id| marker().device(id.as_bytes())));
        prop_assert_eq!(
            &one.outcome,
            &reason.map_or(Outcome::Attested, |reason| Outcome::Failed(Reason::new(&reason)))
        );
    }
}

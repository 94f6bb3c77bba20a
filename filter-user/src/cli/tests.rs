//! What is read of a command line, and what is refused.

use super::*;

fn line(text: &str) -> Result<Cli, clap::Error> {
    read(text.split(' ').map(OsString::from))
}

fn wrong(text: &str) -> String {
    let error = line(text).expect_err(text);
    assert_eq!(error.exit_code(), 2, "{text}");
    error.to_string()
}

#[test]
fn the_definitions_hold_together() {
    Cli::command().debug_assert();
}

#[test]
fn a_verdict_is_read_with_its_prefixes_its_end_and_its_reason() {
    let cli = line("weir block 203.0.113.7 2001:db8::/48 - --for 15m --reason seen --json")
        .expect("a command");
    let Command::Block(said) = cli.command else {
        panic!("{:?}", cli.command)
    };
    assert_eq!(
        said.prefixes.prefixes,
        ["203.0.113.7", "2001:db8::/48", "-"]
    );
    assert_eq!(said.lasts, Some(Duration::from_secs(900)));
    assert_eq!(said.reason.as_deref(), Some("seen"));
    assert!(cli.json);
}

#[test]
fn durations_are_read_as_people_write_them() {
    for (text, seconds) in [("90s", 90), ("15m", 900), ("1h", 3600), ("7d", 604_800)] {
        assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
    }
    for text in ["0s", "0", "", "1", "-1s", "999ms", "soon"] {
        assert!(duration(text).is_err(), "{text:?} was taken");
    }
}

#[test]
fn wrong_usage_exits_with_2_and_says_what_is_wrong() {
    assert!(wrong("weir block banana").contains("no address and no prefix"));
    assert!(wrong("weir block 203.0.113.7 --for 0s").contains("a second at least"));
    assert!(wrong("weir block").contains("PREFIX"));
    assert!(wrong("weir limit 203.0.113.7").contains("--tier"));
    assert!(wrong("weir mode on").contains("enforce, observe"));
    assert!(wrong("weir under-attack").contains("Usage"));
    assert!(wrong("weir under-attack on --for 0s").contains("a second at least"));
    assert!(wrong("weir under-attack off --for 1h").contains("--for"));
    assert!(wrong("weir explain example.com").contains("getent ahosts example.com"));
    assert!(wrong("weir forgive 203.0.113.0/24").contains("single sources"));
    assert!(wrong("weir mode --for 10m").contains("MODE"));
    assert!(wrong("weir mode --force").contains("MODE"));
    assert!(wrong("weir status --expect enforce").contains("--check"));
    assert!(wrong("weir status --check --expect on").contains("enforce, observe"));
    assert!(wrong("weir feed test x --refused-ok 101").contains("101"));
    assert!(wrong("weir explain 203.0.113.7 --port 0").contains("--port"));
    assert!(wrong("weir").contains("Usage"));
}

#[test]
fn help_and_version_are_done() {
    for text in ["weir --help", "weir block --help", "weir --version"] {
        assert_eq!(line(text).expect_err(text).exit_code(), 0, "{text}");
    }
}

#[test]
fn every_shell_has_completions() {
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let script = String::from_utf8(completions(shell)).expect("text");
        assert!(script.contains("explain"), "{shell}");
    }
}

#[test]
fn a_verdict_has_other_names() {
    for (text, same) in [
        ("weir unblock 192.0.2.7", "weir clear 192.0.2.7"),
        ("weir unban 192.0.2.7", "weir clear 192.0.2.7"),
        (
            "weir ban 192.0.2.7 --for 1h",
            "weir block 192.0.2.7 --for 1h",
        ),
    ] {
        let [one, other] = [text, same].map(|text| format!("{:?}", line(text).expect(text)));
        assert_eq!(one, other, "{text}");
    }
}

#[test]
fn a_wrong_line_is_known_to_ask_for_json_too() {
    for (text, json) in [
        ("weir --json block", true),
        ("weir block --json", true),
        ("weir bloc 192.0.2.7 --json", true),
        ("weir block", false),
        ("weir block -- --json", false),
        ("weir block --jason", false),
    ] {
        let arguments: Vec<OsString> = text.split(' ').map(OsString::from).collect();
        assert_eq!(wants_json(&arguments), json, "{text}");
    }
}

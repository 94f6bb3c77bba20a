//! What all commands have in common.

use std::ffi::OsString;

use super::*;

fn wrong(line: &str) -> clap::Error {
    cli::read(line.split(' ').map(OsString::from)).expect_err(line)
}

#[test]
fn wrong_usage_is_one_line_that_says_what_is_wrong() {
    for (line, words) in [
        ("weir", "the command is missing"),
        ("weir --json", "the command is missing"),
        ("weir under-attack", "the command is missing"),
        (
            "weir unblok 192.0.2.7",
            "unrecognized subcommand 'unblok' tip: a similar subcommand exists: 'unblock'",
        ),
        (
            "weir block",
            "required arguments were not provided: <PREFIX>...",
        ),
        (
            "weir block banana",
            "invalid value 'banana' for '<PREFIX>...'",
        ),
        ("weir status --chek", "unexpected argument '--chek' found"),
        ("weir mode on", "[possible values: enforce, observe]"),
        ("weir explain example.com", "getent ahosts example.com"),
    ] {
        let text = usage(&wrong(line));
        assert!(text.contains(words), "{line}: {text}");
        assert!(
            !text.contains('\n') && !text.contains("Usage:"),
            "{line}: {text}"
        );
        assert!(!text.starts_with("error"), "{line}: {text}");
    }
}

#[test]
fn each_command_has_a_limit() {
    for (line, seconds) in [
        ("weir status", 5),
        ("weir list", 5),
        ("weir block 192.0.2.7", 5),
        ("weir reload", 5),
        ("weir events --follow", 5),
        ("weir feed show x", 5),
        ("weir feed disable x", 5),
        ("weir feed refresh x", 10),
        ("weir feed enable x", 10),
        ("weir detach", 2),
    ] {
        let cli = cli::read(line.split(' ').map(OsString::from)).expect(line);
        assert_eq!(limit(&cli.command), Duration::from_secs(seconds), "{line}");
    }
}

//! Mistakes that operators make: where each is, and what to write.

use super::{Config, refused::refusal};

#[test]
fn each_mistake_is_answered_with_what_to_write() {
    let all = MISTAKES.iter();
    let wrong: Vec<_> = all
        .map(|(text, says)| (text, refusal(text), *says))
        .filter(|(_, message, says)| message != says)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn all_that_is_wrong_is_named_at_once_in_the_order_of_the_file() {
    let message = refusal(
        r#"[datapath]
interfacs = ["eth0"]
strict = 1
[protect]
sources = ["192.0.2.0/33", "::1", "x"]
[[service]]
name = "a"
prots = ["tcp/1"]
default_tier = "gold"
[[feed]]
name = "f"
kind = "file"
path = "/f"
rank = 0
[[feed]]
name = "f"
kind = "file"
path = "/g"
[policy]
mode = "on"
"#,
    );
    let starts = [
        "line 2: unknown key `interfacs` in [datapath]; did you mean `interfaces`?",
        "line 3, `strict` in [datapath]: write true or false",
        "line 5, `sources` in [protect]: \"192.0.2.0/33\" is no address",
        "line 5, `sources` in [protect]: \"x\" is no address",
        "line 8: unknown key `prots` in [[service]]; did you mean `ports`?",
        "line 14, `rank` in [[feed]]: rank 0 can't be",
        "line 16, `name` in [[feed]]: another feed is called \"f\"",
        "line 20, `mode` in [policy]: \"on\" can't be",
    ];
    let lines: Vec<_> = message.lines().collect();
    assert_eq!(lines.len(), starts.len(), "{message}");
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}\n{start}");
    }
}

#[test]
fn what_only_follows_from_a_mistake_is_not_named() {
    for text in [
        // No `ports`, no `path`, no `reasons` then.
        "[[service]]\nname = \"a\"\nports = [\"x\"]",
        "[[service]]\nname = \"a b\"\nports = [\"tcp/1\"]",
        "[[feed]]\nname = \"a\"\nkind = \"file\"\npath = \"x\"",
        "[[feed]]\nname = \"a\"\nknid = \"file\"",
        "[[attestation]]\nname = \"a\"\nkeys_file = \"x\"",
        "[policy.rule.mine]\nreasons = 5",
        "[protect]\nports = [{ port = \"tcp/22\", from = [\"x\"] }]",
        // A tier that couldn't be read.
        "[tier.\"a b\"]\n[[service]]\nname = \"a\"\nports = [\"tcp/1\"]\ndefault_tier = \"a b\"",
        "tier = 5\n[[service]]\nname = \"a\"\nports = [\"tcp/1\"]\ndefault_tier = \"gold\"",
        "[tier.a]\npackets = { rate = \"x\", burst = 1 }",
    ] {
        let message = refusal(text);
        assert_eq!(message.lines().count(), 1, "{text}\n{message}");
    }
    // One sentence of what is too many, however many there are.
    let tiers: String = (0..40).map(|n| format!("[tier.t{n}]\n")).collect();
    assert_eq!(refusal(&tiers).lines().count(), 1);
}

#[test]
fn ten_places_are_named_and_that_there_are_more() {
    let wrong = |count| -> String { (0..count).map(|n| format!("[x{n}]\n")).collect() };
    assert_eq!(refusal(&wrong(10)).lines().count(), 10);
    let eleven = refusal(&wrong(11));
    assert_eq!(eleven.lines().count(), 11);
    assert!(eleven.ends_with("\nand more: mend these first"));
    assert!(refusal(&wrong(2000)).ends_with("\nand more: mend these first"));
}

#[test]
fn what_a_filter_can_not_do_without_is_named() {
    for text in ["", "# [datapath]\n", "\n\n", "[daemon]"] {
        let lacks = Config::parse(text).expect("it can be read").lacks();
        assert_eq!(lacks.len(), 2, "{lacks:?}");
        assert!(lacks[0].contains("interfaces = [\"eth0\"]"), "{lacks:?}");
        assert!(lacks[1].contains("[[service]]"), "{lacks:?}");
    }
    assert_eq!(super::parse(super::SMALL).lacks(), [""; 0]);
}

/// A text, and the whole message.
const MISTAKES: &[(&str, &str)] = &[
    (
        "[service]\nname = \"a\"\nports = [\"tcp/1\"]",
        "line 1, [service]: there can be several: write [[service]], not [service]",
    ),
    (
        "[feed]\nname = \"a\"",
        "line 1, [feed]: there can be several: write [[feed]], not [feed]",
    ),
    (
        "[[datapath]]\ninterfaces = [\"eth0\"]",
        "line 1, `datapath` at the top of the file: there is only one: write [datapath], not [[datapath]]",
    ),
    (
        "[[tier]]\nname = \"a\"",
        "line 1, `tier` at the top of the file: there is only one: write [tier], not [[tier]]",
    ),
    (
        "[policy]\nrule = 5",
        "line 2, `rule` in [policy]: write [policy.rule] in a line of its own, and its keys below it",
    ),
    (
        "datapath = 5",
        "line 1, `datapath` at the top of the file: write [datapath] in a line of its own, and its keys below it",
    ),
    (
        "service = \"api\"",
        "line 1, `service` at the top of the file: write [[service]] in a line of its own, and its keys below it",
    ),
    (
        "mode = \"enforce\"",
        "line 1: unknown key `mode` at the top of the file; the keys here are `daemon`, `datapath`, `protect`, `tables`, `events`, `metrics`, `service`, `tier`, `under_attack`, `feed`, `check`, `attestation`, `policy`",
    ),
    (
        "interfaces = [\"eth0\"]",
        "line 1: unknown key `interfaces` at the top of the file; it belongs into [datapath]: write it below that line",
    ),
    (
        "[[services]]\nname = \"a\"",
        "line 1: unknown key `services` at the top of the file; did you mean `service`?",
    ),
    (
        "[datapath]\ninterfaces = \"eth0\"",
        "line 2, `interfaces` in [datapath]: write it in brackets: interfaces = [\"eth0\"]",
    ),
    (
        "[datapath]\ninterfaces = [1]",
        "line 2, `interfaces` in [datapath]: write it in quotes, such as interfaces = [\"eth0\"]",
    ),
    (
        "[datapath]\nmode = enforce",
        "line 2, `mode` in [datapath]: write it in quotes: mode = \"enforce\"",
    ),
    (
        "[datapath]\nmode = true",
        "line 2, `mode` in [datapath]: write it in quotes, such as mode = \"observe\"",
    ),
    (
        "[datapath]\nmode = \"enforce",
        "line 2, `mode` in [datapath]: the quote that ends the value is missing: write it, such as mode = \"observe\"",
    ),
    (
        "[datapath]\nmode: \"enforce\"",
        "line 2: write `=` between a key and its value, not `:`",
    ),
    (
        "[datapath]\nmode =",
        "line 2, `mode` in [datapath]: the value is missing: write one, such as mode = \"observe\"",
    ),
    (
        "[datapath]\nstrict = \"true\"",
        "line 2, `strict` in [datapath]: write true without quotes",
    ),
    (
        "[datapath]\nstrict = yes",
        "line 2, `strict` in [datapath]: write true or false",
    ),
    (
        "[datapath]\nstrict = True",
        "line 2, `strict` in [datapath]: write true or false, in small letters",
    ),
    (
        "[datapath\nmode = \"enforce\"",
        "line 1: the name of a table stands between `[` and `]`, and has no spaces: write it like [datapath]",
    ),
    (
        "// weir\n[datapath]",
        "line 1: a comment begins with `#`: write that before it",
    ),
    (
        "[policy]\nraised_for = 3600",
        "line 2, `raised_for` in [policy]: write it in quotes, such as raised_for = \"1h\"",
    ),
    (
        "[policy]\nraised_for = \"3600\"",
        "line 2, `raised_for` in [policy]: \"3600\" is no duration: write 90s, 15m, 1h or 7d",
    ),
    (
        "[policy]\nraised_for = 1h",
        "line 2, `raised_for` in [policy]: write it in quotes: raised_for = \"1h\"",
    ),
    (
        "[policy.rule.app]\nsteps = [{ evidence = 5, share = \"0.5\", verdict = \"block\", lifetime = \"60s\" }]",
        "line 2, `share` in [[policy.rule.app.steps]]: write a number, such as share = 0.5",
    ),
    (
        "[tables]\nipv4 = \"1000\"",
        "line 2, `ipv4` in [tables]: write 1000 without quotes",
    ),
    (
        "[tables]\nipv4 = 1.5",
        "line 2, `ipv4` in [tables]: write a whole number from 0 on, without quotes, such as ipv4 = 1000000",
    ),
    (
        "[tables]\nipv4 = 1,000",
        "line 2, `ipv4` in [tables]: write the number in digits alone, such as ipv4 = 1000000",
    ),
    (
        "[tables]\nipv4 = 1\nipv4 = 2",
        "line 3, `ipv4` in [tables]: `ipv4` is there twice: write it once",
    ),
    (
        "[events]\nsample = -1",
        "line 2, `sample` in [events]: write a whole number from 0 on, without quotes, such as sample = 100",
    ),
    (
        "[events]\nbudget_per_cpu = 100",
        "line 2, `budget_per_cpu` in [events]: write it in quotes, such as budget_per_cpu = \"100/s\"",
    ),
    (
        "[protect]\nsources = [192.0.2.0/24]",
        "line 2, `sources` in [protect]: write a list in brackets, and each of it in quotes, such as sources = [\"192.0.2.0/24\"]",
    ),
    (
        "[protect]\nsources = [\"192.0.2.0/24\" \"::1\"]",
        "line 2, `sources` in [protect]: a `,` is missing between two values, or the `]` that ends the list: write it",
    ),
    (
        "[protect]\nsources = [\"192.0.2.0/024\"]",
        "line 2, `sources` in [protect]: \"192.0.2.0/024\" is no address and no prefix: write 192.0.2.7, 192.0.2.0/24, 2001:db8::7 or 2001:db8::/32",
    ),
    (
        "[protect]\nports = 22",
        "line 2, `ports` in [protect]: write a list in brackets, such as ports = [\"tcp/22\"]",
    ),
    (
        "[[service]]\nname = \"a\"",
        "line 1, [[service]]: `ports` is missing: write it, such as ports = [\"tcp/443\", \"udp/443\"]",
    ),
    (
        "[[service]]\nname = \"a\"\nports = [443]",
        "line 3, `ports` in [[service]]: write it in quotes, such as ports = [\"tcp/443\", \"udp/443\"]",
    ),
    (
        "[tier.a]\npackets = \"100/s\"",
        "line 2, `packets` in [tier.a]: write a rate and its burst, such as { rate = \"200/s\", burst = 1000 }, not \"100/s\"",
    ),
    (
        "[tier.a]\npackets = { rate = 100, burst = 5 }",
        "line 2, `rate` in [tier.a.packets]: write it in quotes, such as rate = \"200/s\"",
    ),
    (
        "[tier.a]\npackets = { rate = \"1/s\" burst = 5 }",
        "line 2, `packets` in [tier.a]: a `,` is missing between two keys: write it",
    ),
    (
        "[tier]\npackets = { rate = \"1/s\", burst = 5 }",
        "line 2: unknown key `rate` in [tier.packets]; a tier has a name: write [tier.unknown] or another above its rates, not [tier]\nline 2: unknown key `burst` in [tier.packets]; a tier has a name: write [tier.unknown] or another above its rates, not [tier]",
    ),
    (
        "[[feed]]\nname = \"a\"\nkind = \"file\"\npath = \"/etc/weir/lists/\"",
        "line 4, `path` in [[feed]]: \"/etc/weir/lists/\" is a folder: write a file in it, and a [[feed]] for each file",
    ),
    (
        "[[feed]]\nname = \"a\"\nkind = \"file\"\npath = \"/etc/weir/*.txt\"",
        "line 4, `path` in [[feed]]: \"/etc/weir/*.txt\" is a pattern, and a feed reads one file: write its path, and a [[feed]] for each file",
    ),
    (
        "[[feed]]\nname = \"a\"\nkind = \"file\"\npath = \"https://example.net/list.txt\"",
        "line 4, `path` in [[feed]]: \"https://example.net/list.txt\" is an address, and this is the path of a file: fetch it into a file, and write that file's path from `/` on",
    ),
    (
        "[[feed]]\nname = \"a\"\nkind = \"file\"\npath = \"file:///list.txt\"",
        "line 4, `path` in [[feed]]: \"file:///list.txt\" is an address, and this is the path of a file: fetch it into a file, and write that file's path from `/` on",
    ),
    (
        "[[feed]]\nname = \"a\"\nkind = \"file\"",
        "line 3, `kind` in [[feed]]: a feed of the kind \"file\" needs `path`: write path = \"/etc/weir/blocklist.txt\"",
    ),
    (
        "[[feed]]\nname = \"a\"\nkind = \"file\"\npath = \"/a\"\nrank = \"10\"",
        "line 5, `rank` in [[feed]]: write 10 without quotes",
    ),
];

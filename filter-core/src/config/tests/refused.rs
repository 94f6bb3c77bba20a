//! What is refused or doubted, and in which words.

use super::{Config, SMALL, parse};

/// Whole sentences: this is what the operator reads.
#[test]
fn what_is_wrong_is_said_in_a_sentence() {
    for (text, says) in [
        (
            "\n\n[datapath]\ninterfacs = [\"eth0\"]",
            "line 4: unknown key `interfacs` in [datapath]; did you mean `interfaces`?",
        ),
        (
            "[datapth]",
            "line 1: unknown key `datapth` at the top of the file; did you mean `datapath`?",
        ),
        (
            "[metrics]\nport = 5",
            "line 2: unknown key `port` in [metrics]; the keys here are `listen`",
        ),
        (
            "[[service]]\nname = \"a\"\nports = [\"tcp/1\"]\n\n[[service]]\nname = \"b\"\nprots = []",
            "line 7: unknown key `prots` in [[service]]; did you mean `ports`?",
        ),
        (
            "[tier.a]\npackets = { rate = \"1/s\", brust = 5 }",
            "line 2: unknown key `brust` in [tier.a.packets]; did you mean `burst`?",
        ),
        (
            "[protect]\nsources = [\"192.0.2.1\",\n\"192.0.2.0/33\"]",
            "line 3, `sources` in [protect]: \"192.0.2.0/33\" is no address and no prefix: write 192.0.2.7, 192.0.2.0/24, 2001:db8::7 or 2001:db8::/32",
        ),
        (
            "[tier.a]\n\npackets = { rate = \"fast\", burst = 5 }",
            "line 3, `rate` in [tier.a.packets]: \"fast\" is no rate: write \"20000/s\" or \"600/m\", of bytes \"32MiB/s\" (B, KB, MB, GB, KiB, MiB, GiB)",
        ),
        (
            "[[service]]\nname = \"a\"\nports = [\"tcp/1\"]\ndefault_tier = \"gold\"",
            "line 4, `default_tier` in [[service]]: there is no tier \"gold\": write [tier.gold], or one of attested, bootstrap, fragments, suspect, unknown",
        ),
        (
            "[[feed]]\nname = \"a\"\nkind = \"file\"\npath = \"list.txt\"",
            "line 4, `path` in [[feed]]: \"list.txt\" is a relative path, and the daemon has no folder it could mean: write it from `/` on",
        ),
        (
            "[[feed]]\nname = \"a\"\nkind = \"file\"\npath = \"/a\"\n[[feed]]\nname = \"a\"\nkind = \"file\"\npath = \"/b\"",
            "line 6, `name` in [[feed]]: another feed is called \"a\": give each a name of its own",
        ),
        (
            "[[feed]]\nname = \"a\"\nkind = \"nats\"\nurl = \"https://verify.example.net/\"",
            "line 3, `kind` in [[feed]]: this version doesn't know feeds of the kind \"nats\": write \"file\" or \"verdicts\"",
        ),
        (
            "[[feed]]\nname = \"a\"\nkind = \"verdicts\"\nurl = \"http://verify.example.net/\"\ntoken_file = \"/t\"",
            "line 4, `url` in [[feed]]: a token travels only over https, or to this host itself: write https://, or leave out `token_file`",
        ),
        (
            "[[feed]]\nname = \"a\"\nkind = \"verdicts\"\nurl = \"https://verify.example.net/\"\nverdict = \"allow\"",
            "line 5, `verdict` in [[feed]]: a feed of the kind \"verdicts\" has no `verdict`: leave it out",
        ),
        (
            "[[feed]]\nname = \"a\"\nkind = \"file\"",
            "line 3, `kind` in [[feed]]: a feed of the kind \"file\" needs `path`: write path = \"/etc/weir/blocklist.txt\"",
        ),
        (
            "[datapath]\nstrict = 1",
            "line 2, `strict` in [datapath]: write true or false",
        ),
        (
            "datapath = 5",
            "line 1, `datapath` at the top of the file: write [datapath] in a line of its own, and its keys below it",
        ),
        (
            "[policy]\nmode = \"on\"",
            "line 2, `mode` in [policy]: \"on\" can't be: write \"off\" or \"observe\" or \"enforce\"",
        ),
        (
            "[policy]\nlongest_block = \"2d\"",
            "line 2, `longest_block` in [policy]: 2d is too long here: write 1d at most",
        ),
        (
            "[policy.rule.device]\nsteps = [{ evidence = 90, share = 1.0, verdict = \"block\", lifetime = \"60s\" }]",
            "line 1, `device` in [policy.rule]: rule device would block for what is said of a device, and that is no proof of abuse: write a step with { limit = \"suspect\" }",
        ),
        (
            "[policy.rule.app]\nsteps = [{ evidence = 1, share = 1.0, verdict = \"block\", lifetime = \"60s\" }]",
            "line 2, `evidence` in [[policy.rule.app.steps]]: 1 can't be: write 2 failing calls or more, since one never changes anything, and 2000 at most",
        ),
        (
            "[policy.rule.app]\nsteps = [{ evidence = 5, share = 90.0, verdict = \"block\", lifetime = \"60s\" }]",
            "line 2, `share` in [[policy.rule.app.steps]]: 90 is no share: write a number from 0.0 to 1.0",
        ),
        (
            "[policy.rule.app]\nsteps = [{ evidence = 5, share = 0.9, verdict = \"allow\", lifetime = \"60s\" }]",
            "line 2, `verdict` in [[policy.rule.app.steps]]: nobody is allowed anything for failing: write \"block\" or { limit = \"suspect\" }",
        ),
        (
            "[policy.rule.app]\nsteps = [{ evidence = 5, share = 0.9, verdict = \"block\", lifetime = \"2h\" }]",
            "line 2, `lifetime` in [[policy.rule.app.steps]]: 2h is too long here: write 1h at most",
        ),
        (
            "[policy.rule.app]\nsteps = [\n{ evidence = 5, share = 0.9, verdict = { limit = \"suspect\" }, lifetime = \"2h\" },\n{ evidence = 4, share = 0.9, verdict = \"block\", lifetime = \"60s\" }]",
            "line 4, `evidence` in [[policy.rule.app.steps]]: the step before needs more, so that it would never hold: write the steps from mild to harsh",
        ),
        (
            "[policy.rule.app]\nreasons = [\"app\", \"credential\"]",
            "line 1, `app` in [policy.rule]: \"credential\" belongs to rule app and to rule credential: name it in one of them",
        ),
        (
            "[policy.rule.mine]\nreasons = [\"tok_expired\"]",
            "line 1, `mine` in [policy.rule]: rule mine is one too many, since a source has 5 counts: write reasons = [] in a rule that isn't needed",
        ),
        (
            "[policy.rule.mine]\nmode = \"observe\"",
            "line 1, `mine` in [policy.rule]: rule mine says nothing of its `reasons`: write them, such as reasons = [\"tok_expired\"]",
        ),
        (
            "[policy.rule.app]\nevidence = 5",
            "line 2: unknown key `evidence` in [policy.rule.app]; the keys here are `reasons`, `mode`, `steps`",
        ),
        (
            "[[service]]\nname = \"a\"\nports = [\"udp/443\"]\nquic = [\"v1\", \"v3\"]",
            "line 4, `quic` in [[service]]: \"v3\" is no version of QUIC: write \"v1\", \"v2\", a draft from \"draft-01\" to \"draft-34\", or a number of eight digits such as \"0xff00001d\"",
        ),
        (
            "[[service]]\nname = \"a\"\nports = [\"udp/443\"]\nquic = [\"0x1a2a3a4a\"]",
            "line 4, `quic` in [[service]]: 0x1a2a3a4a is one of the versions that clients offer because no server speaks them (RFC 9000 section 15): leave it out",
        ),
        (
            "[[service]]\nname = \"a\"\nports = [\"udp/443\"]\nquic = [\"0x00000000\"]",
            "line 4, `quic` in [[service]]: 0x00000000 is what a server answers that speaks no version it was offered (RFC 9000 section 17.2.1): leave it out",
        ),
        (
            "[[service]]\nname = \"a\"\nports = [\"udp/443\"]\nquic = [\"draft-29\", \"0xff00001d\"]",
            "line 4, `quic` in [[service]]: draft-29 is there twice: write it once",
        ),
        (
            "[[service]]\nname = \"a\"\nports = [\"udp/443\"]\nquic = [\"v1\", \"0x00000011\", \"0x00000012\", \"0x00000013\", \"0x00000014\", \"0x00000015\"]",
            "line 4, `quic` in [[service]]: there is room for 4 versions besides v1, v2 and the drafts: write those that clients use",
        ),
        (
            "[[service]]\nname = \"a\"\nports = [\"tcp/443\"]\nquic = [\"v1\"]",
            "line 4, `quic` in [[service]]: QUIC is UDP, and service a has no such port: add \"udp/443\" to its `ports`, or leave `quic` out",
        ),
        (
            "[[service]]\nname = \"a\"\nports = [\"udp/443\"]\nquic = \"v1\"",
            "line 4, `quic` in [[service]]: write it in brackets: quic = [\"v1\"]",
        ),
        (
            "[datapath]\nmode = \"enfroce\"",
            "line 2, `mode` in [datapath]: \"enfroce\" can't be: write \"observe\" or \"enforce\"",
        ),
    ] {
        assert_eq!(refusal(text), says);
    }
}

#[test]
fn what_can_not_be_is_refused() {
    for (text, says) in [
        (
            "[daemon",
            "line 1: the name of a table stands between `[` and `]`",
        ),
        (
            "[daemon]\n[daemon]",
            "line 2: `daemon` is there twice: write it once",
        ),
        (
            "[datapath]\ninterfaces = [\"a b\"]",
            "line 2, `interfaces` in [datapath]: \"a b\" is no name of an interface",
        ),
        (
            "[datapath]\ninterfaces = [\"a\", \"a\"]",
            "line 2, `interfaces` in [datapath]: \"a\" is there twice",
        ),
        (
            "[datapath]\nattach = \"x\"",
            "line 2, `attach` in [datapath]: \"x\" can't be: write \"auto\" or \"native\" or \"generic\"",
        ),
        (
            "[datapath]\non_stop = \"x\"",
            "line 2, `on_stop` in [datapath]: \"x\" can't be",
        ),
        (
            "[daemon]\nstate_dir = \"var\"",
            "line 2, `state_dir` in [daemon]: \"var\" is a relative path",
        ),
        (
            "[protect]\nsources = [\"::/0\"]",
            "line 2, `sources` in [protect]: a prefix of length 0 would protect everyone",
        ),
        (
            "[protect]\nports = [\"ssh\"]",
            "line 2, `ports` in [protect]: \"ssh\" is no port",
        ),
        (
            "[protect]\nports = [5]",
            "line 2, `ports` in [protect]: write \"tcp/22\" or { port",
        ),
        (
            "[protect]\nports = [{ port = \"tcp/22\", from = [\"x\"] }]",
            "line 2, `from` in [[protect.ports]]: \"x\" is no address",
        ),
        (
            "[protect]\nports = [{ port = \"tcp/22\", from = [] }]",
            "line 2, [[protect.ports]]: `from` is empty, which protects tcp/22 for nobody",
        ),
        (
            "[protect]\nports = [{ prot = \"tcp/22\" }]",
            "line 2: unknown key `prot` in [[protect.ports]]; did you mean `port`?",
        ),
        (
            "[tables]\nipv4 = 0",
            "line 2, `ipv4` in [tables]: there can't be room for 0: write a number from 1 to 16777215",
        ),
        (
            "[tables]\nbuckets = 99999999",
            "line 2, `buckets` in [tables]: there can't be room for 99999999",
        ),
        (
            "[events]\nbudget_per_cpu = \"1KiB/s\"",
            "line 2, `budget_per_cpu` in [events]: events are counted",
        ),
        ("[events]\nsample = -1", "line 2, `sample` in [events]: "),
        (
            "[metrics]\nlisten = \"0.0.0.0:9187\"",
            "line 2, `listen` in [metrics]: \"0.0.0.0:9187\" is no loopback address",
        ),
        (
            "[metrics]\nlisten = \"localhost\"",
            "line 2, `listen` in [metrics]: \"localhost\" is no loopback address",
        ),
        (
            "[[service]]\nname = \"a\"\nports = []",
            "line 3, `ports` in [[service]]: a service without ports",
        ),
        (
            "[[service]]\nname = \"fragments\"\nports = [\"tcp/1\"]",
            "line 2, `name` in [[service]]: the name \"fragments\" is weir's own",
        ),
        (
            "[[service]]\nname = \"a b\"\nports = [\"tcp/1\"]",
            "line 2, `name` in [[service]]: \"a b\" is no name",
        ),
        (
            "[[service]]\nname = \"a\"\nports = [\"tcp/1-5\", \"tcp/5\"]",
            "line 3, `ports` in [[service]]: tcp/5 is there twice, the other time in tcp/1-5",
        ),
        (
            "[tier.\"a b\"]",
            "line 1, `a b` in [tier]: \"a b\" is no name",
        ),
        (
            "[tier.a]\npackets = 5",
            "line 2, `packets` in [tier.a]: write a rate and its burst, such as { rate = \"200/s\", burst = 1000 }",
        ),
        (
            "[tier.a]\npackets = { rate = \"1/s\" }",
            "line 2, [tier.a.packets]: `burst` is missing",
        ),
        (
            "[tier.a]\npackets = { rate = \"1KiB/s\", burst = 5 }",
            "line 2, `rate` in [tier.a.packets]: packets and connections are counted",
        ),
        (
            "[tier.a]\nconnections = { rate = \"1/s\", burst = \"5KiB\" }",
            "line 2, `burst` in [tier.a.connections]: packets and connections are counted",
        ),
        (
            "[tier.a]\npackets = { rate = \"0/s\", burst = 5 }",
            "line 2, `rate` in [tier.a.packets]: 0 would let nothing through",
        ),
        (
            "[tier.a]\npackets = { rate = \"1/s\", burst = 0 }",
            "line 2, `burst` in [tier.a.packets]: 0 would let nothing through",
        ),
        (
            "[tier.a]\npackets = { rate = \"1/s\", burst = -1 }",
            "line 2, `burst` in [tier.a.packets]: -1 is less than nothing",
        ),
        (
            "[tier.a]\npackets = { rate = \"1/s\", burst = \"5XB\" }",
            "line 2, `burst` in [tier.a.packets]: \"5XB\" is no size",
        ),
        (
            "[tier.a]\npackets = { rate = \"1/s\", burst = 9000000 }",
            "line 2, [tier.a.packets]: this rate can't be held",
        ),
        (
            "[tier.a]\npackets = { rate = \"20000000/s\", burst = 50 }",
            "line 2, `rate` in [tier.a.packets]: this is faster than can be held within 1 %: write at most ",
        ),
        (
            "[tier.a]\nbytes = { rate = \"1MiB/s\", burst = \"1GiB\" }",
            "line 2, `burst` in [tier.a.bytes]: a burst of 1073741824 is longer than can be held within 1 % of this rate: write at most ",
        ),
        (
            "[tier.a]\nbytes = { rate = \"1MiB/s\", burst = 1535 }",
            "line 2, `burst` in [tier.a.bytes]: a burst of 1535 bytes is smaller than a frame",
        ),
        (
            "[tier.a.neighbourhood]\nbytes = { rate = \"x\", burst = 1 }",
            "line 2, `rate` in [tier.a.neighbourhood.bytes]: \"x\" is no rate",
        ),
        (
            "[[feed]]\nname = \"operator\"\nkind = \"file\"\npath = \"/a\"",
            "line 2, `name` in [[feed]]: the name \"operator\" is weir's own",
        ),
        (
            "[[feed]]\nname = \"a\"\nkind = \"file\"\npath = \"/a\"\nrank = 0",
            "line 5, `rank` in [[feed]]: rank 0 can't be: write 1 (the strongest) to 255",
        ),
        (
            "[[feed]]\nname = \"a\"\nkind = \"file\"\npath = \"/a\"\nrank = 256",
            "line 5, `rank` in [[feed]]: rank 256 can't be",
        ),
        (
            "[[feed]]\nname = \"a\"\nkind = \"file\"\npath = \"/a\"\nwiden_ipv6 = 48",
            "line 5, `widen_ipv6` in [[feed]]: 48 can't be: write 64",
        ),
        (
            "[[feed]]\nname = \"a\"\nkind = \"file\"\npath = \"/a\"\nverdict = \"drop\"",
            "line 5, `verdict` in [[feed]]: \"drop\" is no verdict",
        ),
        (
            "[[feed]]\nname = \"a\"\nkind = \"file\"\npath = \"/a\"\nverdict = { limit = \"x\" }",
            "line 5, `limit` in [feed.verdict]: there is no tier \"x\"",
        ),
    ] {
        let message = refusal(text);
        assert!(message.starts_with(says), "{text}\n{message}");
    }
    let long = format!("[daemon]\ncontrol = \"/{}\"", "a".repeat(107));
    assert!(refusal(&long).contains("107 bytes at most"));
}

#[test]
fn a_port_belongs_to_one_service_at_a_destination() {
    let two = |one: &str, two: &str| {
        format!(
            "[[service]]\nname = \"one\"\nports = [\"tcp/443\"]\naddresses = {one}\n[[service]]\nname = \"two\"\nports = [\"tcp/440-450\"]\naddresses = {two}"
        )
    };
    for (one, other) in [
        ("[]", "[]"),
        ("[\"192.0.2.0/24\"]", "[\"192.0.2.7\"]"),
        ("[\"192.0.2.7\"]", "[\"192.0.2.0/24\"]"),
    ] {
        let message = refusal(&two(one, other));
        let says = "line 7, `ports` in [[service]]: tcp/440-450 is service one's already";
        assert!(message.starts_with(says), "{message}");
    }
    for (one, other) in [
        ("[]", "[\"192.0.2.7\"]"),
        ("[\"192.0.2.0/24\"]", "[]"),
        (
            "[\"192.0.2.0/24\"]",
            "[\"192.0.3.0/24\", \"2001:db8::/32\"]",
        ),
    ] {
        assert_eq!(parse(&two(one, other)).services.len(), 2);
    }
}

#[test]
fn there_is_room_for_so_many_and_no_more() {
    let services = |count: u32| -> String {
        let one = |n| format!("[[service]]\nname = \"s{n}\"\nports = [\"tcp/{n}\"]\n");
        (1..=count).map(one).collect()
    };
    assert_eq!(parse(&services(31)).services.len(), 31);
    assert!(refusal(&services(32)).contains("one too many: there may be 31"));

    let tiers = |count: u32| -> String {
        let one = |n| format!("[tier.t{n}]\n");
        (1..=count).map(one).collect()
    };
    assert_eq!(parse(&tiers(27)).tiers.len(), 32);
    assert!(refusal(&tiers(28)).contains("more than 32 tiers"));

    // The policy's own are there only where it is on.
    let policy = |count| format!("[policy]\nmode = \"observe\"\n{}", tiers(count));
    assert_eq!(parse(&policy(20)).tiers.len(), 32);
    assert!(refusal(&policy(21)).contains("more than 32 tiers"));

    let scopes =
        "[[service]]\nname = \"a\"\nports = [\"tcp/1-65535\"]\naddresses = [\"192.0.2.1\"]";
    assert!(refusal(scopes).contains("there is room for 60000"));
}

#[test]
fn what_is_doubtful_is_said() {
    for (more, says) in [
        (
            "[protect]\nsources = [\"192.0.2.7/24\"]",
            "line 9, `sources` in [protect]: 192.0.2.0/24 is what is meant: bits behind its length were set",
        ),
        (
            "[protect]\nsources = [\"::ffff:192.0.2.0/120\"]",
            "line 9, `sources` in [protect]: 192.0.2.0/24 is what ::ffff:192.0.2.0/120 means, the IPv4 that it spells: write that",
        ),
        (
            "[protect]\nports = [{ port = \"tcp/22\", from = [\"64:ff9b::c000:201\"] }]",
            "line 9, `from` in [[protect.ports]]: 192.0.2.1/32 is what 64:ff9b::c000:201 means",
        ),
        (
            "[protect]\nsources = [\"::192.0.2.1\"]",
            "line 9, `sources` in [protect]: 192.0.2.1/32 is what ::192.0.2.1 means",
        ),
        (
            "[protect]\nsources = [\"2002:c000:201::/48\"]",
            "line 9, `sources` in [protect]: 2002:c000:201::/48 is 6to4, and means that IPv6 prefix alone",
        ),
        (
            "[protect]\nsources = [\"2001:0:c000:201::/64\"]",
            "line 9, `sources` in [protect]: 2001:0:c000:201::/64 is Teredo, and means that IPv6 prefix alone",
        ),
        (
            "[protect]\nsources = [\"64:ff9b::/64\"]",
            "line 9, `sources` in [protect]: 64:ff9b::/64 is wider than 64:ff9b::/96, behind which all is IPv4",
        ),
        (
            "[protect]\nsources = [\"64:ff9b:1::/64\"]",
            "line 9, `sources` in [protect]: 64:ff9b:1::/64 is of translators (NAT64)",
        ),
        (
            "[protect]\nsources = [\"128.0.0.0/1\"]",
            "line 9, `sources` in [protect]: 128.0.0.0/1 is very wide",
        ),
        (
            "[protect]\nports = [\"tcp/400-500\"]",
            "line 6, `ports` in [[service]]: tcp/443 is guarded, but [protect] ports has tcp/400-500",
        ),
        (
            "[protect]\nports = [\"tcp/22\", { port = \"tcp/22\", from = [\"192.0.2.1\"] }]",
            "line 9, [[protect.ports]]: tcp/22 and tcp/22 are one for every source",
        ),
        (
            "[tier.a]\nbytes = { rate = \"1MiB/s\", burst = 1536 }",
            "line 9, `burst` in [tier.a.bytes]: a burst of 1536 bytes is smaller than frames that were merged",
        ),
        (
            "[[service]]\nname = \"a\"\nports = [\"tcp/80\", \"udp/444-450\"]",
            "line 10, `ports` in [[service]]: service a doesn't say whether udp/444-450 is QUIC",
        ),
        (
            "[tier.a]\npackets = { rate = \"10/s\", burst = 43 }",
            "line 9, `burst` in [tier.a.packets]: where the filter is attached in generic mode",
        ),
    ] {
        let warnings = parse(&with(more)).warnings;
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].starts_with(says), "{warnings:?}");
    }
    assert!(parse("").warnings[0].starts_with("there is no [[service]]"));
    for quic in ["[]", "[\"v1\", \"0x51303436\"]"] {
        let said = "[[service]]\nname = \"a\"\nports = [\"udp/444\"]\nquic = ";
        assert_eq!(parse(&with(&format!("{said}{quic}"))).warnings, [""; 0]);
    }
    let none = "[[service]]\nname = \"a\"\nports = [\"tcp/444\"]\nquic = []";
    assert_eq!(parse(&with(none)).warnings, [""; 0]);
    let enough = "[tier.a]\npackets = { rate = \"10/s\", burst = 44 }\nbytes = { rate = \"1MiB/s\", burst = \"64KiB\" }";
    assert_eq!(parse(&with(enough)).warnings, [""; 0]);
}

pub(super) fn refusal(text: &str) -> String {
    Config::parse(text).expect_err(text).to_string()
}

/// The smallest useful file, with more behind it.
fn with(more: &str) -> String {
    format!("{SMALL}\n{more}")
}

//! What the pages say and the code knows, compared: a number that changes in one
//! place and not in the other fails here. (Causes: `tests/src/case.rs`; metrics and
//! the configuration: beside their rooms; budgets: `xtask`.)

use std::{collections::BTreeSet, fs, path::Path};

use filter_common::{
    abi::LAYOUT,
    rate::Rate,
    verdict::{SHADOW_STAGES, STAGES},
};

use crate::config::{Config, tier};

const FEEDS: &str = include_str!("../../docs/feed-format.md");
const GLOSSARY: &str = include_str!("../../docs/glossary.md");
const OPERATING: &str = include_str!("../../docs/operating.md");
const VERDICTS: &str = include_str!("../../docs/verdicts.md");
const ARCHITECTURE: &str = include_str!("../../docs/architecture.md");

#[test]
fn the_layout_is_the_same_on_every_page() {
    let layout = format!("`v{LAYOUT}`");
    assert!(GLOSSARY.contains(&format!("in the pins' path, {layout}")));
    assert!(OPERATING.contains(&format!("{layout} is the layout's number")));
    let pins: Vec<_> = OPERATING.split("/sys/fs/bpf/weir/v").skip(1).collect();
    let right = format!("{LAYOUT}/");
    assert!(!pins.is_empty() && pins.iter().all(|rest| rest.starts_with(&right)));
}

#[test]
fn each_kind_of_feed_has_a_place_on_its_page() {
    // A kind that isn't known is answered with those that are.
    let text = "[datapath]\ninterfaces = [\"eth0\"]\n[[feed]]\nname = \"a\"\nkind = \"x\"\n";
    let refused = Config::parse(text).expect_err("it is no kind").to_string();
    let (_, known) = refused.rsplit_once("write ").expect("it names kinds");
    let kinds: Vec<_> = known.split('"').skip(1).step_by(2).collect();
    assert!(kinds.len() >= 2, "{refused}");
    let first: String = FEEDS.lines().take(4).collect();
    for kind in kinds {
        assert!(first.contains(&format!("`{kind}`")), "{kind} isn't named");
        let written = format!("kind = \"{kind}\"");
        assert!(FEEDS.contains(&written), "{written} isn't described");
    }
}

#[test]
fn each_tier_that_is_built_in_stands_with_its_rates() {
    let text = "[policy]\nmode = \"observe\"\n[datapath]\ninterfaces = [\"eth0\"]\n";
    let config = Config::parse(text).expect("it is good");
    for (_, name) in tier::SHARED {
        assert!(VERDICTS.contains(&format!("`{name}`")), "{name}");
        assert!(config.tiers.contains_key(name), "{name}");
    }
    // The page's words, and the rate that they are about.
    let page = VERDICTS.split_whitespace().collect::<Vec<_>>().join(" ");
    let rate = |units, burst| Rate::new(units, 1_000_000_000, burst);
    let of = |name: &str| Some(config.tiers[name].source);
    let connections = |name: &str| of(name).map(|rates| rates.connections);
    for (says, expected, is) in [
        (
            "`unknown` 20,000 packets/s (burst 40,000)",
            rate(20_000, 40_000),
            of(tier::UNKNOWN).map(|rates| rates.packets),
        ),
        (
            "32 MiB/s (64 MiB)",
            rate(32 << 20, 64 << 20),
            of(tier::UNKNOWN).map(|rates| rates.bytes),
        ),
        (
            "200 connections/s (1,000)",
            rate(200, 1_000),
            connections(tier::UNKNOWN),
        ),
        (
            "`suspect` 1 connection/s (5)",
            rate(1, 5),
            connections(tier::SUSPECT),
        ),
        (
            "`bootstrap` 2 connections/s (10)",
            rate(2, 10),
            connections(tier::BOOTSTRAP),
        ),
        (
            "`attested` twice `unknown`",
            rate(400, 2_000),
            connections(tier::ATTESTED),
        ),
        (
            "`fragments` as `unknown`",
            rate(200, 1_000),
            connections(tier::FRAGMENTS),
        ),
        (
            "`shared-2`, 4 connections/s (40)",
            rate(4, 40),
            connections("shared-2"),
        ),
        (
            "four times the connections",
            rate(16, 160),
            connections("shared-8"),
        ),
    ] {
        assert!(page.contains(says), "{says}");
        assert_eq!(is, expected, "{says}");
    }
    for name in tier::BUILT_IN {
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn an_entry_holds_as_many_stages_as_the_page_says() {
    let says = format!("An entry holds {STAGES} stages, and {SHADOW_STAGES} in the shadow");
    assert!(VERDICTS.contains(&says), "{says}");
}

#[test]
fn the_rooms_of_the_table_are_files_and_no_room_is_missing() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../filter-common/src");
    let row = ARCHITECTURE
        .lines()
        .find(|line| line.starts_with("| `filter-common/src/`"))
        .expect("the law has a row");
    for entry in fs::read_dir(source).expect("the law is there") {
        let name = entry.expect("a file").file_name();
        let name = name.to_string_lossy().into_owned();
        let Some(room) = name.strip_suffix(".rs") else {
            continue;
        };
        assert!(
            room == "lib" || row.contains(room),
            "{room} isn't in: {row}"
        );
    }
}

/// The files of the row `command`, and those that speak of one command: the same.
#[test]
fn a_command_is_in_the_files_that_its_row_names_and_in_no_other() {
    let row = ARCHITECTURE
        .lines()
        .find(|line| line.starts_with("| command |"))
        .expect("a command has a row");
    let named = row.split('`').skip(1).step_by(2);
    let named: BTreeSet<_> = named.filter(|word| word.ends_with(".rs")).collect();
    assert_eq!(
        named,
        BTreeSet::from([
            "filter-core/src/engine.rs",
            "filter-core/src/protocol.rs",
            "filter-user/src/cli.rs",
            "filter-user/src/command.rs",
            "filter-user/src/command/<name>.rs",
            "filter-user/src/daemon/requests.rs",
        ])
    );
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut sources = Vec::new();
    for folder in ["filter-core/src", "filter-user/src"] {
        sources_in(&root, Path::new(folder), &mut sources);
    }
    // The command's name, what only it writes, and the arm that it doesn't need.
    for (name, marks, other) in [
        (
            "forgive",
            [
                "Forgive {",
                "ForgiveRequest",
                "ForgiveAnswer",
                "Command::Forgive",
            ],
            "filter-user/src/daemon/requests.rs",
        ),
        (
            "version",
            [
                "/// Print the version",
                "VersionQuery",
                "VersionAnswer",
                "Command::Version",
            ],
            "filter-core/src/engine.rs",
        ),
    ] {
        let named = named.iter().map(|file| file.replace("<name>", name));
        let named: BTreeSet<_> = named.filter(|file| file != other).collect();
        let speak = sources.iter();
        let speak = speak.filter(|(_, text)| marks.iter().any(|mark| text.contains(mark)));
        // What an arm calls, and large types, have files in the folder beside it.
        let speak = speak.map(|(file, _)| {
            let of = |room: &str| file.starts_with(&format!("{room}/"));
            let rooms = ["filter-core/src/engine", "filter-core/src/protocol"];
            let room = rooms.into_iter().find(|room| of(room));
            room.map_or_else(|| file.clone(), |room| format!("{room}.rs"))
        });
        assert_eq!(speak.collect::<BTreeSet<_>>(), named, "{name}");
    }
}

/// The sources in a folder, this file left out, by their paths from the root.
fn sources_in(root: &Path, folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(root.join(folder)).expect("a folder") {
        let entry = entry.expect("an entry");
        let path = folder.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            sources_in(root, &path, found);
        } else if path.extension().is_some_and(|end| end == "rs")
            && path != Path::new("filter-core/src/pages.rs")
        {
            let text = fs::read_to_string(entry.path()).expect("a source");
            found.push((path.to_string_lossy().into_owned(), text));
        }
    }
}

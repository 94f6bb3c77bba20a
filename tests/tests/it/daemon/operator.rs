//! Claims of the operator are in force at once, end when they should, and are
//! never lost once success was answered.

use std::{collections::BTreeSet, fs, path::Path, sync::mpsc, thread};

use serde_json::Value;
use weir_tests::{
    bed::{CommandOutput, Configuration, Edge, Traffic, until},
    world::{BLOCKED, FREE, FREE6},
};

#[test]
#[ignore = "needs root: cargo xtask test"]
fn block_allow_limit_and_clear_are_in_force_at_once() {
    let edge = Edge::new();
    edge.configure(&Configuration {
        more: "[tier.tiny]\npackets = { rate = \"1/m\", burst = 1 }\n",
        ..Configuration::default()
    });
    let _daemon = edge.start();
    let traffic = Traffic::open(&edge);

    let said = edge
        .weir(&["block", FREE, FREE6, "--reason", "stuffing"])
        .done();
    assert!(
        said.out
            .contains(&format!("{FREE}/32 is blocked until cleared")),
        "{said:?}"
    );
    traffic.proves("100.64.0.201", FREE, 50);
    traffic.proves("2001:db8:f:1::", FREE6, 50);
    let explained = edge.explain(FREE);
    assert_eq!(explained["feed"], "operator");
    assert_eq!(explained["reason"], "stuffing");
    assert_eq!(explained["action"], "drop");

    // The operator's word beats the feed's, also a wider one.
    let _output = edge.weir(&["allow", "198.51.100.0/24"]).done();
    traffic.proves(BLOCKED, FREE, 50);
    let explained = edge.explain(BLOCKED);
    assert_eq!(explained["cause"], "allowed");
    assert_eq!(explained["losing"][0]["feed"], "local");

    let _output = edge.weir(&["limit", FREE, "--tier", "tiny"]).done();
    let sent = weir_tests::bed::daemon::traffic::datagrams(FREE, 50);
    // A stricter tier begins without a burst, so it may be none.
    let arrived = traffic.send(&[], &sent).leaked.len();
    assert!(arrived <= 1, "{arrived} of 50 packets at one a minute");
    assert_eq!(edge.explain(FREE)["cause"], "over_packets");

    let _output = edge.weir(&["clear", FREE, FREE6, "198.51.100.0/24"]).done();
    traffic.proves(FREE, BLOCKED, 50);
    assert!(traffic.passes(FREE6));
    let listed = edge.weir(&["list", "--feed", "operator", "--json"]).done();
    assert_eq!(listed.json_lines().len(), 0);
    let said = edge.weir(&["clear", FREE]).failed(1);
    assert!(said.err.contains("nothing of yours to clear"), "{said:?}");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_verdict_ends_when_it_should_also_when_the_daemon_is_dead() {
    let edge = Edge::new();
    let daemon = edge.start();
    let traffic = Traffic::open(&edge);
    let said = edge.weir(&["block", FREE, "--for", "2s"]).done();
    assert!(said.out.contains("until 20"), "{said:?}");
    assert!(!traffic.passes(FREE));
    assert!(
        edge.explain(FREE)["expires_in_s"]
            .as_u64()
            .is_some_and(|left| left <= 2)
    );
    until("it has ended", || edge.explain(FREE)["cause"] != "blocked");
    traffic.proves(FREE, BLOCKED, 20);
    until("nothing is left of it", || {
        let listed = edge.weir(&["list", "--feed", "operator", "--json"]).done();
        listed.json_lines().is_empty()
    });

    let _output = edge.weir(&["block", FREE, "--for", "3s"]).done();
    assert!(!traffic.passes(FREE));
    daemon.kill();
    until("it has ended in the kernel", || traffic.passes(FREE));
    traffic.proves(FREE, BLOCKED, 20);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_would_be_a_mistake_is_refused_and_the_rest_is_done() {
    let edge = Edge::new();
    edge.configure(&Configuration {
        more: "[protect]\nsources = [\"100.64.0.0/16\"]\n",
        ..Configuration::default()
    });
    let _daemon = edge.start();
    let generation = edge.status()["generation"].clone();
    for (arguments, code, words) in [
        (&["block", "0.0.0.0/0"][..], 1, "too wide"),
        (&["block", "::/0"], 1, "too wide"),
        (&["block", FREE], 1, "protected"),
        (
            &["limit", "203.0.113.7", "--tier", "no"],
            1,
            "there is no tier \"no\"",
        ),
        (&["block", "nonsense"], 2, "nonsense"),
        (&["block", "203.0.113.7/33"], 2, "203.0.113.7/33"),
        (&["block", "203.0.113.7", "--for", "soon"], 2, "90s"),
        (&["block"], 2, "PREFIX"),
        (&["frobnicate"], 2, "frobnicate"),
    ] {
        let _output = edge.weir(arguments).failed(code).says(words);
    }
    assert_eq!(
        edge.status()["generation"],
        generation,
        "nothing was changed"
    );
    Traffic::open(&edge).proves(FREE, BLOCKED, 10);

    let said = edge.weir(&["block", "0.0.0.0/0", "203.0.113.7"]).failed(1);
    assert!(said.out.contains("203.0.113.7"), "{said:?}");
    assert_eq!(edge.explain("203.0.113.7")["cause"], "blocked");

    let said = edge.weir(&["block", "203.0.113.77/24"]).done();
    assert!(
        said.err.contains("host bits: taken as 203.0.113.0/24"),
        "{said:?}"
    );
    assert_eq!(edge.explain("203.0.113.250")["prefix"], "203.0.113.0/24");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn thousands_of_prefixes_come_by_standard_input_and_are_kept() {
    let edge = Edge::new();
    let daemon = edge.start();
    let mut lines = "# known bad\n".to_owned();
    for number in 0..5_000_u32 {
        let [_, _, c, d] = number.to_be_bytes();
        lines += &format!("10.7.{c}.{d}  # {number}\n");
    }
    let said = CommandOutput::by_with(&mut edge.command(&["block", "-", "--json"]), &lines).done();
    let answers = said.json()["prefixes"].as_array().expect("answers").len();
    assert_eq!(answers, 5_000);
    let holds = |edge: &Edge| {
        let listed = edge.weir(&["list", "--feed", "operator", "--json"]).done();
        assert_eq!(listed.json_lines().len(), 5_000);
        let traffic = Traffic::open(edge);
        for source in ["10.7.0.0", "10.7.7.99", "10.7.19.135"] {
            traffic.proves(FREE, source, 5);
        }
        assert!(traffic.passes("10.7.19.136"), "the next one wasn't named");
    };
    holds(&edge);
    daemon.kill();
    let daemon = edge.start();
    holds(&edge);
    let said = CommandOutput::by_with(&mut edge.command(&["clear", "-"]), &lines).done();
    assert_eq!(said.out.lines().count(), 5_000);
    daemon.stop();
    let _daemon = edge.start();
    assert!(Traffic::open(&edge).passes("10.7.7.99"));
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn no_success_is_lost_whatever_becomes_of_the_journal() {
    type Way = (&'static str, fn(&Path));
    let ways: [Way; 4] = [
        ("removed", |journal| {
            fs::remove_file(journal).expect("removed");
        }),
        ("truncated", |journal| {
            fs::write(journal, "").expect("truncated");
        }),
        ("replaced", |journal| {
            let other = journal.with_extension("other");
            fs::write(&other, "").expect("written");
            fs::rename(&other, journal).expect("renamed");
        }),
        ("its folder moved away", |journal| {
            let folder = journal.parent().expect("a folder");
            fs::rename(folder, folder.with_extension("moved")).expect("moved");
        }),
    ];
    for (way, change) in ways {
        let edge = Edge::new();
        let daemon = edge.start();
        let _output = edge.weir(&["block", "203.0.113.7"]).done();
        change(&edge.path("state").join("operator.ndjson"));
        let _output = edge.weir(&["block", "203.0.113.8"]).done();
        daemon.kill();
        let _daemon = edge.start();
        for source in ["203.0.113.7", "203.0.113.8"] {
            assert_eq!(edge.explain(source)["cause"], "blocked", "{way}: {source}");
        }
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn no_success_is_lost_whenever_the_daemon_is_killed() {
    let edge = Edge::new();
    let mut daemon = edge.start();
    let mut answered = BTreeSet::new();
    for round in 0..12_u32 {
        let (tell, told) = mpsc::channel();
        // Some rounds are killed in their first answers, some later.
        let enough = 1 + (round * 7) % 11;
        thread::scope(|scope| {
            let edge = &edge;
            scope.spawn(move || {
                for request in 0.. {
                    let prefixes: Vec<_> = (0..20)
                        .map(|one| format!("10.{round}.{request}.{one}"))
                        .collect();
                    let mut arguments = vec!["block", "--json"];
                    arguments.extend(prefixes.iter().map(String::as_str));
                    let said = edge.weir(&arguments);
                    if said.code != Some(0) {
                        return;
                    }
                    let answer = said.json();
                    let answers = answer["prefixes"].as_array().expect("answers");
                    assert!(answers.iter().all(|one| one["done"] == true), "{said:?}");
                    let taken: Vec<_> = answers.iter().map(|one| word(&one["prefix"])).collect();
                    if taken.len() != 20 || tell.send(taken).is_err() {
                        return;
                    }
                }
            });
            for _ in 0..enough {
                answered.extend(told.recv().expect("an answer"));
            }
            // While the next request is under way.
            daemon.kill();
            answered.extend(told.iter().flatten());
        });
        daemon = edge.start();
        let listed = edge.weir(&["list", "--feed", "operator", "--json"]).done();
        let kept: BTreeSet<_> = listed
            .json_lines()
            .iter()
            .map(|claim| word(&claim["prefix"]))
            .collect();
        let lost: Vec<_> = answered.difference(&kept).collect();
        assert_eq!(lost, Vec::<&String>::new(), "lost in round {round}");
    }
    assert!(answered.len() > 1_000, "only {}", answered.len());
    let blocked = edge.status()["verdicts"]["blocked"]
        .as_u64()
        .expect("a number");
    assert!(blocked >= answered.len() as u64, "{blocked} in the tables");
    Traffic::open(&edge).proves(FREE, "10.11.0.19", 20);
    let _output = edge.weir(&["status", "--check"]).done();
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_mode_is_kept_across_restarts_and_reloads_until_the_files_is_changed() {
    let edge = Edge::new();
    edge.configure(&Configuration {
        mode: "observe",
        ..Configuration::default()
    });
    let mode = || {
        let status = edge.status();
        (word(&status["mode"]), word(&status["mode_from"]))
    };
    let is = |mode: &str, from: &str| (mode.to_owned(), from.to_owned());
    let daemon = edge.start();
    assert_eq!(mode(), is("observe", "configuration"));
    let answer = edge.weir(&["mode", "enforce", "--json"]).done().json();
    assert_eq!(answer["was"], "observe");
    assert_eq!(mode(), is("enforce", "weir mode"));
    daemon.kill();
    let daemon = edge.start();
    assert_eq!(mode(), is("enforce", "weir mode"));
    Traffic::open(&edge).proves(FREE, BLOCKED, 20);

    let _said = edge.weir(&["reload"]).done().says("stays enforce");
    assert_eq!(mode(), is("enforce", "weir mode"));
    edge.configure(&Configuration {
        mode: "enforce",
        ..Configuration::default()
    });
    let _said = edge.weir(&["reload"]).done();
    assert_eq!(mode(), is("enforce", "configuration"));
    edge.configure(&Configuration {
        mode: "observe",
        ..Configuration::default()
    });
    let said = edge.weir(&["reload"]).done();
    assert!(said.out.contains("mode: observe, was enforce"), "{said:?}");
    assert_eq!(mode(), is("observe", "configuration"));
    assert!(Traffic::open(&edge).passes(BLOCKED));
    daemon.stop();
    let _daemon = edge.start();
    assert_eq!(mode(), is("observe", "configuration"));
}

fn word(value: &Value) -> String {
    value.as_str().expect("a word").to_owned()
}

//! Hits: the packets that each claim has judged.

use serde_json::Value;
use weir_tests::{
    bed::{Configuration, Edge, Traffic, daemon::traffic::datagrams},
    world::{BLOCKED, BLOCKED6, FREE},
};

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_claims_that_judge_most_packets_are_listed_first() {
    let edge = Edge::new();
    edge.configure(&Configuration::default());
    edge.list(&[BLOCKED, BLOCKED6, "198.18.0.1"]);
    let daemon = edge.start();
    let traffic = Traffic::open(&edge);
    let sent = [(BLOCKED6, 20_000_u32), (BLOCKED, 2_000)];
    for (source, number) in sent {
        let arrived = traffic.send(&datagrams(FREE, 1), &datagrams(source, number as usize));
        assert!(arrived.leaked.is_empty());
    }

    let list = edge.weir(&["list", "--sort", "hits", "--json"]).done();
    let list = list.json_lines();
    let prefixes: Vec<_> = list.iter().map(|line| line["prefix"].as_str()).collect();
    let expected = [
        format!("{BLOCKED6}/128"),
        format!("{BLOCKED}/32"),
        "198.18.0.1/32".into(),
    ];
    assert_eq!(
        prefixes,
        expected.each_ref().map(|prefix| Some(prefix.as_str()))
    );
    for (line, (source, number)) in list.iter().zip(sent) {
        let hits = hits(line);
        // The page of the events says: off by about eight times the root.
        let error = 5.0 * 8.0 * f64::from(number).sqrt();
        assert!(
            (f64::from(hits) - f64::from(number)).abs() <= error,
            "{hits} hits of {number} packets of {source}"
        );
    }
    assert_eq!(hits(&list[2]), 0);
    let table = edge.weir(&["list", "--sort", "hits"]).done().out;
    assert!(table.contains("HITS"), "{table}");
    daemon.stop();
}

fn hits(line: &Value) -> u32 {
    let hits = line["hits"].as_u64().expect("it is counted");
    u32::try_from(hits).expect("few packets were sent")
}

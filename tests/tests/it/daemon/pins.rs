//! The filter outlives its daemon, and passes from one daemon to the next
//! without a gap.

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use filter_common::abi::LAYOUT;
use rustix::process::Signal;
use weir::datapath::kernel::{Kernel, Sizes};
use weir_tests::{
    bed::{
        Configuration, Daemon, Edge, Traffic,
        daemon::{binary, traffic::datagrams},
        until, veth,
    },
    world::{BLOCKED, BLOCKED6, FREE, FREE6},
};

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_filter_stays_in_force_when_the_daemon_is_killed() {
    for attach in ["native", "generic"] {
        let edge = Edge::new();
        edge.configure(&Configuration {
            attach,
            ..Configuration::default()
        });
        let daemon = edge.start();
        let program = edge.program("eth0");
        daemon.kill();
        assert_eq!(edge.program("eth0"), program, "the same program is on it");
        let traffic = Traffic::open(&edge);
        traffic.proves(FREE, BLOCKED, 1_000);
        traffic.proves(FREE6, BLOCKED6, 1_000);
        let _output = edge.weir(&["status"]).failed(1).says("no daemon answers");

        let daemon = edge.start();
        assert_ne!(
            edge.program("eth0"),
            program,
            "the new daemon's program is on it"
        );
        traffic.proves(FREE, BLOCKED, 100);
        daemon.stop();
    }
}

/// The moment of the kill is brought nearer and nearer to that of the switch.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_daemon_that_is_killed_in_a_switch_leaves_one_whole_list_in_force() {
    let edge = Edge::new();
    edge.configure(&Configuration {
        room: LISTED,
        ..Configuration::default()
    });
    let traffic = Traffic::open(&edge);
    // Of each list: how many packets of its sources get through, of how many.
    let through = || {
        [0, 1].map(|list| {
            let sources = (list..LISTED)
                .step_by(LISTED as usize / 16)
                .flat_map(listed);
            let frames: Vec<_> = sources.flat_map(|source| datagrams(&source, 1)).collect();
            (traffic.send(&[], &frames).leaked.len(), frames.len())
        })
    };
    let (mut early, mut late) = (Duration::ZERO, None);
    for round in 0..10 {
        // In force is the list that was written last; the other is to follow.
        let [old, new] = [round % 2, (round + 1) % 2];
        if round == 0 {
            edge.list(&list(old));
        }
        let daemon = edge.start();
        let is_blocked =
            |of: u32| edge.explain(&listed(of).next().expect("one"))["action"] == "drop";
        until("the old list is in force", || is_blocked(old));
        let next = list(new);
        let begun = Instant::now();
        edge.list(&next);
        match late {
            None => {
                until("the new list is in force", || is_blocked(new));
                late = Some(begun.elapsed());
            }
            // Nothing tells when it is about to switch: so it is guessed, closer each time.
            Some(late) => thread::sleep((early + late) / 2),
        }
        let killed_after = begun.elapsed();
        daemon.kill();
        let through = through();
        let [of_old, of_new] = [old, new].map(|list| through[list as usize]);
        let whole =
            |(blocked, _): (usize, usize), (free, all): (usize, usize)| blocked == 0 && free == all;
        if whole(of_old, of_new) {
            early = early.max(killed_after);
        } else {
            assert!(
                whole(of_new, of_old),
                "killed after {killed_after:?}: {of_old:?} of the old list and {of_new:?} of the new get through"
            );
            late = late.map(|late| late.min(killed_after));
        }
    }
}

/// All of one of two lists that have nothing in common.
fn list(which: u32) -> Vec<String> {
    (which..LISTED).step_by(2).flat_map(listed).collect()
}

/// A source of each family: an even number is on one list, an odd one on the other.
fn listed(number: u32) -> impl Iterator<Item = String> {
    let [_, high, middle, low] = number.to_be_bytes();
    let v4 = format!("44.{high}.{middle}.{low}");
    let (upper, lower) = (number >> 16, number & 0xffff);
    [v4, format!("2001:db8:44::{upper:x}:{lower:x}")].into_iter()
}

/// Sources of each family on both lists.
const LISTED: u32 = 100_000;

#[test]
#[ignore = "needs root: cargo xtask test"]
fn twenty_restarts_let_nothing_through_and_lose_nothing() {
    let edge = Edge::new();
    // The free source is faster than the built-in flood ceiling.
    edge.configure(&Configuration {
        more: "[tier.unknown]\npackets = { rate = \"1000000/s\", burst = 1000000 }\n",
        ..Configuration::default()
    });
    let mut daemon = edge.start();
    let traffic = Traffic::open(&edge);
    let is_over = AtomicBool::new(false);
    let (mut programs, mut sent) = (Vec::new(), 0);
    thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let frames = (datagrams(FREE, 64), datagrams(BLOCKED, 64));
            let (mut sent, mut arrived, mut leaked) = (0, 0, 0);
            while !is_over.load(Ordering::Relaxed) {
                let batch = traffic.send(&frames.0, &frames.1);
                sent += 64;
                arrived += batch.wanted;
                leaked += batch.leaked.len();
            }
            (sent, arrived, leaked)
        });
        // Also when a restart fails: else the sender would never end.
        let restarts = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for restart in 0..20 {
                if restart % 2 == 0 {
                    daemon.kill();
                } else {
                    daemon.stop();
                }
                daemon = edge.start();
                programs.push(edge.program("eth0").expect("a program"));
            }
            daemon.stop();
        }));
        is_over.store(true, Ordering::Relaxed);
        let (all, arrived, leaked) = sender.join().expect("it sent");
        restarts.expect("twenty restarts");
        assert_eq!(leaked, 0, "of {all} frames of a blocked source");
        assert_eq!(arrived, all, "frames of a free source arrived");
        sent = all;
    });
    programs.dedup();
    assert_eq!(programs.len(), 20, "each daemon put its own program there");
    assert!(sent >= 2_000, "only {sent} frames were under way meanwhile");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_daemon_that_stops_keeps_or_detaches_as_configured() {
    let edge = Edge::new();
    let traffic = Traffic::open(&edge);
    edge.start().stop();
    assert!(edge.program("eth0").is_some(), "on_stop = keep");
    traffic.proves(FREE, BLOCKED, 50);

    edge.configure(&Configuration {
        on_stop: "detach",
        ..Configuration::default()
    });
    edge.start().stop();
    assert_eq!(edge.program("eth0"), None, "on_stop = detach");
    assert!(traffic.passes(BLOCKED));
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn detach_takes_the_filter_off_and_reload_puts_it_back() {
    let edge = Edge::new();
    let _daemon = edge.start();
    let traffic = Traffic::open(&edge);
    let answer = edge.weir(&["detach", "--json"]).done().json();
    assert_eq!(answer["interfaces"][0], "eth0");
    assert_eq!(edge.program("eth0"), None);
    assert!(traffic.passes(BLOCKED));
    let wrong = edge.weir(&["status", "--check"]);
    assert_eq!(wrong.code, Some(1));
    assert!(wrong.out.contains("the filter is off on eth0"), "{wrong:?}");
    let _output = edge
        .weir(&["detach", "--interface", "eth0"])
        .failed(1)
        .says("isn't on eth0");

    let _output = edge.weir(&["reload"]).done();
    traffic.proves(FREE, BLOCKED, 20);
    let _output = edge.weir(&["status", "--check"]).done();
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn detach_works_without_a_daemon() {
    let edge = Edge::new();
    edge.start().kill();
    assert!(edge.program("eth0").is_some());
    let config = edge.config();
    let config = config.to_str().expect("UTF-8");
    let said = edge.weir(&["detach", "--config", config]).done();
    assert!(said.err.contains("no daemon answers"), "{said:?}");
    assert!(said.out.contains("eth0"), "{said:?}");
    until("it is off", || edge.program("eth0").is_none());
    assert!(Traffic::open(&edge).passes(BLOCKED));
    let said = edge.weir(&["detach", "--config", config]).done();
    assert!(said.out.contains("attached nowhere"), "{said:?}");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn detach_works_with_a_stopped_daemon_and_what_came_late_isnt_carried_out() {
    let edge = Edge::new();
    edge.configure(&Configuration::default());
    let daemon = edge.start();
    let before = edge.weir(&["mode", "--json"]).done().out;
    daemon.signal(Signal::STOP);
    for late in [
        &["block", FREE][..],
        &["mode", "observe"],
        &["under-attack", "on"],
        &["reload"],
    ] {
        let arguments = [&["--timeout", "1s"], late].concat();
        let _output = edge
            .weir(&arguments)
            .failed(1)
            .says("hasn't answered within 1s");
    }
    let config = edge.config();
    let config = config.to_str().expect("UTF-8");
    let begun = Instant::now();
    let said = edge.weir(&["detach", "--config", config]).done();
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
    assert!(said.err.contains("hasn't answered within 2s"), "{said:?}");
    assert!(said.out.contains("the filter is off eth0"), "{said:?}");
    until("it is off", || edge.program("eth0").is_none());
    assert!(Traffic::open(&edge).passes(BLOCKED));

    daemon.signal(Signal::CONT);
    // It answers in order: what had come before would be done by now.
    let status = edge.weir(&["status", "--json"]).done().json();
    assert!(status["under_attack"].is_null(), "{status}");
    assert_eq!(edge.weir(&["mode", "--json"]).done().out, before);
    let listed = edge.weir(&["list", "--feed", "operator", "--json"]).done();
    assert_eq!(listed.json_lines().len(), 0, "{listed:?}");
    assert!(edge.program("eth0").is_none());
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_filter_that_is_taken_off_behind_its_back_is_told() {
    let edge = Edge::new();
    let _daemon = edge.start();
    let link = edge.pins().join(format!("v{LAYOUT}/links/eth0"));
    fs::remove_file(link).expect("it is pinned there");
    until("it is off", || edge.program("eth0").is_none());
    let wrong = edge.weir(&["status", "--check"]);
    assert_eq!(wrong.code, Some(1));
    assert!(
        wrong.out.contains("taken off eth0 behind weir's back"),
        "{wrong:?}"
    );
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_second_daemon_is_refused_and_the_first_goes_on() {
    let edge = Edge::new();
    let daemon = edge.start();
    let program = edge.program("eth0");
    let pid = edge.status()["pid"].clone();
    assert_eq!(pid, daemon.pid());
    let refused = edge.refuses_to_start().says("another weir daemon holds");
    assert!(refused.err.contains(edge.pins().to_str().expect("UTF-8")));

    // One with pins of its own, and the first one's socket.
    let text = fs::read_to_string(edge.config()).expect("written before");
    let name = edge.host.name();
    let other = edge.path("other.toml");
    fs::write(&other, text.replace(name, &format!("{name}-b"))).expect("written");
    let mut command = edge.host.command(&binary());
    let second = Daemon::spawn(command.args(["run", "--config"]).arg(other));
    let refused = second.await_end().failed(1);
    let _output = refused.says("another weir daemon answers on");
    let _gone = fs::remove_dir_all(edge.pins().with_file_name(format!("{name}-b")));

    assert_eq!(edge.program("eth0"), program);
    assert_eq!(edge.status()["pid"], pid);
    Traffic::open(&edge).proves(FREE, BLOCKED, 50);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn of_daemons_that_start_at_once_one_runs() {
    let edge = Edge::new();
    let start = || {
        let mut command = edge.host.command(&binary());
        Daemon::spawn(command.args(["run", "--config"]).arg(edge.config()))
    };
    for _ in 0..5 {
        let daemons = [start(), start(), start()];
        until("one of them answers", || {
            edge.weir(&["status"]).code == Some(0)
        });
        let pid = edge.status()["pid"].clone();
        for daemon in daemons {
            if pid == daemon.pid() {
                daemon.await_log("weir runs");
                let _output = edge.weir(&["status", "--check"]).done();
                daemon.stop();
            } else {
                let refused = daemon.await_end().failed(1);
                assert!(refused.err.contains("another"), "{refused:?}");
            }
        }
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_interface_may_have_a_dot_in_its_name() {
    let edge = Edge::new();
    veth((&edge.host, "edge.0"), (&edge.net, "eth1"));
    edge.configure(&Configuration {
        interfaces: &["edge.0"],
        ..Configuration::default()
    });
    edge.start().kill();
    let program = edge.program("edge.0");
    assert!(program.is_some());
    edge.start().kill();
    assert_ne!(edge.program("edge.0"), program);
    let config = edge.config();
    let detach = ["detach", "--config", config.to_str().expect("UTF-8")];
    let said = edge.weir(&detach).done();
    assert!(said.out.contains("off edge.0"), "{said:?}");
    until("it is off", || edge.program("edge.0").is_none());
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn another_way_to_attach_takes_a_detach_and_that_is_told() {
    let edge = Edge::new();
    let daemon = edge.start();
    edge.configure(&Configuration {
        attach: "generic",
        ..Configuration::default()
    });
    let answer = edge.weir(&["reload", "--json"]).done().json();
    assert!(
        answer["notes"].to_string().contains("weir detach"),
        "{answer}"
    );
    daemon.kill();
    let daemon = edge.start();
    assert_eq!(
        edge.status()["interfaces"][0]["attach"],
        "native",
        "without a gap"
    );
    assert!(daemon.log().contains("weir detach"), "{}", daemon.log());
    let _output = edge.weir(&["detach"]).done();
    let _output = edge.weir(&["reload"]).done();
    assert_eq!(edge.status()["interfaces"][0]["attach"], "generic");
    Traffic::open(&edge).proves(FREE, BLOCKED, 50);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_filter_of_another_layout_is_taken_over() {
    let edge = Edge::new();
    edge.start().kill();
    let other = edge.pins().join("v0/links");
    fs::create_dir_all(&other).expect("a folder of pins");
    let own = edge.pins().join(format!("v{LAYOUT}/links/eth0"));
    fs::rename(&own, other.join("eth0")).expect("moved");
    fs::remove_dir_all(edge.pins().join(format!("v{LAYOUT}"))).expect("removed");
    let traffic = Traffic::open(&edge);
    traffic.proves(FREE, BLOCKED, 50);
    let program = edge.program("eth0");

    let daemon = edge.start();
    assert!(own.exists(), "it is pinned by this layout");
    assert!(!other.join("eth0").exists(), "and not by the other");
    assert_ne!(edge.program("eth0"), program);
    assert!(
        daemon.log().contains("of another version"),
        "{}",
        daemon.log()
    );
    traffic.proves(FREE, BLOCKED, 50);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_dead_link_makes_way_for_an_interface_of_the_same_name() {
    let edge = Edge::new();
    edge.start().kill();
    edge.host.ip(&["link", "delete", "eth0"]);
    veth((&edge.host, "eth0"), (&edge.net, "eth0"));
    assert_eq!(edge.program("eth0"), None);
    let _daemon = edge.start();
    Traffic::open(&edge).proves(FREE, BLOCKED, 50);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn somebody_elses_program_is_named_and_never_replaced() {
    let edge = Edge::new();
    veth((&edge.host, "eth1"), (&edge.net, "eth1"));
    let _theirs = somebody_else(&edge, "eth0");
    let program = edge.program("eth0").expect("theirs");

    let refused = edge.refuses_to_start().says("isn't weir's");
    let refused = refused.says(&format!("program {program} `filter`"));
    let _output = refused.says("loaded by user 0");
    assert_eq!(edge.program("eth0"), Some(program), "theirs is still there");

    // What can't be attached everywhere isn't attached anywhere.
    edge.configure(&Configuration {
        interfaces: &["eth1", "eth0"],
        ..Configuration::default()
    });
    let _output = edge.refuses_to_start().says("isn't weir's");
    assert_eq!(edge.program("eth0"), Some(program));
    assert_eq!(edge.program("eth1"), None, "nothing is left behind");
}

/// A program that isn't weir's for all that weir can know: it isn't pinned.
fn somebody_else(edge: &Edge, interface: &str) -> Kernel {
    let index = edge.host.index(interface);
    let sizes = Sizes {
        ipv4: 16,
        ipv6: 16,
        buckets: 16,
    };
    let mut kernel = Kernel::load(&sizes, None).expect("it loads");
    edge.host.enter(|| {
        let filter = kernel.filter().expect("it has one");
        let mode = aya::programs::XdpMode::Driver;
        filter.attach_to_if_index(index, mode).expect("it attaches");
    });
    kernel
}

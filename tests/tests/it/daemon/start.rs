//! Conditions for a daemon's start, and the error where one is missing. One that
//! doesn't start leaves nothing behind.

use std::{
    fs::{self, Permissions},
    net::TcpListener,
    os::unix::{
        fs::{FileTypeExt as _, PermissionsExt as _, chown},
        net::UnixListener,
    },
};

use weir_tests::{
    bed::{CommandOutput, Configuration, Daemon, Edge, Traffic, veth},
    world::{BLOCKED, FREE},
};

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_configuration_that_is_wrong_is_refused_with_its_line_and_what_to_write() {
    let edge = Edge::new();
    for (more, words) in [
        (
            "[protect]\nsuorces = []\n",
            &["did you mean `sources`?", "line 28"][..],
        ),
        (
            "[protect]\nsources = [\"192.0.2.0/33\"]\n",
            &["192.0.2.0/33", "line 28"],
        ),
        (
            "[tier.unknown]\npackets = { rate = \"fast\", burst = 1 }\n",
            &["fast", "line 28"],
        ),
        (
            "[[service]]\nname = \"b\"\nports = [\"tcp/0\"]\n",
            &["tcp/0", "line 29"],
        ),
        (
            "[[service]]\nname = \"b\"\nports = [\"tcp/81\"]\ndefault_tier = \"no\"\n",
            &["\"no\""],
        ),
        ("[protect\n", &["line 27"]),
    ] {
        edge.configure(&Configuration {
            more,
            ..Configuration::default()
        });
        let said = edge.refuses_to_start();
        assert!(said.err.contains("weir.toml"), "which file: {said:?}");
        for words in words {
            assert!(said.err.contains(words), "no {words:?} in {said:?}");
        }
        let config = edge.config();
        let check = ["config", "check", config.to_str().expect("UTF-8")];
        let _output = edge.weir(&check).failed(1).says(words[0]);
    }
    assert_eq!(edge.program("eth0"), None);
    assert!(!edge.path("state").exists(), "not even a folder was made");
    fs::remove_file(edge.config()).expect("it was there");
    let _output = edge.refuses_to_start().says("can't read").says("--config");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_interface_that_is_missing_is_told_with_those_there_are() {
    let edge = Edge::new();
    edge.configure(&Configuration {
        interfaces: &["eth0", "eth7"],
        ..Configuration::default()
    });
    let said = edge.refuses_to_start();
    let _output = said.says("there is no interface eth7: there are eth0, lo");
    assert_eq!(edge.program("eth0"), None);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_interface_that_takes_no_filter_leaves_none_on_the_others() {
    let edge = Edge::new();
    // Loopback has no driver that could run it.
    edge.configure(&Configuration {
        interfaces: &["eth0", "lo"],
        attach: "native",
        ..Configuration::default()
    });
    let _output = edge.refuses_to_start().says("lo takes no XDP program");
    assert_eq!(edge.program("eth0"), None, "nothing is left behind");
    assert!(Traffic::open(&edge).passes(BLOCKED));
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_metrics_port_that_is_taken_is_told_before_anything_is_attached() {
    let edge = Edge::new();
    edge.configure(&Configuration {
        more: "[metrics]\nlisten = \"127.0.0.1:9187\"\n",
        ..Configuration::default()
    });
    let taken = edge
        .host
        .enter(|| TcpListener::bind("127.0.0.1:9187").expect("a free port"));
    let _output = edge.refuses_to_start().says("127.0.0.1:9187");
    assert_eq!(edge.program("eth0"), None);
    drop(taken);
    let _daemon = edge.start();
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn without_root_the_missing_capabilities_are_named() {
    let edge = Edge::new();
    let said = as_nobody(&edge, &[]).await_end().failed(1);
    for capability in CAPABILITIES {
        assert!(said.err.contains(&name(capability)), "{said:?}");
    }
    for missing in CAPABILITIES {
        let others: Vec<_> = CAPABILITIES
            .into_iter()
            .filter(|one| *one != missing)
            .collect();
        let said = as_nobody(&edge, &others).await_end().failed(1);
        let lacks = format!("lacks {}:", name(missing));
        assert!(said.err.contains(&lacks), "no {lacks:?} in {said:?}");
    }
    assert_eq!(edge.program("eth0"), None);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn three_capabilities_are_all_it_needs() {
    for attach in ["native", "generic"] {
        let edge = Edge::new();
        edge.configure(&Configuration {
            attach,
            ..Configuration::default()
        });
        let daemon = as_nobody(&edge, &CAPABILITIES);
        daemon.await_log("weir runs");
        Traffic::open(&edge).proves(FREE, BLOCKED, 50);
        let _output = edge.weir(&["block", FREE]).done();
        assert_eq!(edge.explain(FREE)["cause"], "blocked");
        let _output = edge.weir(&["status", "--check"]).done();
        let _output = edge.weir(&["detach"]).done();
        assert_eq!(edge.program("eth0"), None);
        let _output = edge.weir(&["reload"]).done();
        daemon.stop();
        let daemon = as_nobody(&edge, &CAPABILITIES);
        daemon.await_log("weir runs");
        assert_eq!(edge.explain(FREE)["cause"], "blocked", "it was kept");
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_stands_in_the_sockets_place_stays_unless_it_is_a_dead_socket() {
    let edge = Edge::new();
    let socket = edge.path("control.sock");
    fs::write(&socket, "precious").expect("written");
    let _output = edge.refuses_to_start().says("is no socket");
    assert_eq!(fs::read(&socket).expect("it is there"), b"precious");
    assert_eq!(edge.program("eth0"), None);

    fs::remove_file(&socket).expect("it was there");
    drop(UnixListener::bind(&socket).expect("a socket"));
    let daemon = edge.start();
    let _output = edge.weir(&["status"]).done();
    daemon.kill();
    let kind = fs::symlink_metadata(&socket)
        .expect("it was left")
        .file_type();
    assert!(kind.is_socket());
    edge.start().stop();
    assert!(
        !socket.exists(),
        "a daemon that stops takes its socket with it"
    );
}

/// The daemon as a user without any right but these capabilities, whose own the
/// folders are.
fn as_nobody(edge: &Edge, capabilities: &[&str]) -> Daemon {
    let owned = [edge.path(""), edge.path("state"), edge.pins().to_path_buf()];
    for folder in &owned {
        fs::create_dir_all(folder).expect("a folder");
        chown(folder, Some(NOBODY), Some(NOBODY)).expect("root may");
    }
    // Where it is built may be closed to others.
    let own = edge.own_binary();
    fs::set_permissions(&own, Permissions::from_mode(0o755)).expect("root may");
    let given: String = capabilities.iter().map(|one| format!(",+{one}")).collect();
    let mut command = edge.host.command("setpriv");
    command
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .args(["--inh-caps", &format!("-all{given}")])
        .args(["--ambient-caps", &format!("-all{given}")])
        .arg(format!("--bounding-set=-all{given}"))
        .arg(own)
        .args(["run", "--config"])
        .arg(edge.config());
    Daemon::spawn(&mut command)
}

fn name(capability: &str) -> String {
    format!("CAP_{}", capability.to_uppercase())
}

const CAPABILITIES: [&str; 3] = ["bpf", "net_admin", "perfmon"];

const NOBODY: u32 = 65_534;

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_command_line_beats_the_configuration_and_wrong_usage_exits_with_2() {
    let edge = Edge::new();
    veth((&edge.host, "eth1"), (&edge.net, "eth1"));
    let daemon = edge.start_with(&["--interface", "eth1", "--mode", "observe"]);
    let status = edge.status();
    assert_eq!(status["interfaces"][0]["name"], "eth1");
    assert_eq!(status["mode"], "observe");
    assert_eq!(status["mode_from"], "command line");
    assert_eq!(edge.program("eth0"), None);
    daemon.stop();
    let said: CommandOutput = edge.weir(&["run", "--mode", "on"]).failed(2);
    let _output = said.says("observe");
}

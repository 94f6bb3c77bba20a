//! The real daemon's check endpoint, asked without a gateway: what it bounds,
//! what outlives a restart, and what it refuses.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    thread,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use weir_tests::{
    bed::{Configuration, Edge, PLENTY, until},
    issuer::Issuer,
};

#[test]
#[ignore = "needs root: cargo xtask test"]
fn ten_thousand_connections_with_half_a_question_cost_little_and_hold_nobody_up() {
    let edge = Edge::new();
    let issuer = Issuer::es256("k1");
    fs::write(edge.path("keys.json"), issuer.key_set()).expect("written");
    let keys = format!("keys_file = {:?}", edge.path("keys.json"));
    configure(
        &edge,
        &format!("listen = {LISTEN:?}\nconnections = 256"),
        &keys,
    );
    let daemon = edge.start();
    await_keys(&edge);
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).expect("up to the hard limit everyone may");
    let descriptors = || {
        let folder = format!("/proc/{}/fd", daemon.pid());
        fs::read_dir(folder).expect("the daemon runs").count()
    };
    let memory = || {
        let path = format!("/proc/{}/status", daemon.pid());
        let status = fs::read_to_string(path).expect("the daemon runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let words: Vec<_> = line.expect("it has memory").split_whitespace().collect();
        words[1].parse::<usize>().expect("KiB")
    };
    let genuine = issuer.of_device("a device", 300);
    assert_eq!(ask(&edge, &genuine), 200);
    let (before, memory_before) = (descriptors(), memory());

    let mut half = Vec::new();
    let long = "x".repeat(8000);
    for round in 1..=100 {
        let connect = |_| {
            let mut stream = TcpStream::connect(LISTEN).expect("it listens");
            // It may have been asked to leave before.
            let _left = write!(stream, "GET /v1/check HTTP/1.1\r\nx: {long}");
            stream
        };
        half.extend(
            edge.host
                .enter(|| (0..100).map(connect).collect::<Vec<_>>()),
        );
        if round % 10 == 0 {
            assert_eq!(ask(&edge, &genuine), 200, "after {}", half.len());
            assert_eq!(ask_port(&edge, &genuine), 200, "after {}", half.len());
            assert_eq!(ask(&edge, "forged"), 401);
        }
    }
    let taken = descriptors() - before;
    assert!(taken <= 2 * 256 + 8, "{taken} descriptors");
    let grown = memory().saturating_sub(memory_before);
    assert!(grown < 32 << 10, "{grown} KiB more");
    // Who says only half isn't waited for.
    until("all that say half are gone", || descriptors() <= before + 8);
    drop(half);
    assert_eq!(edge.status()["problems"], serde_json::json!([]));
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn keys_come_from_an_address_and_a_restart_needs_nobody() {
    let edge = Edge::new();
    let issuer = Issuer::es256("k1");
    let listener = edge
        .host
        .enter(|| TcpListener::bind("127.0.0.1:0").expect("a port"));
    let address = listener.local_addr().expect("an address");
    let keys = format!("keys_url = \"http://{address}/jwks\"");
    configure(&edge, "", &keys);
    // Before the issuer is there nothing passes, and nothing is observed.
    let daemon = edge.start();
    let genuine = issuer.of_device("a device", 300);
    assert_eq!(ask(&edge, &genuine), 401);
    let status = edge.status();
    assert_eq!(status["check"]["observations"]["sent"], 0);
    let problems = status["problems"].to_string();
    assert!(problems.contains("there are no keys yet"), "{problems}");

    let set = issuer.key_set();
    let server = thread::spawn(move || serve_once(&listener, &set));
    await_keys(&edge);
    server.join().expect("it was asked");
    assert_eq!(ask(&edge, &genuine), 200);
    assert_eq!(
        ask(&edge, &Issuer::es256("k1").of_device("a device", 300)),
        401
    );
    daemon.stop();

    let _daemon = edge.start();
    await_keys(&edge);
    assert_eq!(ask(&edge, &genuine), 200);
    assert_eq!(edge.status()["check"]["keys"][0]["kept"], true);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn observations_of_other_verifiers_are_taken_and_told() {
    let edge = Edge::new();
    fs::write(edge.path("token"), "a secret").expect("written");
    let token = format!("token_file = {:?}", edge.path("token"));
    edge.configure(&Configuration {
        more: &format!("[check]\nsocket = {:?}\n{token}\n", edge.path("check.sock")),
        ..Configuration::default()
    });
    let _daemon = edge.start();
    let body =
        "{\"source\":\"203.0.113.7\",\"outcome\":\"failed\",\"reason\":\"dev_rooted\"}\n{}\n";
    let question = format!(
        "POST /v1/observations HTTP/1.1\r\nHost: w\r\nConnection: close\r\n\
         Authorization: Bearer a secret\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let socket = UnixStream::connect(edge.path("check.sock")).expect("it listens");
    let answer = exchange(socket, &question);
    assert!(answer.contains("\"taken\":1"), "{answer}");
    assert!(answer.contains("\"line\":2"), "{answer}");
    let observed = &edge.status()["check"]["observations"];
    assert_eq!(
        (&observed["sent"], &observed["refused_lines"]),
        (&1.into(), &1.into())
    );
    let said = edge.weir(&["status"]).done();
    assert!(!said.out.contains("problem"), "{}", said.out);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_group_that_isnt_there_and_a_port_that_is_taken_are_said() {
    let edge = Edge::new();
    let keys = "keys_file = \"/nowhere\"";
    configure(&edge, "group = \"no-such-group\"", keys);
    let said = edge.refuses_to_start();
    let sentence = "check.group: there is no group \"no-such-group\"";
    assert!(said.err.contains(sentence), "{}", said.err);

    let listen = format!("listen = {LISTEN:?}");
    configure(&edge, &listen, keys);
    let _taken = edge.host.enter(|| TcpListener::bind(LISTEN).expect("free"));
    let said = edge.refuses_to_start();
    assert!(
        said.err.contains("listening on check.listen"),
        "{}",
        said.err
    );
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_gateways_group_may_open_the_socket_and_others_may_not() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let edge = Edge::new();
    let open = fs::Permissions::from_mode(0o711);
    fs::set_permissions(edge.path(""), open).expect("it is ours");
    configure(&edge, "group = \"www-data\"", "keys_file = \"/nowhere\"");
    let _daemon = edge.start();
    let about = fs::metadata(edge.path("check/check.sock")).expect("it is there");
    assert_eq!((about.mode() & 0o777, about.gid()), (0o660, 33));
    for (group, code) in [("33", 0), ("65534", 1)] {
        let socket = edge.path("check/check.sock");
        let mut command = std::process::Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", group, "--clear-groups", "--"]);
        command.args(["test", "-w"]).arg(&socket);
        let status = command.status().expect("util-linux is installed");
        assert_eq!(status.code(), Some(code), "{group}");
    }
}

fn configure(edge: &Edge, check: &str, attestation: &str) {
    let text = format!(
        "[check]\nsocket = {:?}\n{check}\n\n[[attestation]]\nname = \"app\"\n{attestation}\n",
        edge.path("check/check.sock")
    );
    edge.configure(&Configuration {
        more: &text,
        ..Configuration::default()
    });
}

fn await_keys(edge: &Edge) {
    until("there are keys", || {
        edge.status()["check"]["keys"][0]["keys"] == 1
    });
}

/// The status that a gateway gets for a call with this token, on the socket.
fn ask(edge: &Edge, token: &str) -> u16 {
    let socket = UnixStream::connect(edge.path("check/check.sock")).expect("it listens");
    status(&exchange(socket, &question(token)))
}

/// The same on the port.
fn ask_port(edge: &Edge, token: &str) -> u16 {
    let connect = || TcpStream::connect(LISTEN).expect("it listens");
    let stream = edge.host.enter(connect);
    stream.set_read_timeout(Some(PLENTY)).expect("a timeout");
    status(&exchange(stream, &question(token)))
}

fn question(token: &str) -> String {
    format!(
        "GET /v1/check HTTP/1.1\r\nHost: w\r\nConnection: close\r\nX-Real-IP: 203.0.113.7\r\n\
         Approov-Token: {token}\r\n\r\n"
    )
}

fn exchange(mut stream: impl std::io::Read + std::io::Write, question: &str) -> String {
    stream.write_all(question.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

fn status(answer: &str) -> u16 {
    answer[9..12].parse().expect("a status")
}

/// Answers one question with this text.
fn serve_once(listener: &TcpListener, text: &str) {
    loop {
        let (mut stream, _from): (_, SocketAddr) = listener.accept().expect("a connection");
        let mut question = [0; 4096];
        // Questions of the time before anybody listened were given up since.
        if !stream.read(&mut question).is_ok_and(|read| read > 0) {
            continue;
        }
        let length = text.len();
        let answer = format!(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{text}"
        );
        if stream.write_all(answer.as_bytes()).is_ok() {
            return;
        }
    }
}

const LISTEN: &str = "127.0.0.1:9188";

//! A real nginx, a real Caddy and a real HAProxy that ask the real daemon about calls, as
//! `docs/gateways` has it.

use std::{fs, os::unix::fs::PermissionsExt as _};

use serde_json::Value;
use weir_tests::{
    bed::{
        Configuration, Daemon, Edge, Gateway,
        gateway::{Answer, PORT, documented},
        until,
    },
    issuer::Issuer,
};

#[test]
#[ignore = "needs root: cargo xtask test"]
fn nginx_lets_genuine_calls_through_and_no_others() {
    let edge = Edge::new();
    let issuer = Issuer::es256("k1");
    let daemon = attesting(&edge, &issuer, "");
    let gateway = Gateway::nginx(&edge, &(nginx(&edge, "") + API_OF_NGINX));
    genuine_pass_and_others_dont(&edge, &gateway, &issuer);
    // The reason is in nginx's log.
    let log = gateway.access_log();
    for reason in ["attested", "tok_missing; missing", "tok_badsig; signature"] {
        assert!(log.contains(reason), "{reason}: {log}");
    }

    let genuine = issuer.bound(USER, 300);
    let headers = [("Approov-Token", &*genuine), ("Authorization", USER)];
    daemon.stop();
    let down = gateway.ask("/api/orders", &headers);
    assert_eq!((down.status, down.body.contains("order")), (500, false));
    let _daemon = start(&edge);
    assert_eq!(
        gateway.ask("/api/orders", &headers).status,
        200,
        "it is back"
    );
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn nginx_passes_calls_while_the_endpoint_is_down_if_it_is_told_to() {
    let edge = Edge::new();
    let issuer = Issuer::es256("k1");
    let daemon = attesting(&edge, &issuer, "");
    let open = documented("nginx.md", "nginx", 2);
    let http = nginx(&edge, &open);
    let gateway = Gateway::nginx(&edge, &(http + API_OF_NGINX));
    assert_eq!(gateway.ask("/api/orders", &[]).status, 401);
    daemon.kill();
    let answer = gateway.ask("/api/orders", &[]);
    assert_eq!((answer.status, &*answer.body), (200, "an order\n"));
    let _daemon = start(&edge);
    assert_eq!(gateway.ask("/api/orders", &[]).status, 401);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn caddy_lets_genuine_calls_through_and_no_others() {
    let edge = Edge::new();
    let issuer = Issuer::es256("k1");
    let daemon = attesting(&edge, &issuer, "tell_reason = false");
    let gateway = Gateway::caddy(&edge, &(caddy(&edge, "") + API_OF_CADDY));
    genuine_pass_and_others_dont(&edge, &gateway, &issuer);

    let genuine = issuer.bound(USER, 300);
    let headers = [("Approov-Token", &*genuine), ("Authorization", USER)];
    daemon.stop();
    let down = gateway.ask("/api/orders", &headers);
    assert_eq!((down.status, down.body.contains("order")), (502, false));
    let _daemon = start(&edge);
    assert_eq!(
        gateway.ask("/api/orders", &headers).status,
        200,
        "it is back"
    );
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn caddy_passes_calls_while_the_endpoint_is_down_if_it_is_told_to() {
    let edge = Edge::new();
    let issuer = Issuer::es256("k1");
    let daemon = attesting(&edge, &issuer, "tell_reason = false");
    let open = documented("caddy.md", "caddyfile", 1);
    let gateway = Gateway::caddy(&edge, &(caddy(&edge, &open) + API_OF_CADDY));
    assert_eq!(gateway.ask("/api/orders", &[]).status, 401);
    daemon.kill();
    let answer = gateway.ask("/api/orders", &[]);
    assert_eq!((answer.status, &*answer.body), (200, "an order\n"));
    let _daemon = start(&edge);
    assert_eq!(gateway.ask("/api/orders", &[]).status, 401);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn haproxy_lets_genuine_calls_through_and_no_others() {
    let edge = Edge::new();
    let issuer = Issuer::es256("k1");
    let daemon = attesting(&edge, &issuer, "");
    let text = at_socket(&edge, &documented("haproxy.md", "haproxy", 0));
    let text = text.replace("bind :443", &format!("bind :{PORT}"));
    let script = documented("haproxy.md", "lua", 0);
    let gateway = Gateway::haproxy(&edge, &(text + API_OF_HAPROXY), &script);
    genuine_pass_and_others_dont(&edge, &gateway, &issuer);

    let genuine = issuer.bound(USER, 300);
    let headers = [("Approov-Token", &*genuine), ("Authorization", USER)];
    daemon.stop();
    let down = gateway.ask("/api/orders", &headers);
    assert_eq!((down.status, down.body.contains("an order")), (503, false));
    let _daemon = start(&edge);
    assert_eq!(
        gateway.ask("/api/orders", &headers).status,
        200,
        "it is back"
    );
}

fn genuine_pass_and_others_dont(edge: &Edge, gateway: &Gateway<'_>, issuer: &Issuer) {
    let genuine = issuer.bound(USER, 300);
    let expired = issuer.bound(USER, -300);
    let forged = Issuer::es256("k1").bound(USER, 300);
    let unbound = issuer.of_device("a device", 300);
    // What a client says of its own address and of the answer counts for nothing.
    let lies = [
        ("X-Real-IP", "203.0.113.9"),
        ("X-Forwarded-For", "203.0.113.9"),
    ];
    let ask = |headers: &[(&str, &str)]| gateway.ask("/api/orders?x=1", &[headers, &lies].concat());
    let passes = |answer: Answer| {
        assert_eq!(
            (answer.status, &*answer.body),
            (200, "an order\n"),
            "{answer:?}"
        );
    };
    let fails = |answer: Answer| {
        assert_eq!(answer.status, 401, "{answer:?}");
        let told = answer.head.contains("weir") || answer.head.contains("tok_");
        assert!(!told && !answer.body.contains("tok_"), "{answer:?}");
    };
    let authorization = ("Authorization", USER);
    passes(ask(&[("Approov-Token", &genuine), authorization]));
    fails(ask(&[]));
    fails(ask(&[("Approov-Token", ""), authorization]));
    fails(ask(&[("Approov-Token", "NO_NETWORK"), authorization]));
    fails(ask(&[("Approov-Token", &expired), authorization]));
    fails(ask(&[("Approov-Token", &forged), authorization]));
    fails(ask(&[("Approov-Token", &unbound), authorization]));
    // Read off another user's call.
    fails(ask(&[
        ("Approov-Token", &genuine),
        ("Authorization", "Bearer another"),
    ]));
    fails(ask(&[("Approov-Token", &genuine)]));
    fails(ask(&[
        ("Approov-Token", &genuine),
        ("Approov-Token", &genuine),
        authorization,
    ]));
    fails(ask(&[("Approov-Token", &"x".repeat(7000)), authorization]));
    passes(ask(&[("Approov-Token", &genuine), authorization]));

    let status = edge.status();
    let check = &status["check"];
    let count = |outcome: &str, reason: &str| {
        let answers = check["answers"].as_array().expect("answers");
        let one = answers
            .iter()
            .find(|one| one["outcome"] == outcome && one["reason"] == reason);
        one.expect(reason)["count"].as_u64().expect("a count")
    };
    assert_eq!(count("pass", "attested"), 2);
    assert_eq!(count("fail", "tok_missing"), 3);
    assert_eq!(count("fail", "tok_expired"), 1);
    assert_eq!(count("fail", "tok_badsig"), 1);
    assert_eq!(count("fail", "bind_missing"), 2);
    assert_eq!(count("fail", "bind_mismatch"), 1);
    assert_eq!(count("fail", "tok_malformed"), 2);
    let observed = &check["observations"];
    assert_eq!(observed["sent"], 12, "each with its source: {observed}");
    assert_eq!(observed["sourceless"], 0);
    assert_eq!(status["problems"], Value::Array(Vec::new()));
}

/// A daemon with an attestation whose tokens are bound to `Authorization`.
fn attesting(edge: &Edge, issuer: &Issuer, more: &str) -> Daemon {
    // Gateways' users have to get through to the socket.
    let open = fs::Permissions::from_mode(0o711);
    fs::set_permissions(edge.path(""), open).expect("it is ours");
    fs::write(edge.path("keys.json"), issuer.key_set()).expect("written");
    let text = format!(
        "[check]\nsocket = {socket:?}\n{more}\n\n[[attestation]]\nname = \"app\"\n\
         keys_file = {keys:?}\nbind = [\"Authorization\"]\n",
        socket = socket(edge),
        keys = edge.path("keys.json"),
    );
    edge.configure(&Configuration {
        more: &text,
        ..Configuration::default()
    });
    start(edge)
}

fn start(edge: &Edge) -> Daemon {
    let daemon = edge.start();
    until("there are keys", || {
        edge.status()["check"]["keys"][0]["keys"] == 1
    });
    daemon
}

/// The page's configuration, with the test's own socket; `open` is the part that lets calls
/// pass while the endpoint is down.
fn nginx(edge: &Edge, open: &str) -> String {
    let text = documented("nginx.md", "nginx", 0);
    let mut text = at_socket(edge, &text).replace("listen 443", &format!("listen {PORT}"));
    if !open.is_empty() {
        let location = documented("nginx.md", "nginx", 1);
        text = text.replace(
            "    location /api/ {",
            &format!("{location}\n    location /api/ {{"),
        );
        text = text.replace(
            "        internal;\n        proxy_pass",
            &format!("{open}        internal;\n        proxy_pass"),
        );
        assert!(text.contains("error_page"), "{text}");
    }
    text
}

fn caddy(edge: &Edge, open: &str) -> String {
    let text = at_socket(edge, &documented("caddy.md", "caddyfile", 0));
    let text = text.replace("api.example.net", &format!("http://:{PORT}"));
    text.replace("\treverse_proxy", &format!("{open}\treverse_proxy"))
}

fn at_socket(edge: &Edge, text: &str) -> String {
    let usual = "/run/weir-check/check.sock";
    assert!(text.contains(usual), "{text}");
    text.replace(usual, &socket(edge))
}

fn socket(edge: &Edge) -> String {
    edge.path("check/check.sock").display().to_string()
}

const USER: &str = "Bearer a user's own";

const API_OF_NGINX: &str = "
server {
    listen 127.0.0.1:8080;
    location / { return 200 \"an order\\n\"; }
}
";

const API_OF_HAPROXY: &str = "
frontend orders
    bind 127.0.0.1:8080
    http-request return status 200 content-type text/plain string \"an order\\n\"
";

const API_OF_CADDY: &str = "
http://:8080 {
\tbind 127.0.0.1
\trespond \"an order
\"
}
";

//! `[check]` and `[[attestation]]`.

use std::time::Duration;

use super::*;

/// What the page has.
pub(super) fn of_the_page() -> [Attestation; 3] {
    [app(), partner(), account()]
}

/// Every key at its default, but those that have none.
fn app() -> Attestation {
    Attestation {
        name: "app".to_owned(),
        keys: KeySource::Url {
            url: "https://keys.example.net/jwks.json"
                .parse()
                .expect("an address"),
            ca_file: Some("/etc/weir/keys-ca.pem".into()),
            refresh: Duration::from_secs(3600),
        },
        header: "Approov-Token".to_owned(),
        prefix: String::new(),
        status_header: "Approov-Status".to_owned(),
        issuer: None,
        audience: None,
        leeway: Duration::from_secs(60),
        bind: Vec::new(),
        unbound: false,
        fail: 401,
        observe: false,
        pass_without_keys: false,
    }
}

fn partner() -> Attestation {
    Attestation {
        name: "partner".to_owned(),
        keys: KeySource::File("/etc/weir/partner.jwks".into()),
        ..app()
    }
}

fn account() -> Attestation {
    Attestation {
        name: "account".to_owned(),
        keys: KeySource::Secret {
            path: "/etc/weir/account.secret".into(),
            raw: false,
        },
        ..app()
    }
}

#[test]
fn attestations_can_be_said_in_full() {
    let config = parse(
        r#"
        [check]
        socket = "/run/c.sock"
        group = "www-data"
        listen = "127.0.0.1:9188"
        source_header = "X-Forwarded-For"
        source_position = 2
        source_is_peer = false
        tell_reason = false
        connections = 7
        token_file = "/etc/weir/t"
        [[attestation]]
        name = "a"
        keys_url = "http://localhost:8080/jwks?a=b"
        refresh = "10s"
        header = "Authorization"
        prefix = "Bearer "
        status_header = ""
        issuer = "acme.approov.io"
        audience = "api.example.net"
        leeway = "0s"
        bind = ["Authorization", "Content-Digest"]
        unbound = "pass"
        fail = 403
        mode = "observe"
        without_keys = "pass"
        "#,
    );
    let check = Check {
        socket: "/run/c.sock".into(),
        group: "www-data".to_owned(),
        listen: "127.0.0.1:9188".parse().ok(),
        source_header: "X-Forwarded-For".to_owned(),
        source_position: 2,
        source_is_peer: false,
        tell_reason: false,
        connections: 7,
        token_file: Some("/etc/weir/t".into()),
    };
    assert_eq!(config.check, check);
    let attestation = Attestation {
        name: "a".to_owned(),
        keys: KeySource::Url {
            url: "http://localhost:8080/jwks?a=b"
                .parse()
                .expect("an address"),
            ca_file: None,
            refresh: Duration::from_secs(10),
        },
        header: "Authorization".to_owned(),
        prefix: "Bearer ".to_owned(),
        status_header: String::new(),
        issuer: Some("acme.approov.io".to_owned()),
        audience: Some("api.example.net".to_owned()),
        leeway: Duration::ZERO,
        bind: vec!["Authorization".to_owned(), "Content-Digest".to_owned()],
        unbound: true,
        fail: 403,
        observe: true,
        pass_without_keys: true,
    };
    assert_eq!(attestation.keys.shown(), "http://localhost:8080/jwks");
    assert_eq!(config.attestations, [attestation]);
}

#[test]
fn what_can_not_be_asked_is_refused() {
    for (text, says) in [
        (
            "[check]\nlisten = \"0.0.0.0:9188\"",
            "line 2, `listen` in [check]: \"0.0.0.0:9188\" is no loopback address with a port: whoever can ask",
        ),
        (
            "[check]\nsource_header = \"X Real\"",
            "line 2, `source_header` in [check]: \"X Real\" is no name of a header",
        ),
        (
            "[check]\nsource_position = 0",
            "line 2, `source_position` in [check]: 0 can't be: write which address",
        ),
        (
            "[check]\nconnections = 0",
            "line 2, `connections` in [check]: 0 can't be: write how many",
        ),
        (
            "[check]\ntoken_file = \"t\"",
            "line 2, `token_file` in [check]: \"t\" is a relative path",
        ),
        (
            "[check]\ngroup = \"a b\"",
            "line 2, `group` in [check]: \"a b\" is no name of a group",
        ),
        (
            "[[attestation]]\nname = \"a\"",
            "line 2, `name` in [[attestation]]: attestation a needs one of `keys_url`, `keys_file` and `secret_file`: write exactly one",
        ),
        (
            "[[attestation]]\nname = \"a\"\nkeys_file = \"/k\"\nsecret_file = \"/s\"",
            "line 2, `name` in [[attestation]]: attestation a needs one of",
        ),
        (
            "[[attestation]]\nname = \"a\"\nkeys_file = \"/k\"\n[[attestation]]\nname = \"a\"\nkeys_file = \"/k\"",
            "line 5, `name` in [[attestation]]: another attestation is called \"a\"",
        ),
        (
            "[[attestation]]\nname = \"a\"\nkeys_file = \"/k\"\nrefresh = \"1h\"",
            "line 4, `refresh` in [[attestation]]: `refresh` says something of `keys_url` only",
        ),
        (
            "[[attestation]]\nname = \"a\"\nkeys_file = \"/k\"\nsecret_encoding = \"raw\"",
            "line 4, `secret_encoding` in [[attestation]]: `secret_encoding` says something of `secret_file` only",
        ),
        (
            "[[attestation]]\nname = \"a\"\nsecret_file = \"/k\"\nsecret_encoding = \"hex\"",
            "line 4, `secret_encoding` in [[attestation]]: \"hex\" can't be: write \"base64\" or \"raw\"",
        ),
        (
            "[[attestation]]\nname = \"a\"\nkeys_url = \"http://keys.example.net/\"",
            "line 3, `keys_url` in [[attestation]]: whoever is on the way could put keys of their own into it",
        ),
        (
            "[[attestation]]\nname = \"a\"\nkeys_url = \"https://me:pw@keys.example.net/\"",
            "line 3, `keys_url` in [[attestation]]: a name and a password don't belong into an address",
        ),
        (
            "[[attestation]]\nname = \"a\"\nkeys_url = \"ftp://keys.example.net/\"",
            "line 3, `keys_url` in [[attestation]]: \"ftp://keys.example.net/\" is no address of a key set",
        ),
        (
            "[[attestation]]\nname = \"a\"\nkeys_url = \"https://keys.example.net/\"\nrefresh = \"1s\"",
            "line 4, `refresh` in [[attestation]]: that is too often: write 10s or more",
        ),
        (
            "[[attestation]]\nname = \"a\"\nkeys_file = \"/k\"\nfail = 429",
            "line 4, `fail` in [[attestation]]: 429 can't be: write 401 or 403",
        ),
        (
            "[[attestation]]\nname = \"a\"\nkeys_file = \"/k\"\nheader = \"\"",
            "line 4, `header` in [[attestation]]: \"\" is no name of a header",
        ),
        (
            "[[attestation]]\nname = \"a\"\nkeys_file = \"/k\"\nbind = [\"a b\"]",
            "line 4, `bind` in [[attestation]]: \"a b\" is no name of a header",
        ),
        (
            "[[attestation]]\nname = \"a\"\nkeys_file = \"/k\"\nleeway = \"soon\"",
            "line 4, `leeway` in [[attestation]]: \"soon\" is no duration",
        ),
        (
            "[[attestation]]\nname = \"a\"\nkeys_file = \"/k\"\nmode = \"inherit\"",
            "line 4, `mode` in [[attestation]]: \"inherit\" can't be: write \"enforce\" or \"observe\"",
        ),
    ] {
        let refused = Config::parse(text).expect_err(text).to_string();
        assert!(refused.starts_with(says), "{refused}");
    }
}

#[test]
fn what_lets_too_much_through_is_doubted() {
    for (more, says) in [
        (
            "secret_file = \"/s\"",
            "line 11, `secret_file` in [[attestation]]: attestation a uses the account's secret, and who can read it on this host can mint tokens",
        ),
        (
            "keys_file = \"/k\"\nmode = \"observe\"",
            "line 10, `name` in [[attestation]]: attestation a is in observe: the gateway is told 200",
        ),
        (
            "keys_file = \"/k\"\nwithout_keys = \"pass\"",
            "line 10, `name` in [[attestation]]: every call of attestation a passes while",
        ),
    ] {
        let text = format!("{SMALL}\n\n[[attestation]]\nname = \"a\"\n{more}");
        let warnings = parse(&text).warnings;
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].starts_with(says), "{warnings:?}");
    }
}

//! The reference verification service by itself, as a plain client sees it: what
//! it is asked and publishes, and that each of its mischiefs shows on the wire as it
//! says. Nothing of weir's own reading takes part.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use weir_tests::service::{Options, Service, block, mischief::Mischief};

/// The bytes that came back before the end, or before nothing more did.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
    end: End,
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    /// As it was announced.
    Whole,
    /// The connection broke before.
    Broken,
    /// Nothing came for a while.
    Stalled,
    /// More came than anybody wants.
    Endless,
}

impl Answer {
    fn lines(&self) -> Vec<Value> {
        let text = std::str::from_utf8(&self.body).expect("text");
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }

    /// The first line, and that as many follow as it says.
    fn honest(&self) -> (Value, Vec<Value>) {
        assert_eq!((self.status, &self.end), (200, &End::Whole));
        let mut lines = self.lines();
        let head = lines.remove(0);
        assert_eq!(head["claims"], lines.len());
        (head, lines)
    }
}

fn ask(service: &Service, method: &str, path: &str, body: &str) -> Answer {
    let mut stream = TcpStream::connect(service.address()).expect("it listens");
    stream
        .set_read_timeout(Some(A_WHILE))
        .expect("it can be set");
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: verifier\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .expect("it takes the question");
    let mut bytes = Vec::new();
    let mut piece = [0; 64 << 10];
    let end = loop {
        match stream.read(&mut piece) {
            Ok(0) => break End::Whole,
            Ok(length) => bytes.extend(&piece[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break End::Stalled,
            Err(_reset) => break End::Broken,
        }
        if bytes.len() > TOO_MUCH {
            break End::Endless;
        }
    };
    let Some(split) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Answer {
            status: 0,
            head: String::new(),
            body: bytes,
            end: End::Broken,
        };
    };
    let head = String::from_utf8(bytes[..split].to_vec()).expect("text");
    let rest = &bytes[split + 4..];
    let (body, whole) = if head.to_lowercase().contains("transfer-encoding: chunked") {
        unchunked(rest)
    } else {
        let head = head.to_lowercase();
        let length = head.split("content-length: ").nth(1);
        let length = length.and_then(|length| length.lines().next());
        let length = length.map_or(0, |length| length.trim().parse().expect("a number"));
        (rest.to_vec(), rest.len() == length)
    };
    Answer {
        status: head[9..12].parse().expect("a status"),
        head,
        body,
        end: if end == End::Whole && !whole {
            End::Broken
        } else {
            end
        },
    }
}

/// Content of the chunks, and whether the last of them came.
fn unchunked(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(split) = rest.windows(2).position(|two| two == b"\r\n") else {
            return (body, false);
        };
        let length = std::str::from_utf8(&rest[..split]).expect("a length");
        let length = usize::from_str_radix(length, 16).expect("a number");
        if length == 0 {
            return (body, true);
        }
        let piece = &rest[split + 2..];
        if piece.len() < length + 2 {
            body.extend(&piece[..length.min(piece.len())]);
            return (body, false);
        }
        body.extend(&piece[..length]);
        rest = &piece[length + 2..];
    }
}

fn get(service: &Service, query: &str) -> Answer {
    ask(service, "GET", &format!("/v1/verdicts{query}"), "")
}

fn cursor(service: &Service) -> String {
    let (head, _lines) = get(service, "").honest();
    head["cursor"].as_str().expect("a cursor").to_owned()
}

#[test]
fn it_says_its_whole_word_and_then_what_changes() {
    let service = Service::start(Options::default());
    let posted = format!("{}\n{}\n", block("192.0.2.7"), block("192.0.2.8"));
    let posted = ask(&service, "POST", "/v1/claims", &posted);
    let (head, lines) = get(&service, "").honest();
    assert_eq!(
        (posted.status, &posted.lines()[0]["cursor"]),
        (200, &head["cursor"])
    );
    assert_eq!(
        (&head["snapshot"], &head["after"]),
        (&json!(true), &Value::Null)
    );
    assert_eq!(lines, [block("192.0.2.7"), block("192.0.2.8")]);

    let after = cursor(&service);
    let (head, lines) = get(&service, &format!("?after={after}")).honest();
    assert_eq!((head["cursor"].as_str(), lines.len()), (Some(&*after), 0));
    service.withdraw("192.0.2.7");
    let (head, lines) = get(&service, &format!("?after={after}")).honest();
    assert_eq!(head["after"], after);
    assert_ne!(head["cursor"], after);
    assert_eq!(lines, [json!({"prefix": "192.0.2.7", "withdrawn": true})]);
}

#[test]
fn a_long_poll_holds_until_there_is_a_change() {
    let service = Service::start(Options::default());
    let after = cursor(&service);
    thread::scope(|scope| {
        let poll = scope.spawn(|| get(&service, &format!("?after={after}&wait=30")).honest());
        service.block(&["192.0.2.7"]);
        let (head, lines) = poll.join().expect("an answer");
        assert_eq!(
            (&head["after"], lines),
            (&json!(after), vec![block("192.0.2.7")])
        );
    });
    let after = cursor(&service);
    let (head, lines) = get(&service, &format!("?after={after}&wait=0")).honest();
    assert_eq!((head["cursor"].as_str(), lines.len()), (Some(&*after), 0));
}

#[test]
fn what_it_has_forgotten_is_gone() {
    let service = Service::start(Options::default());
    service.block(&["192.0.2.7"]);
    let after = cursor(&service);
    for unknown in ["1-2", "2-0", "nonsense", ""] {
        assert_eq!(
            get(&service, &format!("?after={unknown}")).status,
            410,
            "{unknown:?}"
        );
    }
    assert_eq!(ask(&service, "DELETE", "/v1/claims", "").status, 200);
    assert_eq!(get(&service, &format!("?after={after}")).status, 410);
    assert_eq!(get(&service, "").honest().1, [Value::Null; 0]);
}

#[test]
fn it_goes_back_to_an_older_state_under_old_cursors() {
    let service = Service::start(Options::default());
    assert_eq!(ask(&service, "POST", "/v1/backup", "").status, 409);
    service.block(&["192.0.2.7"]);
    let then = cursor(&service);
    assert_eq!(ask(&service, "PUT", "/v1/backup", "").status, 200);
    service.block(&["192.0.2.8", "192.0.2.9"]);
    let since = cursor(&service);
    assert_eq!(ask(&service, "POST", "/v1/backup", "").status, 200);
    assert_eq!(cursor(&service), then);
    assert_eq!(get(&service, "").honest().1, [block("192.0.2.7")]);
    assert_eq!(get(&service, &format!("?after={since}")).status, 410);
    // And by and by the same cursor means something else.
    service.block(&["192.0.2.50", "192.0.2.51"]);
    assert_eq!(cursor(&service), since);
    assert_eq!(
        get(&service, &format!("?after={since}")).honest().1,
        [Value::Null; 0]
    );
}

#[test]
fn a_wrong_word_is_refused() {
    let token = Some("secret".to_owned());
    let service = Service::start(Options {
        token,
        ..Options::default()
    });
    assert_eq!(get(&service, "").status, 401);
    assert_eq!(ask(&service, "GET", "/v1/nothing", "").status, 404);
    for nonsense in ["no JSON", "{\"verdict\": \"block\"}"] {
        assert_eq!(ask(&service, "POST", "/v1/claims", nonsense).status, 400);
    }
    assert_eq!(
        ask(&service, "PUT", "/v1/mischief", "\"no such one\"").status,
        400
    );
    assert_eq!(service.number(), 0);
}

#[test]
fn failed_attestations_become_a_claim() {
    let service = Service::start(Options::default());
    let call = |token: &Value| {
        let call = json!({"source": "192.0.2.7", "token": token});
        ask(&service, "POST", "/v1/attestations", &call.to_string())
    };
    let token = ask(&service, "POST", "/v1/tokens", "").lines().remove(0);
    assert_eq!(call(&token["token"]).status, 200);
    let failed = (0..100).position(|_| {
        assert_eq!(call(&json!("forged")).status, 401);
        service.number() > 0
    });
    assert!(failed.is_some(), "it never learns");
    let (_head, lines) = get(&service, "").honest();
    assert_eq!(lines[0]["prefix"], "192.0.2.7");
}

#[test]
fn each_mischief_shows_as_it_says() {
    let service = Service::start(Options::default());
    service.block(&["192.0.2.7", "192.0.2.8", "192.0.2.9"]);
    let before = cursor(&service);
    service.block(&["192.0.2.10"]);
    let behind = format!("?after={before}");
    let honest = get(&service, &behind);
    let (good, _lines) = honest.honest();
    let twisted = |mischief: &Mischief, query: &str| {
        let wish = serde_json::to_string(mischief).expect("JSON");
        assert_eq!(ask(&service, "PUT", "/v1/mischief", &wish).status, 200);
        get(&service, query)
    };
    let first = |answer: &Answer| answer.lines().remove(0);

    let slow = twisted(&Mischief::Slow(1), &behind);
    assert_eq!(slow.body, honest.body);
    let stall = twisted(&Mischief::Stall, &behind);
    assert_eq!(
        (stall.end, &*stall.body),
        (End::Stalled, &honest.body[..honest.body.len() / 2])
    );
    let cut = twisted(&Mischief::Cut(500), &behind);
    assert_eq!(
        (cut.end, &*cut.body),
        (End::Broken, &honest.body[..honest.body.len() / 2])
    );
    let more = twisted(&Mischief::More(2), &behind);
    assert_eq!(
        (first(&more)["claims"].clone(), more.lines().len()),
        (json!(3), 2)
    );
    let fewer = twisted(&Mischief::Fewer(1), &behind);
    assert_eq!(
        (first(&fewer)["claims"].clone(), fewer.lines().len()),
        (json!(0), 2)
    );
    for status in [204, 429, 500, 503] {
        assert_eq!(twisted(&Mischief::Status(status), &behind).status, status);
    }
    let page = twisted(&Mischief::Page, &behind);
    assert!(page.status == 200 && page.body.starts_with(b"<!doctype html>"));
    let flood = twisted(&Mischief::Flood, &behind);
    assert!(
        flood.end == End::Endless
            && flood.body.iter().filter(|byte| **byte == b'\n').count() > 1000
    );
    let line = twisted(&Mischief::LongLine, &behind);
    assert!(line.end == End::Endless && line.body.ends_with(b"   "));
    let redirect = twisted(
        &Mischief::Redirect("http://192.0.2.99/".to_owned()),
        &behind,
    );
    assert_eq!(redirect.status, 307);
    assert!(
        redirect
            .head
            .to_lowercase()
            .contains("location: http://192.0.2.99/")
    );
    assert_ne!(
        first(&twisted(&Mischief::OtherAfter, &behind))["after"],
        good["after"]
    );
    let same = twisted(&Mischief::SameCursor, &behind);
    assert_eq!(
        (&first(&same)["cursor"], same.lines().len()),
        (&json!(before), 2)
    );
    let garbage = twisted(&Mischief::Garbage, &behind);
    let last = garbage
        .body
        .trim_ascii_end()
        .rsplit(|byte| *byte == b'\n')
        .next();
    assert!(serde_json::from_slice::<Value>(last.expect("a line")).is_err());
    let binary = twisted(&Mischief::Binary, &behind);
    assert!(binary.body.windows(4).any(|four| four == b"\x7fELF"));
    let (_head, unacceptable) = twisted(&Mischief::Unacceptable, &behind).honest();
    assert_eq!(unacceptable.len(), 6);
    let empty = twisted(&Mischief::Empty, &behind);
    assert_eq!(
        (empty.status, empty.end, empty.body.len()),
        (200, End::Whole, 0)
    );
    let (whole, all) = twisted(&Mischief::Whole, &behind).honest();
    assert_eq!((&whole["snapshot"], all.len()), (&json!(true), 4));
    let (changes, _all) = twisted(&Mischief::Changes, "").honest();
    assert_eq!(changes["snapshot"], false);
    assert_eq!(twisted(&Mischief::Close, &behind).end, End::Broken);
    let clock = twisted(&Mischief::Clock(86_400), &behind);
    let date = |answer: &Answer| {
        let date = answer
            .head
            .lines()
            .find_map(|line| line.strip_prefix("date: "));
        httpdate::parse_http_date(date.expect("a date")).expect("a date")
    };
    let ahead = date(&clock).duration_since(date(&honest)).expect("later");
    assert!(ahead.as_secs().abs_diff(86_400) < 60);

    assert_eq!(ask(&service, "PUT", "/v1/mischief", "null").status, 200);
    assert_eq!(get(&service, &behind).body, honest.body);
}

/// The time that a client waits to know whether more comes.
const A_WHILE: Duration = Duration::from_secs(5);
const TOO_MUCH: usize = 1 << 20;

//! Connections: what they may do, how many there may be, how long they may take.

use hyper::StatusCode;
use tokio::sync::Semaphore;

use super::*;

#[tokio::test]
async fn any_method_and_any_path_below_get_an_answer_on_one_connection() {
    let (endpoint, issuer) = attested("");
    let (address, _server) = endpoint.on_port(Limits::of(8)).await;
    let token = issuer.token_of("k", &json!({"exp": NOW + 300}));
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    for (question, status) in [
        ("GET /v1/check HTTP/1.1\r\n", "200 OK"),
        (
            "POST /v1/check/orders?x=1 HTTP/1.1\r\nContent-Length: 0\r\n",
            "200 OK",
        ),
        ("DELETE /v1/check/a/../b HTTP/1.1\r\n", "200 OK"),
        ("PROPFIND /v1/check HTTP/1.1\r\n", "200 OK"),
        ("GET /v1/checks HTTP/1.1\r\n", "404 Not Found"),
        ("GET / HTTP/1.1\r\n", "404 Not Found"),
        ("OPTIONS /v1/check HTTP/1.1\r\n", "200 OK"),
    ] {
        let question = format!("{question}Host: w\r\nApproov-Token: {token}\r\n\r\n");
        stream.write_all(question.as_bytes()).await.expect("sent");
        let answer = head(&mut stream).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{question}: {answer}"
        );
    }
    let closing = "GET /v1/check HTTP/1.0\r\nConnection: close\r\n\r\n";
    stream.write_all(closing.as_bytes()).await.expect("sent");
    let answer = read_all(&mut stream).await;
    assert!(
        answer.contains("weir-reason: tok_missing; missing\r\n"),
        "{answer}"
    );
    assert!(
        answer.ends_with("\r\n\r\n"),
        "there is nothing to see: {answer}"
    );
}

#[tokio::test]
async fn the_reason_is_left_out_where_it_would_go_on_to_clients() {
    let (endpoint, _) = attested("[check]\ntell_reason = false");
    let (address, _server) = endpoint.on_port(Limits::of(8)).await;
    let question = b"GET /v1/check HTTP/1.1\r\nConnection: close\r\n\r\n";
    let answer = exchange(address, question).await;
    assert!(
        answer.starts_with("HTTP/1.1 401 ") && !answer.contains("weir"),
        "{answer}"
    );
}

/// One answer's head; its body, if it has one, too.
async fn head(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    loop {
        answer.push(stream.read_u8().await.expect("an answer"));
        if answer.ends_with(b"\r\n\r\n") {
            let head = String::from_utf8(answer).expect("text");
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().expect("a number"));
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await.expect("a body");
            return head;
        }
    }
}

#[tokio::test]
async fn what_cant_be_read_is_refused_like_everything_else() {
    let (endpoint, _) = attested("");
    let (address, _server) = endpoint.on_port(Limits::of(8)).await;
    let many: String = (0..200).map(|n| format!("x-{n}: y\r\n")).collect();
    for question in [
        "nonsense\r\n\r\n".to_owned(),
        "GET /v1/check HTTP/1.1\r\nno colon\r\n\r\n".to_owned(),
        "GET /v1/check HTTP/3.1\r\n\r\n".to_owned(),
        format!("GET /v1/check HTTP/1.1\r\n{many}\r\n"),
        format!(
            "GET /v1/check HTTP/1.1\r\nx: {}\r\n\r\n",
            "y".repeat(1 << 20)
        ),
        format!("GET /v1/check/{} HTTP/1.1\r\n\r\n", "y".repeat(1 << 20)),
    ] {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        // It may be refused before all of it was sent.
        let _sent = stream.write_all(question.as_bytes()).await;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.expect("an answer");
        assert_eq!(&answer, b"HTTP/1.1 401", "{question:.60}");
    }
    let counted = endpoint.check.counts().answers();
    let unreadable = counted
        .iter()
        .find(|one| one.reason == "unreadable" && one.count > 0);
    assert_eq!(unreadable.expect("counted").outcome, "fail");
}

#[tokio::test]
async fn a_body_is_no_matter_however_long_it_says_it_is() {
    let (endpoint, _) = attested("");
    let (address, _server) = endpoint.on_port(Limits::of(8)).await;
    for head in ["Content-Length: 99999999999", "Transfer-Encoding: chunked"] {
        let question = format!("POST /v1/check HTTP/1.1\r\n{head}\r\n\r\n5\r\nhello");
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        stream.write_all(question.as_bytes()).await.expect("sent");
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.expect("an answer");
        assert_eq!(&answer, b"HTTP/1.1 401", "{head}");
    }
}

/// Waits, while the clock moves by itself, for what the server does.
async fn ended(stream: &mut TcpStream) {
    assert_eq!(read_all(stream).await, "");
}

#[tokio::test]
async fn half_a_question_isnt_waited_for_and_an_idle_gateway_is() {
    let (endpoint, _) = attested("");
    let limits = Limits {
        question: Duration::from_millis(200),
        ..Limits::of(8)
    };
    let (address, _server) = endpoint.on_port(limits).await;
    let mut idle = TcpStream::connect(address).await.expect("it listens");
    let question = "GET /v1/check HTTP/1.1\r\nHost: w\r\n\r\n";
    idle.write_all(question.as_bytes()).await.expect("sent");
    let answer = head(&mut idle).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");

    let mut half = TcpStream::connect(address).await.expect("it listens");
    half.write_all(b"GET /v1/check HTTP/1.1\r\nHost: w")
        .await
        .expect("sent");
    ended(&mut half).await;
    // A question that trickles in is late, too: the connection breaks.
    let mut slow = TcpStream::connect(address).await.expect("it listens");
    slow.write_all(b"GET /v1/check HTTP/1.1\r\n")
        .await
        .expect("sent");
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    while slow.write_all(b"x: y\r\n").await.is_ok() {
        tick.tick().await;
    }
    // Much later than any of them.
    idle.write_all(question.as_bytes())
        .await
        .expect("still there");
    let answer = head(&mut idle).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
}

#[tokio::test]
async fn who_never_asked_gives_way_before_a_gateway_that_is_idle() {
    let (endpoint, _) = attested("");
    let (address, _server) = endpoint.on_port(Limits::of(4)).await;
    let question = "GET /v1/check HTTP/1.1\r\nHost: w\r\n\r\n";
    let mut gateway = TcpStream::connect(address).await.expect("it listens");
    for _ in 0..50 {
        gateway.write_all(question.as_bytes()).await.expect("sent");
        let answer = head(&mut gateway).await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
        let mut heap = Vec::new();
        for _ in 0..20 {
            let mut half = TcpStream::connect(address).await.expect("it listens");
            half.write_all(b"GET /v1/ch").await.expect("sent");
            heap.push(half);
        }
        let mut first = heap.swap_remove(0);
        ended(&mut first).await;
    }
}

async fn report(path: &std::path::Path, head: &str, body: &str) -> (StatusCode, serde_json::Value) {
    let stream = UnixStream::connect(path).await.expect("it listens");
    sent(stream, head, body).await
}

async fn sent(
    mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    head: &str,
    body: &str,
) -> (StatusCode, serde_json::Value) {
    let length = body.len();
    let question = format!(
        "POST /v1/observations HTTP/1.1\r\nHost: w\r\nConnection: close\r\n{head}Content-Length: {length}\r\n\r\n{body}"
    );
    // Of what is too long, not all is taken.
    let _sent = stream.write_all(question.as_bytes()).await;
    let answer = read_all(&mut stream).await;
    let status = answer[9..12].parse().expect(&answer);
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    (status, serde_json::from_str(body).unwrap_or_default())
}

const GOOD: &str =
    r#"{"source":"203.0.113.7","outcome":"failed","reason":"dev_rooted","weight":2}"#;

#[tokio::test]
async fn observations_of_others_come_in_by_the_token() {
    let folder = tempfile::tempdir().expect("a folder");
    let token = folder.path().join("token");
    std::fs::write(&token, "a secret\n").expect("written");
    let text = format!("[check]\ntoken_file = {token:?}");
    let mut endpoint = endpoint(&text);
    let (address, _server) = endpoint.on_port(Limits::of(8)).await;
    let on_port = async |head: &str, body: &str| {
        let stream = TcpStream::connect(address).await.expect("it listens");
        sent(stream, head, body).await
    };
    for head in [
        "",
        "Authorization: Bearer\r\n",
        "Authorization: Bearer \r\n",
        "Authorization: Bearer a secre\r\n",
        "Authorization: Bearer a secrets\r\n",
        "Authorization: Basic  a secret\r\n",
        "Authorization: Bearer a secret\r\nAuthorization: Bearer a secret\r\n",
    ] {
        let (status, _) = on_port(head, GOOD).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{head}");
    }
    assert_eq!(endpoint.observed(), None);
    let right = "Authorization: Bearer a secret\r\n";
    let body = format!("{GOOD}\nx\n{GOOD}\n");
    let (status, answer) = on_port(right, &body).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer["taken"], 2);
    assert_eq!(
        (&answer["refused"], &answer["refusals"][0]["line"]),
        (&json!(1), &json!(2))
    );
    let observed = endpoint.observed().expect("observed");
    assert_eq!(observed.outcome, Outcome::Failed(Reason::new("dev_rooted")));
    assert_eq!(observed.weight, 2);

    let (status, answer) = on_port(right, "[{").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(
        answer["error"]
            .as_str()
            .expect("a sentence")
            .contains("isn't an observation")
    );
    let (status, _) = on_port(right, &" ".repeat((2 << 20) + 1)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    // Another token counts at once.
    std::fs::write(&token, "another").expect("written");
    assert_eq!(on_port(right, GOOD).await.0, StatusCode::UNAUTHORIZED);
    let answer = exchange(
        address,
        b"GET /v1/observations HTTP/1.1\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert!(
        answer.starts_with("HTTP/1.1 405 ") && answer.contains("allow: POST"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_token_file_that_is_no_file_stops_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let fifo = folder.path().join("fifo");
    crate::store::files::tests::fifo(&fifo);
    let kinds = [fifo, folder.path().to_owned(), "/dev/zero".into()];
    for token in kinds {
        let endpoint = endpoint(&format!(
            "[check]\ntoken_file = {token:?}\n[[attestation]]\nname = \"app\"\nkeys_file = {token:?}"
        ));
        let (address, _server) = endpoint.on_port(Limits::of(8)).await;
        for _ in 0..3 {
            let stream = TcpStream::connect(address).await.expect("it listens");
            let (status, _) = sent(stream, "Authorization: Bearer x\r\n", GOOD).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{}", token.display());
            let question = b"GET /v1/check HTTP/1.1\r\nConnection: close\r\n\r\n";
            let answer = exchange(address, question).await;
            assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
        }
    }
}

#[tokio::test]
async fn while_the_token_file_hangs_others_are_answered() {
    let (hangs, let_go) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let reporters = Reporters::new(Some("/dev/null".into()), u32::MAX);
    // All threads for the file hang, as on a network file system that is away.
    for _ in 0..report::MAX_READS {
        let (files, hangs, let_go) = (
            reporters.files().clone(),
            Arc::clone(&hangs),
            Arc::clone(&let_go),
        );
        tokio::spawn(async move {
            let handle = tokio::runtime::Handle::current();
            let hang = move || {
                hangs.add_permits(1);
                let _end = handle.block_on(let_go.acquire());
                Ok(())
            };
            files.run(Duration::from_secs(60), hang).await
        });
    }
    let all = u32::try_from(report::MAX_READS).expect("few");
    let _all_hang = hangs.acquire_many(all).await.expect("open");
    let mut endpoint = endpoint("[[attestation]]\nname = \"app\"\nkeys_file = \"/k\"");
    Arc::get_mut(&mut endpoint.check)
        .expect("its only owner")
        .reporters = reporters;
    let (address, _server) = endpoint.on_port(Limits::of(8)).await;
    let stream = TcpStream::connect(address).await.expect("it listens");
    let hung = tokio::spawn(sent(stream, "Authorization: Bearer x\r\n", GOOD));
    let question = b"GET /v1/check HTTP/1.1\r\nConnection: close\r\n\r\n";
    for _ in 0..3 {
        let answer = exchange(address, question).await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    }
    assert!(!hung.is_finished(), "this one waits");
    let_go.add_permits(report::MAX_READS);
    assert_eq!(hung.await.expect("no panic").0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn on_the_socket_the_daemons_user_needs_no_token() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("check.sock");
    let uid = rustix::process::geteuid().as_raw();
    for (trusted, expected) in [(uid, StatusCode::OK), (u32::MAX, StatusCode::UNAUTHORIZED)] {
        if uid == 0 && trusted != uid {
            // Root is always let in.
            continue;
        }
        let (sender, _observations) = mpsc::channel(8);
        let check = Check::new(
            &config::Check::default(),
            &[],
            Pseudonyms::new(&[7; 32]),
            Reporters::new(None, trusted),
            sender,
            || NOW,
        );
        let _old = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).expect("a socket");
        let server = tokio::spawn(door::serve(listener, Arc::new(check), Limits::of(8)));
        assert_eq!(report(&path, "", GOOD).await.0, expected);
        server.abort();
    }
}

//! Everything that a service can do wrong, as the bytes of its answers. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::state::{Answer, State};

/// A way to misbehave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mischief {
    /// Takes so many milliseconds before it answers.
    Slow(u64),
    /// Says the first part of its answer, and then nothing more.
    Stall,
    /// Breaks the connection after so many thousandths of its answer.
    Cut(u64),
    /// Announces so many more lines than come.
    More(u64),
    /// Announces so many fewer lines than come.
    Fewer(u64),
    /// Answers with another status.
    Status(u16),
    /// Answers with a web page.
    Page,
    /// Answers with lines that never end.
    Flood,
    /// Answers with one line that never ends.
    LongLine,
    /// Sends whoever asks to another address.
    Redirect(String),
    /// Answers what has changed after another cursor than the one it was asked.
    OtherAfter,
    /// Says the cursor that it was asked for once more, whatever has changed.
    SameCursor,
    /// Says something that isn't JSON.
    Garbage,
    /// Says something that isn't text.
    Binary,
    /// Says among others what can't be accepted.
    Unacceptable,
    /// Says nothing at all.
    Empty,
    /// Says everything where changes were asked for.
    Whole,
    /// Says changes where everything was asked for.
    Changes,
    /// Breaks the connection at once.
    Close,
    /// Has a clock that is so many seconds ahead.
    Clock(i64),
}

/// What goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status line's.
    pub status: u16,
    /// `Location`, of a redirect.
    pub location: Option<String>,
    /// Time until the head goes out.
    pub delay: Duration,
    /// The body, or its beginning.
    pub body: Vec<u8>,
    /// What comes then.
    pub ending: Ending,
    /// Seconds that the clock in the head is ahead.
    pub ahead: i64,
}

/// How a body ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As it should.
    Whole,
    /// The connection breaks.
    Broken,
    /// Nothing comes any more.
    Stalled,
    /// This comes, again and again.
    Endless(&'static [u8]),
}

impl Mischief {
    /// Any of them.
    pub fn random(mut dice: impl FnMut() -> u64) -> Self {
        let (which, how) = (dice() % 20, dice());
        match which {
            0 => Self::Slow(how % 60_000),
            1 => Self::Stall,
            2 => Self::Cut(how % 1000),
            3 => Self::More(1 + how % 5),
            4 => Self::Fewer(1 + how % 5),
            5 => Self::Status(
                [204, 206, 301, 400, 401, 403, 404, 410, 429, 500, 503][how as usize % 11],
            ),
            6 => Self::Page,
            7 => Self::Flood,
            8 => Self::LongLine,
            9 => Self::Redirect("http://192.0.2.99/elsewhere".to_owned()),
            10 => Self::OtherAfter,
            11 => Self::SameCursor,
            12 => Self::Garbage,
            13 => Self::Binary,
            14 => Self::Unacceptable,
            15 => Self::Empty,
            16 => Self::Whole,
            17 => Self::Changes,
            18 => Self::Close,
            _ => Self::Clock((how % 20_000) as i64 - 10_000),
        }
    }

    /// What goes out in place of an honest answer (`None`: 410) to whoever
    /// asked behind this cursor.
    #[must_use]
    pub fn twist(
        &self,
        honest: Option<Answer>,
        state: &State,
        after: Option<&str>,
        unix: u64,
    ) -> Reply {
        let mut reply = Reply::of(honest.as_ref());
        let Some(mut answer) = honest else {
            // What it has forgotten it can't lie about.
            return match self {
                Self::Clock(ahead) => Reply {
                    ahead: *ahead,
                    ..reply
                },
                Self::Slow(ms) => Reply {
                    delay: Duration::from_millis(*ms),
                    ..reply
                },
                Self::Close => Reply {
                    body: Vec::new(),
                    ending: Ending::Broken,
                    status: 0,
                    ..reply
                },
                _ => reply,
            };
        };
        let head = answer.head();
        let lines = reply.body[head.len()..].to_vec();
        let claims = answer.lines.len() as u64;
        let announce = |number: u64| {
            let old = format!("\"claims\":{claims}");
            let lying = head.replace(&old, &format!("\"claims\":{number}"));
            [lying.as_bytes(), &lines].concat()
        };
        match self {
            Self::Slow(ms) => reply.delay = Duration::from_millis(*ms),
            Self::Stall => {
                reply.body.truncate(reply.body.len() / 2);
                reply.ending = Ending::Stalled;
            }
            Self::Cut(part) => {
                let length = reply.body.len() as u64 * part / 1000;
                reply.body.truncate(length as usize);
                reply.ending = Ending::Broken;
            }
            Self::More(by) => reply.body = announce(claims + by),
            Self::Fewer(by) if claims > 0 => reply.body = announce(claims - by.min(&claims)),
            Self::Fewer(_) => reply
                .body
                .extend(b"{\"prefix\": \"192.0.2.1\", \"withdrawn\": true}\n"),
            Self::Status(status) => {
                reply.status = *status;
                reply.body = b"{\"error\": \"no\"}\n".to_vec();
            }
            Self::Page => reply.body = b"<!doctype html>\n<title>Sign in</title>\n".to_vec(),
            Self::Flood => {
                reply.ending =
                    Ending::Endless(b"{\"prefix\": \"192.0.2.1\", \"verdict\": \"block\"}\n");
            }
            Self::LongLine => reply.ending = Ending::Endless(b"                                "),
            Self::Redirect(to) => {
                reply.status = 307;
                reply.location = Some(to.clone());
                reply.body.clear();
            }
            Self::OtherAfter => {
                if answer.after.is_some() {
                    answer.after = Some("1-0-other".to_owned());
                }
                reply.body = answer.body();
            }
            Self::SameCursor => {
                if let Some(after) = after {
                    answer.cursor = after.to_owned();
                }
                reply.body = answer.body();
            }
            Self::Garbage => {
                reply.body = announce(claims + 1);
                reply
                    .body
                    .extend(b"{\"prefix\": \"192.0.2.7\", \"verdict\": }\n");
            }
            Self::Binary => {
                reply.body = announce(claims + 1);
                reply.body.extend(b"\x7fELF\0\0\0\n");
            }
            Self::Unacceptable => {
                answer.lines.extend([
                    json!({"prefix": "0.0.0.0/0", "verdict": "block"}),
                    json!({"prefix": "198.18.0.9", "verdict": {"limit": "no-such-tier"}}),
                    json!({"prefix": "no prefix", "verdict": "block"}),
                    json!({"prefix": "198.18.0.9", "verdict": "explode"}),
                    json!({"prefix": "198.18.0.9"}),
                ]);
                reply.body = answer.body();
            }
            Self::Empty => reply.body.clear(),
            Self::Whole => {
                let whole = state
                    .answer(None, unix)
                    .expect("the whole is never forgotten");
                reply.body = whole.body();
            }
            Self::Changes => {
                answer.whole = false;
                answer.after.get_or_insert_with(|| answer.cursor.clone());
                reply.body = answer.body();
            }
            Self::Close => {
                reply = Reply {
                    status: 0,
                    body: Vec::new(),
                    ending: Ending::Broken,
                    ..reply
                };
            }
            Self::Clock(ahead) => reply.ahead = *ahead,
        }
        reply
    }
}

impl Reply {
    /// An honest one; without an answer 410.
    #[must_use]
    pub fn of(answer: Option<&Answer>) -> Self {
        Self {
            status: if answer.is_some() { 200 } else { 410 },
            location: None,
            delay: Duration::ZERO,
            body: answer.map(Answer::body).unwrap_or_default(),
            ending: Ending::Whole,
            ahead: 0,
        }
    }
}

//! One thread that asks on many connections, as fast as it is answered or at a
//! fixed pace.

use std::{
    collections::VecDeque,
    io::{ErrorKind, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

/// Connections that stay open, and what is asked on them.
pub(super) struct Asker<'q> {
    connections: Vec<Connection>,
    questions: &'q [Vec<u8>],
    asked: usize,
}

struct Connection {
    stream: UnixStream,
    /// When its question should have been asked, and what came of the answer.
    waiting: Option<(Instant, Vec<u8>)>,
}

impl<'q> Asker<'q> {
    pub(super) fn new(socket: &Path, connections: usize, questions: &'q [Vec<u8>]) -> Result<Self> {
        let connect = |_| {
            let stream = UnixStream::connect(socket).context("connecting to the endpoint")?;
            stream
                .set_nonblocking(true)
                .context("having a connection not wait")?;
            Ok(Connection {
                stream,
                waiting: None,
            })
        };
        Ok(Self {
            connections: (0..connections).map(connect).collect::<Result<_>>()?,
            questions,
            asked: 0,
        })
    }

    /// Asks for this long; how long each answer took. With a gap, a question is
    /// due each time it is over, and an answer's time runs from then, however late
    /// the question was asked.
    pub(super) fn ask_for(
        &mut self,
        long: Duration,
        gap: Option<Duration>,
    ) -> Result<Vec<Duration>> {
        let begun = Instant::now();
        let mut times = Vec::new();
        let mut due = VecDeque::new();
        let mut next = begun;
        loop {
            let now = Instant::now();
            let over = now - begun >= long;
            if let Some(gap) = gap {
                while !over && next <= now {
                    due.push_back(next);
                    next += gap;
                }
            }
            let mut idle = true;
            for connection in &mut self.connections {
                if let Some(time) = connection.answer()? {
                    times.push(time);
                }
                if connection.waiting.is_some() {
                    idle = false;
                    continue;
                }
                let moment = match gap {
                    Some(_) => due.pop_front(),
                    None => (!over).then(Instant::now),
                };
                if let Some(moment) = moment {
                    let question = &self.questions[self.asked % self.questions.len()];
                    self.asked += 1;
                    let sent = connection.stream.write_all(question);
                    sent.context("asking the endpoint")?;
                    connection.waiting = Some((moment, Vec::new()));
                    idle = false;
                }
            }
            if over && idle {
                return Ok(times);
            }
        }
    }
}

impl Connection {
    /// How long the answer took, if all of it is there.
    fn answer(&mut self) -> Result<Option<Duration>> {
        let Some((since, answer)) = &mut self.waiting else {
            return Ok(None);
        };
        let mut buffer = [0; 1024];
        match self.stream.read(&mut buffer) {
            Ok(read) => {
                ensure!(read > 0, "the endpoint closed a connection");
                answer.extend_from_slice(&buffer[..read]);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error).context("reading an answer"),
        }
        if end(answer).is_none_or(|end| answer.len() < end) {
            return Ok(None);
        }
        ensure!(
            answer.starts_with(b"HTTP/1.1 200"),
            "a genuine call was answered {}",
            String::from_utf8_lossy(answer)
        );
        let time = since.elapsed();
        self.waiting = None;
        Ok(Some(time))
    }
}

/// Where an answer ends, once its head is there.
pub(crate) fn end(answer: &[u8]) -> Option<usize> {
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let text = String::from_utf8_lossy(&answer[..head]).to_lowercase();
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))?;
    Some(head + 4 + length.trim().parse::<usize>().ok()?)
}

//! Lists as chunks of lines: a million claims are never one text in memory.

use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;
use tokio::sync::mpsc;

/// One JSON object and a line's end.
///
/// # Panics
/// If the value can't be JSON, as none of [`protocol`](super::protocol)'s types.
#[must_use]
pub fn line<T: Serialize>(value: &T) -> Bytes {
    let mut line = BytesMut::new();
    put(&mut line, value);
    line.freeze()
}

/// Sends the values as lines, packed into chunks, as fast as they are taken.
/// Ends early, quietly, when whoever takes them is gone.
///
/// # Panics
/// If a value can't be JSON, as none of [`protocol`](super::protocol)'s types.
pub async fn send<T: Serialize>(values: impl IntoIterator<Item = T>, chunks: mpsc::Sender<Bytes>) {
    let mut chunk = BytesMut::with_capacity(CHUNK);
    for value in values {
        put(&mut chunk, &value);
        if chunk.len() >= CHUNK && chunks.send(chunk.split().freeze()).await.is_err() {
            return;
        }
    }
    if !chunk.is_empty() {
        // Nobody is left to be told that nobody takes it.
        let _gone = chunks.send(chunk.freeze()).await;
    }
}

fn put<T: Serialize>(chunk: &mut BytesMut, value: &T) {
    serde_json::to_writer((&mut *chunk).writer(), value)
        .expect("memory takes every byte, and the protocol's types are JSON");
    chunk.put_u8(b'\n');
}

/// Bytes from which on a chunk is sent.
const CHUNK: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_packed_and_none_is_torn() {
        let (sender, mut receiver) = mpsc::channel(1);
        let sending = send(0..100_000_u32, sender);
        let receiving = async {
            let (mut expected, mut chunks) = (0, 0);
            while let Some(chunk) = receiver.recv().await {
                assert!(chunk.ends_with(b"\n"));
                chunks += 1;
                for line in chunk
                    .split(|byte| *byte == b'\n')
                    .filter(|line| !line.is_empty())
                {
                    assert_eq!(line, expected.to_string().as_bytes());
                    expected += 1;
                }
            }
            (expected, chunks)
        };
        let ((), (lines, chunks)) = tokio::join!(sending, receiving);
        assert_eq!(lines, 100_000);
        assert!((2..20).contains(&chunks), "{chunks} chunks");
    }

    #[tokio::test]
    async fn a_list_nobody_takes_ends() {
        let (sender, receiver) = mpsc::channel(1);
        drop(receiver);
        send(0_u64.., sender).await;
    }
}

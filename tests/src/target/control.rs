//! What travels over the control socket: what one side reads, it writes so
//! that the other reads the same.

use std::fmt::Debug;

use serde::{Serialize, de::DeserializeOwned};
use weir::control::protocol::{
    ClaimLine, DetachRequest, EventLine, Explanation, FeedDetails, FeedRequest, Missed,
    ModeRequest, Status, VerdictAnswer, VerdictRequest,
};

use super::shape;

pub(super) fn body(input: &[u8]) -> String {
    let requests = [
        travels::<VerdictRequest>(input),
        travels::<ModeRequest>(input),
        travels::<DetachRequest>(input),
        travels::<FeedRequest>(input),
    ];
    let answers = [
        travels::<VerdictAnswer>(input),
        travels::<ClaimLine>(input),
        travels::<EventLine>(input),
        travels::<Missed>(input),
        travels::<Explanation>(input),
        travels::<FeedDetails>(input),
        travels::<Status>(input),
    ];
    let read: Vec<_> = requests.iter().chain(&answers).map(Result::is_ok).collect();
    match &requests[0] {
        Ok(()) => format!("{read:?}"),
        Err(sentence) => format!("{read:?} {}", shape(sentence)),
    }
}

fn travels<T: Serialize + DeserializeOwned + PartialEq + Debug>(
    input: &[u8],
) -> Result<(), String> {
    let read: T = serde_json::from_slice(input).map_err(|error| error.to_string())?;
    let text = serde_json::to_string(&read).expect("what was read can be written");
    assert!(!text.contains('\n'), "it doesn't fit into a line: {text}");
    let again: T = serde_json::from_str(&text).expect("what was written can be read");
    assert_eq!(again, read);
    Ok(())
}

pub(super) const WORDS: &[&str] = &[
    "\"prefixes\": [\"192.0.2.7\"], ",
    "\"verdict\": \"block\", ",
    "\"verdict\": {\"limit\": \"suspect\"}, ",
    "\"for_s\": 60, ",
    "\"reason\": null, ",
    "\"mode\": \"enforce\", ",
    "\"force\": true, ",
    "\"interfaces\": [\"eth0\"], ",
    "\"prefix\": \"::1\", ",
    "\"feed\": \"local\", ",
    "\"age_s\": 1.5, ",
    "null",
    "true",
    "[]",
    "{}",
    "\\u0000",
];

//! Numbers as people read them.

/// 1234567 as `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count and its thing: `1 packet`, `2 packets`.
pub(crate) fn counted(number: u64, one: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {one}{plural}", count(number))
}

/// How many packets a claim has judged. The kernel counts in steps of
/// [`HITS_STEP`], so that few can't be told from none.
pub(crate) fn hits(number: Option<u64>) -> String {
    match number {
        None => "-".to_owned(),
        Some(0) => format!("<{HITS_STEP}"),
        Some(number) => count(number),
    }
}

/// An error with its causes, each of which says something new: many a text holds
/// that of its cause already.
pub(crate) fn causes(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if text.contains(&cause) {
            continue;
        }
        if !text.is_empty() {
            text += ": ";
        }
        text += &cause;
    }
    text
}

/// Bytes in the largest unit that leaves a whole part, as `1.5 MiB`.
pub(crate) fn bytes(number: u64) -> String {
    let (mut whole, mut unit) = (number as f64, 0);
    // Not 1024: `1023.96` would be shown as `1024.0`.
    while whole >= 1023.95 && unit + 1 < UNITS.len() {
        whole /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        return format!("{number} B");
    }
    format!("{whole:.1} {}", UNITS[unit])
}

/// Seconds in their two largest units, as `3m 20s` or `7d`.
pub(crate) fn seconds(number: u64) -> String {
    let parts = [
        (number / 86_400, "d"),
        (number / 3600 % 24, "h"),
        (number / 60 % 60, "m"),
        (number % 60, "s"),
    ];
    let first = parts.iter().position(|(number, _)| *number > 0);
    let Some(first) = first else {
        return "0s".into();
    };
    let shown = parts[first..]
        .iter()
        .take(2)
        .filter(|(number, _)| *number > 0);
    let shown: Vec<_> = shown
        .map(|(number, unit)| format!("{number}{unit}"))
        .collect();
    shown.join(" ")
}

/// Sentences that others wrote, safe for a terminal: no control characters,
/// which could rewrite what stands above.
pub(crate) fn plain(text: &str) -> String {
    text.chars()
        .map(|letter| {
            if letter.is_control() {
                '\u{fffd}'
            } else {
                letter
            }
        })
        .collect()
}

/// Packets of one claim that one CPU sees before it counts them.
const HITS_STEP: u64 = 64;

const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(count(number), text);
        }
        assert_eq!(counted(1, "packet"), "1 packet");
        assert_eq!(counted(2000, "source"), "2,000 sources");
        for (number, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            ((1 << 20) - 1, "1.0 MiB"),
            (5 << 30, "5.0 GiB"),
            (u64::MAX, "16384.0 PiB"),
        ] {
            assert_eq!(bytes(number), text);
        }
        for (number, text) in [
            (0, "0s"),
            (59, "59s"),
            (200, "3m 20s"),
            (3600, "1h"),
            (3601, "1h"),
            (90_000, "1d 1h"),
            (604_800, "7d"),
        ] {
            assert_eq!(seconds(number), text);
        }
    }

    #[test]
    fn few_hits_arent_none() {
        for (number, text) in [
            (None, "-"),
            (Some(0), "<64"),
            (Some(64), "64"),
            (Some(64_000), "64,000"),
        ] {
            assert_eq!(hits(number), text);
        }
    }

    #[test]
    fn a_cause_is_told_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("{path} can't be read: {source}")]
        struct Unreadable {
            path: &'static str,
            source: std::io::Error,
        }
        let gone = || std::io::Error::from_raw_os_error(2);
        let unreadable = || Unreadable {
            path: "a",
            source: gone(),
        };
        let io = "No such file or directory (os error 2)";
        for (error, text) in [
            (anyhow::Error::new(gone()), io.to_owned()),
            (
                anyhow::Error::new(unreadable()),
                format!("a can't be read: {io}"),
            ),
            (
                anyhow::Error::new(unreadable()).context("looking"),
                format!("looking: a can't be read: {io}"),
            ),
            (
                anyhow::Error::new(gone())
                    .context("reading a")
                    .context("looking"),
                format!("looking: reading a: {io}"),
            ),
            (
                anyhow::Error::new(gone()).context(format!("reading a: {io}")),
                format!("reading a: {io}"),
            ),
        ] {
            assert_eq!(causes(&error), text);
        }
    }

    #[test]
    fn a_feeds_text_cant_steer_the_terminal() {
        assert_eq!(plain("dev_hooked"), "dev_hooked");
        assert_eq!(
            plain("a\x1b[2Jb\nc\u{9b}"),
            "a\u{fffd}[2Jb\u{fffd}c\u{fffd}"
        );
    }
}

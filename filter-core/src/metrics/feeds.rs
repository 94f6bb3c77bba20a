//! What is told of feeds.

use super::text::Text;
use crate::protocol::FeedDetails;

pub(super) fn tell(text: &mut Text, feeds: &[FeedDetails]) {
    about(text, feeds);
    states(text, feeds);
    claims(text, feeds);
    // The operator says what he likes when he likes.
    let feeds: Vec<_> = feeds.iter().filter(|feed| feed.rank > 0).collect();
    ages(text, &feeds);
    updates(text, &feeds);
}

fn about(text: &mut Text, feeds: &[FeedDetails]) {
    let mut about = text.gauge("weir_feed_info", "Where claims come from.");
    for feed in feeds {
        let labels = [
            ("feed", name(feed)),
            ("kind", &feed.status.kind),
            ("mode", &feed.status.mode),
            ("rank", &feed.rank.to_string()),
        ];
        about.with(&labels, 1);
    }
}

fn states(text: &mut Text, feeds: &[FeedDetails]) {
    let mut up = text.gauge(
        "weir_feed_up",
        "1 where the feed's last word could be taken.",
    );
    for feed in feeds {
        let well = feed.status.last_error.is_none();
        up.with(&[("feed", name(feed))], u8::from(well));
    }
    let mut states = text.gauge("weir_feed_state", "1 for the state that the feed is in.");
    for feed in feeds {
        let current = feed.status.state.as_str();
        let unknown = (!STATES.contains(&current)).then_some(current);
        for state in STATES.into_iter().chain(unknown) {
            let labels = [("feed", name(feed)), ("state", state)];
            states.with(&labels, u8::from(state == current));
        }
    }
    let mut notes = text.gauge(
        "weir_feed_notes",
        "What is doubtful of the feed though it works.",
    );
    for feed in feeds {
        notes.with(&[("feed", name(feed))], feed.notes.len());
    }
}

fn claims(text: &mut Text, feeds: &[FeedDetails]) {
    let mut claims = text.gauge("weir_claims", "Claims that stand.");
    for feed in feeds {
        for (verdict, number) in [
            ("block", feed.blocked),
            ("limit", feed.limited),
            ("allow", feed.allowed),
        ] {
            claims.with(&[("feed", name(feed)), ("verdict", verdict)], number);
        }
    }
    let mut held = text.gauge(
        "weir_feed_held",
        "Claims that the feed's whole word left out without being believed.",
    );
    for feed in feeds {
        held.with(&[("feed", name(feed))], feed.held);
    }
    let mut refused = text.gauge(
        "weir_feed_refused",
        "Claims of the feed that weren't taken.",
    );
    for feed in feeds {
        refused.with(&[("feed", name(feed))], feed.status.refused);
    }
}

/// Of a feed that hasn't said yet that it is well there is no age.
fn ages(text: &mut Text, feeds: &[&FeedDetails]) {
    let mut age = text.gauge(
        "weir_feed_age_seconds",
        "Since the feed last said that it is well.",
    );
    for feed in feeds {
        if let Some(seconds) = feed.status.age_s {
            age.with(&[("feed", name(feed))], seconds);
        }
    }
    let mut heard = text.gauge(
        "weir_feed_last_success_timestamp_seconds",
        "When the feed last said that it is well, since the Unix epoch.",
    );
    for feed in feeds {
        if let Some(seconds) = feed.heard_at {
            heard.with(&[("feed", name(feed))], seconds);
        }
    }
}

fn updates(text: &mut Text, feeds: &[&FeedDetails]) {
    let mut updates = text.counter(
        "weir_feed_updates_total",
        "How often the feed said its whole word, or what has changed.",
    );
    for feed in feeds {
        for (update, number) in [("whole", feed.snapshots), ("delta", feed.deltas)] {
            updates.with(&[("feed", name(feed)), ("update", update)], number);
        }
    }
    let mut changes = text.counter(
        "weir_feed_changes_total",
        "Claims that the feed's updates added, changed and withdrew.",
    );
    for feed in feeds {
        for (change, number) in [
            ("added", feed.added),
            ("changed", feed.changed),
            ("withdrawn", feed.withdrawn),
        ] {
            changes.with(&[("feed", name(feed)), ("change", change)], number);
        }
    }
}

fn name(feed: &FeedDetails) -> &str {
    &feed.status.name
}

/// Every state that a feed can be in, as `docs/operating.md` explains them. One
/// that is new and not here is told as well, while a feed is in it.
pub(super) const STATES: [&str; 15] = [
    "ok",
    "starting",
    "failed",
    "unreachable",
    "slow",
    "untrusted",
    "unauthorized",
    "no_token",
    "no_authority",
    "failing",
    "redirected",
    "broken",
    "resync",
    "held",
    "disabled",
];

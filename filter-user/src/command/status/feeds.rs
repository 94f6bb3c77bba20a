//! What `weir status` says of the feeds.

use super::{
    super::{
        human::{count, counted, plain, seconds},
        output::{Output, Tone},
        table::{Align::Left, Align::Right, Table, cut},
    },
    table,
};
use crate::control::protocol::{FeedStatus, Status};

/// The feeds, and below them what is wrong. On a terminal many that are well are one
/// line.
pub(super) fn show(status: &Status, output: &mut Output) -> anyhow::Result<()> {
    let (mut shown, mut well): (Vec<_>, Vec<_>) = (status.feeds.iter().collect(), Vec::new());
    if let Some(width) = output.width()
        && shown.len() > MANY
    {
        (well, shown) = shown.into_iter().partition(|feed| is_well(feed));
        table(&rows(&shown), output)?;
        if !well.is_empty() {
            output.line(cut(&folded(&well), width))?;
        }
    } else {
        table(&rows(&shown), output)?;
    }
    drop(well);
    for line in notes(status) {
        output.sentence(Some(Tone::Bad), &line, 4)?;
    }
    Ok(())
}

fn is_well(feed: &FeedStatus) -> bool {
    feed.state == "ok" && feed.refused == 0 && feed.last_error.is_none()
}

fn folded(well: &[&FeedStatus]) -> String {
    let claims = well.iter().map(|feed| feed.claims).sum::<u64>();
    let names: Vec<_> = well.iter().map(|feed| plain(&feed.name)).collect();
    let are = if well.len() == 1 { "is" } else { "are" };
    format!(
        "{} {are} well, {}: {}",
        counted(well.len() as u64, "feed"),
        counted(claims, "claim"),
        names.join(", ")
    )
}

fn rows(feeds: &[&FeedStatus]) -> Table<7> {
    let mut table = Table::new([
        ("FEED", Left),
        ("KIND", Left),
        ("MODE", Left),
        ("STATE", Left),
        ("CLAIMS", Right),
        ("REFUSED", Right),
        ("AGE", Right),
    ])
    .always(1);
    for feed in feeds {
        table.push([
            plain(&feed.name),
            plain(&feed.kind),
            plain(&feed.mode),
            plain(&feed.state),
            count(feed.claims),
            count(feed.refused),
            feed.age_s.map_or_else(|| "-".into(), seconds),
        ]);
    }
    table
}

/// What is wrong with a feed, below their table.
fn notes(status: &Status) -> Vec<String> {
    let mut lines = Vec::new();
    for feed in &status.feeds {
        let name = plain(&feed.name);
        if let Some(error) = &feed.last_error {
            lines.push(format!("  {name}: {}", plain(error)));
        }
        for refusal in &feed.refusals {
            lines.push(format!("  {name} refused: {}", plain(refusal)));
        }
    }
    lines
}

/// More feeds than these are folded.
const MANY: usize = 8;

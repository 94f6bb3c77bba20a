//! `weir events`.

use filter_common::cause::Action;

use super::{
    Outcome,
    human::{count, counted, plain},
    output::Output,
};
use crate::control::{
    client::Client,
    protocol::{EventLine, EventsQuery, Missed},
};

/// Shows the latest drops, and with `follow` those to come.
pub(super) async fn events(
    follow: bool,
    client: &Client,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    let query = EventsQuery {
        follow,
        keepalive: follow,
    };
    let mut lines = client.lines(&query).await?;
    let mut none = true;
    while let Some(line) = lines.next().await? {
        none = false;
        if output.json() {
            output.raw(&line)?;
        } else if let Ok(Missed { missed }) = serde_json::from_slice(&line) {
            output.note(format_args!("{} missed", counted(missed, "event")));
        } else {
            output.line(sentence(&serde_json::from_slice(&line)?))?;
        }
        if follow {
            output.flush()?;
        }
    }
    if follow {
        output.note("the daemon has ended");
    } else if none {
        output.note("nothing was dropped of late");
    }
    Ok(Outcome::Done)
}

fn sentence(event: &EventLine) -> String {
    // An event that passes is one of observe: there is none of what simply passes.
    let action = match event.action {
        Action::Drop => "drop",
        Action::Pass => "would drop",
    };
    let mut line = format!(
        "{} {} {} {} {} -> ",
        event.time,
        event.interface,
        action,
        event.cause.name(),
        event.source,
    );
    line += &match event.port {
        Some(port) => format!("{}/{port}", event.protocol),
        None => event.protocol.clone(),
    };
    for (key, value) in [
        ("service", &event.service),
        ("tier", &event.tier),
        ("feed", &event.feed),
        ("prefix", &event.prefix),
        ("reason", &event.reason),
    ] {
        if let Some(value) = value {
            line += &format!(" {key}={}", plain(value));
        }
    }
    if event.suppressed_before > 0 {
        line += &format!(" (+{} not shown)", count(event.suppressed_before));
    }
    line
}

#[cfg(test)]
mod tests {
    use filter_common::{
        cause::{Action, Cause},
        settings::Mode,
    };

    use super::*;

    #[test]
    fn an_event_reads_as_one_line() {
        let mut event = EventLine {
            time: "2026-11-22T20:00:00Z".into(),
            interface: "eth0".into(),
            source: [203, 0, 113, 7].into(),
            destination: [198, 51, 100, 1].into(),
            protocol: "tcp".into(),
            port: Some(443),
            service: Some("api".into()),
            cause: Cause::Blocked,
            action: Action::Drop,
            mode: Mode::Enforce,
            prefix: Some("203.0.113.0/24".into()),
            feed: Some("local".into()),
            reason: Some("feed_listed".into()),
            tier: None,
            generation: 3,
            suppressed_before: 1200,
            first: false,
            weight: 1,
        };
        assert_eq!(
            sentence(&event),
            "2026-11-22T20:00:00Z eth0 drop blocked 203.0.113.7 -> tcp/443 service=api feed=local \
             prefix=203.0.113.0/24 reason=feed_listed (+1,200 not shown)"
        );
        event = EventLine {
            protocol: "icmp".into(),
            port: None,
            action: Action::Pass,
            mode: Mode::Observe,
            service: None,
            feed: None,
            prefix: None,
            reason: None,
            suppressed_before: 0,
            ..event
        };
        assert_eq!(
            sentence(&event),
            "2026-11-22T20:00:00Z eth0 would drop blocked 203.0.113.7 -> icmp"
        );
    }
}

//! The check endpoint's: what gateways were answered, its keys, observations.

use super::text::Text;
use crate::protocol::CheckStatus;

pub(super) fn tell(text: &mut Text, check: &CheckStatus) {
    let mut answers = text.counter(
        "weir_checks_total",
        "Calls that a gateway asked about, by what it was told and why.",
    );
    for answer in &check.answers {
        let labels = [
            ("outcome", answer.outcome.as_str()),
            ("reason", &answer.reason),
        ];
        answers.with(&labels, answer.count);
    }
    let mut keys = text.gauge("weir_check_keys", "Keys in use, by attestation.");
    for one in &check.keys {
        keys.with(&[("attestation", &one.attestation)], one.keys);
    }
    let mut age = text.gauge(
        "weir_check_keys_age_seconds",
        "Time since an attestation's keys were had; none where they weren't since the start.",
    );
    for one in &check.keys {
        if let Some(seconds) = one.age_s {
            age.with(&[("attestation", &one.attestation)], seconds);
        }
    }
    let mut well = text.gauge(
        "weir_check_keys_well",
        "1 where nothing is wrong with an attestation's keys.",
    );
    for one in &check.keys {
        let good = one.error.is_none() && one.keys > 0;
        well.with(&[("attestation", &one.attestation)], u8::from(good));
    }
    let observed = &check.observations;
    text.counter(
        "weir_observations_total",
        "What was observed of calls, by what became of it.",
    )
    .with(&[("outcome", "sent")], observed.sent)
    .with(&[("outcome", "lost")], observed.lost)
    .with(&[("outcome", "sourceless")], observed.sourceless)
    .with(&[("outcome", "of_no_peer")], observed.of_no_peer)
    .with(&[("outcome", "refused")], observed.refused_lines);
    text.counter(
        "weir_observations_reported_total",
        "Observations that other verifiers sent.",
    )
    .value(observed.reported);
}

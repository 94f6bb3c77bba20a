//! The policy's: what it says, and whether it works.

use super::text::Text;
use crate::protocol::PolicyStatus;

pub(super) fn tell(text: &mut Text, policy: &PolicyStatus) {
    text.gauge(
        "weir_policy_alarm",
        "1 where the policy makes no verdicts since it isn't the callers who fail.",
    )
    .value(u8::from(policy.alarm.is_some()));
    text.gauge("weir_policy_sources", "Sources that the policy remembers.")
        .value(policy.sources);
    text.counter(
        "weir_policy_forgotten_total",
        "Sources that the policy forgot to make room.",
    )
    .value(policy.forgotten);
    let mut verdicts = text.gauge(
        "weir_policy_verdicts",
        "Sources that the policy speaks of, by what it says and whether that holds.",
    );
    for (mode, of) in [("enforce", policy.enforced), ("observe", policy.shadow)] {
        for (verdict, number) in [
            ("raised", of.raised),
            ("limited", of.limited),
            ("blocked", of.blocked),
        ] {
            verdicts.with(&[("mode", mode), ("verdict", verdict)], number);
        }
    }
}

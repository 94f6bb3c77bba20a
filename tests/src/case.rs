//! The cases: what is sent into the world, and what must become of it. A report
//! of a bug becomes a line here, and is then tried on the host and in the
//! kernel, mutated, and sent over a wire.

use std::sync::LazyLock;

use filter_common::{
    cause::Cause,
    packet::{self, Packet},
};

use crate::{
    frame::Frame,
    world::{FREE, FREE6},
};

mod blocked;
mod known;
mod rated;

/// Every case.
pub static CASES: LazyLock<Vec<Case>> =
    LazyLock::new(|| [blocked::cases(), known::cases(), rated::cases()].concat());

/// A frame in the [world](crate::world), and what must become of it.
#[derive(Clone, Debug)]
pub struct Case {
    /// What is tried.
    pub name: String,
    /// What was sent just before, at the same moment.
    pub before: Vec<Vec<u8>>,
    /// What is sent.
    pub frame: Vec<u8>,
    /// Seconds since boot.
    pub second: u32,
    /// As if the interface merged packets.
    pub merges: bool,
    /// Why it is passed or dropped.
    pub cause: Cause,
    /// Whether it is dropped in enforce.
    pub drops: bool,
    /// Why it would be passed or dropped in the shadow, if there is one.
    pub shadow: Option<Cause>,
    /// Of what is blocked the same from a source that nothing is said of, which
    /// passes. (Not of what is malformed: that is dropped of any source.)
    pub twin: Option<Vec<u8>>,
}

impl Case {
    fn new(name: impl Into<String>, cause: Cause, frame: Frame) -> Self {
        let free = if frame.is_v4() { FREE } else { FREE6 };
        let twin = (cause == Cause::Blocked).then(|| frame.clone().source(free).build());
        Self {
            name: name.into(),
            before: Vec::new(),
            twin: twin.filter(|twin| !packet::read(twin.as_slice()).is(Packet::MALFORMED)),
            frame: frame.build(),
            second: 0,
            merges: false,
            cause,
            drops: cause.drops(),
            shadow: None,
        }
    }

    /// The same frame was sent so many times before.
    fn after(mut self, times: usize) -> Self {
        self.before = vec![self.frame.clone(); times];
        self
    }

    fn after_frame(mut self, frame: Frame) -> Self {
        self.before.push(frame.build());
        self
    }

    const fn at(mut self, second: u32) -> Self {
        self.second = second;
        self
    }

    const fn merging(mut self) -> Self {
        self.merges = true;
        self
    }

    const fn passes(mut self) -> Self {
        self.drops = false;
        self
    }

    const fn shadowed(mut self, cause: Cause) -> Self {
        self.shadow = Some(cause);
        self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use filter_common::{cause::Action, decide::Decision, settings::Settings};
    use weir::datapath::{Datapath as _, memory::Memory};

    use super::*;
    use crate::world;

    /// The host's answer to the last frame of a case.
    fn judged(case: &Case, frame: &[u8], change: impl FnOnce(&mut Settings)) -> Decision {
        let mut memory = Memory::new(&world::SIZES);
        let mut settings = world::fill(&mut memory).settings;
        change(&mut settings);
        memory.set(&settings).expect("any settings");
        memory.set_time(0, case.second);
        memory.set_merging(case.merges);
        for frame in &case.before {
            memory.trial(frame);
        }
        memory.trial(frame)
    }

    #[test]
    fn every_case_is_as_it_says() {
        for case in CASES.iter() {
            let decision = judged(case, &case.frame, |_| {});
            let cause = Cause::from_code(decision.cause);
            assert_eq!(cause, Some(case.cause), "{}", case.name);
            assert_eq!(decision.drops(), case.drops, "{}", case.name);
            let shadow = Cause::from_code(decision.shadow);
            assert_eq!(shadow, case.shadow, "the shadow of {}", case.name);
        }
    }

    #[test]
    fn in_observe_the_causes_are_the_same_and_nothing_is_dropped() {
        for case in CASES.iter() {
            let decision = judged(case, &case.frame, |settings| settings.mode = 0);
            assert_eq!(decision.cause, case.cause as u8, "{}", case.name);
            assert!(!decision.drops(), "{}", case.name);
        }
    }

    #[test]
    fn strict_drops_what_is_unreadable_and_nothing_else() {
        for case in CASES.iter() {
            let decision = judged(case, &case.frame, |settings| settings.strict = 1);
            let unreadable = case.cause == Cause::Unreadable;
            assert_eq!(decision.drops(), case.drops || unreadable, "{}", case.name);
        }
    }

    #[test]
    fn every_cause_occurs() {
        for cause in Cause::ALL {
            let of_it = CASES.iter().filter(|case| case.cause == cause).count();
            assert!(of_it >= 2, "{} cases of {}", of_it, cause.name());
        }
    }

    #[test]
    fn every_cause_stands_in_the_page_on_verdicts() {
        let page = include_str!("../../docs/verdicts.md");
        for cause in Cause::ALL {
            let spelled = format!("`{}`", cause.name());
            assert!(page.contains(&spelled), "{spelled} isn't explained");
        }
    }

    #[test]
    fn what_is_blocked_has_a_twin_that_passes() {
        for case in CASES.iter() {
            let malformed = packet::read(case.frame.as_slice()).is(Packet::MALFORMED);
            let has_one = case.cause == Cause::Blocked && !malformed;
            assert_eq!(case.twin.is_some(), has_one, "{}", case.name);
            let Some(twin) = &case.twin else { continue };
            assert_eq!(twin.len(), case.frame.len(), "{}", case.name);
            let decision = judged(case, twin, |_| {});
            assert_ne!(decision.cause, Cause::Blocked as u8, "{}", case.name);
            assert_eq!(decision.action, Action::Pass as u8, "{}", case.name);
        }
    }

    #[test]
    fn no_two_cases_have_one_name() {
        let names: HashSet<_> = CASES.iter().map(|case| &case.name).collect();
        assert_eq!(names.len(), CASES.len());
    }
}

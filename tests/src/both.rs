//! The same tables on the host and in the kernel, and what both say of a frame:
//! they must agree.

use std::fmt::Write as _;

use filter_common::{
    abi::Preamble,
    decide::Decision,
    rate::Rate,
    settings::Settings,
    verdict::{NEVER, Stage, Verdict},
};
use weir::{
    datapath::{Datapath as _, kernel::Kernel, memory::Memory},
    patch::Patch,
};

use crate::{case::Case, mutant::Random, world};

/// The same tables on the host and in the kernel.
pub struct Both {
    host: Memory,
    kernel: Kernel,
    settings: Settings,
    /// What made the frames, for the message.
    pub seed: u64,
}

impl Both {
    /// The world's tables.
    ///
    /// # Panics
    /// If the kernel doesn't take them.
    #[must_use]
    pub fn new() -> Self {
        let mut kernel = Kernel::load(&world::SIZES, None).expect("the kernel takes the object");
        kernel
            .load_trial()
            .expect("the kernel takes the test entry");
        let mut host = Memory::new(&world::SIZES);
        host.set_key(kernel.key());
        let settings = world::fill(&mut host).settings;
        world::fill(&mut kernel);
        Self {
            host,
            kernel,
            settings,
            seed: 0,
        }
    }

    /// As if no packet had come yet.
    pub fn forget(&mut self) {
        self.forget_on_the_host();
        world::forget(&mut self.kernel, "trial");
    }

    /// The same, as far as a case could notice.
    pub fn forget_before(&mut self, case: &Case) {
        self.forget_on_the_host();
        world::forget_before(&mut self.kernel, "trial", case);
    }

    fn forget_on_the_host(&mut self) {
        self.host = Memory::new(&world::SIZES);
        self.host.set_key(self.kernel.key());
        world::fill(&mut self.host);
    }

    /// What both say of a frame.
    ///
    /// # Panics
    /// If they don't say the same.
    pub fn judge(&mut self, now: &Preamble, frame: &[u8]) -> Decision {
        self.host.set_time(now.nanoseconds, now.boot_seconds);
        self.host.set_merging(now.merges != 0);
        let host = self.host.trial(frame);
        let kernel = self
            .kernel
            .run("trial", now, frame)
            .expect("the test entry runs");
        assert_eq!(
            kernel,
            host,
            "the kernel's answer isn't the host's (seed {}, {now:?}, {:?}) to the frame {}",
            self.seed,
            self.settings,
            hex(frame)
        );
        host
    }

    /// Changes the settings.
    ///
    /// # Panics
    /// If the kernel doesn't take them.
    pub fn change_settings(&mut self, random: &mut Random) {
        self.settings.mode = u8::from(random.once_in(2));
        self.settings.strict = u8::from(random.once_in(2));
        self.settings.refuse_saturated = u8::from(random.once_in(2));
        self.settings.generation += 1;
        self.settings.event_budget = *random.of(&[Rate::NONE, self.settings.event_budget]);
        self.host.set(&self.settings).expect("any settings");
        self.kernel.set(&self.settings).expect("any settings");
    }

    /// Gives a prefix of the world, or one around it, another timeline, none, or
    /// its own again.
    ///
    /// # Panics
    /// If there is no room for it.
    pub fn change_entry(&mut self, random: &mut Random) {
        let plan = world::plan();
        let own = world::patch(&plan, 0, 0);
        let (prefix, entry) = own.iter().nth(random.below(own.len())).expect("an entry");
        let mut patch = Patch::default();
        if random.once_in(2) {
            let entry = entry.expect("the world only adds");
            let stages = |stages: &[Stage]| -> Vec<Stage> {
                stages
                    .iter()
                    .copied()
                    .take_while(|one| !one.is_none())
                    .collect()
            };
            patch.push(prefix, &stages(&entry.stages), &stages(&entry.shadow));
        } else {
            // At least /8, so that the rest of the world stays as it is.
            let length = 8 + random.below(usize::from(prefix.length()) - 7) as u8;
            let enforced = timeline(random, 8);
            patch.push(prefix.widened(length), &enforced, &timeline(random, 4));
        }
        assert_eq!(self.host.apply(&patch), []);
        assert_eq!(self.kernel.apply(&patch), []);
    }
}

impl Default for Both {
    fn default() -> Self {
        Self::new()
    }
}

fn timeline(random: &mut Random, longest: usize) -> Vec<Stage> {
    let mut until = 0_u32;
    (0..random.below(longest + 1))
        .map(|_| {
            let verdicts = [
                Verdict::PROTECT,
                Verdict::ALLOW,
                Verdict::BLOCK,
                Verdict::ADMIT,
                Verdict::limit(random.below(8) as u8),
            ];
            until = *random.of(&[until.saturating_add(1), until.saturating_add(2_000), NEVER]);
            Stage::new(
                *random.of(&verdicts),
                1_000 + random.below(1_000) as u32,
                until,
            )
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("text grows");
        text
    })
}

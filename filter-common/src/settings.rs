//! What is set from outside and may change while the filter runs.

use crate::rate::Rate;

/// Whether a drop is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Mode {
    /// Causes are counted, packets pass.
    Observe = 0,
    /// Packets are dropped.
    Enforce = 1,
}

impl Mode {
    /// As it is spelled in the configuration, events and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Enforce => "enforce",
        }
    }
}

/// The settings of the whole filter. All zero is the safe beginning: observe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Settings {
    /// Count of patches applied; every event carries it.
    pub generation: u64,
    /// Events a CPU may send.
    pub event_budget: Rate,
    /// After the first drop of a source: one event in so many. 0: none.
    pub sample: u32,
    /// [`Mode`].
    pub mode: u8,
    /// 1: drop what no source can be read from.
    pub strict: u8,
    /// 1: a packet that finds no bucket because the table is saturated (all
    /// words where its own would be are as far ahead as it would be, or further)
    /// is dropped. 0: it passes, uncharged.
    pub refuse_saturated: u8,
    /// Always 0.
    pub reserved: u8,
}

impl Settings {
    /// Whether drops are carried out.
    #[inline(always)]
    #[must_use]
    pub const fn enforces(&self) -> bool {
        self.mode == Mode::Enforce as u8
    }
}

/// Guarded ports with a default tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Service {
    /// The tier of a source that no claim speaks of.
    pub default_tier: u8,
    /// 1: its rates are only counted.
    pub observe: u8,
    /// What of UDP opens a connection: [`QUIC_AT_443`](Self::QUIC_AT_443),
    /// [`QUIC`](Self::QUIC) or [`NO_QUIC`](Self::NO_QUIC).
    pub quic: u8,
    /// Always 0.
    pub reserved: u8,
    /// Versions of QUIC besides 1, 2 and the drafts that it speaks, with their types
    /// of packets. 0: none.
    pub versions: [u32; MAX_VERSIONS],
}

impl Service {
    /// An Initial of QUIC 1, 2 or a draft opens a connection at every port; at 443
    /// so does a long header of any other version.
    pub const QUIC_AT_443: u8 = 0;
    /// Both at every port.
    pub const QUIC: u8 = 1;
    /// Nothing of UDP does.
    pub const NO_QUIC: u8 = 2;
}

/// Versions of QUIC that a service may name besides those that are known.
pub const MAX_VERSIONS: usize = 4;

/// What a TCP or UDP port is to the filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Port {
    /// [`NOT_PROTECTED`](Self::NOT_PROTECTED),
    /// [`PROTECTED_FOR_SOME`](Self::PROTECTED_FOR_SOME) or
    /// [`PROTECTED`](Self::PROTECTED).
    pub protection: u8,
    /// The service whose port it is at any destination; 0: none.
    pub service: u8,
    /// 1: services exist that have it at some destinations only.
    pub by_destination: u8,
    /// Always 0.
    pub reserved: u8,
}

impl Port {
    /// Not protected.
    pub const NOT_PROTECTED: u8 = 0;
    /// Protected for some sources.
    pub const PROTECTED_FOR_SOME: u8 = 1;
    /// Protected for every source.
    pub const PROTECTED: u8 = 2;

    /// The same, passed through `forget` (see
    /// [`Tables::forget`](crate::decide::Tables::forget)).
    #[inline(always)]
    #[must_use]
    pub(crate) fn forgotten(self, forget: impl Fn(u64) -> u64) -> Self {
        let word = forget(
            self.protection as u64
                | (self.service as u64) << 8
                | (self.by_destination as u64) << 16,
        );
        Self {
            protection: word as u8,
            service: (word >> 8) as u8,
            by_destination: (word >> 16) as u8,
            reserved: 0,
        }
    }
}

/// The service of packets whose port can't be read.
pub const FRAGMENTS: u8 = 0;

/// Services, [`FRAGMENTS`] among them.
pub const MAX_SERVICES: usize = 32;

/// Tiers that may be named.
pub const MAX_TIERS: usize = 32;

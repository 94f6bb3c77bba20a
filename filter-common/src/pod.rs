//! The one room with `unsafe`: what may be copied to and from a map as bytes.

#![expect(
    unsafe_code,
    reason = "aya asks for the promise that any bytes will do"
)]

use crate::{
    abi::{Preamble, ScopeKey},
    bucket::{Seed, Usage},
    decide::Decision,
    event::{Counter, Event, Sampler, Sketch},
    rate::{Rate, Tier},
    settings::{Port, Service, Settings},
    verdict::Entry,
};

macro_rules! pod {
    ($($type:ty),* $(,)?) => {
        // SAFETY: each is `Copy`, `repr(C)`, of integers alone and without
        // padding (the sizes stand in `abi`), so any bytes are a value of it.
        $(unsafe impl aya::Pod for $type {})*
    };
}

pod!(
    Counter, Decision, Entry, Event, Port, Preamble, Rate, Sampler, ScopeKey, Seed, Service,
    Settings, Sketch, Tier, Usage,
);

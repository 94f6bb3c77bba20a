//! Stand-in until the config branch is merged.
use filter_common::{
    abi::ScopeKey,
    rate::Tier,
    settings::{Port, Service, Settings},
};
/// What the configuration asks of the kernel's tables besides verdicts.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// settings
    pub settings: Settings,
    /// ports
    pub ports: Vec<(u8, u16, Port)>,
    /// scopes
    pub scopes: Vec<Scope>,
    /// services
    pub services: Vec<(u8, Service)>,
    /// tiers
    pub tiers: Vec<(u8, u8, Tier)>,
}
/// One scope
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    /// key
    pub key: ScopeKey,
    /// bits
    pub bits: u32,
    /// value
    pub value: u8,
}

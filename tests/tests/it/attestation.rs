//! From a caller's token to its tier: gateways, the check endpoint, and what
//! holds beside it.

mod check;
mod gateway;
mod holds;
mod integrities;
mod nat;

//! The real daemon: how it starts, is operated, is watched, and ends.

mod control;
mod enforce;
mod events;
mod hits;
mod metrics;
mod operator;
mod pins;
mod policy;
mod reload;
mod start;
mod under_attack;

//! What of a verification service's stream is decided without a socket: when to ask
//! for what ([`Follower`]), and what can be wrong with an answer ([`Trouble`]).

mod follower;
mod trouble;

pub use self::{
    follower::{Follower, Said},
    trouble::Trouble,
};
pub use super::codec::stream::Asked;

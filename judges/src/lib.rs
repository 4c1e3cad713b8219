//! Tokens, good and hostile, what has to become of each, and what others make of them.

pub mod corpus;
pub mod judge;
pub mod keys;
pub mod sets;
pub mod token;

//! What the library costs, beside the same thing written by hand.

pub mod counting;
pub mod flow;
pub mod grant;
pub mod hand_written;
pub mod rotation;
pub mod service;
pub mod timing;
pub mod tokens;
pub mod verdict;

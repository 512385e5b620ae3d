//! For tests only: builders, signer, local stack.

pub mod signer;
pub mod world;

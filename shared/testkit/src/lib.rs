//! For tests only: builders, signer, local stack.

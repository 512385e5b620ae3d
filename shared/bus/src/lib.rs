//! EventBridge: the publisher and what targets read.

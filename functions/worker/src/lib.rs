//! Takes events from the ingest queue through the engine.

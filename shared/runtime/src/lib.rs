//! What every function shares: configuration, secrets, telemetry, clock, AWS clients.

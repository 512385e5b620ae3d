//! `paygraph down`: stop the local stack.

use std::process::ExitCode;

use clap::Args;

use crate::local::Places;
use crate::local::emulator::{self, Emulator};

/// Stop the local stack and remove what it left.
#[derive(Args)]
pub struct Down {}

impl Down {
    /// Stops it.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let places = Places::find()?;
        let _lock = places.lock()?;
        match Emulator::running(&places) {
            Some(emulator) => {
                emulator.stop(&places)?;
                eprintln!("The local stack is stopped.");
            }
            None => {
                emulator::clean(&places);
                eprintln!("No local stack is running.");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

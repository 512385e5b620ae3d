//! What a run makes of the errors of others.

use super::runner::RunError;
use crate::ports::StoreError;
use crate::process::ProcessError;

/// The most characters of a reason: Amazon's errors name each write of a transaction.
const MAX_REASON: usize = 500;

pub(super) fn store_error(error: ProcessError) -> RunError {
    match error {
        ProcessError::Store(error) => error.into(),
        ProcessError::Busy => RunError::Busy,
        error @ (ProcessError::Reject(_) | ProcessError::TooLargeToPark(_)) => {
            RunError::Store(StoreError {
                context: "a customer could not be compared".to_owned(),
                retry: false,
                source: Some(Box::new(error)),
            })
        }
    }
}

/// An error with its causes, in one line for people.
pub(super) fn full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text.chars().take(MAX_REASON).collect()
}

pub(super) fn no_cause(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError {
        context: "a run's name is no part of a cause".to_owned(),
        retry: false,
        source: Some(Box::new(error)),
    }
}

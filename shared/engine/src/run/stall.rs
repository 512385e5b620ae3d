//! Runs that stand still: they stop with a reason.

use paygraph_domain::time::Timestamp;

use super::runner::{LEASE, RunError};
use super::state::{LONGEST_STALL, Run};
use crate::ports::Runs;

/// Notes that nobody has heard of a run for a while. Stops it if it has made no progress for
/// [`LONGEST_STALL`] seconds. Says whether it stopped.
///
/// # Errors
/// [`RunError`]; [`RunError::Held`] while somebody works at the tenant's runs.
pub async fn note_stall<S: Runs>(
    store: &S,
    run: &mut Run,
    now: Timestamp,
) -> Result<bool, RunError> {
    let until = now.plus(LEASE);
    let token = store.lease(&run.tenant, now, until).await?;
    let token = token.ok_or(RunError::Held)?;
    if run.stall(now) >= LONGEST_STALL {
        let why = run.problem.take();
        let why = why.unwrap_or_else(|| "whoever did it died, again and again".to_owned());
        run.problem = Some(no_progress(&why));
        (run.stopped, run.wait) = (true, None);
    }
    run.noted_at = now;
    let noted = store.note(run, token, until).await;
    store.release(&run.tenant, token).await?;
    noted?;
    Ok(run.stopped)
}

/// Says that a run made no progress, and why not.
pub(super) fn no_progress(why: &str) -> String {
    format!(
        "it made no progress for {} minutes: {why}",
        LONGEST_STALL / 60
    )
}

/// Notes that nobody goes on with a run by itself, and why. Nothing happens while somebody works at
/// the tenant's runs.
///
/// # Errors
/// [`RunError`].
pub async fn stop<S: Runs>(
    store: &S,
    run: &mut Run,
    why: String,
    now: Timestamp,
) -> Result<(), RunError> {
    let until = now.plus(LEASE);
    let token = store.lease(&run.tenant, now, until).await?;
    let token = token.ok_or(RunError::Held)?;
    (run.problem, run.stopped, run.noted_at) = (Some(why), true, now);
    run.wait = None;
    let noted = store.note(run, token, until).await;
    store.release(&run.tenant, token).await?;
    Ok(noted?)
}

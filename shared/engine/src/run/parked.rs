//! Processes the messages that wait for a link which is there.
//!
//! The commit of a link is followed by the messages that wait for it. A run that is killed between the
//! two leaves these messages parked. When it goes on, the link is no longer new to it. An older release
//! parked messages without marking their links. So each run processes such messages at its end.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;
use paygraph_domain::fact::Link;

use super::errors::{full, store_error};
use super::runner::{AT_ONCE, Left, RunError, Runner};
use super::state::{Failure, Run};
use crate::backoff::Deadline;
use crate::fetch::Fetch;
use crate::ports::{Clock, LedgerEntry, Publisher, Runs, Store};
use crate::process::ProcessError;
use crate::publish::publish;

/// How many parked messages are gone through between two notes.
const TOGETHER: usize = 100;
/// How long the messages of one link are tried.
const PATIENCE: Duration = Duration::from_secs(30);

impl<S: Store + Runs, C: Clock, F: Fetch, P: Publisher> Runner<'_, S, C, F, P> {
    /// Processes the messages that wait for a link which is there. A message that can never be
    /// processed is set aside under its link's id.
    pub(super) async fn release_parked(
        &self,
        run: &mut Run,
        token: u64,
        deadline: Deadline,
    ) -> Result<Left, RunError> {
        if run.scope.dry_run || run.scope.object.is_some() {
            return Ok(Left::Nothing);
        }
        // Until now, so that a message which goes on waiting does not come again.
        let before = self.engine.clock.now().plus(1);
        loop {
            let store = &self.engine.store;
            let after = run.parked_after.as_deref();
            let page = store
                .parked_links(&run.tenant, after, before, TOGETHER)
                .await?;
            page.log_unreadable();
            let links: BTreeSet<&Link> = page.entries.iter().flatten().collect();
            let each = links.into_iter().map(|link| self.release_link(run, link));
            let released: Vec<_> = stream::iter(each).buffer_unordered(AT_ONCE).collect().await;
            let (mut entries, mut failed) = (Vec::new(), Vec::new());
            for (link, released) in released {
                match released {
                    Ok(some) => entries.extend(some),
                    Err(error) if error.is_retryable() => return Err(store_error(error)),
                    Err(error) => failed.push(Failure {
                        object: link.id().to_string(),
                        reason: full(&error),
                    }),
                }
            }
            self.set_aside(run, &failed).await?;
            publish(store, self.publisher, &entries).await?;
            run.parked_after = page.next;
            if run.parked_after.is_none() {
                return Ok(Left::Nothing);
            }
            run.stalled_since = None;
            self.note(run, token).await?;
            if !deadline.has_time() {
                return Ok(Left::More);
            }
        }
    }

    async fn release_link<'l>(
        &self,
        run: &Run,
        link: &'l Link,
    ) -> (&'l Link, Result<Vec<LedgerEntry>, ProcessError>) {
        let released = async {
            let customer = self.engine.store.customer_by(&run.tenant, link).await?;
            match customer {
                Some(_) => {
                    let deadline = Deadline::after(PATIENCE);
                    self.engine.release(&run.tenant, link, deadline).await
                }
                None => Ok(Vec::new()),
            }
        };
        (link, released.await)
    }
}

//! Telling people: each alert once in each place, as far as the place lets us.
//!
//! A place with a limit hears one message a second, and of a burst of alerts at most
//! [`SINGLE_MESSAGES`](paygraph_engine::alert::SINGLE_MESSAGES) and a digest. What waits for the
//! digest goes back to the queue: the first delivery after the minute sends it, and every other one
//! finds it sent. So a kill at any moment loses nothing.

use paygraph_bus::batch::Refusal;
use paygraph_domain::alert::plan::Held;
use paygraph_domain::alert::{Alert, Channel};
use paygraph_domain::id::TenantId;
use paygraph_engine::alert::{Burst, BurstShare, Settled, Settling, Waiting, note_sent};
use paygraph_engine::ports::Clock;
use paygraph_engine::target::{Effect, once};
use paygraph_runtime::telemetry::Chain;

use crate::handler::{Table, Taking, Target, again};
use crate::message::{Digest, Message};
use crate::tell::{Tell, TellError, Told};

impl<S: Table, C: Clock, A: Tell, B: Tell> Target<S, C, A, B> {
    /// Tells of everything that still waits for it. What could not be told keeps nothing else from
    /// being told; the first such reason gives the event back.
    pub(crate) async fn send(
        &self,
        taking: &Taking<'_>,
        settling: &Settling<'_>,
        settled: &Settled,
    ) -> Result<(), Refusal> {
        let (mut sent, mut refused) = (Vec::new(), None);
        for held in &settled.unresolved {
            for channel in &held.waiting {
                let waiting: Waiting = (held.id.clone(), *channel);
                match self.send_one(taking, settled, held, *channel).await {
                    Ok(()) => sent.push(waiting),
                    Err(refusal) => refused = refused.or(Some(refusal)),
                }
            }
        }
        let noted = note_sent(&self.store, settling, &sent).await;
        let noted = noted.map_err(again);
        refused.map_or(noted, Err)
    }

    async fn send_one(
        &self,
        taking: &Taking<'_>,
        settled: &Settled,
        held: &Held,
        channel: Channel,
    ) -> Result<(), Refusal> {
        let (tenant, id) = (&taking.event.detail.tenant, &held.id);
        let Some(alert) = self.store.alert(tenant, id).await.map_err(again)? else {
            return Ok(());
        };
        let is_limited = self.is_limited(tenant, channel).await.map_err(again)?;
        if is_limited {
            let burst = Burst::of(channel, id.kind, held.raised_at);
            let share = self.store.join_burst(tenant, &burst, id).await;
            match share.map_err(again)? {
                BurstShare::Single => {}
                BurstShare::Digest => return self.send_digest(taking, &burst).await,
            }
        }
        let effect = Effect::new("alert", format!("{}#{id}", channel.as_str()));
        let tell = async || {
            let page = self.page(tenant, &alert).await;
            let message = Message {
                tenant,
                alert: &alert,
                contact: settled.contact.as_ref(),
                page: page.as_deref(),
            };
            let attempt = async || match channel {
                Channel::Slack => self.slack.tell(&message, taking.until).await,
                Channel::Sns => self.sns.tell(&message, taking.until).await,
            };
            let told = match is_limited {
                true => self.tell_at_pace(taking, channel, attempt).await,
                false => attempt().await,
            };
            conclude(&Subject::Alert(&alert), tenant, channel, told)
        };
        let done = once(&self.store, &self.clock, tenant, &effect, tell).await;
        done.map(|_| ()).map_err(again)
    }

    async fn is_limited(&self, tenant: &TenantId, channel: Channel) -> Result<bool, TellError> {
        match channel {
            Channel::Slack => self.slack.is_limited(tenant).await,
            Channel::Sns => self.sns.is_limited(tenant).await,
        }
    }

    /// Sends a burst's digest after its minute, once for all its alerts.
    async fn send_digest(&self, taking: &Taking<'_>, burst: &Burst) -> Result<(), Refusal> {
        let tenant = &taking.event.detail.tenant;
        if self.clock.now() < burst.ends_at() {
            let reason = format!("the alert waits for the digest {}", burst.name());
            return Err(Refusal::Again(reason));
        }
        // One after the other: who comes second finds it sent, and need not come again.
        let _turn = self.digest_turns.of(tenant).await;
        let effect = Effect::new("alert", format!("digest#{}", burst.name()));
        let tell = async || {
            let count = self.store.close_burst(tenant, burst).await;
            let count = count.map_err(|error| TellError::Again(Chain(&error).to_string()))?;
            let digest = Digest {
                tenant,
                kind: burst.kind,
                begins_at: burst.begins_at,
                count,
            };
            let attempt = async || match burst.channel {
                Channel::Slack => self.slack.tell_digest(&digest, taking.until).await,
                Channel::Sns => self.sns.tell_digest(&digest, taking.until).await,
            };
            let told = self.tell_at_pace(taking, burst.channel, attempt).await;
            conclude(&Subject::Digest(burst, count), tenant, burst.channel, told)
        };
        let done = once(&self.store, &self.clock, tenant, &effect, tell).await;
        done.map(|_| ()).map_err(again)
    }

    /// Where people see in the CRM whom an alert is about. What cannot be read holds no alert up.
    async fn page(&self, tenant: &TenantId, alert: &Alert) -> Option<String> {
        let customer = alert.id.customer.as_ref()?;
        let shown = self.store.shown(tenant, customer).await.ok()?;
        shown.workspace()?.page.clone()
    }
}

/// What a place is told of.
enum Subject<'a> {
    Alert(&'a Alert),
    Digest(&'a Burst, usize),
}

impl Subject<'_> {
    /// Its name in logs.
    fn name(&self) -> String {
        match self {
            Self::Alert(alert) => alert.id.to_string(),
            Self::Digest(burst, count) => format!("digest of {count}: {}", burst.name()),
        }
    }
}

/// Logs the outcome. What the place will never take is logged, and done with: the alert itself is
/// kept.
fn conclude(
    subject: &Subject<'_>,
    tenant: &TenantId,
    channel: Channel,
    told: Result<Told, TellError>,
) -> Result<(), TellError> {
    let (alert, channel) = (subject.name(), channel.as_str());
    match told {
        Ok(Told::Yes) => {
            tracing::info!(alert, channel, "An alert was sent");
            Ok(())
        }
        Ok(Told::Nowhere) => {
            tracing::debug!(alert, channel, "An alert has nowhere to go but the list");
            Ok(())
        }
        Err(TellError::Never(reason)) => {
            tracing::error!(code = "alert_refused", %tenant, alert, channel, reason, "An alert was refused where it was sent");
            Ok(())
        }
        Err(error @ (TellError::Again(_) | TellError::Limited(..))) => {
            let reason = Chain(&error).to_string();
            tracing::warn!(code = "alert_waits", %tenant, alert, channel, reason, "An alert could not be sent, and is tried again");
            Err(error)
        }
    }
}

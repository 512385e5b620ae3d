//! Telling people: each alert once in each place, as far as the place lets us.

use paygraph_bus::batch::Refusal;
use paygraph_domain::alert::{Alert, Channel};
use paygraph_domain::id::TenantId;
use paygraph_engine::alert::{Settled, Settling, Waiting, note_sent};
use paygraph_engine::ports::Clock;
use paygraph_engine::target::{Effect, once};
use paygraph_runtime::telemetry::Chain;

use crate::handler::{Table, Taking, Target, again};
use crate::message::Message;
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
        let waiting = settled.unresolved.iter();
        let waiting = waiting.flat_map(|held| held.waiting.iter().map(|to| (held.id.clone(), *to)));
        for waiting in waiting {
            match self.send_one(taking, settled, &waiting).await {
                Ok(()) => sent.push(waiting),
                Err(refusal) => refused = refused.or(Some(refusal)),
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
        (id, channel): &Waiting,
    ) -> Result<(), Refusal> {
        let tenant = &taking.event.detail.tenant;
        let Some(alert) = self.store.alert(tenant, id).await.map_err(again)? else {
            return Ok(());
        };
        let effect = Effect::new("alert", format!("{}#{id}", channel.as_str()));
        let tell = async || {
            let page = self.page(tenant, &alert).await;
            let message = Message {
                tenant,
                alert: &alert,
                contact: settled.contact.as_ref(),
                page: page.as_deref(),
            };
            self.tell(taking, *channel, &message).await
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

    /// Tells of an alert in one place. What the place will never take is logged, and done with: the
    /// alert itself is kept.
    async fn tell(
        &self,
        taking: &Taking<'_>,
        channel: Channel,
        message: &Message<'_>,
    ) -> Result<(), TellError> {
        let told = match channel {
            Channel::Slack => self.slack.tell(message, taking.until).await,
            Channel::Sns => self.sns.tell(message, taking.until).await,
        };
        let Alert { id, .. } = message.alert;
        let (alert, channel) = (id.to_string(), channel.as_str());
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
                tracing::error!(code = "alert_refused", tenant = %message.tenant, alert, channel, reason, "An alert was refused where it was sent");
                Ok(())
            }
            Err(error @ TellError::Again(_)) => {
                let reason = Chain(&error).to_string();
                tracing::warn!(code = "alert_waits", tenant = %message.tenant, alert, channel, reason, "An alert could not be sent, and is tried again");
                Err(error)
            }
        }
    }
}

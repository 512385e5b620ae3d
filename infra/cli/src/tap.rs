//! A queue of a command's own that gets what the bus carries.

use anyhow::Context as _;
use aws_sdk_eventbridge::types::Target;
use serde_json::{Value, json};

use crate::stack::Stack;

/// The tap; [`Tap::close`] takes it down again.
pub struct Tap {
    name: String,
    bus: String,
    queue: String,
}

impl Tap {
    /// Taps a bus.
    pub async fn open(stack: &Stack, bus: &str, name: &str) -> anyhow::Result<Self> {
        let made = stack.sqs.create_queue().queue_name(name).send().await?;
        let queue = made.queue_url.context("the queue has no URL")?;
        let pattern = json!({ "source": ["paygraph"] }).to_string();
        let rule = stack
            .bus
            .put_rule()
            .name(name)
            .event_bus_name(bus)
            .event_pattern(pattern);
        rule.send().await?;
        let arn = format!("arn:aws:sqs:us-east-1:000000000000:{name}");
        let target = Target::builder().id("tap").arn(arn).build()?;
        stack
            .bus
            .put_targets()
            .rule(name)
            .event_bus_name(bus)
            .targets(target)
            .send()
            .await?;
        Ok(Self {
            name: name.to_owned(),
            bus: bus.to_owned(),
            queue,
        })
    }

    /// What has come since the last look.
    pub async fn drain(&self, stack: &Stack) -> anyhow::Result<Vec<Value>> {
        let mut events = Vec::new();
        loop {
            let asked = stack.sqs.receive_message().queue_url(&self.queue);
            let answer = asked.max_number_of_messages(10).send().await?;
            let messages = answer.messages.unwrap_or_default();
            if messages.is_empty() {
                return Ok(events);
            }
            for message in messages {
                events.push(serde_json::from_str(
                    message.body.as_deref().unwrap_or_default(),
                )?);
                let done = stack.sqs.delete_message().queue_url(&self.queue);
                done.receipt_handle(message.receipt_handle.unwrap_or_default())
                    .send()
                    .await?;
            }
        }
    }

    /// Takes the tap down.
    pub async fn close(self, stack: &Stack) -> anyhow::Result<()> {
        let targets = stack
            .bus
            .remove_targets()
            .rule(&self.name)
            .event_bus_name(&self.bus);
        targets.ids("tap").send().await?;
        stack
            .bus
            .delete_rule()
            .name(&self.name)
            .event_bus_name(&self.bus)
            .send()
            .await?;
        stack
            .sqs
            .delete_queue()
            .queue_url(&self.queue)
            .send()
            .await?;
        Ok(())
    }
}

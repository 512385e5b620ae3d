//! What a sequence would send to a customer: all its steps as they read now, or one after the other
//! through time. Nothing is sent, and nobody is enrolled.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use paygraph_domain::contact::Contact;
use paygraph_domain::id::{CustomerId, StripeCustomerId};
use paygraph_domain::sequence::{Seen, Sequence, Simulated, Step, What, simulate};
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_engine::ports::Store as _;
use serde_json::{Value, json};

use crate::stack::{Stack, Which, now, run};

/// Of what, and for whom.
#[derive(Args)]
struct For {
    /// The sequence
    name: String,
    /// Our id of the customer, or a Stripe `cus_…`
    #[arg(long, value_name = "ID")]
    customer: String,
    /// A file of sequences to take it from [default: the tenant's settings]
    #[arg(long, value_name = "FILE")]
    file: Option<std::path::PathBuf>,
    /// The instant to work for [default: now]
    #[arg(long, value_name = "RFC3339", value_parser = |text: &str| Timestamp::parse(text))]
    now: Option<Timestamp>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: Which,
}

/// Print every step with its text filled in for a customer.
#[derive(Args)]
pub struct Preview {
    #[command(flatten)]
    of: For,
}

/// Enrol a customer on paper, and let days pass: which step comes when.
#[derive(Args)]
pub struct Simulate {
    #[command(flatten)]
    of: For,
    /// How many days
    #[arg(long, default_value_t = 30)]
    days: u16,
}

/// What a sequence needs to be tried.
struct Trial {
    name: String,
    sequence: Sequence,
    contact: Contact,
    settings: Settings,
    now: Timestamp,
}

impl For {
    fn open(&self) -> anyhow::Result<Trial> {
        let stack = self.which.open()?;
        let (settings, contact) = run(self.read(&stack))?;
        let mut settings = Settings::clone(&settings);
        if let Some(file) = &self.file {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("cannot read {}", file.display()))?;
            settings.sequences = paygraph_domain::sequence::Sequences::parse(&text)
                .with_context(|| format!("{} is not valid", file.display()))?;
        }
        let Some(sequence) = settings.sequences.get(&self.name).cloned() else {
            let known: Vec<&str> = settings.sequences.iter().map(|(name, _)| name).collect();
            bail!(
                "there is no sequence {:?}; there are {}",
                self.name,
                known.join(", ")
            );
        };
        Ok(Trial {
            name: self.name.clone(),
            sequence,
            contact,
            now: self.now.unwrap_or_else(now),
            settings,
        })
    }

    /// The settings and the contact, by our id or by Stripe's.
    async fn read(&self, stack: &Stack) -> anyhow::Result<(Arc<Settings>, Contact)> {
        let (store, tenant, id) = (&stack.store, &self.which.tenant, &self.customer);
        let settings = store.settings(tenant).await?;
        let mut contact = store.contact(tenant, &CustomerId::parse(id)?).await?;
        if contact.is_none() {
            let linked = store
                .contact_of(tenant, &StripeCustomerId::parse(id)?)
                .await?;
            if let Some(linked) = linked {
                contact = store.contact(tenant, &linked).await?;
            }
        }
        let contact = contact.with_context(|| format!("there is no customer {id:?}"))?;
        Ok((settings, contact))
    }
}

impl Preview {
    /// Shows it.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let trial = self.of.open()?;
        let seen = Seen::at(&trial.contact, &trial.settings, trial.now);
        let enters = trial.sequence.has_reason(&seen);
        let steps = trial.sequence.steps.iter();
        let steps: Vec<Value> = steps.map(|step| shown(step, &seen)).collect();
        if self.of.json {
            let told = json!({
                "sequence": trial.name, "customer_id": trial.contact.id, "has_reason": enters,
                "enabled": trial.settings.running_sequence(&trial.name).is_some(),
                "steps": steps,
            });
            println!("{}", serde_json::to_string_pretty(&told)?);
            return Ok(ExitCode::SUCCESS);
        }
        if !enters {
            println!("exit_when holds for this customer: it would not be enrolled now.\n");
        }
        for step in &steps {
            let skipped = if step["sends"] == true {
                ""
            } else {
                ", left out: `when` does not hold"
            };
            println!(
                "{} after {} by {}{skipped}",
                word(step, "name"),
                word(step, "delay"),
                word(step, "channel")
            );
            if let Some(subject) = step["subject"].as_str() {
                println!("  {subject}");
            }
            for line in word(step, "text").lines() {
                println!("  {line}");
            }
            println!();
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn shown(step: &Step, seen: &Seen<'_>) -> Value {
    json!({
        "name": step.name, "delay": step.delay, "channel": step.channel,
        "sends": Sequence::sends(step, seen),
        "subject": step.subject.as_ref().map(|subject| subject.fill(seen)),
        "text": step.text.fill(seen),
    })
}

fn word<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

impl Simulate {
    /// Shows it.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let trial = self.of.open()?;
        let until = trial.now.plus(i64::from(self.days) * 86_400);
        let Trial {
            name,
            sequence,
            contact,
            settings,
            now,
        } = &trial;
        let told = simulate(name, sequence, contact, settings, *now, until);
        if self.of.json {
            let told: Vec<Value> = told.iter().map(told_as_json).collect();
            let told = json!({
                "sequence": name, "customer_id": contact.id, "from": now.to_string(),
                "until": until.to_string(), "data": told,
            });
            println!("{}", serde_json::to_string_pretty(&told)?);
            return Ok(ExitCode::SUCCESS);
        }
        for Simulated { at, what } in &told {
            let subject = match what {
                What::Sent(due) => due.subject.as_deref().unwrap_or_default(),
                What::LeftOut(_) | What::Left(_) | What::Done => "",
            };
            println!("{at}  {what:<28} {subject}", what = what.to_string());
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn told_as_json(told: &Simulated) -> Value {
    let (what, detail) = match &told.what {
        What::Sent(due) => ("sent", json!(due)),
        What::LeftOut(step) => ("left_out", json!({ "name": step })),
        What::Left(why) => ("left", json!({ "why": why })),
        What::Done => ("done", Value::Null),
    };
    json!({ "at": told.at.to_string(), "what": what, "step": detail })
}

//! Every step of every sequence that ships: what it publishes, and its e-mail as SES gets it.

use paygraph_domain::email::Address;
use paygraph_domain::fact::Source;
use paygraph_domain::sequence::{Channel, Seen, Sequences};
use paygraph_domain::settings::Settings;
use paygraph_engine::email::{Email, Mailer as _};
use paygraph_testkit::golden::GoldenFiles;
use serde_json::json;

use crate::ses::FakeSes;
use crate::support::*;

/// The values of a text's variables stand for every sequence: a customer who pays for a plan, and
/// whose name has signs that an e-mail could take for its own.
async fn stack_with_a_customer() -> Stack {
    let stack = Stack::new();
    let (kind, mut object) = customer();
    object["name"] = json!("Acme\r\nBcc: eve@evil.example <b>Ltd</b>");
    let events = [
        (kind, object),
        subscription("customer.subscription.created", PRO, &json!({})),
    ];
    stack.feed(0, Source::Webhook, &events).await;
    stack
}

#[tokio::test]
async fn every_step_of_every_sequence_is_golden() {
    let mut golden = GoldenFiles::new(env!("CARGO_MANIFEST_DIR"), "steps");
    let (stack, fake) = (stack_with_a_customer().await, FakeSes::default());
    let (ses, settings) = (fake.start().await, Settings::example().unwrap());
    let contact = stack.store.contacts().remove(0);
    let seen = Seen::at(&contact, &settings, time(1));
    let (tenant, to) = (tenant(), Address::parse("ada@example.com").unwrap());
    for (name, sequence) in Sequences::example().iter() {
        for step in &sequence.steps {
            let subject = step.subject.as_ref().map(|subject| subject.fill(&seen));
            let text = step.text.fill(&seen);
            let mut published =
                json!({ "channel": step.channel, "subject": subject, "text": text });
            if step.channel == Channel::Email {
                let email = Email {
                    tenant: &tenant,
                    from: "Acme <billing@acme.example>",
                    reply_to: Some("help@acme.example"),
                    to: &to,
                    subject: subject.as_deref().unwrap(),
                    text: &text,
                    unsubscribe: "default/hash/token",
                };
                ses.send(&email).await.unwrap();
                published["ses"] = fake.taken.lock().unwrap().pop().unwrap();
            }
            golden.json(&format!("{name}.{}", step.name), &published.to_string());
        }
    }
    golden.compare();
}

//! The messages of every kind of alert, as Slack and SNS get them.

use paygraph_alert::message::{Digest, Message};
use paygraph_alert::slack::Slack;
use paygraph_alert::tell::{Tell as _, Told};
use paygraph_domain::alert::{Alert, Kind};
use paygraph_domain::contact::Contact;
use paygraph_engine::ports::Store as _;
use paygraph_runtime::http::Http;
use paygraph_testkit::golden::GoldenFiles;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::sns::FakeSns;
use crate::support::{DAY, Secrets, World, at, customer, invoice, subscription, tenant};
use crate::tenants::{detected, event};

const PAGE: &str = "https://app.attio.com/acme/workspaces/1?a=b&c=d";

/// What comes onto the bus when an alert of a kind is due.
async fn cause(world: &World, kind: Kind) -> Vec<Value> {
    match kind {
        Kind::PaymentFailure | Kind::Dunning | Kind::PastDue => world.fails(30).await,
        Kind::RetriesExhausted => {
            let lost = invoice("open", 4, None);
            world
                .stripe(30 * DAY, "invoice.payment_failed", &lost)
                .await
        }
        Kind::CardExpiring => {
            let card = json!({ "id": "pm_1", "object": "payment_method", "customer": "cus_abc123",
                "type": "card", "card": { "brand": "visa", "last4": "4242",
                    "exp_month": 10, "exp_year": 2026 } });
            world
                .stripe(28 * DAY, "payment_method.attached", &card)
                .await;
            let mut with_card = customer();
            with_card["invoice_settings"] = json!({ "default_payment_method": "pm_1" });
            let mut bus = world.stripe(30 * DAY, "customer.updated", &with_card).await;
            // The timer tells of it.
            bus[0]["detail-type"] = json!("card_expiring");
            bus
        }
        Kind::Dispute => {
            let charge = json!({ "id": "ch_1", "object": "charge", "customer": "cus_abc123",
                "status": "succeeded", "currency": "usd", "amount": 5_800, "created": at(2).unix() });
            world.stripe(2, "charge.succeeded", &charge).await;
            let dispute = json!({ "id": "du_1", "object": "dispute", "charge": "ch_1",
                "amount": 5_800, "currency": "usd", "status": "needs_response",
                "reason": "fraudulent", "created": at(30 * DAY).unix() });
            world
                .stripe(30 * DAY, "charge.dispute.created", &dispute)
                .await
        }
        Kind::Cancellation => {
            let mut leaving = subscription("active");
            leaving["cancel_at_period_end"] = json!(true);
            leaving["canceled_at"] = json!(at(29 * DAY).unix());
            leaving["cancellation_details"] = json!({ "feedback": "too_expensive" });
            world
                .stripe(29 * DAY, "customer.subscription.updated", &leaving)
                .await
        }
        Kind::UsageLimit => world.traits(30 * DAY, json!({ "usage_percent": 85 })).await,
        Kind::Upsell => {
            let given = json!({ "usage_percent": 78, "owner": "north" });
            world.traits(30 * DAY, given).await
        }
        Kind::Drift => vec![detected("run-1", "status_mismatch", "sub_1", 30 * DAY)],
        Kind::Endpoint => {
            let data = json!({ "endpoint": "we_1", "reasons": ["it is disabled"],
                "since": at(30 * DAY).to_string() });
            vec![event(
                "webhook_endpoint_unhealthy",
                "watch:0",
                30 * DAY,
                data,
            )]
        }
    }
}

/// An alert of a kind, with its contact.
async fn raised(kind: Kind) -> (Alert, Option<Contact>) {
    let world = World::without_slack();
    if kind == Kind::Upsell {
        world.stripe(0, "customer.created", &customer()).await;
    } else {
        world.paying().await;
    }
    let bus = cause(&world, kind).await;
    world.deliver(30 * DAY + 5, &bus).await;
    assert!(
        world.alerts().iter().any(|(raised, _)| *raised == kind),
        "{kind:?}: {bus:?}"
    );
    let alert = world.the(kind);
    let contact = match &alert.id.customer {
        Some(customer) => world.store.contact(&tenant(), customer).await.unwrap(),
        None => None,
    };
    (alert, contact)
}

/// What Slack gets.
async fn slack_of(message: &Message<'_>) -> Value {
    let world = World::new().await;
    let slack = Slack::new(Secrets(world.url.clone()), Http::new().unwrap());
    let until = Instant::now() + std::time::Duration::from_secs(5);
    assert_eq!(slack.tell(message, until).await, Ok(Told::Yes));
    world.slack.bodies.lock().unwrap().remove(0)
}

/// What SNS gets.
async fn sns_of(message: &Message<'_>) -> Value {
    let published = FakeSns::publish(message).await;
    json!({
        "subject": published.subject,
        "message": published.message,
        "attributes": published.attributes,
    })
}

#[tokio::test]
async fn the_messages_of_every_kind_are_golden() {
    let mut golden = GoldenFiles::new(env!("CARGO_MANIFEST_DIR"), "alerts");
    let tenant = tenant();
    for kind in Kind::ALL {
        let (alert, contact) = raised(kind).await;
        let message = Message {
            tenant: &tenant,
            alert: &alert,
            contact: contact.as_ref(),
            page: contact.as_ref().map(|_| PAGE),
        };
        let (slack, sns) = (slack_of(&message).await, sns_of(&message).await);
        let both = json!({ "slack": slack, "sns": sns });
        golden.json(kind.as_str(), &both.to_string());
    }
    golden.compare();
}

#[tokio::test]
async fn the_digest_is_golden() {
    let mut golden = GoldenFiles::new(env!("CARGO_MANIFEST_DIR"), "digest");
    let (world, tenant) = (World::new().await, tenant());
    let slack = Slack::new(Secrets(world.url.clone()), Http::new().unwrap());
    for (name, count) in [("one", 1), ("several", 37)] {
        let digest = Digest {
            tenant: &tenant,
            kind: Kind::PaymentFailure,
            begins_at: at(0),
            count,
        };
        let until = Instant::now() + std::time::Duration::from_secs(5);
        assert_eq!(slack.tell_digest(&digest, until).await, Ok(Told::Yes));
        let body = world.slack.bodies.lock().unwrap().remove(0);
        golden.json(name, &body.to_string());
    }
    golden.compare();
}

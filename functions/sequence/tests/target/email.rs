//! The e-mails of steps: to whom, when rather not, and never twice.

use futures::future::join_all;
use paygraph_domain::email::{Address, EmailSettings, Suppressed};
use paygraph_domain::fact::Source;
use paygraph_domain::settings::Settings;
use paygraph_engine::email::{EmailError, Emails as _, Posted};
use paygraph_engine::ports::Store as _;
use proptest::prelude::*;
use serde_json::json;

use crate::support::*;

const ADA: &str = "billing@example.com";

fn stack(email: EmailSettings) -> Stack {
    let mut settings = Settings::example().unwrap().with_all_sequences();
    settings.email = email;
    Stack::with(settings)
}

fn live() -> EmailSettings {
    EmailSettings {
        from: Some("Acme <billing@acme.example>".to_owned()),
        sandbox: false,
        ..EmailSettings::default()
    }
}

/// A stack with a customer whose payment has failed, and the step that is due for it.
async fn due(email: EmailSettings) -> (Stack, Vec<String>) {
    let stack = stack(email);
    stack.failing().await;
    let steps = stack.published("sequence_step_due");
    let steps = steps.iter().map(body).collect();
    (stack, steps)
}

fn subjects(stack: &Stack) -> Vec<String> {
    let taken = stack.mails.taken.lock().unwrap();
    taken
        .iter()
        .map(|(_, subject, _)| subject.clone())
        .collect()
}

/// The messages that go back to the queue, and how many went to the dead letters.
async fn refused(stack: &Stack, at: i64, bodies: &[String]) -> (usize, usize) {
    let target = stack.target(at, stack.bus.clone());
    let response = target.queue(batch(bodies), deadline()).await;
    let buried = target.dead_letters.0.lock().unwrap().len();
    (response.batch_item_failures.len(), buried)
}

#[tokio::test]
async fn a_step_is_sent_once_however_often_it_comes() {
    let (stack, steps) = due(live()).await;
    assert_eq!(steps.len(), 1);
    for _ in 0..3 {
        stack.hear(6, &steps).await;
    }
    join_all((0..5).map(|_| stack.hear(7, &steps))).await;
    assert_eq!(subjects(&stack), ["Your payment did not go through"]);
    // That they were written to is known to others, who may leave them in peace; told once.
    let contact = stack.store.contacts().remove(0);
    let step = stack.published("sequence_step_due").remove(0);
    assert_eq!(
        contact.traits()["last_contacted_at"],
        json!(step.detail.occurred_at.to_string())
    );
    assert_eq!(stack.published("customer_updated").len(), 1);
    let (to, _, link) = stack.mails.taken.lock().unwrap()[0].clone();
    assert_eq!(to, ADA);
    assert!(link.starts_with("default/"), "{link}");
}

#[tokio::test]
async fn nothing_is_sent_without_a_sender_nor_beyond_the_sandbox() {
    let sandbox = EmailSettings {
        sandbox: true,
        ..live()
    };
    let listed = EmailSettings {
        allowed: [ADA.to_uppercase()].into(),
        ..sandbox.clone()
    };
    for (email, sent) in [(EmailSettings::default(), 0), (sandbox, 0), (listed, 1)] {
        let (stack, steps) = due(email).await;
        stack.hear(6, &steps).await;
        assert_eq!(subjects(&stack).len(), sent);
    }
}

/// L8: who paid between the step and its e-mail is not written to.
#[tokio::test]
async fn l8_who_has_paid_by_now_is_not_written_to() {
    let (stack, steps) = due(live()).await;
    stack
        .feed(60, Source::Webhook, &[invoice("invoice.paid", 1, 2)])
        .await;
    stack.hear(61, &steps).await;
    assert_eq!(subjects(&stack), [""; 0]);
}

/// Whoever died between an e-mail and the note that the customer was written to is followed by the
/// next delivery, also when the customer has paid by then.
#[tokio::test]
async fn who_was_written_to_is_known_to_be_even_after_paying() {
    let (stack, steps) = due(live()).await;
    let step = stack.published("sequence_step_due").remove(0);
    let target = stack.target(6, stack.bus.clone());
    let posted = target.post.post(&step.detail).await.unwrap();
    assert_eq!(posted, Posted::Sent);
    stack
        .feed(60, Source::Webhook, &[invoice("invoice.paid", 1, 2)])
        .await;
    stack.hear(61, &steps).await;
    assert_eq!(subjects(&stack).len(), 1);
    let contact = stack.store.contacts().remove(0);
    assert_eq!(
        contact.traits().get("last_contacted_at"),
        Some(&json!(step.detail.occurred_at.to_string()))
    );
}

/// N21: an e-mail that is due for days is no news.
#[tokio::test]
async fn n21_a_step_of_days_ago_is_not_sent() {
    let (stack, steps) = due(live()).await;
    stack.hear(4 * DAY, &steps).await;
    assert_eq!(subjects(&stack), [""; 0]);
}

/// N6: what was certainly not sent comes again; what may have been does not; what is wrong goes to
/// the dead letters.
#[tokio::test]
async fn n6_a_refusal_is_taken_for_what_it_is() {
    let again = || EmailError::Again("throttled".to_owned());
    let (stack, steps) = due(live()).await;
    stack
        .mails
        .refusals
        .lock()
        .unwrap()
        .extend([again(), again()]);
    for _ in 0..2 {
        assert_eq!(refused(&stack, 6, &steps).await, (1, 0));
    }
    assert_eq!(refused(&stack, 7, &steps).await, (0, 0));
    assert_eq!(subjects(&stack).len(), 1);

    let (stack, steps) = due(live()).await;
    let unknown = EmailError::Unknown("no answer".to_owned());
    stack.mails.refusals.lock().unwrap().push(unknown);
    assert_eq!(refused(&stack, 6, &steps).await, (0, 0));
    assert_eq!(refused(&stack, 7, &steps).await, (0, 0));
    assert_eq!(subjects(&stack), [""; 0]);

    let (stack, steps) = due(live()).await;
    let never = EmailError::Never("not verified".to_owned());
    stack.mails.refusals.lock().unwrap().push(never);
    assert_eq!(refused(&stack, 6, &steps).await, (0, 1));
    // Once it is mended, the dead letter can be put back.
    assert_eq!(refused(&stack, 7, &steps).await, (0, 0));
    assert_eq!(subjects(&stack).len(), 1);
}

/// Who bounced, complained or unsubscribed is not written to again.
#[tokio::test]
async fn who_must_not_be_written_to_is_not() {
    for why in [
        Suppressed::Bounced,
        Suppressed::Complained,
        Suppressed::Unsubscribed,
    ] {
        let (stack, steps) = due(live()).await;
        stack.hear(6, &steps).await;
        let (_, _, link) = stack.mails.taken.lock().unwrap()[0].clone();
        let told = |kind: &str, list: &str| {
            let address = [json!({ "emailAddress": ADA })];
            json!({ "source": "aws.ses", "detail": { "mail": { "tags": { "tenant": ["default"] } },
                (kind): { "bounceType": "Permanent", (list): address } } })
        };
        match why {
            Suppressed::Bounced => {
                let body = told("bounce", "bouncedRecipients");
                stack.hear(7, &[body.to_string()]).await;
            }
            Suppressed::Complained => {
                let body = told("complaint", "complainedRecipients");
                stack.hear(7, &[body.to_string()]).await;
            }
            Suppressed::Unsubscribed => {
                let [_, address, token] = *link.split('/').collect::<Vec<_>>() else {
                    panic!("{link}")
                };
                assert_eq!(address, Address::parse(ADA).unwrap().key());
                let other = "0".repeat(32);
                for (token, noted) in [(other.as_str(), false), (token, true)] {
                    let noted_now = stack
                        .store
                        .suppress(&tenant(), address, Some(token), why, time(7))
                        .await;
                    assert_eq!(noted_now.unwrap(), noted);
                }
            }
        }
        for at in [3 * DAY + 2, 7 * DAY + 2] {
            stack.minute(at).await;
        }
        let steps = stack.bus.published().into_iter();
        let steps = steps.filter(|event| event.detail_type == "sequence_step_due");
        let last: Vec<_> = steps.map(|event| body(&event)).collect();
        stack.hear(7 * DAY + 3, &last).await;
        assert_eq!(subjects(&stack).len(), 1, "{why:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However deliveries overlap and whatever the mail server answers, no e-mail is sent twice, and
    /// one that nobody was unsure of is sent in the end.
    #[test]
    fn an_email_is_never_sent_twice(answers in prop::collection::vec(0_u8..3, 0..6), side_by_side in 1_usize..5) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (stack, steps) = due(live()).await;
            let refusals = answers.iter().filter_map(|answer| match answer {
                0 => Some(EmailError::Again("throttled".to_owned())),
                1 => Some(EmailError::Unknown("no answer".to_owned())),
                _ => None,
            });
            stack.mails.refusals.lock().unwrap().extend(refusals);
            let unsure = answers.contains(&1);
            for _ in 0..8 {
                let each = (0..side_by_side).map(|_| refused(&stack, 6, &steps));
                join_all(each).await;
            }
            let sent = subjects(&stack).len();
            assert!(sent <= 1);
            assert!(unsure || sent == 1);
            let contact = paygraph_domain::id::CustomerId::parse("cus_1").unwrap();
            let noted = stack.store.outbound(&tenant(), &contact).await.unwrap();
            assert!(unsure || noted.sent.len() == 1);
            assert!(stack.store.contact(&tenant(), &contact).await.unwrap().is_some());
        });
    }
}

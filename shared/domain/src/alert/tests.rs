//! What is raised, by what, and in which words.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::hint::Hint;
use super::plan::{Held, plan};
use super::*;
use crate::contact::{Contact, Profile};
use crate::id::StripeId;
use crate::settings::Settings;
use crate::standing::{self, Signal};

const NOW: i64 = 1_790_000_000;
const DAY: i64 = 86_400;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(NOW + seconds).unwrap()
}

fn hint<'a>(name: &'a str, data: &'a Value) -> Hint<'a> {
    Hint {
        name,
        data,
        at: at(0),
    }
}

fn contact(traits: Value) -> Contact {
    let mut contact = Contact::new(CustomerId::parse("acme").unwrap());
    contact.profile = Some(Profile {
        traits: serde_json::from_value(traits).unwrap(),
        ..Profile::default()
    });
    contact
}

/// The kinds that a contact with these traits has a reason for.
fn kinds(traits: Value, hint: Hint<'_>, held: &[Held]) -> Vec<Kind> {
    let settings = Settings::example().unwrap();
    let reasons = reason::of_contact(&contact(traits), &settings, hint, held, at(0));
    reasons.into_iter().map(|reason| reason.kind).collect()
}

#[test]
fn an_event_is_the_news_of_its_own_kinds_only() {
    let signal = |kind: &str| json!({ "kind": kind });
    let none: &[Kind] = &[];
    for (name, data, expected) in [
        (
            "risk_signal_raised",
            signal("failed_payment"),
            &[Kind::PaymentFailure][..],
        ),
        (
            "risk_signal_raised",
            signal("cancellation_requested"),
            &[Kind::Cancellation],
        ),
        ("risk_signal_raised", signal("downgrade"), none),
        ("risk_signal_raised", signal("new_one"), none),
        ("risk_signal_cleared", signal("past_due"), none),
        ("payment_recovered", json!({}), none),
        (
            "payment_retries_exhausted",
            json!({}),
            &[Kind::RetriesExhausted],
        ),
        (
            "segment_entered",
            json!({}),
            &[Kind::UsageLimit, Kind::Upsell],
        ),
        ("drift_detected", json!({}), &[Kind::Drift]),
        ("drift_healed", json!({}), none),
        ("webhook_endpoint_unhealthy", json!({}), &[Kind::Endpoint]),
        ("webhook_endpoint_recovered", json!({}), none),
        ("stripe.charge.failed", json!({}), none),
    ] {
        let expected: BTreeSet<_> = expected.iter().copied().collect();
        assert_eq!(hint(name, &data).may_raise(), expected, "{name} {data}");
    }
}

#[test]
fn a_title_says_what_has_happened() {
    use standing::Kind as Signals;
    for (kind, evidence, expected) in [
        (
            Signals::FailedPayment,
            json!({ "amount": { "usd": 9_900 }, "decline_code": "card_declined", "attempts": 2 }),
            "Payment failed: 99.00 usd, card_declined, attempt 2",
        ),
        (Signals::FailedPayment, json!({}), "Payment failed"),
        (
            Signals::Dunning,
            json!({ "next_attempt": "2026-11-24T00:00:00Z" }),
            "Stripe tries a payment again: next attempt 2026-11-24",
        ),
        (
            Signals::PastDue,
            json!({ "subscription": "sub_1" }),
            "Past due: sub_1",
        ),
        (
            Signals::CardExpiring,
            json!({ "brand": "visa", "last4": "4242", "expires_at": "2026-12-01T00:00:00Z" }),
            "The card on file runs out: visa, ending in 4242, by 2026-12-01",
        ),
        (
            Signals::Dispute,
            json!({ "amount": { "eur": 500 }, "reason": "fraudulent" }),
            "Disputed: 5.00 eur, fraudulent",
        ),
        (
            Signals::CancellationRequested,
            json!({ "cancel_at": "2026-12-01T00:00:00Z", "feedback": null }),
            "Cancellation requested: ends 2026-12-01",
        ),
    ] {
        let signal = Signal {
            kind,
            since: at(0),
            severity: Severity::Medium,
            object: None,
            evidence,
        };
        assert_eq!(reason::of_a_signal(&signal).unwrap().title, expected);
    }
}

/// Usage above 75 %, on the default tier, and nobody talked to them for seven days.
#[test]
fn who_uses_a_lot_without_a_plan_is_a_task_unless_somebody_talked_to_them() {
    let (nothing, contacted) = (json!({}), |days: i64| at(-days * DAY).to_string());
    let entered = hint("segment_entered", &nothing);
    for (traits, expected) in [
        (json!({ "usage_percent": 76 }), true),
        (json!({ "usage_percent": 75 }), false),
        (
            json!({ "usage_percent": 75.5, "last_contacted_at": contacted(7) }),
            true,
        ),
        (
            json!({ "usage_percent": 99, "last_contacted_at": contacted(6) }),
            false,
        ),
        (
            json!({ "usage_percent": 99, "last_contacted_at": "lately" }),
            false,
        ),
        (json!({ "last_contacted_at": contacted(30) }), false),
        (json!({}), false),
    ] {
        let found = kinds(traits.clone(), entered, &[]);
        assert_eq!(found.contains(&Kind::Upsell), expected, "{traits}");
    }
}

/// The contact's own usage goes before the event's; where it has none, the alert that stands stays.
#[test]
fn usage_near_the_limit_is_told_by_the_contact_or_by_the_event() {
    let event = json!({ "metric": "seats", "used": 9, "limit": 10, "percent": 90 });
    let (approached, other) = (
        hint("usage_limit_approached", &event),
        hint("mrr_changed", &event),
    );
    let held = [Held {
        id: AlertId::parse("usage_limit:1789000000::acme").unwrap(),
        raised_at: at(0),
        waiting: BTreeSet::new(),
    }];
    for (traits, hint, held, expected) in [
        (json!({}), approached, &held[..0], true),
        (
            json!({ "usage_percent": 20 }),
            approached,
            &held[..0],
            false,
        ),
        (json!({ "usage_percent": 80 }), other, &held[..0], true),
        (json!({}), other, &held[..0], false),
        (json!({}), other, &held[..], true),
        (json!({ "usage_percent": 20 }), other, &held[..], false),
    ] {
        let found = kinds(traits.clone(), hint, held);
        assert_eq!(
            found.contains(&Kind::UsageLimit),
            expected,
            "{traits} {}",
            hint.name
        );
    }
}

fn because(kind: Kind, object: Option<&str>, since: i64) -> Reason {
    Reason {
        kind,
        object: object.map(|object| StripeId::parse(object).unwrap()),
        since: at(since),
        severity: Severity::High,
        title: String::new(),
        evidence: Value::Null,
    }
}

fn raised(reason: &Reason, at: Timestamp) -> Held {
    Held {
        id: reason.alert(None),
        raised_at: at,
        waiting: BTreeSet::new(),
    }
}

type Case<'a> = (
    &'a [Held],
    &'a [&'a Reason],
    &'a BTreeSet<Kind>,
    usize,
    usize,
);

#[test]
fn one_alert_per_transition() {
    let (all, none) = (of_contacts(), BTreeSet::new());
    let past_due = because(Kind::PastDue, None, 0);
    let held = [raised(&past_due, at(60))];
    let later = because(Kind::PastDue, None, 3_600);
    let dispute = because(Kind::Dispute, Some("du_1"), 0);
    // What is held, what stands, what is news: what is raised, and whether something is resolved.
    let cases: &[Case<'_>] = &[
        (&[], &[&past_due], &all, 1, 0),
        (&[], &[&past_due], &none, 0, 0),
        (&held, &[&past_due], &all, 0, 0),
        // Its beginning is known better now.
        (&held, &[&because(Kind::PastDue, None, -DAY)], &all, 0, 0),
        (&held, &[&because(Kind::PastDue, None, 61)], &all, 0, 0),
        // It was over, and has begun again; nobody is told before the event of it comes.
        (&held, &[&later], &all, 1, 1),
        (&held, &[&later], &none, 0, 0),
        (&held, &[], &none, 0, 1),
        (&held, &[&past_due, &dispute], &all, 1, 0),
    ];
    for (place, (held, stands, news, raise, resolve)) in cases.iter().enumerate() {
        let stands: Vec<_> = stands.iter().copied().cloned().collect();
        let plan = plan(held, &stands, &all, news);
        assert_eq!(
            (plan.raise.len(), plan.resolve.len()),
            (*raise, *resolve),
            "case {place}"
        );
    }
    let judged = [Kind::Dispute].into();
    assert!(
        plan(&held, &[], &judged, &none).resolve.is_empty(),
        "it was not looked at"
    );
}

const EVENTS: [&str; 4] = [
    "invoice.payment_failed",
    "subscription_past_due",
    "dispute_opened",
    "payment_recovered",
];

proptest! {
    /// Whatever events come, in whatever order and however often: of what stands the same is raised,
    /// each once.
    #[test]
    fn order_and_repeats_of_events_make_no_difference(
        first in proptest::sample::subsequence(EVENTS.to_vec(), 0..=4).prop_shuffle(),
        again in proptest::collection::vec(proptest::sample::select(EVENTS.to_vec()), 0..8),
        stands in proptest::sample::subsequence(vec![0_usize, 1, 2], 0..=3),
    ) {
        let reasons = [
            because(Kind::PaymentFailure, None, 0),
            because(Kind::PastDue, None, 0),
            because(Kind::Dispute, Some("du_1"), 0),
        ];
        let reasons: Vec<_> = stands.iter().map(|place| reasons[*place].clone()).collect();
        let data = json!({});
        let mut expected: Vec<_> = reasons.iter().filter(|reason| {
            first.iter().any(|name| hint(name, &data).may_raise().contains(&reason.kind))
        }).map(|reason| reason.alert(None)).collect();
        expected.sort();
        let mut held = Vec::new();
        let mut raises: BTreeMap<AlertId, usize> = BTreeMap::new();
        let repeated = again.into_iter().filter(|name| first.contains(name));
        let events: Vec<_> = first.iter().copied().chain(repeated).collect();
        for name in events {
            let plan = plan(&held, &reasons, &of_contacts(), &hint(name, &data).may_raise());
            prop_assert!(plan.resolve.is_empty());
            for reason in plan.raise {
                *raises.entry(reason.alert(None)).or_default() += 1;
                held.push(raised(&reason, at(60)));
            }
        }
        prop_assert!(raises.values().all(|times| *times == 1));
        prop_assert_eq!(raises.into_keys().collect::<Vec<_>>(), expected);
    }
}

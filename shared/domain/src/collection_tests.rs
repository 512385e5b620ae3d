use serde_json::json;

use super::*;

const START: i64 = 1_790_000_000;
const DAY: i64 = 86_400;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(START + seconds).unwrap()
}

fn id(text: &str) -> StripeId {
    StripeId::parse(text).unwrap()
}

/// An invoice that Stripe collects, tried once and without a next attempt.
fn tried() -> OpenInvoice {
    OpenInvoice {
        since: at(0),
        subscription: Some(id("sub_1")),
        next_attempt: None,
        exhausted: false,
        attempts: 1,
        amount: Money::default(),
        payment: [None, None],
        terms: Terms::Automatic,
        due: None,
        failed_at: None,
        failed_attempts: 0,
        fetched_attempts: 0,
        payments: BTreeSet::new(),
    }
}

/// When it failed first, whether it is exhausted, and since when it is past due (seconds from the
/// start).
fn judge(totals: &Totals) -> (Option<i64>, bool, Option<i64>) {
    let open = totals.open_invoices().next().unwrap();
    let seconds = |at: Option<Timestamp>| at.map(|at| at.unix() - START);
    (
        seconds(open.failed_at()),
        open.is_exhausted(),
        seconds(open.past_due_since()),
    )
}

fn with(open: OpenInvoice) -> Totals {
    let mut totals = Totals::default();
    totals.open.insert(id("in_1"), open);
    totals
}

fn declined(totals: &mut Totals, charge: &str, of: &str, seconds: i64) {
    let row = json!([
        START + seconds,
        of,
        "insufficient_funds",
        null,
        START + seconds
    ]);
    let decline = serde_json::from_value(row).unwrap();
    totals.declines.insert(id(charge), decline);
}

#[test]
fn r3_an_invoice_alone_tells_no_failure_at_its_first_attempt() {
    let mut totals = with(tried());
    assert_eq!(judge(&totals), (None, false, None));
    // Its debit is on its way.
    totals.pending.insert(id("py_1"), Some(id("in_1")));
    assert_eq!(judge(&totals), (None, false, None));
    // Another invoice's charge has failed.
    declined(&mut totals, "ch_2", "in_2", 5);
    assert_eq!(judge(&totals), (None, false, None));
    // Its own has, after days.
    totals.pending.clear();
    declined(&mut totals, "py_1", "in_1", 5 * DAY);
    let failed = (Some(5 * DAY), true, Some(5 * DAY));
    assert_eq!(judge(&totals), failed);
}

/// By each way in which an attempt is known to have failed.
#[test]
fn r3_a_failure_is_known_by_its_event_its_charge_or_its_retry() {
    let failed = |seconds: i64, exhausted: bool| (Some(seconds), exhausted, Some(seconds));
    let by_event = OpenInvoice {
        failed_at: Some(at(10)),
        failed_attempts: 1,
        ..tried()
    };
    assert_eq!(judge(&with(by_event)), failed(10, true));
    for (payment, of) in [("pi_1", "pi_1"), ("ch_1", "pi_9")] {
        let mut totals = with(OpenInvoice {
            payments: BTreeSet::from([id(payment)]),
            ..tried()
        });
        declined(&mut totals, "ch_1", of, 7);
        assert_eq!(judge(&totals), failed(7, true), "{payment}");
    }
    let retried = OpenInvoice {
        next_attempt: Some(at(3 * DAY)),
        ..tried()
    };
    assert_eq!(judge(&with(retried)), failed(0, false));
}

/// A retried debit is on its way: its first attempt failed, its second did not.
#[test]
fn r3_a_pending_retry_is_not_exhausted() {
    let mut second = OpenInvoice {
        attempts: 2,
        failed_at: Some(at(10)),
        failed_attempts: 1,
        ..tried()
    };
    assert_eq!(judge(&with(second.clone())), (Some(10), false, Some(10)));
    second.failed_attempts = 2;
    assert_eq!(judge(&with(second.clone())), (Some(10), true, Some(10)));
    // Fetched objects tell of no event: what is not on its way has failed.
    let fetched = OpenInvoice {
        failed_at: None,
        failed_attempts: 0,
        fetched_attempts: 2,
        ..second
    };
    let mut totals = with(fetched);
    assert_eq!(judge(&totals), (Some(0), true, Some(0)));
    totals.pending.insert(id("py_2"), Some(id("in_1")));
    assert_eq!(judge(&totals), (Some(0), false, Some(0)));
}

#[test]
fn r4_a_sent_invoice_is_past_due_from_its_due_date() {
    let sent = OpenInvoice {
        terms: Terms::Sent,
        due: Some(at(30 * DAY)),
        failed_at: Some(at(5 * DAY)),
        failed_attempts: 1,
        ..tried()
    };
    assert_eq!(judge(&with(sent)), (None, false, Some(30 * DAY)));
}

#[test]
fn r3_a_sign_up_is_tried_once_and_exhausts_nothing() {
    let declined = OpenInvoice {
        terms: Terms::SignUp,
        failed_at: Some(at(2)),
        failed_attempts: 1,
        ..tried()
    };
    assert_eq!(judge(&with(declined)), (Some(2), false, Some(2)));
}

/// Entries of an older release stay readable, and what it kept of written-off invoices is gone.
#[test]
fn r1_entries_of_an_older_release_are_read() {
    let entry = |attempts: u32, exhausted: bool| {
        json!({ "since": START + 9, "subscription": "sub_1", "next_attempt": null,
            "exhausted": exhausted, "attempts": attempts, "amount": { "usd": 2000 },
            "payment": [null, "pi_1"] })
    };
    let totals = |entry: serde_json::Value| -> Totals {
        let json = json!({ "paid": {}, "refunded": {}, "failing": { "in_1": entry } });
        serde_json::from_value(json).unwrap()
    };
    assert_eq!(judge(&totals(entry(4, true))), (Some(9), true, Some(9)));
    assert_eq!(judge(&totals(entry(1, false))), (Some(9), false, Some(9)));
    let written_off = totals(entry(0, true));
    assert_eq!(written_off.open_invoices().count(), 0);
}

/// Of too many open invoices those stay that are due or have failed, the first ones first.
#[test]
fn r1_the_open_invoices_that_are_kept_are_bounded() {
    let mut totals = Totals::default();
    for n in 0..60 {
        let mut state: InvoiceState = serde_json::from_value(json!({
            "invoice": { "head": { "at": START, "since": null, "content": n, "leaves": "", "steps": [],
                "object": { "id": format!("in_{n:02}"), "status": "open", "currency": "usd",
                    "amount_due": 100, "amount_paid": 0, "total": 100, "created": START + n,
                    "due_date": null, "paid_at": { "value": null }, "attempt_count": u32::from(n >= 50),
                    "next_payment_attempt": null, "charges_automatically": true,
                    "billing_reason": null, "subscription": { "value": null },
                    "charge": { "value": null }, "payment_intent": { "value": null }, "lines": [] } } },
            "attempts": {},
        }))
        .unwrap();
        if n >= 50 {
            let failed = crate::objects::invoice::Attempt {
                at: at(n),
                outcome: AttemptOutcome::Failed,
            };
            state.note_attempt(1, failed);
        }
        totals.note_open(&state);
    }
    assert_eq!(totals.open.len(), 20);
    assert_eq!(totals.failed_invoices().count(), 10, "all that failed");
}

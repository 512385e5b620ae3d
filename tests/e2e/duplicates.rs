//! Duplicates and order.

use paygraph_tests::{customer_created, event, now, stack, unique, wait};
use serde_json::json;

fn audit_entries(customer: &str) -> usize {
    stack().get(&format!("audit/{customer}")).1["data"]
        .as_array()
        .unwrap()
        .len()
}

/// D1: one after the other.
#[test]
fn d1_the_same_event_twice_changes_and_tells_once() {
    let (id, customer) = (unique("evt_"), unique("cus_"));
    let event = customer_created(&id, &customer);
    assert_eq!(stack().post(&event), 200);
    stack().settled(&id);
    let first = stack().get(&format!("customer/{customer}")).1;
    assert_eq!(stack().post(&event), 200);
    // Something that comes later and is seen shows that the second delivery is through.
    let later = unique("evt_");
    assert_eq!(
        stack().post(&customer_created(&later, &unique("cus_"))),
        200
    );
    stack().settled(&later);
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert_eq!(stack().get(&format!("customer/{customer}")).1, first);
    assert_eq!(audit_entries(&customer), 1);
    let names: Vec<_> = stack()
        .delivered(&id)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    let once = [
        "stripe.customer.created",
        "customer_created",
        "segment_entered",
    ];
    assert_eq!(names, once);
}

/// D2: fifty at once.
#[test]
fn d2_the_same_event_fifty_times_at_once() {
    let (id, customer) = (unique("evt_"), unique("cus_"));
    let event = customer_created(&id, &customer).to_string();
    std::thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| assert_eq!(stack().post_text(&event), 200));
        }
    });
    stack().settled(&id);
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!(audit_entries(&customer), 1);
    let mut ids: Vec<_> = stack()
        .delivered(&id)
        .iter()
        .map(|(_, e)| e["id"].as_str().unwrap().to_owned())
        .collect();
    ids.sort();
    assert_eq!(ids, [0, 1, 2].map(|n| format!("{id}#{n}")));
}

/// D3, D9, D10: two events of one change, and an old one late. Ids do not matter for order.
#[test]
fn d3_d9_d10_two_ids_for_one_change_and_an_old_event_late() {
    let customer = unique("cus_");
    let object = |email: &str| json!({ "id": customer, "object": "customer", "created": 1, "email": email, "metadata": {} });
    // The ids sort against the times on purpose.
    let (new, again, old) = (unique("evt_a"), unique("evt_b"), unique("evt_z"));
    let t = now();
    for (id, at, email) in [
        (&new, t, "new@example.com"),
        (&again, t + 1, "new@example.com"),
        (&old, t - 500, "old@example.com"),
    ] {
        assert_eq!(
            stack().post(&event(id, "customer.updated", at, &object(email))),
            200
        );
        stack().settled(id);
    }
    assert_eq!(
        stack().get(&format!("customer/{customer}")).1["email"],
        "new@example.com"
    );
    assert_eq!(audit_entries(&customer), 1);
    assert_eq!(stack().ledger(&old).unwrap().disposition, "stale");
    let told = wait("the passed-on event", || {
        Some(stack().delivered(&again)).filter(|d| !d.is_empty())
    });
    assert_eq!(
        told.len(),
        1,
        "only Stripe's own event is passed on: {told:?}"
    );
}

/// D7, D14: the deletion first, then what happened before it.
#[test]
fn d7_d14_a_deletion_that_comes_first_stands() {
    let (customer, subscription) = (unique("cus_"), unique("sub_"));
    let object = |status: &str| {
        json!({
            "id": subscription, "object": "subscription", "customer": customer, "status": status,
            "currency": "usd", "created": 1_790_000_000, "start_date": 1_790_000_000,
            "items": { "data": [{ "id": "si_1", "quantity": 1, "price": paygraph_testkit::world::price(1),
                "current_period_start": 1_790_000_000, "current_period_end": 1_792_592_000 }] },
        })
    };
    let t = now();
    let ids = [unique("evt_"), unique("evt_"), unique("evt_")];
    let kinds = [
        ("customer.subscription.deleted", t, "canceled"),
        ("customer.subscription.updated", t - 50, "active"),
        ("customer.subscription.created", t - 100, "incomplete"),
    ];
    for (id, (kind, at, status)) in ids.iter().zip(kinds) {
        assert_eq!(stack().post(&event(id, kind, at, &object(status))), 200);
        stack().settled(id);
    }
    let record = stack().get(&format!("customer/{customer}")).1;
    assert_eq!(record["billing"]["billing_status"], "canceled");
    assert_eq!(record["billing"]["mrr"], json!({}));
    assert_eq!(
        stack().get(&format!("subscriptions/{customer}")).1["data"][0]["status"],
        "canceled"
    );
}

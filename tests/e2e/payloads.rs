//! Payloads and the gateway.

use paygraph_testkit::signer::sign;
use paygraph_tests::{customer_created, event, now, paygraph, stack, unique, wait};
use serde_json::{Value, json};

/// P1: bad signatures of every kind are refused, and nothing is queued.
#[test]
fn p1_bad_signatures_are_refused() {
    let id = unique("evt_");
    let body = customer_created(&id, &unique("cus_")).to_string();
    let secret = stack().local("webhook_secret");
    let url = stack().local("webhook_url");
    let good = sign(body.as_bytes(), &secret, now());
    let cases: Vec<Option<String>> = vec![
        None,
        Some(String::new()),
        Some("nonsense".to_owned()),
        Some(sign(body.as_bytes(), "whsec_other", now())),
        Some(sign(body.as_bytes(), &secret, now() - 600)),
        Some(sign(body.as_bytes(), &secret, now() + 600)),
        Some(sign(b"another body", &secret, now())),
        Some(good.replace("v1=", "v0=")),
    ];
    for header in cases {
        let (status, answer) = stack().send(&url, body.as_bytes(), header.as_deref());
        assert_eq!(status, 400, "{header:?}");
        assert!(answer["error"]["code"].is_string() && answer["error"]["message"].is_string());
    }
    assert!(stack().ledger(&id).is_none());
}

/// P3: exact bytes, with what gateways like to change.
#[test]
fn p3_non_ascii_escapes_and_spaces_are_verified_as_sent() {
    let (id, customer) = (unique("evt_"), unique("cus_"));
    let body = format!(
        "{{ \"id\" : \"{id}\",\n\t\"type\":\"customer.created\", \"created\":{}, \"livemode\":false,\
         \"data\":{{\"object\":{{\"id\":\"{customer}\",\"object\":\"customer\",\"name\":\"Zo\\u00eb 日本 🎢\",\
         \"email\":\"zoë@example.com\"}} }} }}  ",
        now()
    );
    assert_eq!(stack().post_text(&body), 200);
    stack().settled(&id);
    assert_eq!(
        stack().get(&format!("customer/{customer}")).1["name"],
        "Zoë 日本 🎢"
    );
}

/// P6: signed rightly, but not JSON, or no event.
#[test]
fn p6_a_body_that_is_no_event_is_refused() {
    for body in ["not json", "[]", "{}", "{\"id\":\"evt_1\"}", ""] {
        assert_eq!(stack().post_text(body), 400, "{body:?}");
    }
}

/// P5: an unknown type is accepted and passed on.
#[test]
fn p5_an_unknown_type_is_passed_on() {
    let id = unique("evt_");
    let sent = event(
        &id,
        "brand_new.thing_happened",
        now(),
        &json!({ "id": "x", "object": "thing" }),
    );
    assert_eq!(stack().post(&sent), 200);
    let told = wait("the event on the bus", || {
        Some(stack().delivered(&id)).filter(|d| !d.is_empty())
    });
    assert_eq!(told[0].0, "stripe.brand_new.thing_happened");
    assert_eq!(told[0].1["data"]["id"], json!(id));
}

/// P7: larger than the queue takes: accepted, and parked where it can be seen.
#[test]
fn p7_an_event_larger_than_the_queue_takes_is_parked_in_sight() {
    let id = unique("evt_");
    let object =
        json!({ "id": unique("cus_"), "object": "customer", "description": "x".repeat(1_200_000) });
    let before = stack().get("health").1["parked"].as_i64().unwrap();
    assert_eq!(
        stack().post(&event(&id, "customer.updated", now(), &object)),
        200
    );
    wait("the pointer to be parked", || {
        let parked = stack().get("health").1["parked"].as_i64().unwrap();
        (parked > before).then_some(())
    });
    assert!(
        stack().ledger(&id).is_none(),
        "it is not processed, it waits"
    );
}

/// N2, N18: what cannot be read goes to the dead letters with its reason, alone; and back with one
/// command.
#[test]
fn n2_n18_poison_goes_to_the_dead_letters_with_its_reason_and_can_be_replayed() {
    let (poison, sound) = (unique("evt_"), unique("evt_"));
    let broken =
        json!({ "id": unique("sub_"), "object": "subscription", "customer": unique("cus_") });
    assert_eq!(
        stack().post(&event(
            &poison,
            "customer.subscription.updated",
            now(),
            &broken
        )),
        200
    );
    assert_eq!(
        stack().post(&customer_created(&sound, &unique("cus_"))),
        200
    );
    stack().settled(&sound);
    let reason = |id: &str| {
        stack()
            .dead_letters()
            .into_iter()
            .find(|(body, _)| body.contains(id))
            .map(|(_, reason)| reason)
    };
    let first = wait("the dead letter", || reason(&poison));
    assert!(first.contains("status"), "{first}");
    assert!(stack().ledger(&poison).is_none());
    let replay = paygraph(&["replay", "--id", &poison, "--json"]);
    assert!(
        replay.status.success(),
        "{}",
        String::from_utf8_lossy(&replay.stderr)
    );
    let answer: Value = serde_json::from_slice(&replay.stdout).unwrap();
    let letters = answer["dead_letters"].as_array().unwrap();
    assert!(
        letters
            .iter()
            .any(|l| l["event"] == json!(poison) && l["replayed"] == true),
        "{answer}"
    );
    // It is still poison, so it comes back, with its reason.
    assert!(wait("the dead letter again", || reason(&poison)).contains("status"));
}

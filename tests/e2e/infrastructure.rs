//! Infrastructure.

use paygraph_tests::{event, now, root, stack, unique};
use serde_json::{Value, json};

/// N3: two hundred events of one contact at once: all of them count, and none is given up.
#[test]
fn n3_two_hundred_events_of_one_contact_at_once() {
    let customer = unique("cus_");
    let prefix = unique("evt_");
    let t = now();
    let events: Vec<_> = (0..200)
        .map(|n| {
            let invoice = json!({
                "id": format!("in_{prefix}{n}"), "object": "invoice", "customer": customer,
                "currency": "usd", "status": "paid", "amount_due": 100, "amount_paid": 100,
                "total": 100, "created": t - 1000 - n, "attempt_count": 1,
                "collection_method": "charge_automatically", "lines": { "data": [] },
            });
            let id = format!("{prefix}n{n}");
            (
                id.clone(),
                event(&id, "invoice.paid", t - n, &invoice).to_string(),
            )
        })
        .collect();
    std::thread::scope(|scope| {
        for some in events.chunks(20) {
            scope.spawn(move || {
                for (_, event) in some {
                    assert_eq!(stack().post_text(event), 200);
                }
            });
        }
    });
    for (id, _) in &events {
        stack().settled(id);
    }
    let record = stack().get(&format!("customer/{customer}")).1;
    assert_eq!(
        record["billing"]["lifetime_value"],
        json!({ "usd": 20_000 })
    );
    let dead = stack().dead_letters();
    assert!(
        !dead.iter().any(|(body, _)| body.contains(&prefix)),
        "the DLQ holds none of them"
    );
    // Pages, newest first, over all of them.
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = stack()
            .get(&format!("invoices/{customer}?limit=70{cursor}"))
            .1;
        let data = page["data"].as_array().unwrap();
        seen.extend(
            data.iter()
                .map(|invoice| invoice["created"].as_str().unwrap().to_owned()),
        );
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 200);
    assert!(seen.is_sorted_by(|a, b| a > b));
}

/// The example of a function is what it takes: for those whose examples no other test reads.
#[test]
fn the_examples_of_tick_and_api_are_taken() {
    let invoke = |name: &str| {
        let example = root().join(format!("events/functions/{name}.json"));
        let example: Value = serde_json::from_slice(&std::fs::read(example).unwrap()).unwrap();
        let function = stack().local(&format!("{name}_function"));
        stack().lambda("POST", &format!("{function}/invocations"), &example)
    };
    let ticked = invoke("tick");
    assert_eq!(ticked["ticked"]["failed"], 0, "{ticked}");
    let answer = invoke("api");
    assert_eq!(
        answer["statusCode"], 401,
        "its token is an example: {answer}"
    );
}

//! Webhook endpoints, events, and their delivery.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

use paygraph_testkit::fake_stripe::{Config, Delivered, Delivery, Target};
use paygraph_testkit::signer::sign;
use serde_json::{Value, json};

use crate::asking::{Fake, ids, text};

fn fake() -> Fake {
    Fake::start(Config::default().unlimited())
}

fn customer(name: &str) -> Value {
    json!({ "id": "cus_1", "object": "customer", "created": 1, "name": name })
}

/// An endpoint that answers so: its URL, and signatures with bodies as they come.
fn endpoint(status: &'static str) -> (String, Receiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let (mut signature, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                let Some((name, value)) = line.trim_end().split_once(": ") else {
                    if line.trim_end().is_empty() {
                        break;
                    }
                    continue;
                };
                match name.to_ascii_lowercase().as_str() {
                    "stripe-signature" => signature = value.to_owned(),
                    "content-length" => length = value.parse().unwrap(),
                    _ => {}
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let answer =
                format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            reader.get_mut().write_all(answer.as_bytes()).unwrap();
            if sender
                .send((signature, String::from_utf8(body).unwrap()))
                .is_err()
            {
                break;
            }
        }
    });
    (url, receiver)
}

#[test]
fn an_endpoint_is_made_changed_and_deleted_and_tells_its_secret_once() {
    let fake = fake();
    let form = "url=https%3A%2F%2Fx.example%2Fa&enabled_events[]=invoice.paid\
                &enabled_events[]=customer.updated&api_version=2026-09-30.endive\
                &metadata[paygraph]=default";
    let made = fake.post("/v1/webhook_endpoints", form).body;
    let id = text(&made, "id");
    assert!(text(&made, "secret").starts_with("whsec_"));
    assert_eq!(
        made["enabled_events"],
        json!(["invoice.paid", "customer.updated"])
    );
    assert_eq!(made["status"], "enabled");
    let path = format!("/v1/webhook_endpoints/{id}");
    let shown = fake.get(&path);
    assert_eq!(shown.get("secret"), None);
    assert_eq!(shown["metadata"], json!({ "paygraph": "default" }));
    assert_eq!(fake.get("/v1/webhook_endpoints")["data"], json!([shown]));
    let changed = fake
        .post(
            &path,
            "disabled=true&enabled_events[]=*&metadata[paygraph]=",
        )
        .body;
    assert_eq!(
        (text(&changed, "status"), &changed["metadata"]),
        ("disabled", &json!({}))
    );
    assert_eq!(changed.get("secret"), None);
    assert_eq!(
        fake.post(&path, "colour=red").error("code"),
        "parameter_unknown"
    );
    let key = [("authorization", "Bearer sk_test_fake")];
    assert_eq!(fake.with("DELETE", &path, &key, "").body["deleted"], true);
    assert_eq!(fake.answer(&path).status, 404);
    assert_eq!(
        fake.post("/v1/webhook_endpoints", "url=https://x")
            .error("param"),
        "enabled_events"
    );
    assert_eq!(
        fake.post("/v1/customers", "").status,
        404,
        "nothing else is written"
    );
}

#[test]
fn events_are_listed_by_type_and_by_delivery() {
    let fake = fake();
    let own = fake.stripe.own();
    for (second, kind) in (100..).zip(["customer.created", "customer.updated", "customer.updated"])
    {
        fake.stripe.set_now(second);
        own.happen(kind, customer(&second.to_string())).unwrap();
    }
    let all = fake.all("/v1/events");
    assert_eq!(all.len(), 3);
    assert_eq!(
        all[0]["data"]["previous_attributes"],
        json!({ "name": "101" })
    );
    assert_eq!(all[0]["pending_webhooks"], 1);
    assert_eq!(fake.all("/v1/events?type=customer.created").len(), 1);
    let both = "/v1/events?types[]=customer.created&types[]=customer.updated";
    assert_eq!(fake.all(both).len(), 3);
    let many = (0..21)
        .map(|n| format!("&types[]=t{n}"))
        .collect::<String>();
    assert_eq!(
        fake.answer(&format!("/v1/events?limit=1{many}")).status,
        400
    );
    assert_eq!(fake.all("/v1/events?created[gte]=102").len(), 1);
    own.put_event(all[1].clone(), true);
    let missed = fake.all("/v1/events?delivery_success=false");
    assert_eq!(ids(&missed), [text(&all[0], "id"), text(&all[2], "id")]);
    let taken = fake.all("/v1/events?delivery_success=true");
    assert_eq!((taken.len(), &taken[0]["pending_webhooks"]), (1, &json!(0)));
}

#[test]
fn an_event_shows_no_more_than_the_object_without_expansions() {
    let fake = fake();
    let item = |n: usize| json!({ "id": format!("si_{n}"), "object": "subscription_item" });
    let subscription = json!({
        "id": "sub_1", "object": "subscription", "created": 1, "status": "active",
        "discounts": [{ "id": "di_1", "object": "discount", "source": { "coupon": { "id": "A" } } }],
        "items": { "object": "list", "data": (0..11).map(item).collect::<Vec<_>>() },
    });
    let event = fake
        .stripe
        .own()
        .happen("customer.subscription.created", subscription);
    let object = &event.unwrap()["data"]["object"];
    assert_eq!(object["discounts"], json!(["di_1"]));
    assert_eq!(object["items"]["has_more"], true);
    assert_eq!(*object, fake.get("/v1/subscriptions/sub_1"));
}

#[test]
fn what_is_delivered_is_signed_and_marked() {
    let fake = fake();
    let (url, came) = endpoint("200 OK");
    let form = format!("url={url}&enabled_events[]=customer.updated");
    let secret = fake.post("/v1/webhook_endpoints", &form).body["secret"].clone();
    fake.stripe.set_now(1_800_000_000);
    let event = fake
        .stripe
        .own()
        .happen("customer.updated", customer("A"))
        .unwrap();
    let done = fake.run(fake.stripe.own().deliver(&Delivery::default()));
    let expected = Delivered {
        taken: 1,
        ..Delivered::default()
    };
    assert_eq!(done, expected);
    let (signature, body) = came.recv().unwrap();
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), event);
    assert_eq!(
        signature,
        sign(body.as_bytes(), secret.as_str().unwrap(), 1_800_000_000)
    );
    assert!(fake.all("/v1/events?delivery_success=false").is_empty());
}

#[test]
fn some_events_come_twice_and_some_never() {
    let fake = fake();
    let (url, came) = endpoint("200 OK");
    for name in 0..100 {
        fake.stripe
            .own()
            .happen("customer.updated", customer(&name.to_string()));
    }
    let delivery = Delivery {
        to: Some(Target {
            url,
            secret: "whsec_x".to_owned(),
        }),
        dropped_percent: 20,
        doubled_percent: 20,
        seed: 3,
    };
    let done = fake.run(fake.stripe.own().deliver(&delivery));
    assert!((10..30).contains(&done.dropped), "{done:?}");
    assert!((8..30).contains(&done.doubled), "{done:?}");
    assert_eq!((done.taken + done.dropped, done.failed), (100, 0));
    let came = u32::try_from(came.try_iter().count()).unwrap();
    assert_eq!(came, done.taken + done.doubled);
    let missed = fake.all("/v1/events?delivery_success=false").len();
    assert_eq!(u32::try_from(missed).unwrap(), done.dropped);
}

#[test]
fn what_an_endpoint_refuses_stays_undelivered() {
    let fake = fake();
    let (url, _came) = endpoint("500 Internal Server Error");
    fake.stripe.own().happen("customer.created", customer("A"));
    let secret = "whsec_x".to_owned();
    let delivery = Delivery {
        to: Some(Target { url, secret }),
        ..Delivery::default()
    };
    let done = fake.run(fake.stripe.own().deliver(&delivery));
    assert_eq!((done.taken, done.failed), (0, 1));
    assert_eq!(fake.all("/v1/events?delivery_success=false").len(), 1);
}

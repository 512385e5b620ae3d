//! The client against a Stripe that limits, fails, cuts lists and refuses.
#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use paygraph_stripe::client::{Access, Budget, Client, ClientError, Created, Limits, List};
use paygraph_testkit::fake_stripe::{
    Config, FakeStripe, Fault, FaultKind, KEY, Key, Lazy, PLATFORM, Right,
};
use paygraph_testkit::world::price;
use serde_json::{Value, json};
use stripe_client_core::{RequestBuilder, StripeMethod};

fn client_of(stripe: &FakeStripe, key: &str, share: u32) -> Client {
    let access = Access {
        key: key.into(),
        account: None,
    };
    let limits = Limits {
        share,
        ..Limits::default()
    };
    let budget = Arc::new(Budget::new(limits.of_key(&access.key)));
    Client::new(stripe.url(), access, budget)
        .unwrap()
        .patient_for(Duration::from_secs(6))
}

async fn stripe_with_a_customer() -> FakeStripe {
    let stripe = FakeStripe::start(Config::default()).await.unwrap();
    stripe.put(json!({ "id": "cus_1", "object": "customer", "created": 1_790_000_000 }));
    stripe
}

#[tokio::test]
async fn n8_every_kind_of_trouble_passes() {
    let stripe = stripe_with_a_customer().await;
    let client = client_of(&stripe, KEY, 100);
    let limited = |retry_after: Option<&str>| FaultKind::TooMany {
        retry_after: retry_after.map(str::to_owned),
    };
    for kind in [
        limited(None),
        limited(Some("1")),
        limited(Some("Sat, 21 Nov 2026 12:00:00 GMT")),
        FaultKind::Broken,
        FaultKind::Html,
        FaultKind::Silence,
        FaultKind::HalfBody,
        FaultKind::Closed,
    ] {
        stripe.reset_stats();
        stripe.faults([Fault::next(1, "/v1/customers", kind.clone())]);
        let customer = client.get("/customers/cus_1", &[]).await.unwrap();
        assert!(customer.value.get().contains("cus_1"), "{kind:?}");
        let request = customer.request_id.unwrap();
        assert!(request.starts_with("req_"), "{request}");
        assert_eq!(stripe.stats().requests, 2, "{kind:?}");
    }
}

#[tokio::test]
async fn n8_trouble_that_stays_is_told_and_may_pass_later() {
    let stripe = stripe_with_a_customer().await;
    let client = client_of(&stripe, KEY, 100).patient_for(Duration::from_secs(1));
    stripe.faults([Fault::share(100, "/v1/customers", FaultKind::Html)]);
    let error = client.get("/customers/cus_1", &[]).await.unwrap_err();
    assert!(error.is_passing(), "{error}");
}

/// S20: a wait beyond all instants is an error that may pass, and the client goes on working.
#[tokio::test]
async fn s20_a_huge_retry_after_gives_up_instead_of_panicking() {
    let stripe = stripe_with_a_customer().await;
    let client = client_of(&stripe, KEY, 100);
    for told in [
        "18446744073709551615",
        "99999999999999999999999999",
        "Fri, 31 Dec 9999 23:59:59 GMT",
    ] {
        let retry_after = Some(told.to_owned());
        let kind = FaultKind::TooMany { retry_after };
        stripe.faults([Fault::next(1, "/v1/customers", kind)]);
        let error = client.get("/customers/cus_1", &[]).await.unwrap_err();
        assert!(matches!(error, ClientError::Limited(_)), "{told}: {error}");
        assert!(client.get("/customers/cus_1", &[]).await.is_ok());
    }
}

#[tokio::test]
async fn n13_what_the_key_may_not_do_is_named_and_not_tried_again() {
    let stripe = stripe_with_a_customer().await;
    let rights = [("customer", Right::Read)];
    stripe.add_key(Key::restricted("rk_test_1", PLATFORM, &rights));
    let client = client_of(&stripe, "rk_test_1", 100);
    assert!(client.get("/customers/cus_1", &[]).await.is_ok());
    stripe.reset_stats();
    let list = List {
        limit: 10,
        ..List::default()
    };
    let error = client.page("/subscriptions", &list).await.unwrap_err();
    let told = error.to_string();
    assert!(
        told.starts_with("the key lacks rak_subscription_read: "),
        "{told}"
    );
    stripe.revoke("rk_test_1");
    let error = client.get("/customers/cus_1", &[]).await.unwrap_err();
    assert!(matches!(error, ClientError::Unauthorized(_)), "{error}");
    let client = client_of(&stripe, KEY, 100);
    let missing = client.get("/customers/cus_2", &[]).await.unwrap_err();
    assert!(matches!(missing, ClientError::Missing(_)), "{missing}");
    assert_eq!(stripe.stats().requests, 3);
}

#[tokio::test]
async fn n17_all_of_the_limit_and_never_more() {
    let stripe = FakeStripe::start(Config::with_world(Lazy::of(500)))
        .await
        .unwrap();
    let client = client_of(&stripe, KEY, 100);
    let pages = (0..60).map(|_| async {
        let list = List {
            limit: 100,
            ..List::default()
        };
        client
            .page("/customers", &list)
            .await
            .unwrap()
            .value
            .data
            .len()
    });
    let objects: usize = join_all(pages).await.into_iter().sum();
    let stats = stripe.stats();
    assert_eq!((objects, stats.requests, stats.limited), (6_000, 60, 0));
    assert!(stats.peak > 20, "the limit was not used: {}", stats.peak);
}

#[tokio::test]
async fn parts_of_time_have_each_object_once() {
    let stripe = FakeStripe::start(Config::with_world(Lazy::of(250)).unlimited())
        .await
        .unwrap();
    let client = client_of(&stripe, KEY, 10_000);
    let all = ids(&client, None).await;
    let unique: BTreeSet<_> = all.iter().collect();
    // Those that were deleted are in no list.
    assert!((200..=250).contains(&all.len()) && unique.len() == all.len());
    let (last, first) = (all[0].1, all[all.len() - 1].1);
    let middle = i64::midpoint(first, last);
    let mut parts = ids(
        &client,
        Some(Created {
            gte: middle,
            lt: last + 1,
        }),
    )
    .await;
    parts.extend(
        ids(
            &client,
            Some(Created {
                gte: first,
                lt: middle,
            }),
        )
        .await,
    );
    assert_eq!(parts, all);
}

/// What a page is ordered by.
#[derive(serde::Deserialize)]
struct Place {
    id: String,
    created: i64,
}

async fn ids(client: &Client, created: Option<Created>) -> Vec<(String, i64)> {
    let mut ids: Vec<(String, i64)> = Vec::new();
    loop {
        let list = List {
            limit: 100,
            starting_after: ids.last().map(|(id, _)| id.as_str()),
            created,
            ..List::default()
        };
        let page = client.page("/customers", &list).await.unwrap().value;
        let read = page.data.iter().map(|object| {
            let Place { id, created } = serde_json::from_str(object.get()).unwrap();
            (id, created)
        });
        let read: Vec<_> = read.collect();
        ids.extend(read);
        if !page.has_more {
            return ids;
        }
    }
}

#[tokio::test]
async fn l14_a_cut_list_is_whole_again() {
    let stripe = stripe_with_a_customer().await;
    let items: Vec<Value> = (0..23)
        .map(|n| json!({ "id": format!("si_{n:02}"), "object": "subscription_item", "price": price(1), "quantity": 1 }))
        .collect();
    stripe.put(json!({
        "id": "sub_1", "object": "subscription", "customer": "cus_1", "status": "active",
        "created": 1_790_000_000, "discounts": [],
        "items": { "object": "list", "data": items, "has_more": false,
            "url": "/v1/subscription_items?subscription=sub_1" },
    }));
    let client = client_of(&stripe, KEY, 100);
    let cut = client.get("/subscriptions/sub_1", &[]).await.unwrap();
    let cut: Value = serde_json::from_str(cut.value.get()).unwrap();
    assert_eq!(cut["items"]["data"].as_array().unwrap().len(), 10);
    let whole = client.whole("/subscriptions/sub_1", &[]).await.unwrap();
    let whole: Value = serde_json::from_str(&whole.value).unwrap();
    let found: Vec<_> = whole["items"]["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| i["id"].clone())
        .collect();
    let expected: Vec<_> = items.iter().map(|item| item["id"].clone()).collect();
    assert_eq!(
        (found, &whole["items"]["has_more"]),
        (expected, &json!(false))
    );
}

#[tokio::test]
async fn an_answer_says_from_when_it_is() {
    let stripe = FakeStripe::start(Config {
        latency: Duration::from_millis(1_500),
        ..Config::default()
    })
    .await
    .unwrap();
    stripe.put(json!({ "id": "cus_1", "object": "customer", "created": 1_790_000_000 }));
    let customer = client_of(&stripe, KEY, 100)
        .get("/customers/cus_1", &[])
        .await
        .unwrap();
    let width = customer.until.unix() - customer.since.unix();
    assert!((3..=6).contains(&width), "{width}");
}

#[tokio::test]
async fn requests_of_async_stripe_can_be_sent() {
    #[derive(miniserde::Deserialize)]
    struct Own {
        id: String,
    }
    let stripe = stripe_with_a_customer().await;
    let client = client_of(&stripe, KEY, 100);
    let request = RequestBuilder::new(StripeMethod::Get, "/customers/cus_1").customize::<Own>();
    assert_eq!(request.send(&client).await.unwrap().id, "cus_1");
}

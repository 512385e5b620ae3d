//! Rates, latency, and everything that breaks.

use std::time::{Duration, Instant};

use paygraph_testkit::fake_stripe::{Config, Fault, FaultKind, Key, Lazy, PLATFORM};
use serde_json::json;

use crate::asking::Fake;

fn fake() -> Fake {
    Fake::start(Config::with_world(Lazy::of(200)).unlimited())
}

#[test]
fn beyond_the_rate_of_an_endpoint_it_is_429() {
    for retry_after in [None, Some("2".to_owned())] {
        let fake = Fake::start(Config {
            rate: 5,
            retry_after: retry_after.clone(),
            ..Config::with_world(Lazy::of(10))
        });
        let start = Instant::now();
        let answers: Vec<_> = (0..8).map(|_| fake.answer("/v1/customers")).collect();
        assert!(start.elapsed() < Duration::from_secs(1), "too slow to tell");
        let limited: Vec<_> = answers.iter().filter(|a| a.status == 429).collect();
        assert_eq!(limited.len(), 3);
        assert_eq!(
            limited[0].header("stripe-rate-limited-reason"),
            "endpoint-rate"
        );
        assert_eq!(limited[0].error("code"), "rate_limit");
        assert_eq!(
            limited[0].header("retry-after"),
            retry_after.unwrap_or_default()
        );
        assert_eq!(fake.answer("/v1/invoices").status, 200, "another endpoint");
        std::thread::sleep(Duration::from_millis(1_010));
        assert_eq!(fake.answer("/v1/customers").status, 200, "a second later");
        let stats = fake.stripe.stats();
        assert_eq!((stats.requests, stats.limited, stats.peak), (10, 3, 9));
        let endpoint = &stats.endpoints["GET /v1/customers"];
        assert_eq!(
            (endpoint.requests, endpoint.limited, endpoint.peak),
            (9, 3, 8)
        );
    }
}

#[test]
fn beyond_the_rate_of_an_account_it_is_429() {
    let fake = Fake::start(Config {
        test_rate: 3,
        ..Config::with_world(Lazy::of(10))
    });
    let paths = ["customers", "invoices", "charges", "refunds", "disputes"];
    let answers = paths.map(|path| fake.answer(&format!("/v1/{path}")));
    let limited: Vec<_> = answers.iter().filter(|a| a.status == 429).collect();
    assert_eq!(limited.len(), 2);
    assert_eq!(
        limited[0].header("stripe-rate-limited-reason"),
        "global-rate"
    );
}

/// A6: Stripe allows a key of test mode 25 requests a second in all, and one of live mode 100.
#[test]
fn a6_the_mode_of_the_key_decides_how_many_requests_may_come() {
    let refused = |key: &str, requests: usize| {
        let fake = Fake::start(Config::with_world(Lazy::of(3)));
        fake.stripe.add_key(Key::secret(key, PLATFORM));
        let bearer = format!("Bearer {key}");
        let headers = [("authorization", bearer.as_str())];
        let paths = ["customers", "invoices", "charges", "refunds", "disputes"];
        let paths = paths.into_iter().cycle().take(requests);
        let answers: Vec<_> = paths
            .map(|path| fake.with("GET", &format!("/v1/{path}?limit=1"), &headers, ""))
            .collect();
        let in_a_second = fake.stripe.stats().peak;
        let refused = answers.iter().filter(|answer| answer.status == 429);
        (u64::try_from(refused.count()).unwrap(), in_a_second)
    };
    for key in ["sk_test_a", "rk_test_a"] {
        let (refused, peak) = refused(key, 40);
        assert_eq!(refused > 0, peak > 25, "{key}: {refused} of {peak}");
    }
    let (refused, peak) = refused("sk_live_a", 40);
    assert_eq!(refused, 0, "of {peak}");
}

#[test]
fn each_way_to_fail() {
    let fake = fake();
    let fails = |kind: FaultKind| {
        fake.stripe.faults([Fault::next(1, "/v1/customers", kind)]);
        assert_eq!(fake.answer("/v1/invoices").status, 200, "another path");
        let answer = fake.try_get("/v1/customers?limit=50");
        assert_eq!(
            fake.answer("/v1/customers").status,
            200,
            "only the next one"
        );
        answer
    };
    let limited = fails(FaultKind::TooMany {
        retry_after: Some("7".to_owned()),
    });
    let limited = limited.unwrap();
    assert_eq!((limited.status, limited.header("retry-after")), (429, "7"));
    let broken = fails(FaultKind::Broken).unwrap();
    assert_eq!((broken.status, broken.error("type")), (500, "api_error"));
    let page = fails(FaultKind::Html).unwrap();
    assert_eq!(
        (page.status, page.header("content-type")),
        (502, "text/html")
    );
    assert!(page.body.as_str().unwrap().starts_with("<html>"));
    assert_eq!(fails(FaultKind::Revoked).unwrap().status, 401);
    assert!(fails(FaultKind::Closed).is_err());
    assert!(fails(FaultKind::HalfBody).is_err());
    let start = Instant::now();
    assert!(fails(FaultKind::Silence).is_err());
    assert!(
        start.elapsed() >= Duration::from_secs(5),
        "the client gave up"
    );
}

#[test]
fn half_a_body_promises_the_whole() {
    use std::io::{Read, Write};
    let fake = fake();
    let whole = fake.get("/v1/customers?limit=50").to_string();
    fake.stripe
        .faults([Fault::next(1, "", FaultKind::HalfBody)]);
    let address = fake.stripe.url().trim_start_matches("http://");
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET /v1/customers?limit=50 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk_test_fake\r\n\r\n"
    )
    .unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(
        head.contains(&format!("content-length: {}", whole.len())),
        "{head}"
    );
    assert_eq!(body, &whole[..whole.len() / 2]);
}

#[test]
fn a_share_of_the_requests_fails() {
    let fake = fake();
    fake.stripe
        .faults([Fault::share(30, "/v1/", FaultKind::Broken)]);
    let answers = (0..200).map(|_| fake.answer("/v1/customers?limit=1").status);
    let broken = answers.filter(|status| *status == 500).count();
    assert!((35..85).contains(&broken), "{broken} of 200");
}

#[test]
fn an_answer_takes_its_time_and_says_when_it_was_given() {
    let fake = Fake::start(Config {
        latency: Duration::from_millis(60),
        ..Config::default()
    });
    let start = Instant::now();
    let first = fake.answer("/v1/customers");
    assert!(start.elapsed() >= Duration::from_millis(60));
    fake.stripe.set_now(1_800_000_000);
    let second = fake.answer("/v1/customers");
    assert_eq!(second.header("date"), "Fri, 15 Jan 2027 08:00:00 GMT");
    assert!(first.header("request-id").starts_with("req_"));
    assert_ne!(first.header("request-id"), second.header("request-id"));
}

#[test]
fn a_server_of_another_process_is_controlled_over_http() {
    let fake = fake();
    let tell = |path: &str, body: serde_json::Value| {
        let answer = fake.with("POST", path, &[], &body.to_string());
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    };
    let object = json!({ "id": "cus_1", "object": "customer", "created": 1, "name": "A" });
    tell("/_control/objects", json!({ "object": object }));
    assert_eq!(fake.get("/v1/customers/cus_1")["name"], "A");
    let changed = json!({ "id": "cus_1", "object": "customer", "created": 1, "name": "B" });
    let event = tell(
        "/_control/objects",
        json!({ "object": changed, "event": "customer.updated" }),
    );
    assert_eq!(event["data"]["previous_attributes"], json!({ "name": "A" }));
    assert_eq!(fake.get("/v1/events")["data"][0], event);
    let target = json!({ "url": "http://127.0.0.1:9/nobody", "secret": "whsec_x" });
    let delivered = tell("/_control/deliver", json!({ "delivery": { "to": target } }));
    assert_eq!(delivered["failed"], 1);
    tell("/_control/delete", json!({ "id": "cus_1" }));
    let code = json!({ "code": "ac_1", "account": "acct_platform" });
    tell("/_control/codes", code);
    let access = fake.post("/oauth/token", "grant_type=authorization_code&code=ac_1");
    assert_eq!(access.body["stripe_user_id"], "acct_platform");
    assert_eq!(fake.get("/v1/customers/cus_1")["deleted"], true);
    let rule = json!({ "path": "/v1/prices", "kind": "html", "next": 1 });
    let other = json!({ "kind": { "too_many": { "retry_after": null } }, "percent": 0 });
    tell("/_control/faults", json!([rule, other]));
    assert_eq!(fake.answer("/v1/prices").status, 502);
    tell("/_control/clock", json!({ "now": 5 }));
    tell("/_control/stats/reset", json!({}));
    fake.get("/v1/prices/price_Tiered");
    let stats = fake.get("/_control/stats");
    assert_eq!(stats["requests"], 1);
    assert_eq!(stats["endpoints"]["GET /v1/prices/:id"]["requests"], 1);
    let unfit = fake.with("POST", "/_control/objects", &[], r#"{"object":{"id":"x"}}"#);
    assert_eq!(unfit.status, 400);
}

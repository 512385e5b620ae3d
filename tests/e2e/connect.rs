//! Connecting to Stripe: over HTTP as a browser and an API client do, and by the command.

use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use paygraph_domain::id::TenantId;
use paygraph_store::token::Right as TokenRight;
use paygraph_testkit::fake_stripe::{Delivery, Key, Right, Shelf, needed_rights};
use paygraph_tests::{customer_created, event, now, stack, unique, wait};
use serde_json::{Value, json};
use ureq::http::Response;

/// A tenant with a token that may write.
struct Tenant {
    id: TenantId,
    token: String,
}

type Answer = std::cell::RefCell<Response<ureq::Body>>;

impl Tenant {
    fn new() -> Self {
        let id = TenantId::parse(unique("t")).unwrap();
        let rights = [TokenRight::Read, TokenRight::Write];
        let token = stack().token(&id, &rights);
        Self { id, token }
    }

    /// `POST …/connect`
    fn post(&self, body: &str) -> Answer {
        let request = ureq::post(url("connect"))
            .config()
            .http_status_as_error(false);
        let token = format!("Bearer {}", self.token);
        let request = request.build().header("authorization", &token);
        request.send(body).unwrap().into()
    }

    fn by_key(&self, key: &str) -> (u16, Value) {
        self.json(&self.post(&json!({ "restricted_key": key }).to_string()))
    }

    fn json(&self, answer: &Answer) -> (u16, Value) {
        let status = answer.borrow().status().as_u16();
        let body = answer.borrow_mut().body_mut().read_json();
        (status, body.unwrap_or_default())
    }

    fn connection(&self) -> (u16, Value) {
        stack().ask("/api/integrations/stripe/connection", Some(&self.token))
    }

    fn disconnect(&self) -> (u16, Value) {
        let request = ureq::delete(url("connection"))
            .config()
            .http_status_as_error(false);
        let token = format!("Bearer {}", self.token);
        let answer = request.build().header("authorization", &token).call();
        self.json(&answer.unwrap().into())
    }

    /// Begins OAuth: the state, and the browser's cookie.
    fn start(&self) -> (String, String) {
        let answer = self.post("");
        let set = answer.borrow().headers()["set-cookie"]
            .to_str()
            .unwrap()
            .to_owned();
        for attribute in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/"] {
            assert!(set.contains(attribute), "{set}");
        }
        let (_, body) = self.json(&answer);
        let authorize = body["authorize_url"].as_str().unwrap();
        assert!(authorize.contains("scope=read_only") && authorize.contains("client_id=ca_local"));
        let (_, state) = authorize.rsplit_once("state=").unwrap();
        (state.to_owned(), set.split(';').next().unwrap().to_owned())
    }
}

fn url(name: &str) -> String {
    format!(
        "{}/api/integrations/stripe/{name}",
        stack().local("api_url")
    )
}

/// A page: status and text. Whatever it says, nobody may keep or frame it.
fn page(answer: Result<Response<ureq::Body>, ureq::Error>) -> (u16, String) {
    let mut answer = answer.unwrap();
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert_eq!(answer.headers()["referrer-policy"], "no-referrer");
    let policy = answer.headers()["content-security-policy"]
        .to_str()
        .unwrap();
    assert!(policy.starts_with("default-src 'none'"));
    (
        answer.status().as_u16(),
        answer.body_mut().read_to_string().unwrap(),
    )
}

/// A browser comes back from Stripe.
fn back(query: &str, cookie: &str) -> (u16, String) {
    let request = ureq::get(format!("{}?{query}", url("callback"))).config();
    let request = request.http_status_as_error(false).build();
    page(request.header("cookie", cookie).call())
}

/// It confirms.
fn confirm(ticket: &str, cookie: &str) -> (u16, String) {
    let request = ureq::post(url("callback"))
        .config()
        .http_status_as_error(false);
    let request = request.build().header("cookie", cookie);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    page(request.send(format!("ticket={ticket}")))
}

fn ticket(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"ticket\" value=\"").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

/// A restricted key of an account that may do this.
fn key(account: &str, rights: &[(&str, Right)]) -> String {
    let key = unique("rk_test_");
    stack()
        .platform()
        .stripe
        .add_key(Key::restricted(&key, account, rights));
    key
}

/// OAuth from one end to the other: bound to the browser, once, shown before it is kept; then events
/// of the account are the tenant's, and another tenant cannot have it.
#[test]
fn i8_i9_an_account_is_connected_by_oauth_and_takes_its_access_back() {
    let account = &stack().platform().accounts[0];
    let (tenant, other) = (Tenant::new(), Tenant::new());
    let (state, cookie) = tenant.start();
    let (_, thief) = other.start();
    stack().platform().stripe.add_code("ac_e2e", account);
    let query = format!("code=ac_e2e&state={state}");
    for stranger in ["", thief.as_str()] {
        let (status, page) = back(&query, stranger);
        assert_eq!(status, 403, "{page}");
        assert!(page.contains("another browser"));
    }
    assert_eq!(back("code=ac_e2e&state=forged.x", &cookie).0, 400);
    let (status, page) = back(&query, &cookie);
    assert_eq!(status, 200, "{page}");
    assert!(page.contains(&format!("Account {account}")) && page.contains("<form"));
    assert_eq!(
        tenant.connection().0,
        404,
        "nothing is kept before it is confirmed"
    );
    assert_eq!(back(&query, &cookie).0, 409, "a state is used once");
    assert_eq!(confirm(&ticket(&page), &thief).0, 403);
    let (status, told) = confirm(&ticket(&page), &cookie);
    assert_eq!(status, 200, "{told}");
    assert_eq!(confirm(&ticket(&page), &cookie).0, 409);
    let (_, connection) = tenant.connection();
    assert_eq!(
        (
            &connection["account"],
            &connection["status"],
            &connection["by"]
        ),
        (&json!(account), &json!("connected"), &json!("oauth"))
    );

    let (state, declined) = other.start();
    let (status, page) = back(&format!("error=access_denied&state={state}"), &declined);
    assert_eq!(status, 403, "{page}");
    assert!(page.contains("access_denied"));
    let (state, second) = other.start();
    stack().platform().stripe.add_code("ac_e2e_2", account);
    let (status, page) = back(&format!("code=ac_e2e_2&state={state}"), &second);
    assert_eq!(status, 409, "{page}");
    assert!(page.contains("another tenant"));

    // The webhook may have looked for new accounts within this minute already.
    let customer = unique("cus_");
    let path = format!("/api/stripe/customer/{customer}");
    wait("an event of the account to be the tenant's", || {
        let mut event = customer_created(&unique("evt_"), &customer);
        event["account"] = json!(account);
        assert_eq!(stack().post(&event), 200);
        std::thread::sleep(Duration::from_secs(2));
        (stack().ask(&path, Some(&tenant.token)).0 == 200).then_some(())
    });
    let application = json!({ "id": "ca_local", "object": "application" });
    let kind = "account.application.deauthorized";
    let mut event = event(&unique("evt_"), kind, now() + 1, &application);
    event["account"] = json!(account);
    assert_eq!(stack().post(&event), 200);
    wait("the tenant to be disconnected", || {
        (tenant.connection().1["status"] == "disconnected").then_some(())
    });
    assert_eq!(stack().ask(&path, Some(&tenant.token)).0, 200, "data stays");
}

/// A restricted key: refused with names, taken, its endpoint made, then adopted; its webhooks are
/// believed; in the end it is forgotten.
#[test]
fn n13_n15_an_account_is_connected_by_a_restricted_key() {
    let account = &stack().platform().accounts[1];
    let (tenant, other) = (Tenant::new(), Tenant::new());
    let some: Vec<_> = needed_rights()
        .into_iter()
        .filter(|of| of.0 != "invoice")
        .collect();
    let (status, refused) = tenant.by_key(&key(account, &some));
    assert_eq!(status, 422, "{refused}");
    assert_eq!(refused["error"]["code"], "permissions_missing");
    assert_eq!(
        refused["error"]["missing"][0]["missing"],
        "rak_invoice_read"
    );
    assert_eq!(refused["error"]["missing"][0]["for"], "invoices");
    for (wrong, code) in [
        ("sk_test_123", "key_invalid"),
        ("rk_live_123", "livemode"),
        ("rk_test_unknown", "key_refused"),
    ] {
        let (status, refused) = tenant.by_key(wrong);
        assert_eq!(
            (status, &refused["error"]["code"]),
            (422, &json!(code)),
            "{wrong}"
        );
        assert!(!refused.to_string().contains(wrong), "keys are never told");
    }
    assert_eq!(tenant.connection().0, 404);

    let (status, made) = tenant.by_key(&key(account, &needed_rights()));
    assert_eq!(status, 200, "{made}");
    assert_eq!(
        (&made["webhooks"]["by"], &made["import"]),
        (&json!("created"), &json!("started"))
    );
    let backfill = ["backfill", "--json", "--account", account];
    let imported = paygraph_tests::paygraph(&backfill);
    assert!(imported.status.success(), "{imported:?}");
    wait("the import", || {
        let (_, runs) = stack().ask("/api/stripe/reconciliations", Some(&tenant.token));
        let run = &runs["data"][0];
        (run["job"] == "backfill" && run["complete"] == true).then_some(())
    });
    assert!(!made.to_string().contains("rk_test_") && !made.to_string().contains("whsec_"));
    let (_, again) = tenant.by_key(&key(account, &needed_rights()));
    assert_eq!(again["webhooks"]["by"], "adopted");
    assert_eq!(again["webhooks"]["endpoint"], made["webhooks"]["endpoint"]);
    let (status, taken) = other.by_key(&key(account, &needed_rights()));
    assert_eq!(
        (status, &taken["error"]["code"]),
        (409, &json!("account_taken"))
    );

    let shelf: Shelf = stack().platform().stripe.account(account).unwrap();
    let customer = unique("cus_");
    let object = json!({ "id": customer, "object": "customer", "created": now() });
    shelf.happen("customer.created", object).unwrap();
    let delivered = stack().block_on(shelf.deliver(&Delivery::default()));
    assert_eq!((delivered.taken, delivered.failed), (1, 0));
    let path = format!("/api/stripe/customer/{customer}");
    wait("the customer", || {
        (stack().ask(&path, Some(&tenant.token)).0 == 200).then_some(())
    });

    let (status, ended) = tenant.disconnect();
    assert_eq!(
        (status, &ended["status"]),
        (200, &json!("disconnected")),
        "{ended}"
    );
    assert_eq!(tenant.connection().1["status"], "disconnected");
    assert_eq!(other.disconnect().0, 404);
    assert_eq!(
        other.by_key(&key(account, &needed_rights())).0,
        200,
        "the account is free"
    );
}

/// The command does the same, tells what is missing, and ends with 1 then.
#[test]
fn n13_the_command_connects_and_checks() {
    let account = &stack().platform().accounts[2];
    let tenant = Tenant::new().id;
    let run = |command: &[&str], input: &str| {
        let mut cargo = paygraph_tests::command(command);
        let place = [
            "--stripe-url",
            stack().platform().stripe.url(),
            "--tenant",
            tenant.as_str(),
            "--json",
        ];
        cargo
            .args(place)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = cargo.spawn().unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        let done = child.wait_with_output().unwrap();
        let told: Value = serde_json::from_slice(&done.stdout).unwrap_or_default();
        (done.status.success(), told)
    };
    let connect = ["connect", "--restricted-key-stdin"];
    let mut some = needed_rights();
    some.retain(|of| of.0 != "dispute");
    let (connected, told) = run(&connect, &key(account, &some));
    assert!(!connected);
    assert_eq!(told["missing"][0]["missing"], "rak_dispute_read");
    let key = key(account, &needed_rights());
    let (connected, told) = run(&connect, &format!("{key}\n"));
    assert!(connected, "{told}");
    let (fine, told) = run(&["check"], "");
    assert!(fine, "{told}");
    assert_eq!(
        (&told["key_livemode"], &told["endpoint"]["enabled"]),
        (&json!(false), &json!(true))
    );
    stack()
        .platform()
        .stripe
        .add_key(Key::restricted(&key, account, &some));
    let shelf = stack().platform().stripe.account(account).unwrap();
    shelf.remove(told["endpoint"]["id"].as_str().unwrap());
    let (fine, told) = run(&["check"], "");
    assert!(!fine);
    let troubles = told["troubles"].as_array().unwrap().iter();
    let codes: Vec<_> = troubles.map(|of| of["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["permission", "endpoint"]);
}

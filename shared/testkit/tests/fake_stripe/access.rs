//! Keys, their rights, accounts, OAuth.

use paygraph_testkit::fake_stripe::{AccountConfig, Config, Key, Lazy, PLATFORM, Right};

use crate::asking::Fake;

fn fake() -> Fake {
    let mut config = Config::with_world(Lazy::of(20)).unlimited();
    let world = |seed| Lazy {
        seed,
        ..Lazy::of(30)
    };
    let other = AccountConfig::new("acct_other").with_world(world(2));
    let stranger = AccountConfig::new("acct_stranger").with_world(world(3));
    config.accounts.extend([other.connected(), stranger]);
    let rights = [("customer", Right::Read), ("webhook", Right::Write)];
    config
        .keys
        .push(Key::restricted("rk_test_1234567890", PLATFORM, &rights));
    config
        .keys
        .push(Key::secret("sk_test_stranger", "acct_stranger"));
    config
        .codes
        .insert("ac_1".to_owned(), "acct_stranger".to_owned());
    Fake::start(config)
}

fn bearer(fake: &Fake, path: &str, key: &str, account: Option<&str>) -> (u16, String) {
    let key = format!("Bearer {key}");
    let mut headers = vec![("authorization", key.as_str())];
    headers.extend(account.map(|account| ("stripe-account", account)));
    let answer = fake.with("GET", path, &headers, "");
    (answer.status, answer.error("message").to_owned())
}

#[test]
fn a_key_must_be_known() {
    let fake = fake();
    assert_eq!(fake.with("GET", "/v1/customers", &[], "").status, 401);
    let (status, message) = bearer(&fake, "/v1/customers", "sk_test_wrong123", None);
    assert_eq!(
        (status, message.as_str()),
        (401, "Invalid API Key provided: sk_test_****g123")
    );
    // `sk_test_fake:` in Base64.
    let basic = [("authorization", "Basic c2tfdGVzdF9mYWtlOg==")];
    assert_eq!(fake.with("GET", "/v1/customers", &basic, "").status, 200);
    fake.stripe.revoke("rk_test_1234567890");
    assert_eq!(
        bearer(&fake, "/v1/customers", "rk_test_1234567890", None).0,
        401
    );
}

#[test]
fn a_missing_permission_is_named() {
    let fake = fake();
    let ask = |path: &str| bearer(&fake, path, "rk_test_1234567890", None);
    assert_eq!(ask("/v1/customers").0, 200);
    assert_eq!(
        ask("/v1/webhook_endpoints").0,
        200,
        "to write includes to read"
    );
    let refused = |path: &str, permission: &str| {
        let message = format!(
            "The provided key 'rk_test_******7890' does not have the required permissions for this \
             endpoint on account 'acct_platform'. Having the '{permission}' permission would allow \
             this request to continue."
        );
        assert_eq!(ask(path), (403, message), "{path}");
    };
    refused("/v1/subscriptions", "rak_subscription_read");
    refused("/v1/invoices/in_1", "rak_invoice_read");
    refused("/v1/invoices/in_1/lines", "rak_invoice_read");
    refused(
        "/v1/subscription_items?subscription=sub_1",
        "rak_subscription_read",
    );
    refused("/v1/checkout/sessions", "rak_checkout_session_read");
    refused("/v1/prices", "rak_plan_read");
    refused("/v1/events", "rak_event_read");
    refused("/v1/account", "rak_accounts_kyc_basic_read");
    let rights = [("webhook", Right::Read)];
    fake.stripe
        .add_key(Key::restricted("rk_test_1234567890", PLATFORM, &rights));
    let key = [("authorization", "Bearer rk_test_1234567890")];
    let answer = fake.with("POST", "/v1/webhook_endpoints", &key, "url=http://x");
    assert_eq!(answer.status, 403);
    assert!(answer.error("message").contains("'rak_webhook_write'"));
}

#[test]
fn an_account_is_another_world_and_only_for_whom_it_lets_in() {
    let fake = fake();
    let of = |account| {
        let headers = [
            ("authorization", "Bearer sk_test_fake"),
            ("stripe-account", account),
        ];
        fake.with("GET", "/v1/customers?limit=100", &headers, "")
    };
    let own = fake.get("/v1/customers?limit=100");
    let other = of("acct_other");
    assert_eq!(other.header("stripe-account"), "acct_other");
    assert_eq!(own["data"].as_array().unwrap().len(), 19);
    assert!(other.body["data"].as_array().unwrap().len() > 25);
    assert_eq!(of("acct_stranger").status, 403);
    assert_eq!(of("acct_none").error("code"), "account_invalid");
    let (status, _) = bearer(
        &fake,
        "/v1/customers",
        "sk_test_stranger",
        Some("acct_other"),
    );
    assert_eq!(status, 403, "only the platform acts for others");
    assert_eq!(
        bearer(&fake, "/v1/account", "sk_test_stranger", None).0,
        200
    );
}

#[test]
fn a_code_gives_access_once_and_access_can_be_given_up() {
    let fake = fake();
    let form = "grant_type=authorization_code&code=ac_1";
    let answer = fake.post("/oauth/token", form);
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.body["stripe_user_id"], "acct_stranger");
    assert_eq!(answer.body["scope"], "read_only");
    assert_eq!(answer.body["livemode"], false);
    let token = answer.body["access_token"].as_str().unwrap();
    assert_eq!(bearer(&fake, "/v1/customers", token, None).0, 200);
    let again = fake.post("/oauth/token", form);
    assert_eq!(
        (again.status, &again.body["error"]),
        (400, &"invalid_grant".into())
    );

    let ask = || {
        bearer(
            &fake,
            "/v1/customers",
            "sk_test_fake",
            Some("acct_stranger"),
        )
        .0
    };
    assert_eq!(ask(), 200);
    let given_up = fake.post(
        "/oauth/deauthorize",
        "client_id=ca_1&stripe_user_id=acct_stranger",
    );
    assert_eq!(given_up.body["stripe_user_id"], "acct_stranger");
    assert_eq!(ask(), 403);
    assert_eq!(bearer(&fake, "/v1/customers", token, None).0, 401);
}

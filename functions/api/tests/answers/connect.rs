//! Connecting, over a fake Stripe whose clock stands.

use std::collections::BTreeMap;

use lambda_http::{Body, Response};
use paygraph_testkit::fake_stripe::{AccountConfig, Config, FakeStripe, KEY, Key, needed_rights};
use paygraph_testkit::history::MIDDLE;
use serde_json::{Value, json};

use crate::aws::{Stage, empty};
use crate::gateway::{Asked, asked, get, masked};

/// The routes that this file answers, with their golden files' names.
pub const ROUTES: [(&str, &str); 4] = [
    ("connect", "POST /api/integrations/stripe/connect"),
    ("callback", "* /api/integrations/stripe/callback"),
    ("connection", "GET /api/integrations/stripe/connection"),
    ("disconnect", "DELETE /api/integrations/stripe/connection"),
];

const CONNECT: &str = "/api/integrations/stripe/connect";
const CONNECTION: &str = "/api/integrations/stripe/connection";
const CALLBACK: &str = "/api/integrations/stripe/callback";
const RK: &str = "rk_test_acme1234567890";

/// What came of it.
#[derive(Default)]
pub struct Connected {
    pub answers: BTreeMap<&'static str, Vec<String>>,
    pub published: Vec<String>,
    pub jobs: Vec<String>,
    pub secrets: String,
}

impl Connected {
    async fn ask(&mut self, stage: &Stage, name: &'static str, asked: &Asked) {
        let answer = stage.answer(asked).await;
        self.answers.entry(name).or_default().push(answer);
    }
}

pub async fn told() -> Connected {
    let mut config = Config::default().unlimited();
    config.accounts.push(AccountConfig::new("acct_acme"));
    let stripe = FakeStripe::start(config).await.unwrap();
    stripe.set_now(MIDDLE);
    stripe.add_key(Key::restricted(RK, "acct_acme", &needed_rights()));
    stripe.add_key(Key::restricted("rk_test_poor", "acct_acme", &[]));
    let mut connected = Connected::default();
    by_key(&stripe, &mut connected).await;
    by_oauth(&stripe, &mut connected).await;
    connected
}

async fn by_key(stripe: &FakeStripe, connected: &mut Connected) {
    let stage = Stage::over(&empty(), Some(stripe.url()));
    let connect = |key: &str| asked("POST", CONNECT).with(&json!({ "restricted_key": key }));
    connected.ask(&stage, "connection", &get(CONNECTION)).await;
    for key in ["sk_test_1", "rk_live_1", "rk_test_poor", RK] {
        connected.ask(&stage, "connect", &connect(key)).await;
    }
    connected
        .ask(
            &stage,
            "connect",
            &asked("POST", CONNECT).with(&json!({ "key": 1 })),
        )
        .await;
    connected
        .ask(&stage, "connect", &asked("POST", CONNECT))
        .await;
    connected.ask(&stage, "connection", &get(CONNECTION)).await;
    let disconnect = asked("DELETE", CONNECTION);
    connected.jobs.extend(stage.aws.messages());
    let mut secrets = stage.aws.secrets();
    connected.ask(&stage, "disconnect", &disconnect).await;
    connected.ask(&stage, "disconnect", &disconnect).await;
    let after = stage.aws.secrets();
    secrets["after it was disconnected"] = after;
    connected.secrets = masked(&secrets.to_string());
}

async fn by_oauth(stripe: &FakeStripe, connected: &mut Connected) {
    let stage = Stage::over(&empty(), Some(stripe.url()));
    stage
        .aws
        .put_secret("stripe/platform", &json!({ "key": KEY, "account": null }));
    stage
        .aws
        .put_secret("connect/state", &json!("a key that is always the same"));
    connected
        .ask(&stage, "connect", &asked("POST", CONNECT))
        .await;
    let response = stage.respond(&asked("POST", CONNECT)).await;
    let cookie = response.headers()["set-cookie"].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let started: Value = serde_json::from_str(text(&response)).unwrap();
    let url = started["authorize_url"].as_str().unwrap();
    let (_, state) = url.rsplit_once("state=").unwrap();
    stripe.add_code("ac_1", "acct_acme");
    let back = |query: &str, cookie: Option<&str>| Asked {
        token: None,
        cookie: cookie.map(str::to_owned),
        ..get(&format!("{CALLBACK}?{query}"))
    };
    let forged = back("code=ac_1&state=forged", Some(&cookie));
    connected.ask(&stage, "callback", &forged).await;
    let other = back(
        &format!("code=ac_1&state={state}"),
        Some("__Host-paygraph-connect=other"),
    );
    connected.ask(&stage, "callback", &other).await;
    let returned = back(&format!("code=ac_1&state={state}"), Some(&cookie));
    let page = stage.respond(&returned).await;
    let shown = returned.shown(&page);
    connected.answers.entry("callback").or_default().push(shown);
    connected.ask(&stage, "callback", &returned).await;
    let (_, ticket) = text(&page).split_once("name=\"ticket\" value=\"").unwrap();
    let ticket = ticket.split('"').next().unwrap();
    let confirmed = Asked {
        token: None,
        cookie: Some(cookie),
        body: Some(format!("ticket={ticket}")),
        ..asked("POST", CALLBACK)
    };
    connected.ask(&stage, "callback", &confirmed).await;
    connected.ask(&stage, "connection", &get(CONNECTION)).await;
    connected.jobs.extend(stage.aws.messages());
    connected.published.extend(stage.aws.published());
}

fn text(response: &Response<Body>) -> &str {
    std::str::from_utf8(response.body().as_ref()).unwrap()
}

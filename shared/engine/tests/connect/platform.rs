//! By OAuth, with the platform's key.

use paygraph_domain::id::StripeId;
use paygraph_domain::time::Timestamp;
use paygraph_engine::connect::{
    Asked, Back, ConnectError, Connected, Start, TicketError, Webhooks,
};
use paygraph_engine::connection::{Accounts, Deauthorized, Status};
use paygraph_engine::memory::MemoryStore;
use paygraph_stripe::client::{Connections, Limits};
use secrecy::SecretString;
use serde_json::json;

use super::{RK, Secrets, URL, World, tenant};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(1_790_000_000 + seconds).unwrap()
}

/// The state that Stripe gives back.
fn state(start: &Start) -> String {
    let (_, state) = start.authorize_url.rsplit_once("state=").unwrap();
    state.to_owned()
}

impl World {
    async fn start(&self, name: &str) -> Start {
        let connector = self.connector(false);
        connector
            .authorize(&tenant(name), URL, at(0))
            .await
            .unwrap()
    }

    async fn back(&self, start: &Start, code: &str) -> Result<Asked, ConnectError> {
        let back = Back {
            code: Some(code.to_owned()),
            state: Some(state(start)),
            cookie: Some(start.cookie.clone()),
            error: None,
        };
        self.connector(false).returned(&back, at(1)).await
    }

    /// All of it.
    async fn by_oauth(&self, name: &str, account: &str) -> Result<(), ConnectError> {
        self.stripe.add_code("ac_1", account);
        let start = self.start(name).await;
        let asked = self.back(&start, "ac_1").await?;
        let connector = self.connector(false);
        let cookie = Some(&start.cookie);
        let done = connector.confirmed(&asked.ticket, cookie, at(2)).await?;
        assert_eq!(done.webhooks, Webhooks::Platform);
        Ok(())
    }

    fn connected(&self) -> Connected<MemoryStore, Secrets> {
        let limits = Limits::default();
        let connections = Connections::new(self.secrets.clone(), self.stripe.url(), limits);
        Connected::new(connections, self.store.clone(), self.secrets.clone())
    }

    /// Whether a tenant's account can be asked.
    async fn reaches(&self, name: &str) -> bool {
        let client = self.connected().client(&tenant(name)).await;
        client.unwrap().is_some()
    }
}

fn refused(result: Result<impl Sized, ConnectError>) -> TicketError {
    match result {
        Err(ConnectError::Ticket(error)) => error,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was believed"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_kept_once_it_was_shown_and_confirmed() {
    let world = World::new().await;
    let start = world.start("acme").await;
    assert!(start.authorize_url.contains("scope=read_only"));
    assert!(start.authorize_url.contains("client_id=ca_test"));
    world.stripe.add_code("ac_1", "acct_acme");
    let asked = world.back(&start, "ac_1").await.unwrap();
    assert_eq!(
        (asked.account.as_str(), asked.name.as_deref()),
        ("acct_acme", Some("Account acct_acme"))
    );
    assert_eq!(
        world.secrets.json("stripe/acme"),
        json!(null),
        "nothing is kept yet"
    );
    let connector = world.connector(false);
    let cookie = Some(&start.cookie);
    let done = connector
        .confirmed(&asked.ticket, cookie, at(2))
        .await
        .unwrap();
    assert!(done.import_started);
    assert_eq!(
        world.secrets.json("stripe/acme"),
        json!({ "key": null, "account": "acct_acme" })
    );
    assert_eq!(
        world.secrets.json("webhook/platform"),
        json!({ "secrets": ["whsec_platform"],
            "accounts": { "acct_acme": "acme", "acct_by_hand": "hand" } })
    );
    let check = connector.check(&tenant("acme"), URL).await.unwrap();
    assert!(check.troubles.is_empty(), "{:?}", check.troubles);
    let again = connector.confirmed(&asked.ticket, cookie, at(3)).await;
    assert_eq!(refused(again), TicketError::Used);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_is_for_one_browser_once_and_a_while() {
    let world = World::new().await;
    let (start, thief) = (world.start("acme").await, world.start("acme").await);
    world.stripe.add_code("ac_1", "acct_acme");
    let back = |cookie: Option<&SecretString>, code: Option<&str>, error: Option<&str>| Back {
        code: code.map(str::to_owned),
        error: error.map(str::to_owned),
        state: Some(state(&start)),
        cookie: cookie.cloned(),
    };
    let connector = world.connector(false);
    for cookie in [None, Some(&thief.cookie)] {
        let stolen = connector
            .returned(&back(cookie, Some("ac_1"), None), at(1))
            .await;
        assert_eq!(refused(stolen), TicketError::OtherBrowser);
    }
    let cookie = Some(&start.cookie);
    let late = connector
        .returned(&back(cookie, Some("ac_1"), None), at(601))
        .await;
    assert_eq!(refused(late), TicketError::RunOut);
    // A state does not confirm, and a confirmation does not return.
    let wrong = connector.confirmed(&state(&start), cookie, at(1)).await;
    assert_eq!(refused(wrong), TicketError::Forged);
    let no = connector
        .returned(&back(cookie, None, Some("access_denied")), at(1))
        .await;
    assert!(matches!(no, Err(ConnectError::Declined(_))));
    let twice = connector
        .returned(&back(cookie, Some("ac_1"), None), at(1))
        .await;
    assert_eq!(refused(twice), TicketError::Used);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_of_another_tenant_is_refused_before_it_is_shown() {
    let world = World::new().await;
    world.by_key("other", RK).await.unwrap();
    let error = world.by_oauth("acme", "acct_acme").await.unwrap_err();
    assert!(matches!(error, ConnectError::Taken(_)), "{error}");
    let error = world
        .back(&world.start("acme").await, "ac_wrong")
        .await
        .unwrap_err();
    assert!(matches!(error, ConnectError::Declined(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn disconnecting_gives_the_access_up() {
    let world = World::new().await;
    world.by_oauth("acme", "acct_acme").await.unwrap();
    assert!(world.reaches("acme").await);
    let connector = world.connector(false);
    let ended = connector.disconnect(&tenant("acme"), URL).await.unwrap();
    assert_eq!(ended.status, Status::Disconnected);
    assert!(!world.reaches("acme").await);
    let accounts = world.secrets.json("webhook/platform")["accounts"].clone();
    assert_eq!(accounts, json!({ "acct_by_hand": "hand" }));
    let answer = ureq::get(&format!("{}/v1/customers", world.stripe.url()))
        .header(
            "authorization",
            &format!("Bearer {}", paygraph_testkit::fake_stripe::KEY),
        )
        .header("stripe-account", "acct_acme")
        .call();
    assert!(matches!(answer, Err(ureq::Error::StatusCode(403))));
    connector.disconnect(&tenant("acme"), URL).await.unwrap();
    world.by_oauth("other", "acct_acme").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn i8_an_account_takes_its_access_back() {
    let world = World::new().await;
    world.by_oauth("acme", "acct_acme").await.unwrap();
    let connection = world.connection("acme").await;
    let told = |seconds, livemode| Deauthorized {
        at: connection.since.plus(seconds),
        livemode,
    };
    let (acme, account) = (tenant("acme"), StripeId::parse("acct_acme").unwrap());
    let connected = world.connected();
    for other in [told(-1, false), told(5, true)] {
        connected
            .deauthorized(&acme, &account, other)
            .await
            .unwrap();
        assert_eq!(world.connection("acme").await, connection);
    }
    for _ in 0..2 {
        connected
            .deauthorized(&acme, &account, told(5, false))
            .await
            .unwrap();
        assert_eq!(world.connection("acme").await.status, Status::Disconnected);
        assert!(!world.reaches("acme").await);
    }
    let accounts = world.secrets.json("webhook/platform")["accounts"].clone();
    assert_eq!(accounts, json!({ "acct_by_hand": "hand" }));
}

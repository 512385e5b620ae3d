//! The platform's Stripe account, and the accounts that tests connect to it.

use paygraph_testkit::fake_stripe::{AccountConfig, Config, FakeStripe, KEY};
use serde_json::{Value, json};

use crate::{Stack, unique};

/// How many accounts there are beside the platform's.
const ACCOUNTS: usize = 4;

/// A fake Stripe that the stack's API and imports ask. Tests name another place beside the keys of
/// their tenants.
#[derive(Debug)]
pub struct Platform {
    /// The server.
    pub stripe: FakeStripe,
    /// The ids of the accounts.
    pub accounts: Vec<String>,
}

impl Platform {
    /// Starts one, and tells the functions of it. The emulator ends every process of a function whose
    /// variables change, so that this must happen before any test.
    pub(crate) fn start(stack: &Stack) -> Self {
        let accounts: Vec<_> = (0..ACCOUNTS).map(|_| unique("acct_")).collect();
        let mut config = Config::default().unlimited();
        let named = accounts.iter().map(|id| AccountConfig::new(id));
        config.accounts.extend(named);
        let stripe = stack.block_on(FakeStripe::start(config)).unwrap();
        let key = json!({ "key": KEY, "account": null });
        stack.keep_secret("stripe/platform", &key);
        for function in ["api_function", "reconcile_function"] {
            let path = format!("{}/configuration", stack.local(function));
            let mut variables =
                stack.lambda("GET", &path, &Value::Null)["Environment"]["Variables"].clone();
            variables["PAYGRAPH_STRIPE_URL"] = json!(stripe.url());
            let environment = json!({ "Environment": { "Variables": variables } });
            let _ = stack.lambda("PUT", &path, &environment);
        }
        Self { stripe, accounts }
    }
}

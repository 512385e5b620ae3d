//! The payment method on file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::id::StripeId;
use crate::objects::payment_method::PaymentMethod;
use crate::time::Timestamp;

/// The payment method on file, as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OnFile {
    /// Whether there is one.
    pub on_file: bool,
    /// `card`, …
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// `visa`, …
    pub brand: Option<String>,
    /// The last four digits.
    pub last4: Option<String>,
    /// The month that a card is valid through.
    pub exp_month: Option<u8>,
    /// The year that a card is valid through.
    pub exp_year: Option<u16>,
}

/// The prefixes of ids of cards, sources and bank accounts from before PaymentMethods.
const SOURCES: [&str; 3] = ["card_", "src_", "ba_"];

/// The customer's default payment method, else any attached one. Nothing of a deleted customer can be
/// charged, whether or not an event told of each method.
pub(super) fn on_file(account: &Account) -> OnFile {
    let customer = account.customer.as_ref().map(|stored| stored.value.get());
    if customer.is_some_and(|customer| customer.deleted) {
        return OnFile::default();
    }
    let default = customer.and_then(|customer| customer.default_payment_method.get().as_ref());
    let known = known(account);
    match default.map(|id| known.get(id)) {
        Some(Some((_, default))) if default.attached => return describe(default),
        // Stripe says that it is the default, and nothing says that it was detached.
        Some(None) => {
            return OnFile {
                on_file: true,
                ..OnFile::default()
            };
        }
        Some(Some(_)) | None => {}
    }
    known
        .values()
        .filter(|(at, method)| method.attached && !is_removed(account, *at, method))
        .max_by_key(|(at, method)| (*at, &method.id))
        .map_or_else(OnFile::default, |(_, method)| describe(method))
}

/// Every payment method with the second it was last seen in: those that came by themselves, and the
/// sources that came with the customer. Of two views of one source the newer counts; a source that
/// was taken away once never comes back.
fn known(account: &Account) -> BTreeMap<&StripeId, (Timestamp, &PaymentMethod)> {
    let own = account.payment_methods.iter();
    let mut known: BTreeMap<_, _> = own
        .map(|(id, stored)| (id, (stored.value.watermark(), stored.value.get())))
        .collect();
    let customer = account.customer.as_ref().map(|stored| stored.value.get());
    let Some(sources) = customer.map(|customer| &customer.sources) else {
        return known;
    };
    let at = sources.seen_at().unwrap_or_default();
    for source in sources.get() {
        match known.get(&source.id) {
            Some((own, method)) if *own >= at || !method.attached => {}
            Some(_) | None => {
                known.insert(&source.id, (at, source));
            }
        }
    }
    known
}

/// Whether the customer shows that an old source was removed, whose own event did not come. Stripe
/// makes the first source the default one, and passes that on when a source is removed: a customer
/// without a default has no source. Of the second in which the source came, too: what the customer is at
/// its end, it still is afterwards, so that no comparison would find a difference.
/// <https://docs.stripe.com/api/customers/object#customer_object-default_source>
fn is_removed(account: &Account, at: Timestamp, method: &PaymentMethod) -> bool {
    let is_source = SOURCES.iter().any(|of| method.id.as_str().starts_with(of));
    let customer = account.customer.as_ref().map(|stored| stored.value.get());
    is_source
        && customer.is_some_and(|customer| {
            let (default, sources) = (&customer.default_payment_method, &customer.sources);
            let shows_it = sources.seen_at() >= default.seen_at()
                && sources.get().iter().any(|source| source.id == method.id);
            default.get().is_none() && default.seen_at() >= Some(at) && !shows_it
        })
}

fn describe(method: &PaymentMethod) -> OnFile {
    OnFile {
        on_file: true,
        kind: Some(method.kind.clone()),
        brand: method.brand.clone(),
        last4: method.last4.clone(),
        exp_month: method.exp_month,
        exp_year: method.exp_year,
    }
}

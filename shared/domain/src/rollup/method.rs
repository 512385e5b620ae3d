//! The payment method on file.

use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::objects::payment_method::PaymentMethod;

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

/// The customer's default payment method, else any attached one.
pub(super) fn on_file(account: &Account) -> OnFile {
    let customer = account.customer.as_ref().map(|stored| stored.value.get());
    let default = customer
        .filter(|customer| !customer.deleted)
        .and_then(|customer| customer.default_payment_method.get().as_ref());
    let method = |id| {
        account
            .payment_methods
            .get(id)
            .map(|stored| stored.value.get())
    };
    match default.map(method) {
        Some(Some(default)) if default.attached => return describe(default),
        // Stripe says that it is the default, and nothing says that it was detached.
        Some(None) => {
            return OnFile {
                on_file: true,
                ..OnFile::default()
            };
        }
        Some(Some(_)) | None => {}
    }
    account
        .payment_methods
        .values()
        .filter(|stored| stored.value.get().attached)
        .max_by_key(|stored| (stored.value.watermark(), &stored.value.get().id))
        .map_or_else(OnFile::default, |stored| describe(stored.value.get()))
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

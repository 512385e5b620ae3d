//! One customer with all its objects as they are now.

use serde_json::{Value, json};

/// One customer with all its objects as they are now.
#[derive(Debug)]
pub(super) struct Life {
    /// `cus_…`, or the session of a guest.
    pub id: String,
    /// Customers of one group may name the same contact.
    pub group: u32,
    pub currency: &'static str,
    /// The account (`acct_…`) that represents it in Accounts v2.
    pub account: Option<String>,
    /// Whether it pays by debits of its bank account.
    pub debit: bool,
    pub customer: Value,
    pub methods: Vec<Value>,
    /// Cards from before PaymentMethods.
    pub sources: Vec<Value>,
    pub subscriptions: Vec<Value>,
    pub invoices: Vec<Value>,
    pub intents: Vec<Value>,
    /// Payments of invoices.
    pub payments: Vec<Value>,
    pub charges: Vec<Value>,
    pub refunds: Vec<Value>,
    pub disputes: Vec<Value>,
    pub sessions: Vec<Value>,
}

impl Life {
    /// Somebody who is no customer, without anything.
    pub(super) fn guest(currency: &'static str) -> Self {
        Self {
            id: String::new(),
            group: 0,
            currency,
            account: None,
            debit: false,
            customer: Value::Null,
            methods: Vec::new(),
            sources: Vec::new(),
            subscriptions: Vec::new(),
            invoices: Vec::new(),
            intents: Vec::new(),
            payments: Vec::new(),
            charges: Vec::new(),
            refunds: Vec::new(),
            disputes: Vec::new(),
            sessions: Vec::new(),
        }
    }

    /// Whether there is a customer object.
    pub(super) fn is_customer(&self) -> bool {
        self.customer.is_object() && self.id.starts_with("cus_")
    }

    /// What it pays by. (PyPI `stripe` 16.1, `PaymentMethod.type`)
    pub(super) fn means(&self) -> &'static str {
        match (self.debit, self.currency) {
            (false, _) => "card",
            (true, "eur") => "sepa_debit",
            (true, _) => "us_bank_account",
        }
    }

    /// The `customer` of its objects.
    pub(super) fn reference(&self) -> Value {
        if self.is_customer() {
            json!(self.id)
        } else {
            Value::Null
        }
    }

    /// An object with the customer that it belongs to.
    pub(super) fn own(&self, mut object: Value) -> Value {
        object["customer"] = self.reference();
        object["customer_account"] = json!(self.account);
        object
    }

    /// An object with the account that it names, if its customer has one.
    pub(super) fn name_account(&self, mut object: Value) -> Value {
        if let Some(account) = &self.account {
            object["customer_account"] = json!(account);
        }
        object
    }
}

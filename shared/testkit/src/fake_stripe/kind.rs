//! What Stripe keeps: a line per kind of object, with what its list can be asked for.

/// A kind of object that can be listed.
#[derive(Debug)]
pub(super) struct Kind {
    /// Its path below `/v1`.
    pub path: &'static str,
    /// The word in an object's `object`.
    pub object: &'static str,
    /// What a restricted key must be allowed: `rak_<this>_read`.
    pub permission: &'static str,
    /// The parameters of its list, beside `limit`, the cursors and `expand`.
    pub filters: &'static [&'static str],
}

/// The filters are those of PyPI `stripe` 16.1 (`params/_<object>_list_params.py`), as far as they
/// are used.
pub(super) static KINDS: [Kind; 17] = [
    kind("customers", "customer", "customer", &["created", "email"]),
    kind(
        "subscriptions",
        "subscription",
        "subscription",
        &[
            "created",
            "customer",
            "customer_account",
            "status",
            "price",
            "collection_method",
        ],
    ),
    kind(
        "invoices",
        "invoice",
        "invoice",
        &[
            "created",
            "customer",
            "customer_account",
            "status",
            "subscription",
            "collection_method",
        ],
    ),
    kind(
        "payment_methods",
        "payment_method",
        "payment_method",
        &["customer", "customer_account", "type"],
    ),
    // Listed below its customer only: no path of a request is this one.
    kind("customers/:id/sources", "card", "customer", &["customer"]),
    kind(
        "payment_intents",
        "payment_intent",
        "payment_intent",
        &["created", "customer", "customer_account"],
    ),
    kind(
        "invoice_payments",
        "invoice_payment",
        "invoice",
        &["created", "invoice", "payment", "status"],
    ),
    kind(
        "charges",
        "charge",
        "charge",
        &["created", "customer", "payment_intent"],
    ),
    kind(
        "refunds",
        "refund",
        "charge",
        &["created", "charge", "payment_intent"],
    ),
    kind(
        "disputes",
        "dispute",
        "dispute",
        &["created", "charge", "payment_intent"],
    ),
    kind(
        "checkout/sessions",
        "checkout.session",
        "checkout_session",
        &[
            "created",
            "customer",
            "customer_account",
            "subscription",
            "payment_intent",
            "payment_link",
            "status",
        ],
    ),
    kind(
        "subscription_schedules",
        "subscription_schedule",
        "subscription",
        &["created", "customer", "customer_account"],
    ),
    kind(
        "products",
        "product",
        "product",
        &["created", "active", "ids"],
    ),
    kind(
        "prices",
        "price",
        "plan",
        &[
            "created",
            "active",
            "product",
            "type",
            "currency",
            "lookup_keys",
        ],
    ),
    kind("coupons", "coupon", "coupon", &["created"]),
    kind(
        "events",
        "event",
        "event",
        &["created", "type", "types", "delivery_success"],
    ),
    kind("webhook_endpoints", "webhook_endpoint", "webhook", &[]),
];

const fn kind(
    path: &'static str,
    object: &'static str,
    permission: &'static str,
    filters: &'static [&'static str],
) -> Kind {
    Kind {
        path,
        object,
        permission,
        filters,
    }
}

impl Kind {
    /// The kind at a path below `/v1`.
    pub(super) fn at(path: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.path == path)
    }

    /// What its list takes for a status.
    pub(super) fn statuses(&self) -> &'static [&'static str] {
        match self.object {
            "subscription" => &[
                "active",
                "past_due",
                "unpaid",
                "canceled",
                "incomplete",
                "incomplete_expired",
                "trialing",
                "paused",
                "all",
                "ended",
            ],
            "invoice" => &["draft", "open", "paid", "uncollectible", "void"],
            "checkout.session" => &["open", "complete", "expired"],
            "invoice_payment" => &["canceled", "open", "paid"],
            _ => &[],
        }
    }

    /// The kind of an object that calls itself so.
    pub(super) fn of(object: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.object == object)
    }
}

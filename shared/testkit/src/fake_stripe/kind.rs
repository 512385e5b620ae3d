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

pub(super) static KINDS: [Kind; 14] = [
    kind("customers", "customer", "customer", &["created", "email"]),
    kind(
        "subscriptions",
        "subscription",
        "subscription",
        &[
            "created",
            "customer",
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
            "status",
            "subscription",
            "collection_method",
        ],
    ),
    kind(
        "payment_methods",
        "payment_method",
        "payment_method",
        &["customer", "type"],
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
            "subscription",
            "payment_intent",
            "status",
        ],
    ),
    kind(
        "subscription_schedules",
        "subscription_schedule",
        "subscription",
        &["created", "customer"],
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
            _ => &[],
        }
    }

    /// The kind of an object that calls itself so.
    pub(super) fn of(object: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.object == object)
    }
}

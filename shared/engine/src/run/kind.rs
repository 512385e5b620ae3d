//! What is read of Stripe's lists: a line per kind of object.
#![cfg_attr(
    not(feature = "stripe-api"),
    allow(dead_code, reason = "only who asks Stripe does runs")
)]

use paygraph_domain::fact::Body;
use serde::{Deserialize, Serialize};

/// A kind of object that is read from Stripe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Products.
    Products,
    /// Prices, with their tiers.
    Prices,
    /// Coupons, with the products they are for.
    Coupons,
    /// Customers, with their default payment methods.
    Customers,
    /// Subscriptions, with the coupons of their discounts.
    Subscriptions,
    /// Invoices, with their payments.
    Invoices,
    /// Charges.
    Charges,
    /// Checkout sessions, with what was bought.
    CheckoutSessions,
    /// Subscription schedules.
    Schedules,
    /// Refunds, with their charges.
    Refunds,
    /// Disputes, with their charges.
    Disputes,
    /// Payment methods: Stripe lists them for one customer at a time, so they are asked for by
    /// their ids only.
    PaymentMethods,
}

/// When a kind is read: what others need comes before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// What names and values everything else.
    Catalog,
    /// What belongs to a customer.
    Objects,
    /// What leads to its customer by a charge.
    Followers,
    /// Live here, and not returned by Stripe's lists.
    Unreturned,
    /// The payment methods of customers with a live subscription: Stripe lists them by customer.
    #[serde(rename = "payment_methods")]
    Methods,
    /// What differed is looked at again.
    SecondLook,
    /// Nothing is left.
    Finished,
}

impl Stage {
    /// As it stands in reports and causes.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Catalog => "catalog",
            Self::Objects => "objects",
            Self::Followers => "followers",
            Self::Unreturned => "unreturned",
            Self::Methods => "payment_methods",
            Self::SecondLook => "second_look",
            Self::Finished => "finished",
        }
    }

    /// What people call it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Catalog => "catalog",
            Self::Objects => "objects",
            Self::Followers => "refunds and disputes",
            Self::Unreturned => "what Stripe did not return",
            Self::Methods => "payment methods, one customer at a time",
            Self::SecondLook => "second look",
            Self::Finished => "finished",
        }
    }

    /// The stage after it.
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::Catalog => Self::Objects,
            Self::Objects => Self::Followers,
            Self::Followers => Self::Unreturned,
            Self::Unreturned => Self::Methods,
            Self::Methods => Self::SecondLook,
            Self::SecondLook | Self::Finished => Self::Finished,
        }
    }
}

/// How a kind is asked for.
pub(super) struct Row {
    pub kind: Kind,
    pub name: &'static str,
    /// When it is listed; [`Stage::SecondLook`] when it is asked for by its id only.
    pub stage: Stage,
    pub path: &'static str,
    /// What an event about such an object is called: by it the object is read.
    pub event: &'static str,
    /// The fields that are objects and not ids, as a list names them.
    pub expand: &'static [&'static str],
    /// Objects inside it that are facts of their own, by their places and what they are called.
    pub inside: &'static [(&'static str, &'static str)],
    /// What the ids of such objects begin with.
    pub prefix: &'static str,
}

const METHOD: &str = "payment_method.updated";
const SOURCE: &str = "customer.source.updated";
/// What the ids of sources begin with: each is a payment method under the same id.
const SOURCES: [&str; 3] = ["card_", "src_", "ba_"];
const CHARGE: &str = "charge.updated";

static ROWS: [Row; 12] = [
    row(
        Kind::Products,
        "products",
        Stage::Catalog,
        "/products",
        "product.updated",
        "prod_",
    ),
    Row {
        expand: &["data.tiers", "data.currency_options"],
        ..row(
            Kind::Prices,
            "prices",
            Stage::Catalog,
            "/prices",
            "price.updated",
            "price_",
        )
    },
    Row {
        // Which the reader of coupons relies on: one without products is then for all, and one without
        // options has no currency but its own.
        expand: &["data.applies_to", "data.currency_options"],
        ..row(
            Kind::Coupons,
            "coupons",
            Stage::Catalog,
            "/coupons",
            "coupon.updated",
            "coupon_",
        )
    },
    Row {
        expand: &[
            "data.invoice_settings.default_payment_method",
            "data.default_source",
            "data.discount.source.coupon",
        ],
        inside: &[
            ("/invoice_settings/default_payment_method", METHOD),
            ("/default_source", SOURCE),
        ],
        ..row(
            Kind::Customers,
            "customers",
            Stage::Objects,
            "/customers",
            "customer.updated",
            "cus_",
        )
    },
    Row {
        expand: &[
            "data.discounts.source.coupon",
            // Stripe expands four levels, so the coupons of these come from the catalog.
            "data.items.data.discounts",
            "data.default_payment_method",
        ],
        inside: &[("/default_payment_method", METHOD)],
        ..row(
            Kind::Subscriptions,
            "subscriptions",
            Stage::Objects,
            "/subscriptions",
            "customer.subscription.updated",
            "sub_",
        )
    },
    Row {
        // Since 2025-03-31 only the list of payments tells what paid an invoice.
        expand: &["data.payments"],
        ..row(
            Kind::Invoices,
            "invoices",
            Stage::Objects,
            "/invoices",
            "invoice.updated",
            "in_",
        )
    },
    row(
        Kind::Charges,
        "charges",
        Stage::Objects,
        "/charges",
        CHARGE,
        "ch_",
    ),
    Row {
        expand: &["data.line_items"],
        ..row(
            Kind::CheckoutSessions,
            "checkout_sessions",
            Stage::Objects,
            "/checkout/sessions",
            "checkout.session.updated",
            "cs_",
        )
    },
    row(
        Kind::Schedules,
        "schedules",
        Stage::Objects,
        "/subscription_schedules",
        "subscription_schedule.updated",
        "sub_sched_",
    ),
    Row {
        expand: &["data.charge"],
        inside: &[("/charge", CHARGE)],
        ..row(
            Kind::Refunds,
            "refunds",
            Stage::Followers,
            "/refunds",
            "refund.updated",
            "re_",
        )
    },
    Row {
        expand: &["data.charge"],
        inside: &[("/charge", CHARGE)],
        ..row(
            Kind::Disputes,
            "disputes",
            Stage::Followers,
            "/disputes",
            "charge.dispute.updated",
            "dp_",
        )
    },
    row(
        Kind::PaymentMethods,
        "payment_methods",
        Stage::SecondLook,
        "/payment_methods",
        METHOD,
        "pm_",
    ),
];

const fn row(
    kind: Kind,
    name: &'static str,
    stage: Stage,
    path: &'static str,
    event: &'static str,
    prefix: &'static str,
) -> Row {
    Row {
        kind,
        name,
        stage,
        path,
        event,
        expand: &[],
        inside: &[],
        prefix,
    }
}

impl Kind {
    /// Every kind.
    pub fn all() -> impl Iterator<Item = Self> {
        ROWS.iter().map(|row| row.kind)
    }

    /// Every kind that is listed.
    pub fn all_listed() -> impl Iterator<Item = Self> {
        let stages = [Stage::Catalog, Stage::Objects, Stage::Followers];
        stages.into_iter().flat_map(Self::listed_in)
    }

    /// The kinds that are listed in a stage.
    pub(super) fn listed_in(stage: Stage) -> impl Iterator<Item = Self> {
        let rows = ROWS.iter().filter(move |row| row.stage == stage);
        let is_listed = stage <= Stage::Followers;
        rows.map(|row| row.kind).filter(move |_| is_listed)
    }

    /// The kind of object that a fact is about; none for a part of another object.
    pub(super) fn about(body: &Body) -> Option<Self> {
        Some(match body {
            Body::Product(_) => Self::Products,
            Body::Price(_) => Self::Prices,
            Body::Coupon(_) => Self::Coupons,
            Body::Customer(_) => Self::Customers,
            Body::Subscription(_) => Self::Subscriptions,
            Body::Invoice(_) => Self::Invoices,
            Body::Charge(_) => Self::Charges,
            Body::Checkout(_) => Self::CheckoutSessions,
            Body::Schedule(_) => Self::Schedules,
            Body::Refund(_) => Self::Refunds,
            Body::Dispute(_) => Self::Disputes,
            Body::PaymentMethod(_) => Self::PaymentMethods,
            Body::Discount(_) => return None,
        })
    }

    /// What people call it: `subscriptions`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The kind that people call so.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        ROWS.iter().find(|row| row.name == name).map(|row| row.kind)
    }

    /// The kind of an object by its id: `sub_…`.
    #[must_use]
    pub fn of(id: &str) -> Option<Self> {
        if SOURCES.iter().any(|prefix| id.starts_with(prefix)) {
            return Some(Self::PaymentMethods);
        }
        let fits = ROWS.iter().filter(|row| id.starts_with(row.prefix));
        fits.max_by_key(|row| row.prefix.len()).map(|row| row.kind)
    }

    /// What the ids of such objects begin with.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        self.row().prefix
    }

    /// Where such objects are listed at Stripe.
    pub(crate) fn path(self) -> &'static str {
        self.row().path
    }

    pub(super) fn row(self) -> &'static Row {
        let row = ROWS.iter().find(|row| row.kind == self);
        // Every kind has a line, which a test holds.
        row.unwrap_or(&ROWS[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_line() {
        for (name, id) in [
            ("products", "prod_1"),
            ("prices", "price_1"),
            ("coupons", "coupon_1"),
            ("customers", "cus_1"),
            ("subscriptions", "sub_1"),
            ("invoices", "in_1"),
            ("charges", "ch_1"),
            ("checkout_sessions", "cs_test_1"),
            ("schedules", "sub_sched_1"),
            ("refunds", "re_1"),
            ("disputes", "dp_1"),
            ("payment_methods", "pm_1"),
        ] {
            let kind = Kind::named(name).unwrap();
            assert_eq!((kind.name(), Kind::of(id)), (name, Some(kind)));
        }
        assert_eq!(Kind::all().count(), 12);
        assert_eq!(Kind::all_listed().count(), 11);
        assert_eq!(Kind::of("card_1"), Some(Kind::PaymentMethods));
        assert_eq!(Kind::of("evt_1"), None);
    }
}

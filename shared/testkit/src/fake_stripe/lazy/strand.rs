//! Which objects there are, when they were made, and where in a strand a page begins.
//!
//! How a customer stands repeats every twenty customers, so that a list by status too is a merge of
//! evenly spaced strands.

use super::super::filter::status_fits;
use super::super::query::Filter;
use super::super::source::{Key, Search};
use super::{LazyWorld, Place};

/// After so many customers the fates repeat.
const ROUND: u64 = 20;
const DAY: u64 = 86_400;
const MONTH: u64 = 30 * DAY;

/// The status of a subscription by its customer's fate. The last one's customer is deleted.
const FATES: [&str; 20] = [
    "active",
    "active",
    "active",
    "active",
    "active",
    "active",
    "active",
    "active",
    "active",
    "trialing",
    "trialing",
    "past_due",
    "past_due",
    "canceled",
    "canceled",
    "canceled",
    "unpaid",
    "incomplete_expired",
    "paused",
    "canceled",
];
/// Fates of which something is kept apart.
const DEBITED: u64 = 2;
const RETRIED: u64 = 8;
const REFUNDED: u64 = 5;
const DISPUTED: u64 = 6;
const SCHEDULED: u64 = 7;
const DELETED: u64 = 19;
/// The fate of everybody in a uniform world: one charge for each invoice, and no checkout session.
const UNIFORM: u64 = 18;

/// The objects that customers `phase`, `phase + stride`, … have at one point of their lives.
#[derive(Debug)]
pub(super) struct Strand {
    at: u64,
    phase: u64,
    stride: u64,
    /// What is left of it, by place in the strand.
    from: u64,
    to: u64,
    upwards: bool,
}

impl Strand {
    fn place(&self, member: u64) -> Place {
        Place {
            of: self.phase + member * self.stride,
            at: self.at,
        }
    }

    fn next(&self) -> Option<u64> {
        match self.upwards {
            _ if self.from >= self.to => None,
            true => Some(self.from),
            false => Some(self.to - 1),
        }
    }

    /// The place in the list of the strand's next object.
    pub(super) fn head(&self, world: &LazyWorld, object: &str) -> Option<Key> {
        Some(world.key_of(object, self.place(self.next()?)))
    }

    /// Takes the next object off.
    pub(super) fn take(&mut self) -> Option<Place> {
        let member = self.next()?;
        if self.upwards {
            self.from = member + 1;
        } else {
            self.to = member;
        }
        Some(self.place(member))
    }

    /// Keeps what the search can reach: a stretch, since a strand is in the order of the list.
    fn cut(&mut self, world: &LazyWorld, search: &Search<'_>) {
        let key = |member| world.key_of(search.kind.object, self.place(member));
        let first = |fits: &dyn Fn(Key) -> bool| {
            let (mut low, mut high) = (self.from, self.to);
            while low < high {
                let middle = low + (high - low) / 2;
                if fits(key(middle)) {
                    high = middle;
                } else {
                    low = middle + 1;
                }
            }
            low
        };
        let (created, beyond) = (search.created, search.beyond);
        let from = first(&|key| {
            key.created >= created.from
                && beyond.is_none_or(|beyond| !search.upwards || key > beyond)
        });
        let to = first(&|key| {
            key.created >= created.to
                || beyond.is_some_and(|beyond| !search.upwards && key >= beyond)
        });
        (self.from, self.to) = (from, to.max(from));
    }
}

impl LazyWorld {
    /// The strands of a list, cut to what the search can reach.
    pub(super) fn strands(&self, search: &Search<'_>) -> Vec<Strand> {
        let object = search.kind.object;
        let Some((first, end)) = self.customers_of(search.filters) else {
            return Vec::new();
        };
        let mut strands = Vec::new();
        for at in 0..self.each(object) {
            let fits = |fate: &u64| {
                self.is_fated(object, *fate, at) && self.may_fit(object, *fate, at, search.filters)
            };
            let of_all = |fate| if self.size.uniform { UNIFORM } else { fate };
            let fates: Vec<u64> = (0..ROUND).filter(|fate| fits(&of_all(*fate))).collect();
            if fates.len() == 20 {
                strands.push(self.strand(at, 0, 1, (first, end), search));
                continue;
            }
            for fate in fates {
                strands.push(self.strand(at, self.phase(fate), ROUND, (first, end), search));
            }
        }
        strands
    }

    fn strand(
        &self,
        at: u64,
        phase: u64,
        stride: u64,
        (first, end): (u64, u64),
        search: &Search<'_>,
    ) -> Strand {
        let member = |customer: u64| customer.saturating_sub(phase).div_ceil(stride);
        let mut strand = Strand {
            at,
            phase,
            stride,
            from: member(first),
            to: member(end),
            upwards: search.upwards,
        };
        strand.cut(self, search);
        strand
    }

    /// The customers, from the first up to the second, that the parameters leave.
    fn customers_of(&self, filters: &[Filter]) -> Option<(u64, u64)> {
        let mut left = (0, self.size.customers);
        for filter in filters {
            for value in &filter.values {
                let of = match filter.name.as_str() {
                    "customer" | "subscription" | "charge" => self.place(&filter.name, value)?.of,
                    "payment_intent" | "payment.payment_intent" => {
                        self.place("payment_intent", value)?.of
                    }
                    "invoice" => self.place("invoice", value)?.of,
                    "email" => self.customer_by_email(value)?,
                    // All are alike in these, so another value leaves nothing to look for.
                    "type" if value != "card" => return None,
                    "collection_method" if value != "charge_automatically" => return None,
                    "price" if !super::object::is_price(value) => return None,
                    _ => continue,
                };
                left = (left.0.max(of), left.1.min(of + 1));
            }
        }
        Some(left)
    }

    fn phase(&self, fate: u64) -> u64 {
        // 7 and 3 undo each other among twenty.
        (fate + ROUND - self.size.seed % ROUND) * 3 % ROUND
    }

    pub(super) fn fate(&self, customer: u64) -> u64 {
        if self.size.uniform {
            return UNIFORM;
        }
        (customer % ROUND * 7 + self.size.seed % ROUND) % ROUND
    }

    /// The status of the object at a place, by its customer's fate.
    pub(super) fn status(&self, object: &str, fate: u64, at: u64) -> &'static str {
        let last = at + 1 == self.size.invoices_each;
        match object {
            "subscription" => {
                let turn = if fate == DELETED { 0 } else { at * 11 };
                let fate = usize::try_from((fate + turn) % ROUND).unwrap_or_default();
                FATES.get(fate).copied().unwrap_or("active")
            }
            "invoice" => match (self.status("subscription", fate, 0), last) {
                ("incomplete_expired", _) | ("canceled", true) => "void",
                ("past_due" | "unpaid", true) => "open",
                ("unpaid", false) if at + 2 == self.size.invoices_each => "uncollectible",
                ("active", true) if fate == 3 => "draft",
                // A debit that is pending.
                ("active", true) if fate == DEBITED => "open",
                _ => "paid",
            },
            "checkout.session" => "complete",
            _ => "",
        }
    }

    /// How often Stripe has tried to collect an invoice.
    pub(super) fn attempts(&self, fate: u64, invoice: u64) -> u64 {
        match self.status("invoice", fate, invoice) {
            "draft" | "void" => 0,
            "paid" if fate != RETRIED => 1,
            "open" if fate == DEBITED => 1,
            _ => 2,
        }
    }

    /// Whether the last charge of an invoice is pending.
    pub(super) fn is_pending(&self, fate: u64, invoice: u64) -> bool {
        fate == DEBITED && self.status("invoice", fate, invoice) == "open"
    }

    /// Whether customers of a fate have the object.
    fn is_fated(&self, object: &str, fate: u64, at: u64) -> bool {
        match object {
            "customer" => fate != DELETED,
            "payment_method" => fate != DELETED && fate != 9,
            // Nothing is charged during a trial, nor for a draft.
            "payment_intent" | "invoice_payment" => {
                self.attempts(fate, at) > 0 && self.status("subscription", fate, 0) != "trialing"
            }
            "charge" => {
                self.attempts(fate, at / 2) > at % 2
                    && self.status("subscription", fate, 0) != "trialing"
            }
            "refund" => fate == REFUNDED && self.is_fated("charge", fate, 0),
            "dispute" => fate == DISPUTED && self.is_fated("charge", fate, 0),
            "checkout.session" => fate < 8,
            "subscription_schedule" => fate == SCHEDULED,
            _ => true,
        }
    }

    pub(super) fn is_there(&self, object: &str, place: Place) -> bool {
        place.at < self.each(object) && self.is_fated(object, self.fate(place.of), place.at)
    }

    fn may_fit(&self, object: &str, fate: u64, at: u64, filters: &[Filter]) -> bool {
        let status = self.status(object, fate, at);
        let asked = filters.iter().find(|filter| filter.name == "status");
        match asked {
            Some(asked) => asked
                .values
                .iter()
                .all(|value| status_fits(&status.into(), value)),
            None => object != "subscription" || status != "canceled",
        }
    }

    pub(super) fn is_deleted(&self, customer: u64) -> bool {
        self.fate(customer) == DELETED
    }

    /// When an object was made (Unix seconds). It never falls from one customer to the next.
    pub(super) fn created(&self, object: &str, place: Place) -> i64 {
        let arrival = place.of / self.size.together.max(1) * self.size.spacing;
        let later = match object {
            "subscription" => place.at * DAY,
            "invoice" => place.at * MONTH,
            "payment_intent" | "invoice_payment" => place.at * MONTH,
            "charge" => place.at / 2 * MONTH + place.at % 2 * 3 * DAY + 5,
            "refund" => 3 * DAY,
            "dispute" => 10 * DAY,
            "subscription_schedule" => 40 * DAY,
            // A sign-up is one burst.
            _ => 0,
        };
        let after = i64::try_from(arrival + later).unwrap_or(i64::MAX);
        self.size.first_created.saturating_add(after)
    }
}

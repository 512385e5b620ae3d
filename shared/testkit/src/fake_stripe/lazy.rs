//! A world of any size that is computed when it is asked for.
//!
//! Customer number i, and everything of it, follows from i and the seed. The objects of a kind lie
//! on strands: what every customer has at the same point of its life, in the order in which the
//! customers came. A page is the merge of the strands from where it begins, so it costs as much in
//! a list of millions as in a short one, and nothing is kept.

mod names;
mod object;
mod object_money;
mod strand;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

use self::names::Names;
use self::strand::Strand;
use super::filter::is_listed;
use super::kind::Kind;
use super::source::{Key, Search, Source};

/// Seconds from an invoice to the next one.
const MONTH: i64 = 30 * 86_400;

/// The size of a computed world, and when it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lazy {
    /// How many customers.
    pub customers: u64,
    /// Invoices of each customer, a month apart.
    pub invoices_each: u64,
    /// Subscriptions of each customer.
    pub subscriptions_each: u64,
    /// The same seed gives the same world.
    pub seed: u64,
    /// When the first customer came (Unix seconds).
    pub first_created: i64,
    /// Seconds from customers to the next ones.
    pub spacing: u64,
    /// How many customers come within one second.
    pub together: u64,
    /// Whether every customer has the same: its subscriptions, and a charge for each invoice.
    pub uniform: bool,
}

impl Lazy {
    /// So many customers who came in the year from 2024-10-01, three to a second, with a
    /// subscription and twelve invoices each.
    #[must_use]
    pub fn of(customers: u64) -> Self {
        let together = 3;
        Self {
            customers,
            invoices_each: 12,
            subscriptions_each: 1,
            seed: 1,
            first_created: 1_727_740_800,
            spacing: (31_536_000 * together / customers.max(1)).clamp(1, 86_400),
            together,
            uniform: false,
        }
    }
}

impl Lazy {
    /// The same world, shifted so that an instant (Unix seconds) lies within the last period of
    /// every customer: what runs has its end ahead, and nothing has happened later.
    #[must_use]
    pub fn ending_at(self, now: i64) -> Self {
        let groups = self.customers.div_ceil(self.together.max(1)).max(1);
        let month = MONTH.unsigned_abs();
        let spacing = (month / 2 / groups).min(self.spacing);
        let lasts = i64::try_from(spacing * groups).unwrap_or(MONTH);
        let billed = i64::try_from(self.invoices_each.max(1)).unwrap_or(1) - 1;
        // The last customer was billed the last time four days ago, so that a retry has been made.
        let since = MONTH
            .saturating_mul(billed)
            .saturating_add(lasts + 4 * 86_400);
        Self {
            spacing,
            first_created: now.saturating_sub(since),
            ..self
        }
    }
}

/// The computed world.
#[derive(Debug)]
pub(super) struct LazyWorld {
    size: Lazy,
    names: Names,
    computed: AtomicU64,
}

/// One place in a customer's life: customer `of`, the object's number `at` among those of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    of: u64,
    at: u64,
}

impl LazyWorld {
    pub(super) fn new(size: Lazy) -> Self {
        let names = Names::new(size.seed);
        Self {
            size,
            names,
            computed: AtomicU64::new(0),
        }
    }

    /// How many objects have been computed so far.
    pub(super) fn computed(&self) -> u64 {
        self.computed.load(Ordering::Relaxed)
    }

    fn object(&self, kind: &Kind, place: Place) -> Value {
        self.computed.fetch_add(1, Ordering::Relaxed);
        object::compute(self, kind.object, place)
    }

    /// The id of an object.
    fn id(&self, prefix: &str, object: &str, place: Place) -> String {
        let number = place.of * self.each(object) + place.at;
        self.names.write(prefix, number)
    }

    /// The place that an id of this kind names, whether or not anything is there.
    fn place(&self, object: &str, id: &str) -> Option<Place> {
        let (each, number) = (self.each(object), self.names.read(id)?);
        let (of, at) = (number.checked_div(each)?, number.checked_rem(each)?);
        (of < self.size.customers).then_some(Place { of, at })
    }

    fn key_of(&self, object: &str, place: Place) -> Key {
        Key {
            created: self.created(object, place),
            put: false,
            number: place.of * self.each(object) + place.at,
        }
    }

    /// How many places for objects of a kind each customer has.
    fn each(&self, object: &str) -> u64 {
        match object {
            "customer"
            | "payment_method"
            | "refund"
            | "dispute"
            | "checkout.session"
            | "subscription_schedule" => 1,
            "subscription" => self.size.subscriptions_each,
            "invoice" | "payment_intent" | "invoice_payment" => self.size.invoices_each,
            // A first attempt and a retry.
            "charge" => self.size.invoices_each * 2,
            _ => 0,
        }
    }
}

impl Source for LazyWorld {
    fn key(&self, kind: &Kind, id: &str) -> Option<Key> {
        let place = self.place(kind.object, id)?;
        self.is_there(kind.object, place)
            .then(|| self.key_of(kind.object, place))
    }

    fn get(&self, kind: &Kind, id: &str) -> Option<Value> {
        let place = self.place(kind.object, id)?;
        // Of a deleted customer Stripe still says that there was one.
        let known = kind.object == "customer" || self.is_there(kind.object, place);
        let object = known.then(|| self.object(kind, place))?;
        (object.get("id").and_then(Value::as_str) == Some(id)).then_some(object)
    }

    fn page(&self, search: &Search<'_>, hidden: impl Fn(&str) -> bool) -> Vec<(Key, Value)> {
        let object = search.kind.object;
        let mut strands: Vec<Strand> = self.strands(search);
        let heads = strands.iter().enumerate();
        let heads = heads.filter_map(|(n, strand)| Some((strand.head(self, object)?, n)));
        let mut heads: BTreeSet<(Key, usize)> = heads.collect();
        let mut page = Vec::new();
        while page.len() < search.want {
            let next = match search.upwards {
                true => heads.pop_first(),
                false => heads.pop_last(),
            };
            let Some((key, n)) = next else { break };
            let Some(strand) = strands.get_mut(n) else {
                break;
            };
            let Some(place) = strand.take() else { break };
            heads.extend(strand.head(self, object).map(|head| (head, n)));
            let found = self.object(search.kind, place);
            let id = found.get("id").and_then(Value::as_str).unwrap_or_default();
            if !hidden(id) && is_listed(&found, search.filters) {
                page.push((key, found));
            }
        }
        page
    }
}

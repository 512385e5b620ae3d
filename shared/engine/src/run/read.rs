//! Pages of Stripe's lists, and single objects, as facts.

use std::collections::BTreeMap;

use paygraph_domain::account::CatalogKey;
use paygraph_domain::apply::catalog_key;
use paygraph_domain::fact::{Body, Fact, Source};
use paygraph_domain::id::{Cause, StripeCustomerId, path_segment};
use paygraph_domain::time::Timestamp;
use paygraph_stripe::client::{Client, ClientError, Created, List, Page, Received};
use paygraph_stripe::decode::listed;
use serde::Deserialize;
use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_64;

use super::kind::Kind;
use super::range::Range;

/// How many objects a page has.
const PAGE: u8 = 100;
/// The most pages of one customer's payment methods.
const MOST_METHOD_PAGES: usize = 5;

/// What some objects tell: about the catalog, and about each Stripe customer.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub catalog: Vec<(CatalogKey, Fact)>,
    pub customers: BTreeMap<StripeCustomerId, Vec<Fact>>,
    /// What leads to its customer by a charge.
    pub leading: Vec<Fact>,
    /// Objects that could not be read, by their ids.
    pub unreadable: Vec<(String, String)>,
}

/// What a page says of itself.
#[derive(Debug, Default, Deserialize)]
struct Named {
    #[serde(default)]
    id: String,
    #[serde(default)]
    created: i64,
}

/// The last object of a page: its id, and when it was made.
pub(super) fn last(page: &Page) -> Option<(String, Timestamp)> {
    named(page.data.last()?)
}

/// How many seconds lie between the first object of a page and the last.
pub(super) fn span(page: &Page) -> i64 {
    let first = page.data.first().and_then(|first| named(first));
    let ends = first.zip(last(page));
    ends.map_or(0, |((_, first), (_, last))| first.unix() - last.unix())
}

/// How many seconds a page adds to the time that its range has read: from the object before it, or from
/// its own first one, to its last.
pub(super) fn spanned(range: &Range, page: &Page) -> i64 {
    let Some((_, last)) = last(page) else {
        return 0;
    };
    let before = range.read_to.map(|read_to| read_to.unix() - last.unix());
    before.unwrap_or_else(|| span(page)).max(0)
}

fn named(object: &RawValue) -> Option<(String, Timestamp)> {
    let named: Named = serde_json::from_str(object.get()).ok()?;
    Some((named.id, Timestamp::from_unix(named.created).ok()?))
}

/// The ids of a page's objects.
pub(super) fn ids(page: &Page) -> impl Iterator<Item = String> + '_ {
    let objects = page.data.iter();
    objects.filter_map(|object| named(object).map(|(id, _)| id))
}

/// The hash of an id by which a run remembers that a list returned it.
pub(super) fn hash(id: &str) -> u64 {
    xxh3_64(id.as_bytes())
}

/// Reads the next page of a range.
pub(super) async fn page(client: &Client, range: &Range) -> Result<Received<Page>, ClientError> {
    let row = range.kind.row();
    let list = List {
        limit: PAGE,
        starting_after: range.after.as_deref(),
        created: Some(Created::between(range.from, range.before)),
        status: range.status.as_deref(),
        expand: row.expand,
        ..List::default()
    };
    client.page(row.path, &list).await
}

/// One object by its id, whole.
pub(super) async fn object(
    client: &Client,
    kind: Kind,
    id: &str,
) -> Result<Received<String>, ClientError> {
    let row = kind.row();
    let expand = row.expand.iter();
    let expand: Vec<&str> = expand
        .filter_map(|field| field.strip_prefix("data."))
        .collect();
    let path = format!("{}/{}", row.path, path_segment(id));
    client.whole(&path, &expand).await
}

/// The ids of everything of a kind that belongs to one Stripe customer.
pub(super) async fn ids_of(
    client: &Client,
    kind: Kind,
    customer: &StripeCustomerId,
) -> Result<Vec<String>, ClientError> {
    let list = List {
        customer: Some(customer.as_str()).filter(|_| !customer.is_account()),
        customer_account: Some(customer.as_str()).filter(|_| customer.is_account()),
        status: (kind == Kind::Subscriptions).then_some("all"),
        ..List::default()
    };
    let (mut found, mut after) = (Vec::new(), None::<String>);
    loop {
        let list = List {
            limit: PAGE,
            starting_after: after.as_deref(),
            ..list
        };
        let page = client.page(kind.row().path, &list).await?.value;
        found.extend(ids(&page));
        after = last(&page).map(|(id, _)| id);
        if !page.has_more || after.is_none() {
            return Ok(found);
        }
    }
}

/// The payment methods that are attached to a customer, by pages. A customer that was deleted, or is
/// not there, has none.
///
/// <https://docs.stripe.com/api/payment_methods/customer_list>
pub(super) async fn methods_of(
    client: &Client,
    customer: &StripeCustomerId,
) -> Result<Vec<Received<Page>>, ClientError> {
    let path = format!("/customers/{customer}/payment_methods");
    let (mut pages, mut after) = (Vec::new(), None::<String>);
    while pages.len() < MOST_METHOD_PAGES {
        let list = List {
            limit: PAGE,
            starting_after: after.as_deref(),
            ..List::default()
        };
        let page = match client.page(&path, &list).await {
            Ok(page) => page,
            Err(ClientError::Missing(_)) => break,
            // Stripe answers 404 or 400, by where a request names the customer.
            Err(ClientError::Refused {
                status: 400,
                message,
            }) if message.starts_with("No such customer") => break,
            Err(error) => return Err(error),
        };
        after = last(&page.value).map(|(id, _)| id);
        let has_more = page.value.has_more && after.is_some();
        pages.push(page);
        if !has_more {
            break;
        }
    }
    Ok(pages)
}

impl Facts {
    /// Adds what a page tells.
    pub fn add_page(&mut self, kind: Kind, page: &Received<Page>, cause: &Cause, source: Source) {
        for object in &page.value.data {
            let interval = (page.since, page.until);
            self.add(kind, object, interval, None, (cause, source));
        }
    }

    /// Adds the facts of an object and of the objects inside it. `owner` is the customer of an object
    /// that names none, for example of a payment method that was detached.
    pub fn add(
        &mut self,
        kind: Kind,
        object: &RawValue,
        interval: (Timestamp, Timestamp),
        owner: Option<&StripeCustomerId>,
        (cause, source): (&Cause, Source),
    ) {
        let row = kind.row();
        let mut facts = Vec::new();
        let mut read =
            |event: &str, object: &RawValue| match listed(event, object, cause, source, interval) {
                Ok(fact) => facts.extend(fact),
                Err(error) => {
                    let named: Named = serde_json::from_str(object.get()).unwrap_or_default();
                    self.unreadable.push((named.id, error.to_string()));
                }
            };
        for (place, event) in row.inside {
            if let Some(inside) = inside(object, place) {
                read(event, &inside);
            }
        }
        read(row.event, object);
        let named = facts.iter().find_map(|fact| fact.customer.clone());
        let owner = named.or_else(|| owner.cloned());
        for fact in facts {
            match (
                catalog_key(&fact.body),
                fact.customer.clone().or_else(|| owner.clone()),
            ) {
                (Some(key), _) => self.catalog.push((key, fact)),
                (None, Some(customer)) => {
                    let facts = self.customers.entry(customer.clone()).or_default();
                    facts.push(Fact {
                        customer: Some(customer),
                        ..fact
                    });
                }
                (None, None) if !fact.body.leads().is_empty() => self.leading.push(fact),
                // What was bought without a customer is nobody's.
                (None, None) => {}
            }
        }
    }

    /// Puts what each customer's facts depend on before them.
    pub fn sort(&mut self) {
        for facts in self.customers.values_mut() {
            facts.sort_by_key(|fact| place(&fact.body));
        }
    }
}

/// An object inside another; none where there is only its id.
fn inside(object: &RawValue, place: &str) -> Option<Box<RawValue>> {
    let mut inner: Box<RawValue> = object.to_owned();
    for name in place.split('/').skip(1) {
        let mut fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(inner.get()).ok()?;
        inner = fields.remove(name)?;
    }
    inner.get().starts_with('{').then_some(inner)
}

fn place(body: &Body) -> u8 {
    match body {
        Body::Product(_) | Body::Price(_) | Body::Coupon(_) => 0,
        Body::Customer(_) => 1,
        Body::PaymentMethod(_) => 2,
        Body::Discount(_) => 3,
        Body::Subscription(_) => 4,
        Body::Schedule(_) => 5,
        Body::Checkout(_) => 6,
        Body::Charge(_) => 7,
        Body::Invoice(_) => 8,
        Body::Refund(_) => 9,
        Body::Dispute(_) => 10,
    }
}

/// How many writes a fact may need: itself, and the links to it.
pub(super) fn weight(fact: &Fact) -> usize {
    match fact.body {
        Body::Invoice(_) | Body::Charge(_) => 3,
        Body::Customer(_)
        | Body::Subscription(_)
        | Body::PaymentMethod(_)
        | Body::Refund(_)
        | Body::Dispute(_)
        | Body::Checkout(_)
        | Body::Schedule(_)
        | Body::Discount(_)
        | Body::Product(_)
        | Body::Price(_)
        | Body::Coupon(_) => 1,
    }
}

//! Where an object is asked for when no event can tell how it is: Stripe's API.

#[cfg(feature = "stripe-api")]
mod stripe;
#[cfg(feature = "stripe-api")]
pub(crate) use self::stripe::{ask, ask_event, no_key, passing};

use std::time::Duration;

use paygraph_domain::account::{Account, CatalogKey};
use paygraph_domain::fact::{Body, Fact};
use paygraph_domain::id::{Cause, StripeCustomerId, StripeId, TenantId};
use paygraph_domain::objects::discount::DiscountRef;
use paygraph_domain::rollup::Context;
use paygraph_domain::time::Timestamp;
#[cfg(feature = "stripe-api")]
use paygraph_stripe::client::Client;

use crate::ports::StoreError;

/// How long a fetch may take: none is begun for a message that has less time left.
pub const LONGEST_FETCH: Duration = Duration::from_secs(10);

/// An object that is wanted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wanted {
    /// The customer itself.
    Customer(StripeCustomerId),
    /// A subscription, with the coupons of its discounts, the products they are for, the tiers and
    /// currency options of its prices, and all of its items.
    Subscription(StripeId),
    /// An invoice, with all of its lines.
    Invoice(StripeId),
    /// A payment method.
    PaymentMethod(StripeId),
    /// A dispute.
    Dispute(StripeId),
    /// A checkout session, with what was bought.
    Checkout(StripeId),
    /// A price, with its tiers and currency options.
    Price(StripeId),
    /// A coupon, with the products it is for and its currency options.
    Coupon(StripeId),
}

impl Wanted {
    /// What events of such an object begin with: by it the object is read.
    #[must_use]
    pub fn event_prefix(&self) -> &'static str {
        match self {
            Self::Customer(_) => "customer.updated",
            Self::Subscription(_) => "customer.subscription.updated",
            Self::Invoice(_) => "invoice.updated",
            Self::PaymentMethod(_) => "payment_method.updated",
            Self::Dispute(_) => "charge.dispute.updated",
            Self::Checkout(_) => "checkout.session.updated",
            Self::Price(_) => "price.updated",
            Self::Coupon(_) => "coupon.updated",
        }
    }

    /// What to ask for to learn all of an entry of the catalog; none for a product, whose events tell
    /// all.
    pub(crate) fn of_catalog(key: &CatalogKey) -> Option<Self> {
        match key {
            CatalogKey::Product(_) => None,
            CatalogKey::Price(id) => Some(Self::Price(id.clone())),
            CatalogKey::Coupon(id) => Some(Self::Coupon(id.clone())),
        }
    }

    /// What an answer comes to, by what was asked for beside the object itself.
    pub(crate) fn told(&self, mut fact: Fact) -> Fact {
        if let (Self::Subscription(_), Body::Subscription(told)) = (self, &mut fact.body) {
            let discounts = told.discounts.iter_mut();
            for coupon in discounts.filter_map(DiscountRef::coupon_mut) {
                coupon.asked_for_all(fact.at);
            }
        }
        fact
    }
}

/// An object as Stripe answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The object, verbatim.
    pub object: String,
    /// The earliest second that it may be from: the answer's `Date`, less the time the call took,
    /// less one.
    pub since: Timestamp,
    /// The latest: the answer's `Date`.
    pub until: Timestamp,
}

/// Asks Stripe.
pub trait Fetch: Sync {
    /// The object as it is now; none when nobody can be asked, or it is not there any more.
    fn fetch(
        &self,
        tenant: &TenantId,
        wanted: &Wanted,
    ) -> impl Future<Output = Result<Option<Fetched>, StoreError>> + Send;

    /// An event of the last 30 days, verbatim, of which only the id is known; none when nobody can
    /// be asked, or it is not there any more. Where Stripe does not answer, it is to be asked again.
    fn event(
        &self,
        tenant: &TenantId,
        id: &Cause,
    ) -> impl Future<Output = Result<Option<String>, StoreError>> + Send;

    /// The tenant's client with another key than one that Stripe refuses, if the key was corrected
    /// meanwhile.
    #[cfg(feature = "stripe-api")]
    fn renewed(
        &self,
        _tenant: &TenantId,
        _refused: &Client,
    ) -> impl Future<Output = Result<Option<Client>, StoreError>> + Send {
        std::future::ready(Ok(None))
    }
}

/// Nobody can be asked: what events cannot tell stays marked as `needs_refetch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NoFetch;

impl Fetch for NoFetch {
    async fn fetch(&self, _: &TenantId, _: &Wanted) -> Result<Option<Fetched>, StoreError> {
        Ok(None)
    }

    async fn event(&self, _: &TenantId, _: &Cause) -> Result<Option<String>, StoreError> {
        Ok(None)
    }
}

/// The object that has to be fetched after a fact, if any: one whose newest snapshot the events
/// cannot tell, or, at first, one that does not tell by itself what it comes to. (Whatever the
/// answer lacks of that, another would lack too.)
pub(crate) fn wanted(
    account: &Account,
    fact: &Fact,
    context: Context<'_>,
    first: bool,
) -> Option<Wanted> {
    match &fact.body {
        Body::Customer(customer) => {
            let stored = account.customer.as_ref()?;
            let id = customer.id.clone();
            stored.value.is_undecided().then_some(Wanted::Customer(id))
        }
        Body::Subscription(new) => {
            let stored = account.subscriptions.get(&new.id)?;
            let tracked = &stored.value.subscription;
            let incomplete = || context.value(account, tracked.get()).incomplete;
            let wanted = tracked.is_undecided() || (first && incomplete());
            wanted.then(|| Wanted::Subscription(new.id.clone()))
        }
        Body::Invoice(invoice) => {
            let stored = account.invoice.as_ref()?;
            let tracked = &stored.value.invoice;
            // Lists show as little, and of what they show there is far more.
            let cut = || fact.since.is_none() && tracked.get().lacks_lines();
            let wanted = tracked.is_undecided() || (first && cut());
            wanted.then(|| Wanted::Invoice(invoice.id.clone()))
        }
        Body::PaymentMethod(method) => {
            let stored = account.payment_methods.get(&method.id)?;
            let undecided = stored.value.is_undecided();
            undecided.then(|| Wanted::PaymentMethod(method.id.clone()))
        }
        Body::Dispute(dispute) => {
            let stored = account.disputes.get(&dispute.id)?;
            let undecided = stored.value.is_undecided();
            undecided.then(|| Wanted::Dispute(dispute.id.clone()))
        }
        Body::Checkout(new) => {
            let stored = account.checkout.as_ref()?;
            let known = stored.value.get();
            let matters = known.lacks_prices() && context.settings.sells_for_good();
            let wanted = stored.value.is_undecided() || (first && matters);
            wanted.then(|| Wanted::Checkout(new.id.clone()))
        }
        Body::Charge(_)
        | Body::Refund(_)
        | Body::Schedule(_)
        | Body::Discount(_)
        | Body::Product(_)
        | Body::Price(_)
        | Body::Coupon(_) => None,
    }
}

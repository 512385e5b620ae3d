//! Discounts: which of them lower the MRR now, and by how much.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::slice;

use num_traits::{One, Signed, Zero};

use super::invoices::{Invoices, invoices, split};
use super::trace::{Effect, Level, Reason, Trace, What};
use super::{Context, Line};
use crate::id::StripeId;
use crate::money::{Currency, Exact, whole};
use crate::objects::catalog::{AmountOff, Coupon, CouponRef, Duration, Limit};
use crate::objects::discount::{Discount, DiscountRef};
use crate::objects::subscription::Subscription;

/// Takes all discounts off the lines. Returns whether one of them is not known.
pub(super) fn take_all<'a>(
    lines: &mut [Line<'a>],
    subscription: &'a Subscription,
    context: Context<'a>,
    trace: &mut impl Trace,
) -> bool {
    let mut unknown = false;
    let mut none_of_its_own = subscription.discounts.is_empty();
    for line in lines.iter_mut() {
        let item = line.item;
        none_of_its_own &= item.discounts.is_empty();
        for reference in &item.discounts {
            let found = Found::of(Level::Item, reference, context);
            unknown |= found.take(slice::from_mut(line), &OnceCell::new(), trace);
            // An amount comes off each invoice of this item alike.
            line.parts.clear();
        }
    }
    let invoices = OnceCell::new();
    for reference in &subscription.discounts {
        let found = Found::of(Level::Subscription, reference, context);
        unknown |= found.take(lines, &invoices, trace);
    }
    let customer = context.account.customer.as_ref();
    let discount = customer.and_then(|stored| stored.value.get().discount.get().as_ref());
    if let Some(discount) = discount {
        let mut found = Found::whole(Level::Customer, discount, context);
        if !none_of_its_own {
            found.counts = Err(Reason::OwnDiscounts);
        }
        unknown |= found.take(lines, &invoices, trace);
    }
    unknown
}

/// A discount as far as it is known.
struct Found<'a> {
    level: Level,
    id: Option<&'a StripeId>,
    coupon: Option<&'a Coupon>,
    /// The catalog's entry of its coupon, where the discount brought the coupon itself.
    elsewhere: Option<&'a Coupon>,
    /// Which products it is for, told by its coupon or by the catalog's.
    limit: Limit<'a>,
    /// Its coupon, if it lowers the MRR now.
    counts: Result<&'a Coupon, Reason>,
}

impl<'a> Found<'a> {
    fn of(level: Level, reference: &'a DiscountRef, context: Context<'a>) -> Self {
        let id = match reference {
            DiscountRef::Inline(discount) => return Self::whole(level, discount, context),
            DiscountRef::Id(id) => id,
        };
        match context.account.discounts.get(id) {
            Some(stored) => Self::whole(level, stored.value.get(), context),
            None => Self {
                level,
                id: Some(id),
                coupon: None,
                elsewhere: None,
                limit: Limit::NotTold,
                counts: Err(Reason::UnknownDiscount),
            },
        }
    }

    fn whole(level: Level, discount: &'a Discount, context: Context<'a>) -> Self {
        let known = |id: &StripeId| context.catalog.coupons.get(id);
        let (coupon, elsewhere) = match &discount.coupon {
            CouponRef::Inline(coupon) => (Some(coupon.as_ref()), known(&coupon.id)),
            CouponRef::Id(id) => (known(id), None),
        };
        let limits = [coupon, elsewhere].into_iter().flatten().map(Coupon::limit);
        let mut told = limits.filter(|limit| *limit != Limit::NotTold);
        Self {
            level,
            id: discount.id.as_ref(),
            coupon,
            elsewhere,
            limit: told.next().unwrap_or(Limit::NotTold),
            counts: counts(discount, coupon, context),
        }
    }

    /// Takes it off the lines it applies to, whose invoices are counted once. Returns whether it is
    /// not known.
    fn take(
        &self,
        lines: &mut [Line<'a>],
        invoices: &OnceCell<Vec<Invoices>>,
        trace: &mut impl Trace,
    ) -> bool {
        let is_unsure = self.is_unsure(lines);
        match self.counts {
            Ok(coupon) => match (coupon.percent_off, coupon.amount_off) {
                (Some(percent), _) => {
                    let left = Exact::one() - percent.exact() / whole(100);
                    self.take_share(&left.max(Exact::zero()), lines, trace);
                }
                (None, Some(_)) => self.take_amount(lines, invoices, trace),
                (None, None) => self.nothing(lines, Reason::Empty, trace),
            },
            Err(reason) => self.nothing(lines, reason, trace),
        }
        is_unsure
            || matches!(
                self.counts,
                Err(Reason::UnknownDiscount | Reason::UnknownCoupon)
            )
    }

    /// Whether it counts, and nobody told for which of several products, or how much it takes off.
    fn is_unsure(&self, lines: &[Line<'_>]) -> bool {
        let mut products = lines.iter().map(|line| line.item.price.product.as_ref());
        let first = products.next();
        let mut worth = lines.iter().filter(|line| !line.net.is_zero());
        let is_product_unsure = self.limit == Limit::NotTold
            && products.any(|product| Some(product) != first)
            && worth.clone().next().is_some();
        self.counts.is_ok()
            && (is_product_unsure
                || worth.any(|line| self.fits(line) == Err(Reason::AmountNotTold)))
    }

    /// Leaves a share of each line that it applies to.
    fn take_share(&self, left: &Exact, lines: &mut [Line<'a>], trace: &mut impl Trace) {
        for line in lines.iter_mut().filter(|line| !line.net.is_zero()) {
            trace.item(line.place);
            if let Err(reason) = self.fits(line) {
                trace.step(Some(&line.net), || self.told(Effect::Nothing(reason)));
                continue;
            }
            let net = &line.net * left;
            trace.step(Some(&net), || self.told(Effect::Percent(&line.net - &net)));
            line.net = net;
            line.parts.iter_mut().for_each(|part| *part *= left);
        }
    }

    /// An amount comes off each invoice, and there off the items by their share. No invoice falls
    /// below 0.
    fn take_amount(
        &self,
        lines: &mut [Line<'a>],
        invoices_of_all: &OnceCell<Vec<Invoices>>,
        trace: &mut impl Trace,
    ) {
        let kinds = invoices_of_all.get_or_init(|| invoices(lines));
        split(lines, kinds);
        let fitting = lines.iter().filter(|line| self.fits(line).is_ok());
        let currencies: BTreeSet<_> = fitting.map(|line| line.currency).collect();
        let mut factors = BTreeMap::new();
        for (kind, invoices) in kinds.iter().enumerate() {
            for currency in &currencies {
                self.take_off_invoices(kind, invoices, *currency, lines, &mut factors);
            }
        }
        for line in lines.iter_mut().filter(|line| !line.net.is_zero()) {
            trace.item(line.place);
            if let Err(reason) = self.fits(line) {
                trace.step(Some(&line.net), || self.told(Effect::Nothing(reason)));
                continue;
            }
            let net = line
                .parts
                .iter()
                .fold(Exact::zero(), |sum, part| sum + part);
            let factor = factors.remove(&line.place).unwrap_or_else(Exact::zero);
            trace.step(Some(&net), || {
                let off = &line.net - &net;
                self.told(Effect::Amount { off, factor })
            });
            line.net = net;
        }
    }

    /// Takes the amount off the invoices of one kind and currency, and notes how many a month each
    /// item has of those.
    fn take_off_invoices(
        &self,
        kind: usize,
        invoices: &Invoices,
        currency: Option<&Currency>,
        lines: &mut [Line<'a>],
        factors: &mut BTreeMap<usize, Exact>,
    ) {
        let AmountOff::Minor(amount) = self.amount_in(currency) else {
            return;
        };
        let on_it = |line: &Line<'_>| {
            line.currency == currency
                && invoices.places.contains(&line.place)
                && self.fits(line).is_ok()
        };
        let parts = lines.iter().filter(|line| on_it(line));
        let parts = parts.filter_map(|line| line.parts.get(kind));
        let sum = parts.fold(Exact::zero(), |sum, part| sum + part);
        if !sum.is_positive() {
            return;
        }
        let off = whole(amount) * &invoices.per_month;
        let left = ((&sum - off) / &sum).max(Exact::zero());
        for line in lines.iter_mut().filter(|line| on_it(line)) {
            let part = line.parts.get_mut(kind).filter(|part| !part.is_zero());
            if let Some(part) = part {
                *part *= &left;
                let factor = factors.entry(line.place).or_insert_with(Exact::zero);
                *factor += &invoices.per_month;
            }
        }
    }

    /// What its coupon takes off an invoice in a currency, as told with it or by the catalog.
    fn amount_in(&self, currency: Option<&Currency>) -> AmountOff {
        let told = |coupon: Option<&Coupon>| {
            coupon.map_or(AmountOff::NotTold, |coupon| coupon.amount_in(currency))
        };
        match told(self.coupon) {
            AmountOff::NotTold => told(self.elsewhere),
            amount @ (AmountOff::None | AmountOff::Minor(_) | AmountOff::OtherCurrency) => amount,
        }
    }

    fn nothing(&self, lines: &[Line<'a>], reason: Reason, trace: &mut impl Trace) {
        for line in lines.iter().filter(|line| !line.net.is_zero()) {
            trace.item(line.place);
            trace.step(Some(&line.net), || self.told(Effect::Nothing(reason)));
        }
    }

    /// Whether it applies to a line, whatever that is still worth.
    fn fits(&self, line: &Line<'_>) -> Result<(), Reason> {
        let Some(coupon) = self.coupon else {
            return Err(Reason::UnknownCoupon);
        };
        let product = line.item.price.product.as_ref();
        let named = match self.limit {
            Limit::To(products) => product.is_some_and(|product| products.contains(product)),
            Limit::None | Limit::NotTold => true,
        };
        if !named {
            return Err(Reason::OtherProduct);
        }
        if coupon.percent_off.is_some() {
            return Ok(());
        }
        match self.amount_in(line.currency) {
            AmountOff::Minor(_) => Ok(()),
            AmountOff::None => Err(Reason::Empty),
            AmountOff::OtherCurrency => Err(Reason::OtherCurrency),
            AmountOff::NotTold => Err(Reason::AmountNotTold),
        }
    }

    fn told(&self, effect: Effect) -> What {
        What::Discount {
            level: self.level,
            id: self.id.cloned(),
            coupon: self.coupon.map(|coupon| Box::new(coupon.clone())),
            effect,
        }
    }
}

/// The coupon of a discount, if it lowers the MRR now.
fn counts<'a>(
    discount: &Discount,
    coupon: Option<&'a Coupon>,
    context: Context<'_>,
) -> Result<&'a Coupon, Reason> {
    let coupon = coupon.ok_or(Reason::UnknownCoupon)?;
    let temporary = match coupon.duration {
        Duration::Forever => false,
        Duration::Once | Duration::Repeating | Duration::Other(_) => true,
    };
    if discount.deleted {
        return Err(Reason::Deleted);
    }
    if let Some(end) = discount.end.filter(|end| *end <= context.now) {
        return Err(Reason::Ended(end));
    }
    if temporary && !context.settings.count_temporary_discounts {
        return Err(Reason::Temporary);
    }
    Ok(coupon)
}

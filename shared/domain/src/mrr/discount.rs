//! Discounts: which of them lower the MRR now, and by how much.

use std::slice;

use num_traits::{One, Signed, Zero};

use super::trace::{Effect, Level, Reason, Trace, What};
use super::{Context, Line, per_month};
use crate::id::StripeId;
use crate::money::{Exact, whole};
use crate::objects::catalog::{Coupon, CouponRef, Duration, Limit};
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
            unknown |= found.take(slice::from_mut(line), trace);
        }
    }
    for reference in &subscription.discounts {
        let found = Found::of(Level::Subscription, reference, context);
        unknown |= found.take(lines, trace);
    }
    let customer = context.account.customer.as_ref();
    let discount = customer.and_then(|stored| stored.value.get().discount.get().as_ref());
    if let Some(discount) = discount {
        let mut found = Found::whole(Level::Customer, discount, context);
        if !none_of_its_own {
            found.counts = Err(Reason::OwnDiscounts);
        }
        unknown |= found.take(lines, trace);
    }
    unknown
}

/// A discount as far as it is known.
struct Found<'a> {
    level: Level,
    id: Option<&'a StripeId>,
    coupon: Option<&'a Coupon>,
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
            limit: told.next().unwrap_or(Limit::NotTold),
            counts: counts(discount, coupon, context),
        }
    }

    /// Takes it off the lines it applies to. Returns whether it is not known.
    fn take(&self, lines: &mut [Line<'a>], trace: &mut impl Trace) -> bool {
        let is_unsure = self.is_unsure(lines);
        match self.counts {
            Ok(coupon) => match (coupon.percent_off, coupon.amount_off) {
                (Some(percent), _) => {
                    let left = Exact::one() - percent.exact() / whole(100);
                    let left = left.max(Exact::zero());
                    self.leave(lines, &left, trace, Effect::Percent);
                }
                (None, Some(amount)) => self.take_amount(amount, lines, trace),
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

    /// Whether it counts, and nobody told for which of several products.
    fn is_unsure(&self, lines: &[Line<'_>]) -> bool {
        let mut products = lines.iter().map(|line| line.item.price.product.as_ref());
        let first = products.next();
        self.counts.is_ok()
            && self.limit == Limit::NotTold
            && products.any(|product| Some(product) != first)
            && lines.iter().any(|line| !line.net.is_zero())
    }

    /// An amount comes off each invoice, so it is spread over the interval, and over the lines by
    /// their share. None falls below 0.
    fn take_amount(&self, amount: i64, lines: &mut [Line<'a>], trace: &mut impl Trace) {
        let fits = |line: &&Line<'_>| !line.net.is_zero() && self.fits(line).is_ok();
        let fitting = || lines.iter().filter(fits);
        let sum = fitting().fold(Exact::zero(), |sum, line| sum + &line.net);
        let recurring = fitting().find_map(|line| line.recurring);
        let (Some(recurring), true) = (recurring, sum.is_positive()) else {
            return self.leave(lines, &Exact::one(), trace, Effect::Percent);
        };
        let factor = per_month(recurring);
        let left = ((&sum - whole(amount) * &factor) / &sum).max(Exact::zero());
        self.leave(lines, &left, trace, |off| Effect::Amount {
            off,
            factor: factor.clone(),
        });
    }

    /// Leaves so much of each line that it applies to.
    fn leave(
        &self,
        lines: &mut [Line<'a>],
        left: &Exact,
        trace: &mut impl Trace,
        effect: impl Fn(Exact) -> Effect,
    ) {
        for line in lines.iter_mut().filter(|line| !line.net.is_zero()) {
            trace.item(line.place);
            if let Err(reason) = self.fits(line) {
                trace.step(Some(&line.net), || self.told(Effect::Nothing(reason)));
                continue;
            }
            let net = &line.net * left;
            trace.step(Some(&net), || self.told(effect(&line.net - &net)));
            line.net = net;
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
        let is_amount = coupon.percent_off.is_none();
        let in_currency = coupon.currency.is_none() || coupon.currency.as_ref() == line.currency;
        if !named {
            Err(Reason::OtherProduct)
        } else if is_amount && !in_currency {
            Err(Reason::OtherCurrency)
        } else {
            Ok(())
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

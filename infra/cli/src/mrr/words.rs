//! The words for what the valuation did. They are data: every amount in them was told by it.

use paygraph_domain::id::StripeId;
use paygraph_domain::money::{Currency, Decimal, Exact, whole};
use paygraph_domain::mrr::trace::{Effect, Level, Note, Reason, Rule, What};
use paygraph_domain::objects::catalog::{Coupon, Interval, Recurring, TierMode, Transform};
use paygraph_domain::objects::subscription::Subscription;

use super::amount::{decimal, exact};

/// What the words of an item's steps depend on.
pub struct Words<'a> {
    /// The item's subscription.
    pub subscription: &'a Subscription,
    /// The item's currency.
    pub currency: Option<&'a Currency>,
}

impl Words<'_> {
    /// A step.
    pub fn step(&self, what: &What) -> String {
        match what {
            What::Quantity {
                given,
                transform,
                units,
            } => quantity(*given, *transform, *units),
            What::PerUnit { unit, units } => {
                let free = if unit.is_zero() { " (free)" } else { "" };
                format!("{units} × {}{free}", self.decimal(*unit))
            }
            What::Tier {
                mode,
                number,
                units,
                unit,
                flat,
            } => self.tier(*mode, *number, *units, (*unit, *flat)),
            What::NotTold => self.not_told(),
            What::Metered => "metered: never recurring".to_owned(),
            What::OneOff => "paid once: never recurring".to_owned(),
            What::PerMonth { recurring, factor } => format!("{}: × {factor}", every(recurring)),
            What::Trial(end) => format!("in a trial of its own until {end}: 0"),
            What::Uncounted(rule) => self.uncounted(*rule),
            What::Discount {
                level,
                id,
                coupon,
                effect,
            } => self.discount(*level, id.as_ref(), coupon.as_deref(), effect),
            What::Tax(percent) => tax(percent),
        }
    }

    fn not_told(&self) -> String {
        match self.currency {
            Some(currency) => {
                let currency = currency.as_str();
                format!("unit amount or tiers in {currency} not told: 0 until they are")
            }
            None => "unit amount or tiers not told: 0 until they are".to_owned(),
        }
    }

    fn decimal(&self, amount: Decimal) -> String {
        exact(&amount.exact(), self.currency)
    }

    fn tier(
        &self,
        mode: TierMode,
        number: usize,
        units: u64,
        (unit, flat): (Option<Decimal>, Option<Decimal>),
    ) -> String {
        let whose = match mode {
            TierMode::Graduated => "its units",
            TierMode::Volume => "all units",
        };
        let unit = self.decimal(unit.unwrap_or_default());
        let flat = match flat.filter(|flat| !flat.is_zero()) {
            Some(flat) => format!(" + {} flat", self.decimal(flat)),
            None => String::new(),
        };
        format!("tier {number}, {whose}: {units} × {unit}{flat}")
    }

    fn uncounted(&self, rule: Rule) -> String {
        let because = match rule {
            Rule::Status => return format!("status {}: 0", self.subscription.status.as_str()),
            Rule::PastDue => "past due".to_owned(),
            Rule::ScheduledEnd => match self.subscription.scheduled_end() {
                Some(end) => format!("ends {end}"),
                None => "ends with its period".to_owned(),
            },
            Rule::PausedCollection => "collection paused".to_owned(),
        };
        format!("{because}, and {} is off: 0", setting(rule))
    }

    fn discount(
        &self,
        level: Level,
        id: Option<&StripeId>,
        coupon: Option<&Coupon>,
        effect: &Effect,
    ) -> String {
        let whose = match level {
            Level::Item => "the item's ",
            Level::Subscription => "",
            Level::Customer => "the customer's ",
        };
        let what = match coupon {
            Some(coupon) => self.coupon(coupon),
            None => format!("discount {}", id.map_or("?", StripeId::as_str)),
        };
        let effect = match effect {
            Effect::Percent(off) => format!("−{}", exact(off, self.currency)),
            Effect::Amount { off, factor } => {
                format!("× {factor}: −{}", exact(off, self.currency))
            }
            Effect::Nothing(reason) => format!("not counted, {}", nothing(*reason)),
        };
        format!("{whose}{what}: {effect}")
    }

    fn coupon(&self, coupon: &Coupon) -> String {
        let off = match (coupon.percent_off, coupon.amount_off) {
            (Some(percent), _) => format!("{percent}% off, "),
            (None, Some(amount)) => {
                let currency = coupon.currency.as_ref().or(self.currency);
                format!("{} off, ", exact(&whole(amount), currency))
            }
            (None, None) => String::new(),
        };
        let holds = coupon.duration.as_str();
        format!("coupon {} ({off}{holds})", coupon.id)
    }
}

/// Something about the subscription.
pub fn note(note: Note) -> String {
    match note {
        Note::Counts(rule) => {
            let what = match rule {
                Rule::Status => "the status lets it count",
                Rule::PastDue => "it is past due",
                Rule::ScheduledEnd => "its end is scheduled",
                Rule::PausedCollection => "its collection is paused",
            };
            format!("{what}; it counts, since {} is on", setting(rule))
        }
        Note::ItemsCut => "Stripe cut the list: there are more items".to_owned(),
        Note::Incomplete => {
            "incomplete: it depends on discounts, tiers, currencies or items that the input does not hold"
                .to_owned()
        }
    }
}

fn quantity(given: Option<u64>, transform: Option<Transform>, units: u64) -> String {
    let given = match given {
        Some(given) => format!("quantity {given}"),
        None => "quantity not given, so 1".to_owned(),
    };
    match transform {
        Some(packages) => {
            let way = if packages.round_up { "up" } else { "down" };
            let size = packages.divide_by;
            format!("{given} ÷ packages of {size}, rounded {way}: {units}")
        }
        None => given,
    }
}

fn every(recurring: &Recurring) -> String {
    let unit = match &recurring.interval {
        Interval::Day | Interval::Week | Interval::Month | Interval::Year => {
            recurring.interval.as_str().to_owned()
        }
        Interval::Other(word) => format!("{word} (not known)"),
    };
    match recurring.count {
        0 | 1 => format!("every {unit}"),
        count => format!("every {count} {unit}s"),
    }
}

fn nothing(reason: Reason) -> String {
    match reason {
        Reason::UnknownDiscount => "only its id is told".to_owned(),
        Reason::UnknownCoupon => "its coupon is not told".to_owned(),
        Reason::Ended(end) => format!("it ended {end}"),
        Reason::Deleted => "it was taken away".to_owned(),
        Reason::Temporary => "count_temporary_discounts is off".to_owned(),
        Reason::OtherProduct => "it is for other products".to_owned(),
        Reason::OtherCurrency => "it is in another currency".to_owned(),
        Reason::AmountNotTold => "its amount in this currency is not told".to_owned(),
        Reason::Empty => "it says no percentage and no amount".to_owned(),
        Reason::OwnDiscounts => "the subscription has discounts of its own".to_owned(),
    }
}

fn setting(rule: Rule) -> &'static str {
    match rule {
        Rule::Status => "no setting",
        Rule::PastDue => "past_due_counts",
        Rule::ScheduledEnd => "count_scheduled_cancellations",
        Rule::PausedCollection => "count_paused_collection",
    }
}

fn tax(percent: &Exact) -> String {
    let by = (percent + whole(100)) / whole(100);
    let (percent, by) = (decimal(percent), decimal(&by));
    format!("inclusive tax of {percent}% taken out: ÷ {by}")
}

//! The figures of a day, after midnight: a line and a message each, once.

use paygraph_bus::batch::Refusal;
use paygraph_domain::analytics::{Day, Figure, Revenue};
use paygraph_domain::id::TenantId;
use paygraph_domain::money::Currency;
use paygraph_engine::Deadline;
use paygraph_engine::analytics::{Reckoned, note_told, reckon};
use paygraph_engine::ports::{Clock, CommitError};

use crate::handler::{Table, Target, again};
use crate::line::brief;
use crate::log::Log;
use crate::message::About;
use crate::nats::Publish;
use crate::told::Told;

/// What became of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Daily {
    /// It is told, now or before.
    Told,
    /// The next go takes it on.
    Unfinished,
}

impl<S: Table, C: Clock, N: Publish, L: Log> Target<S, C, N, L> {
    /// Tells a tenant's figures of a day, if they are not told yet.
    ///
    /// # Errors
    /// [`Refusal`] when something failed, or somebody else is at it; the next go takes it on.
    pub async fn daily(
        &self,
        tenant: &TenantId,
        day: Day,
        deadline: Deadline,
    ) -> Result<Daily, Refusal> {
        let now = self.clock.now();
        let reckoned = reckon(&self.store, tenant, day, now, deadline).await;
        let (census, figures) = match reckoned.map_err(again)? {
            Reckoned::Told => return Ok(Daily::Told),
            Reckoned::Unfinished => return Ok(Daily::Unfinished),
            Reckoned::Figures(census, figures) => (census, figures),
        };
        for figure in &figures {
            let (_, currency) = figure.name();
            let id = match currency {
                Some(currency) => format!("{day}:{currency}"),
                None => day.to_string(),
            };
            let about = About {
                id: &id,
                tenant,
                customer_id: None,
                stripe_customer_id: None,
                occurred_at: day.end().plus(-1),
                cause: "daily",
            };
            self.tell(&about, &told(tenant, figure)).await?;
        }
        match note_told(&self.store, tenant, *census, now).await {
            // Somebody else told the same, each figure once between us.
            Ok(()) | Err(CommitError::Conflict) => Ok(Daily::Told),
            Err(error @ (CommitError::Duplicate | CommitError::Store(_))) => Err(again(error)),
        }
    }
}

/// A figure as its line and message.
#[must_use]
pub fn told(tenant: &TenantId, figure: &Figure) -> Told {
    let (action, _) = figure.name();
    let (codes, entity, [what, scale], message) = match figure {
        Figure::Revenue(currency, Revenue { amount, payments }) => {
            let message = format!(
                "Daily revenue: {} ({payments} invoices)",
                sum(currency, *amount)
            );
            ("📊💰🎢📌", "billing", ["revenue", "macro"], message)
        }
        Figure::Mrr {
            currency,
            amount,
            delta,
        } => {
            let plus = if *delta < 0 { "" } else { "+" };
            let (mrr, delta) = (sum(currency, *amount), sum(currency, *delta));
            let message = format!("MRR: {mrr} ({plus}{delta} this month)");
            ("📊💰🌌⭐", "billing", ["mrr", "universal"], message)
        }
        Figure::Churn {
            rate,
            cancellations,
        } => {
            let message = format!(
                "Churn rate: {} ({cancellations} cancellations)",
                percent(*rate)
            );
            ("📊⚠️🎢📌", "billing", ["churn", "macro"], message)
        }
        Figure::Ltv {
            currency,
            average,
            change,
        } => {
            let change = change.map_or_else(
                || "n/a".to_owned(),
                |change| {
                    let plus = if change < 0 { "" } else { "+" };
                    format!("{plus}{}", percent(change))
                },
            );
            let message = format!("Avg LTV: {} ({change} MoM)", sum(currency, *average));
            ("📊💎🎢⭐", "analytics", ["ltv", "macro"], message)
        }
        Figure::Trials {
            rate,
            converted,
            ended,
        } => {
            let rate = percent(*rate);
            let message = format!("Trial conversion: {rate} ({converted} of {ended})");
            (
                "📊🎟️👉📌",
                "analytics",
                ["trial_conversion", "micro"],
                message,
            )
        }
    };
    Told::line(codes.to_owned(), action, entity, message).on(&[
        "analytics",
        what,
        scale,
        entity,
        tenant.as_str(),
    ])
}

/// An amount with its sign; its currency is named where it is not the one of the sign.
fn sum(currency: &Currency, minor: i64) -> String {
    let amount = brief(currency, minor);
    let signed = match amount.strip_prefix('-') {
        Some(amount) => format!("-${amount}"),
        None => format!("${amount}"),
    };
    match currency.as_str() {
        "usd" => signed,
        code => format!("{signed} {code}"),
    }
}

/// Tenths of a percent as a percentage: `3.5%`, `4%`.
fn percent(tenths: i64) -> String {
    let sign = if tenths < 0 { "-" } else { "" };
    let (whole, rest) = (tenths.unsigned_abs() / 10, tenths.unsigned_abs() % 10);
    match rest {
        0 => format!("{sign}{whole}%"),
        rest => format!("{sign}{whole}.{rest}%"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_and_amounts_are_short() {
        let written: Vec<_> = [0, 35, -35, 40, 1_000, -5].map(percent).into();
        assert_eq!(written, ["0%", "3.5%", "-3.5%", "4%", "100%", "-0.5%"]);
        let sum = |code: &str, minor| sum(&Currency::parse(code).unwrap(), minor);
        assert_eq!(sum("usd", -5_850), "-$58.50");
        assert_eq!(sum("jpy", 1_200), "$1200 jpy");
    }
}

//! How a customer pays: over its newest invoices.

use serde::Serialize;

use crate::objects::invoice::{AttemptOutcome, InvoiceState, Status};
use crate::time::Timestamp;

const DAY: i64 = 86_400;
/// How far back failures are counted.
const FAILURE_DAYS: i64 = 90;

/// How a customer pays.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PaymentPattern {
    /// Of how many invoices, the newest ones.
    pub invoices: usize,
    /// Share of the paid invoices that were paid at the first attempt, rounded; null when none was.
    pub paid_at_first_attempt_percent: Option<i64>,
    /// Mean days from the due date (else the making) of an invoice to its payment, rounded; null
    /// when none was paid.
    pub mean_days_late: Option<i64>,
    /// Attempts that failed within ninety days.
    pub failures_90d: usize,
    /// Invoices in a row, from the newest finished one, that went as it did: above 0 paid at the
    /// first attempt, below 0 failed at it.
    pub streak: i64,
}

/// Reads the pattern from invoices, newest first, at an instant.
#[must_use]
pub fn payment_pattern<'a>(
    invoices: impl IntoIterator<Item = &'a InvoiceState>,
    now: Timestamp,
) -> PaymentPattern {
    let (mut count, mut paid, mut at_first, mut late_days) = (0, 0_u32, 0_u32, 0_i64);
    let (mut failures_90d, mut streak, mut broken) = (0, 0_i64, false);
    for state in invoices {
        let invoice = state.invoice.get();
        count += 1;
        let failed = state.attempts.values();
        let failed = failed.filter(|attempt| attempt.outcome == AttemptOutcome::Failed);
        let recent = now.plus(-FAILURE_DAYS * DAY);
        failures_90d += failed
            .clone()
            .filter(|attempt| attempt.at >= recent)
            .count();
        let smooth = failed.count() == 0 && invoice.attempt_count <= 1;
        if invoice.is_paid() {
            paid += 1;
            at_first += u32::from(smooth);
            let due = invoice.due_date.unwrap_or(invoice.created);
            let at = invoice.paid_at.get().unwrap_or(due);
            late_days += (at.unix() - due.unix()).max(0) / DAY;
        }
        let finished = invoice.is_paid()
            || (!smooth && matches!(invoice.status, Status::Open | Status::Uncollectible));
        if finished && !broken {
            let step = if smooth { 1 } else { -1 };
            broken = streak.signum() * step < 0;
            streak += if broken { 0 } else { step };
        }
    }
    let each = |part: i64| {
        let paid = i64::from(paid);
        (paid > 0).then(|| (2 * part + paid).div_euclid(2 * paid))
    };
    PaymentPattern {
        invoices: count,
        paid_at_first_attempt_percent: each(i64::from(at_first) * 100),
        mean_days_late: each(late_days),
        failures_90d,
        streak,
    }
}

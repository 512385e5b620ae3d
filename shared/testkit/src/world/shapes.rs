//! The kinds of history that real accounts have, each of which a world can have or not.

/// A kind of history that real accounts have.
///
/// A world has only the shapes that it is given: see [`super::World::with`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shape {
    /// An invoice has one PaymentIntent, which every retry charges again. Some are canceled without
    /// any charge. (PyPI `stripe` 16.1, `InvoicePayment.is_default`.)
    Retries,
    /// SEPA, BECS and ACH debits: their charge is pending for days and may fail afterwards.
    /// (<https://docs.stripe.com/payments/bank-debits>)
    BankDebits,
    /// `pause_collection` writes invoices off, voids them or keeps them as drafts; a written-off
    /// invoice may be paid later. (<https://docs.stripe.com/billing/subscriptions/pause-payment>)
    WriteOffs,
    /// `collection_method: send_invoice`, with a due date that may pass.
    /// (<https://docs.stripe.com/billing/collection-method>)
    SentInvoices,
    /// Payments that belong to neither an invoice nor a session, and attempts at such.
    DirectCharges,
    /// Funds that are held first, and captured whole, in part or not at all. Stripe counts the rest
    /// of a hold as refunded, with a refund of its own.
    /// (<https://docs.stripe.com/payments/place-a-hold-on-a-payment-method>)
    ManualCapture,
    /// Invoices that were paid outside of Stripe: `paid_out_of_band` before 2025-03-31, and an
    /// invoice payment of type `payment_record` since.
    OutOfBand,
    /// Several payments of one invoice. (<https://docs.stripe.com/invoicing/partial-payments>)
    PartialPayments,
    /// A credit balance that pays an invoice whole or in part: `Invoice.starting_balance`.
    /// (<https://docs.stripe.com/billing/customer/balance>)
    CreditBalance,
    /// Prices and coupons with amounts in several currencies, which Stripe tells only if
    /// `currency_options` is expanded. (PyPI `stripe` 16.1, `Price.currency_options`.)
    CurrencyOptions,
    /// Cards from before PaymentMethods: `default_source` and `customer.source.*`.
    LegacyCards,
    /// Sessions without a customer, from payment links and others.
    GuestCheckouts,
    /// Items of one subscription with different intervals and periods.
    /// (<https://docs.stripe.com/billing/subscriptions/mixed-interval>)
    MixedIntervals,
    /// Ids of prices, products and coupons that people chose, with spaces, `#` and `/`.
    ChosenIds,
    /// Products that were deleted while their prices stay listed: `Product.deleted`.
    DeletedProducts,
    /// Cards that are about to run out.
    ExpiringCards,
    /// Customers of Accounts v2: objects name the account (`customer_account`) next to the
    /// customer. (<https://docs.stripe.com/changelog/clover/2025-12-15/accounts-v2-v1-api-support>)
    CustomerAccounts,
}

impl Shape {
    /// Whether it is a step of a life, and not only a way in which others go.
    pub(super) fn has_steps(self) -> bool {
        matches!(
            self,
            Self::DirectCharges
                | Self::ManualCapture
                | Self::LegacyCards
                | Self::GuestCheckouts
                | Self::BankDebits
                | Self::SentInvoices
                | Self::WriteOffs
        )
    }

    /// Every shape.
    pub const ALL: [Self; 17] = [
        Self::Retries,
        Self::BankDebits,
        Self::WriteOffs,
        Self::SentInvoices,
        Self::DirectCharges,
        Self::ManualCapture,
        Self::OutOfBand,
        Self::PartialPayments,
        Self::CreditBalance,
        Self::CurrencyOptions,
        Self::LegacyCards,
        Self::GuestCheckouts,
        Self::MixedIntervals,
        Self::ChosenIds,
        Self::DeletedProducts,
        Self::ExpiringCards,
        Self::CustomerAccounts,
    ];
}

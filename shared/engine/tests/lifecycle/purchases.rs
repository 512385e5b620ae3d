//! What is bought once and kept for good, and a customer that is deleted.

use paygraph_testkit::world::price;
use serde_json::{Value, json};

use super::story::{
    DAY, SHAPES, START, Shape, Story, charge, ended, invoice, item, set, subscription,
};

const FOUNDER: &str = "price_1ScfRCChUUSEbzyhhCiqFmUB";

/// The paid invoice of a one-off purchase, with its payment where the shape has it.
fn bought(shape: Shape) -> Value {
    let mut invoice = invoice("in_1", "sub_none", 49_900, START);
    set(
        &mut invoice,
        json!({
            "status": "paid", "amount_paid": 49_900, "attempt_count": 1, "next_payment_attempt": null,
            "status_transitions": { "paid_at": START }, "billing_reason": "manual",
            "parent": { "type": "quote_details", "subscription_details": null },
            "lines": { "object": "list", "has_more": false, "data": [{
                "id": "il_1", "object": "line_item", "amount": 49_900, "quantity": 1,
                "pricing": { "price_details": { "price": FOUNDER, "product": "prod_TZp5ecvCkxHcQh" } },
            }] },
        }),
    );
    match shape {
        Shape::New => {
            let payment = json!({ "type": "payment_intent", "payment_intent": "pi_ch_1" });
            invoice["payments"] = json!({ "object": "list", "has_more": false,
                "data": [{ "id": "inpay_1", "object": "invoice_payment", "payment": payment }] });
        }
        Shape::Old => {
            invoice["charge"] = json!("ch_1");
            invoice["lines"]["data"][0] = json!({
                "id": "il_1", "object": "line_item", "amount": 49_900, "quantity": 1,
                "price": { "id": FOUNDER, "product": "prod_TZp5ecvCkxHcQh", "type": "one_time" },
            });
        }
    }
    invoice
}

/// A lifetime purchase gives its tier and full access without any MRR, until it is given back whole.
#[test]
fn l11_a_lifetime_purchase_holds_until_it_is_fully_refunded() {
    for shape in SHAPES {
        let mut story = Story::of(shape);
        let mut paid = charge("ch_1", 49_900);
        story.send("charge.succeeded", &paid);
        assert_eq!(story.brief(), json!(["none", "free", {}, "none"]));
        assert_eq!(
            story.send("invoice.paid", &bought(shape)),
            [
                "payment_succeeded",
                "access_changed full",
                "segment_entered tier_founder",
                "segment_left tier_free"
            ]
        );
        assert_eq!(story.brief(), json!(["none", "founder", {}, "full"]));
        assert_eq!(story.billing()["plan"], FOUNDER);
        assert_eq!(story.billing()["lifetime_value"], json!({ "usd": 49_900 }));
        assert_eq!(story.billing()["renewal_date"], Value::Null);
        story.ends_the_same();

        story.pass(DAY);
        let fields = json!({ "amount_refunded": 20_000 });
        assert_eq!(
            story.update("charge.refunded", &mut paid, fields),
            ["refund_issued"]
        );
        assert_eq!(story.brief(), json!(["none", "founder", {}, "full"]));
        story.ends_the_same();

        story.pass(DAY);
        let fields = json!({ "amount_refunded": 49_900, "refunded": true });
        assert_eq!(
            story.update("charge.refunded", &mut paid, fields),
            [
                "refund_issued",
                "access_changed none",
                "segment_entered tier_free",
                "segment_left tier_founder"
            ]
        );
        assert_eq!(story.brief(), json!(["none", "free", {}, "none"]));
        assert_eq!(story.billing()["lifetime_value"], json!({}));
        story.ends_the_same();
    }
}

/// The same by a checkout that makes no invoice, where the line items came with it.
#[test]
fn l11_a_lifetime_purchase_by_checkout() {
    let mut story = Story::new();
    let mut session = json!({
        "id": "cs_1", "object": "checkout.session", "customer": "cus_1", "mode": "payment",
        "status": "complete", "payment_status": "unpaid", "currency": "usd", "amount_total": 49_900,
        "client_reference_id": null, "metadata": {}, "created": START, "invoice": null,
        "subscription": null, "payment_intent": "pi_ch_1",
        "line_items": { "object": "list", "has_more": false, "data": [
            { "id": "li_1", "price": { "id": FOUNDER, "product": "prod_TZp5ecvCkxHcQh" } } ] },
    });
    assert_eq!(
        story.send("checkout.session.completed", &session),
        ["checkout_completed", "segment_entered tier_free"]
    );
    assert_eq!(
        story.brief(),
        json!(["none", "free", {}, "none"]),
        "the money is on its way"
    );
    story.pass(DAY);
    set(&mut session, json!({ "payment_status": "paid" }));
    assert_eq!(
        story.send("checkout.session.async_payment_succeeded", &session),
        [
            "payment_succeeded",
            "access_changed full",
            "segment_entered tier_founder",
            "segment_left tier_free"
        ]
    );
    assert_eq!(story.brief(), json!(["none", "founder", {}, "full"]));
    story.pass(DAY);
    let mut paid = charge("ch_1", 49_900);
    set(
        &mut paid,
        json!({ "amount_refunded": 49_900, "refunded": true }),
    );
    story.send("charge.refunded", &paid);
    assert_eq!(story.brief(), json!(["none", "free", {}, "none"]));
    story.ends_the_same();
}

/// Who bought for good and ends a subscription keeps what was bought.
#[test]
fn l11_a_lifetime_purchase_outlives_a_subscription() {
    let mut story = Story::new();
    let mut held = subscription("sub_1", "active", vec![item("si_1", price(1), 1)]);
    story.send("customer.subscription.created", &held);
    story.pass(DAY);
    story.send("invoice.paid", &bought(Shape::New));
    assert_eq!(
        story.brief(),
        json!(["active", "founder", { "usd": 5_800 }, "full"])
    );
    story.pass(DAY);
    set(&mut held, ended(story.now(), "cancellation_requested"));
    story.send("customer.subscription.deleted", &held);
    assert_eq!(story.brief(), json!(["canceled", "founder", {}, "full"]));
    story.ends_the_same();
}

/// A customer that is deleted at Stripe: its subscription ends with it, and both are told once.
#[test]
fn d14_a_deleted_customer_stays_deleted() {
    let mut story = Story::new();
    let mut customer = json!({
        "id": "cus_1", "object": "customer", "created": START, "email": "ada@example.com",
        "name": "Ada", "metadata": {}, "invoice_settings": { "default_payment_method": "pm_1" },
    });
    let method = json!({
        "id": "pm_1", "object": "payment_method", "type": "card", "customer": "cus_1",
        "card": { "brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2030 },
    });
    let mut held = subscription("sub_1", "active", vec![item("si_1", price(1), 1)]);
    story.send("customer.created", &customer);
    assert_eq!(
        story.send("payment_method.attached", &method),
        ["payment_method_updated"]
    );
    story.send("customer.subscription.created", &held);
    assert_eq!(story.billing()["payment_method"]["last4"], "4242");
    story.pass(DAY);
    set(&mut held, ended(story.now(), "cancellation_requested"));
    story.send("customer.subscription.deleted", &held);
    assert_eq!(
        story.send("customer.deleted", &customer),
        ["customer_deleted"]
    );
    let shown = story.customer();
    assert_eq!(
        [&shown["deleted"], &shown["email"]],
        [&json!(true), &json!("ada@example.com")]
    );
    assert_eq!(story.brief(), json!(["canceled", "free", {}, "none"]));
    story.ends_the_same();
    // A change from before the end that comes late brings nothing back.
    story.pass(-60);
    let late = story.update("customer.updated", &mut customer, json!({ "name": "Eve" }));
    assert_eq!(late, [""; 0]);
    story.pass(60);
    assert_eq!(story.customer()["deleted"], true);
    assert_eq!(story.customer()["name"], "Ada");
    story.ends_the_same();
}

/// The bare answer for a deleted object (`{"id", "deleted": true}`) wipes nothing that was known.
#[test]
fn d14_the_tombstone_of_a_customer_needs_no_fields() {
    let mut story = Story::new();
    let held = subscription("sub_1", "active", vec![item("si_1", price(1), 1)]);
    story.send("customer.subscription.created", &held);
    story.pass(DAY);
    let bare = json!({ "id": "cus_1", "object": "customer", "deleted": true });
    assert_eq!(story.send("customer.deleted", &bare), ["customer_deleted"]);
    assert_eq!(story.customer()["deleted"], true);
    story.ends_the_same();
}

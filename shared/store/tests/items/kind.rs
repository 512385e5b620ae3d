//! What kind of item an item is.

use paygraph_testkit::table::{WireItem, text};

/// The kind of an item: its golden file's name.
pub fn of(item: &WireItem) -> &'static str {
    let (pk, sk) = (text(item, "pk"), text(item, "sk"));
    let of_tenant = pk.strip_prefix("T#").and_then(|pk| pk.split_once('#'));
    let place = of_tenant.map_or("", |(_, place)| place);
    let (first, _) = place.split_once('#').unwrap_or((place, ""));
    let (sort, _) = sk.split_once('#').unwrap_or((sk, ""));
    match (first, sort) {
        ("C", "CONTACT") => "contact",
        ("C", "SEGMENT") => "segment_membership",
        ("C", "ENROL") => "enrolment",
        ("C", "OUTBOUND") => "outbound_emails",
        ("C", "CRM") => "crm_state",
        ("C" | "ALERTS", "ALERT") => "alert",
        ("C" | "ALERTS", "ALERTS") => "unresolved_alerts",
        ("C" | "S", "AUDIT") => "audit",
        ("S", "STATE") => of_working_set(sk),
        ("S", "INVOICE") => "invoice",
        ("S", "CHARGE") => "charge",
        ("S", "CHECKOUT") => "checkout_session",
        ("L", _) if sk == "LINK" => "link",
        ("L", "PARKED") => "parked_mark",
        ("L", "LINK") => "name",
        ("CATALOG", _) => "catalog",
        ("AWAITS", _) => "await",
        ("E", "EVENT") => "ledger",
        ("PARKED", _) => "parked",
        ("REVIEW", _) => "review",
        ("RUNS", "LEASE") => "run_lease",
        ("RUNS", _) => "run",
        ("RUN", "RUN") => "contact_run",
        ("RUN", "LOOK") => "run_look",
        ("RUN", "DRIFT") => "run_drift",
        ("RUN", "FAILED") => "run_failure",
        ("RUN", "RETURNED") => "run_returned",
        ("ONCE", "SPENT") => "spent_nonce",
        ("X", "EFFECT") => "effect",
        ("N", "ADDRESS") => "email_address",
        ("U", "USER") => "user",
        ("SUBSCRIPTIONS", _) => "alert_subscription",
        ("BURST", "BURST") => "alert_burst",
        ("BURST", "ALERT") => "alert_burst_member",
        ("CHANNEL", "SECONDS") => "channel_seconds",
        ("FACTS", _) => "analytics_fact",
        ("DAYS", _) => "analytics_census",
        ("HEALTH", "WATCH") => "watch",
        ("HEALTH", "INGEST") => "heartbeat",
        ("TOKEN", "TOKEN") => "token",
        ("", "SETTINGS") => "settings",
        ("", "CONNECTION") => "connection",
        ("", _) if pk == "ACCOUNTS" => "stripe_account",
        _ => panic!("an item of no known kind: {pk} / {sk}"),
    }
}

fn of_working_set(sk: &str) -> &'static str {
    match sk.split('#').nth(1) {
        Some("CUSTOMER") => "customer",
        Some("SUB") => "subscription",
        Some("PM") => "payment_method",
        Some("DP") => "dispute",
        Some("DI") => "discount",
        Some("SS") => "subscription_schedule",
        _ => panic!("an object of no known kind: {sk}"),
    }
}

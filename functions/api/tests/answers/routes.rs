//! What is asked of each route that needs no Stripe.

use serde_json::json;

use crate::gateway::{Asked, asked, get};

/// A route with its requests, which are made one after the other.
pub struct Route {
    /// The golden file's name.
    pub name: &'static str,
    /// Method and path as the router has them.
    pub route: &'static str,
    pub needs_token: bool,
    pub cases: fn() -> Vec<Asked>,
}

const fn route(name: &'static str, route: &'static str, cases: fn() -> Vec<Asked>) -> Route {
    Route {
        name,
        route,
        needs_token: true,
        cases,
    }
}

pub const ROUTES: &[Route] = &[
    route("stripe_customer", "GET /api/stripe/customer/*", || {
        of_customer("customer")
    }),
    route(
        "stripe_subscriptions",
        "GET /api/stripe/subscriptions/*",
        || of_customer("subscriptions"),
    ),
    route("stripe_invoices", "GET /api/stripe/invoices/*", || {
        let mut cases = of_customer("invoices");
        cases.push(get("/api/stripe/invoices/cus_example?limit=2"));
        cases.push(get("/api/stripe/invoices/cus_example?limit=0"));
        cases.push(get("/api/stripe/invoices/cus_example?cursor=nonsense"));
        cases
    }),
    route("stripe_mrr", "GET /api/stripe/mrr/*", || of_customer("mrr")),
    route("stripe_audit", "GET /api/stripe/audit/*", || {
        let mut cases = of_customer("audit");
        cases.push(get("/api/stripe/audit/cus_example?limit=1"));
        cases
    }),
    route("stripe_signals", "GET /api/stripe/signals/*", || {
        of_customer("signals")
    }),
    route("stripe_health", "GET /api/stripe/health", || {
        vec![get("/api/stripe/health")]
    }),
    route("stripe_unmatched", "GET /api/stripe/unmatched", || {
        vec![
            get("/api/stripe/unmatched"),
            get("/api/stripe/unmatched?limit=1"),
        ]
    }),
    route(
        "stripe_reconciliations",
        "GET /api/stripe/reconciliations",
        || {
            let path = "/api/stripe/reconciliations";
            vec![get(path), get(&format!("{path}?limit=1"))]
        },
    ),
    route(
        "stripe_reconciliation",
        "GET /api/stripe/reconciliations/*",
        || {
            let path = "/api/stripe/reconciliations";
            vec![
                get(&format!("{path}/reconcile-1")),
                get(&format!("{path}/none")),
            ]
        },
    ),
    route("customers", "GET /api/customers", || {
        vec![
            get("/api/customers"),
            get("/api/customers?sort=lifetime_value&limit=1"),
            get("/api/customers?trait.acquisition_channel=webinar"),
            get("/api/customers?sort=name"),
        ]
    }),
    route("put_customer", "PUT /api/customers/*", || {
        let profile = json!({
            "name": "Grace", "email": "grace@globex.example", "company": "Globex",
            "domain": "globex.example", "users": ["u_9"], "workspaces": ["ws_9"],
            "traits": { "channel": "ads", "seats": 4, "beta": true },
        });
        vec![
            asked("PUT", "/api/customers/globex").with(&profile),
            asked("PUT", "/api/customers/globex").with(&json!({ "traits": { "beta": null } })),
            asked("PUT", "/api/customers/globex").with(&json!({ "email": "nobody" })),
            asked("PUT", "/api/customers/globex").with(&json!({ "plan": "pro" })),
        ]
    }),
    route("merge_customers", "POST /api/customers/*/merge", || {
        let path = "/api/customers/initech-us/merge";
        vec![
            asked("POST", path).with(&json!({ "into": "initech-eu" })),
            asked("POST", path).with(&json!({ "into": "initech-eu" })),
        ]
    }),
    route("link", "POST /api/stripe/links", || {
        let link = json!({ "stripe_customer_id": "cus_review", "customer_id": "initech-eu" });
        vec![
            asked("POST", "/api/stripe/links").with(&link),
            asked("POST", "/api/stripe/links").with(&json!({})),
        ]
    }),
    route("unlink", "DELETE /api/stripe/links/*", || {
        vec![
            asked("DELETE", "/api/stripe/links/cus_review"),
            asked("DELETE", "/api/stripe/links/cus_none"),
        ]
    }),
    route("segments", "GET /api/segments", || {
        vec![get("/api/segments")]
    }),
    route("segment_members", "GET /api/segments/*/members", || {
        vec![
            get("/api/segments/failed_payment/members"),
            get("/api/segments/usage_limit_near/members?limit=1"),
            get("/api/segments/none/members"),
        ]
    }),
    route("users", "GET /api/users/*", || {
        vec![get("/api/users/u_1"), get("/api/users/nobody")]
    }),
    route("workspaces", "GET /api/workspaces/*", || {
        vec![get("/api/workspaces/ws_1"), get("/api/workspaces/none")]
    }),
    route("alerts", "GET /api/alerts", || {
        vec![
            get("/api/alerts"),
            get("/api/alerts?limit=1"),
            get("/api/alerts?status=acknowledged"),
            get("/api/alerts?customer=cus_example"),
            get("/api/alerts?status=closed"),
        ]
    }),
    route(
        "acknowledge_alert",
        "POST /api/alerts/*/acknowledge",
        || {
            let path = "/api/alerts/card_expiring:1790001000:pm_example:acme/acknowledge";
            vec![
                asked("POST", path).with(&json!({ "by": "ana" })),
                asked("POST", path).with(&json!({ "by": "ben" })),
                asked("POST", "/api/alerts/none/acknowledge"),
            ]
        },
    ),
    route(
        "alert_subscriptions",
        "GET /api/alerts/subscriptions",
        || vec![get("/api/alerts/subscriptions")],
    ),
    route("subscribe", "POST /api/alerts/subscriptions", || {
        let wish = json!({ "subscriber": "@ana", "kinds": ["dispute"], "channel": "slack" });
        vec![
            asked("POST", "/api/alerts/subscriptions").with(&wish),
            asked("POST", "/api/alerts/subscriptions").with(&json!({ "channel": "fax" })),
        ]
    }),
    route(
        "unsubscribe_alerts",
        "DELETE /api/alerts/subscriptions/*",
        || {
            vec![
                asked("POST", "/api/alerts/subscriptions")
                    .with(&json!({ "subscriber": "@ana", "channel": "sns" })),
                asked("DELETE", "/api/alerts/subscriptions/as_8a7dab744e76a083"),
                asked("DELETE", "/api/alerts/subscriptions/none"),
            ]
        },
    ),
    route("nothing", "GET /api/nothing", || {
        vec![
            get("/api/nothing"),
            get("/api/stripe/nothing/cus_example"),
            asked("PUT", "/api/nothing"),
        ]
    }),
    Route {
        name: "unsubscribe_emails",
        route: "* /api/unsubscribe/*/*/*",
        needs_token: false,
        cases: || {
            let path = "/api/unsubscribe/acme/5a6b/beef";
            let all = ["GET", "POST"].map(|method| asked(method, path));
            let mut cases: Vec<_> = all.into();
            cases.push(asked("POST", "/api/unsubscribe/acme/3e4f/beef"));
            cases.push(asked("DELETE", path));
            cases
                .iter()
                .map(|asked| Asked {
                    token: None,
                    ..asked.clone()
                })
                .collect()
        },
    },
];

fn of_customer(what: &str) -> Vec<Asked> {
    ["cus_example", "initech-eu", "nobody"]
        .map(|id| get(&format!("/api/stripe/{what}/{id}")))
        .into()
}

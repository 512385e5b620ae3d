//! Tokens and tenants.

use paygraph_domain::id::TenantId;
use paygraph_store::token::Right;
use paygraph_testkit::signer::sign;
use paygraph_tests::{customer_created, now, paygraph, stack, unique, wait};
use serde_json::{Value, json};

/// 401 without a valid token, 404 for what is not there, 422 for what cannot be understood.
#[test]
fn the_api_says_no_as_the_contract_has_it() {
    let token = stack().local("api_token");
    let path = format!("/api/stripe/customer/{}", unique("cus_"));
    for wrong in [None, Some(""), Some("pgt_default_00"), Some("nonsense")] {
        let (status, answer) = stack().ask(&path, wrong);
        assert_eq!(
            (status, &answer["error"]["code"]),
            (401, &json!("unauthorized"))
        );
    }
    let other = format!("{}0", &token[..token.len() - 1]);
    if other != token {
        assert_eq!(stack().ask(&path, Some(&other)).0, 401);
    }
    let (status, answer) = stack().ask(&path, Some(&token));
    assert_eq!(
        (status, &answer["error"]["code"]),
        (404, &json!("not_found"))
    );
    assert_eq!(stack().ask("/api/stripe/nothing/x", Some(&token)).0, 404);
    for query in ["limit=0", "limit=x", "limit=101", "cursor=%21"] {
        let id = unique("cus_");
        let (status, _) = stack().ask(&format!("/api/stripe/invoices/{id}?{query}"), Some(&token));
        assert_eq!(status, 422, "{query}");
    }
}

/// A put makes a contact, merges into it, and is audited; a read-only token may not.
#[test]
fn a_put_merges_and_a_read_only_token_may_not() {
    let token = stack().local("api_token");
    let id = unique("acme-");
    let (status, record) = stack().put(&id, r#"{"name":"Acme","email":"a@acme.example"}"#, &token);
    assert_eq!((status, &record["name"]), (200, &json!("Acme")));
    let (_, record) = stack().put(&id, r#"{"company":"Acme Ltd"}"#, &token);
    assert_eq!(
        (&record["name"], &record["company"]),
        (&json!("Acme"), &json!("Acme Ltd"))
    );
    let audit = stack().get(&format!("audit/{id}")).1;
    assert_eq!(audit["data"].as_array().unwrap().len(), 2);
    for bad in ["", "[]", r#"{"nmae":"typo"}"#, r#"{"email":"no at"}"#] {
        assert_eq!(stack().put(&id, bad, &token).0, 422, "{bad}");
    }
    let made = paygraph(&["token", "create", "--read-only", "--json"]);
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    let read_only = made["token"].as_str().unwrap();
    assert_eq!(
        stack()
            .ask(&format!("/api/stripe/customer/{id}"), Some(read_only))
            .0,
        200
    );
    assert_eq!(stack().put(&id, "{}", read_only).0, 403);
}

/// I9: a tenant signs for itself alone, and sees itself alone.
#[test]
fn i9_tenants_cannot_sign_for_nor_see_each_other() {
    let acme = TenantId::parse(unique("t")).unwrap();
    let secret = unique("whsec_");
    let document = json!({ "secrets": [secret], "account": "acct_acme" });
    stack().keep_secret(&format!("webhook/tenant/{acme}"), &document);
    let url = stack().local("webhook_url");
    let own = format!("{url}/{acme}");
    let (id, customer) = (unique("evt_"), unique("cus_"));
    let body = customer_created(&id, &customer).to_string();
    let header = sign(body.as_bytes(), &secret, now());
    let (status, _) = stack().send(&own, body.as_bytes(), Some(&header));
    assert_eq!(status, 200);
    // Not on the platform's path, nor on another tenant's, nor for another account.
    for elsewhere in [
        url.clone(),
        format!("{url}/default"),
        format!("{url}/{}", unique("t")),
    ] {
        assert_eq!(
            stack().send(&elsewhere, body.as_bytes(), Some(&header)).0,
            400,
            "{elsewhere}"
        );
    }
    let mut foreign = customer_created(&unique("evt_"), &customer);
    foreign["account"] = json!("acct_other");
    let foreign = foreign.to_string();
    let header = sign(foreign.as_bytes(), &secret, now());
    assert_eq!(stack().send(&own, foreign.as_bytes(), Some(&header)).0, 400);

    let token = stack().token(&acme, &[Right::Read]);
    let path = format!("/api/stripe/customer/{customer}");
    wait("the tenant's own customer", || {
        (stack().ask(&path, Some(&token)).0 == 200).then_some(())
    });
    assert_eq!(stack().get(&format!("customer/{customer}")).0, 404);
}

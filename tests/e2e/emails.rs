//! A step of a sequence as an e-mail: once, with a link by which the reader gets no more.

use paygraph_domain::email::{Address, Suppressed};
use paygraph_engine::email::Emails as _;
use paygraph_tests::{Tenant, get_from, now, paygraph, root, stack, unique, wait};
use serde_json::{Value, json};

/// Lets SES send from an address, as its owner would.
fn verify(sender: &str) {
    let region = stack().local("region");
    let scope = format!("Credential=test/20260101/{region}/ses/aws4_request");
    let authorization = format!("AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0");
    let url = format!("{}/v2/email/identities", stack().local("aws_endpoint_url"));
    let request = ureq::post(&url).header("authorization", &authorization);
    request
        .send(json!({ "EmailIdentity": sender }).to_string())
        .unwrap();
}

/// The e-mails that went to an address.
fn sent_to(address: &str) -> Vec<Value> {
    let url = format!(
        "{}/_ministack/ses/messages",
        stack().local("aws_endpoint_url")
    );
    let (_, told) = get_from(&url, None);
    let all = told["messages"].as_object().into_iter().flatten();
    let all = all.flat_map(|(_, messages)| messages.as_array().cloned().unwrap_or_default());
    all.filter(|message| message["To"] == json!([address]))
        .collect()
}

/// The example's settings, with its sequences running and e-mails from a sender to one address.
fn set_up(tenant: &Tenant, sender: &str, reader: &str) {
    let mut settings: Value =
        serde_json::from_str(include_str!("../../infra/catalog/settings.json")).unwrap();
    settings["enabled_sequences"] = json!(["failed_payment_recovery"]);
    settings["email"] = json!({ "from": format!("Acme <{sender}>"), "allowed": [reader] });
    let file = root().join("target/paygraph").join(unique("settings-"));
    std::fs::write(&file, settings.to_string()).unwrap();
    let path = file.to_str().unwrap();
    let set = paygraph(&["settings", "set", path, "--tenant", tenant.id.as_str()]);
    std::fs::remove_file(&file).unwrap();
    assert!(
        set.status.success(),
        "{}",
        String::from_utf8_lossy(&set.stderr)
    );
}

#[test]
fn a_step_goes_out_by_email_once_until_the_reader_wants_no_more() {
    let (tenant, customer, t) = (Tenant::unique(), unique("cus_"), now() - 60);
    let name = unique("a").to_lowercase();
    let (sender, reader) = (
        format!("{name}@acme.example"),
        format!("{name}@reader.example"),
    );
    verify(&sender);
    verify(&reader);
    set_up(&tenant, &sender, &reader);
    tenant.subscribe(&customer, &reader, t);
    tenant.fail_payment(&customer, t + 10);
    let email = wait("the e-mail", || sent_to(&reader).pop());
    assert_eq!(email["Subject"], "Your payment did not go through");
    assert_eq!(email["Source"], format!("Acme <{sender}>"));
    let text = email["BodyText"].as_str().unwrap();
    let (_, link) = text.split_once("/api/unsubscribe/").unwrap();
    let link = format!("/api/unsubscribe/{}", link.trim());

    let address = Address::parse(&reader).unwrap().key();
    assert!(
        link.contains(&format!("{}/{address}/", tenant.id)),
        "{link}"
    );
    let url = |link: &str| format!("{}{link}", stack().local("api_url"));
    let press = |link: &str| {
        let request = ureq::post(url(link))
            .config()
            .http_status_as_error(false)
            .build();
        request
            .send("List-Unsubscribe=One-Click")
            .unwrap()
            .status()
            .as_u16()
    };
    let shown = ureq::get(url(&link))
        .call()
        .unwrap()
        .body_mut()
        .read_to_string();
    assert!(shown.unwrap().contains("<button"));
    let known = || {
        let known = stack().store.recipient(&tenant.id, &address, "-");
        stack().block_on(known).unwrap().suppressed
    };
    assert_eq!(known(), None, "looking at the link changes nothing");
    let (rest, last) = link.split_at(link.len() - 1);
    let other = if last == "0" { "1" } else { "0" };
    assert_eq!(press(&format!("{rest}{other}")), 404);
    assert_eq!(known(), None);
    assert_eq!(press(&link), 200);
    assert_eq!(known(), Some(Suppressed::Unsubscribed));
    assert_eq!(sent_to(&reader).len(), 1);
}

//! A connection in words.

use paygraph_engine::connect::{ByHand, Check, Done, Permission, Webhooks};
use paygraph_engine::connection::{By, Connection, Status};

/// What was done.
pub fn done(done: &Done) {
    connection(&done.connection);
    match &done.webhooks {
        Webhooks::Created { endpoint } => println!("The webhook endpoint {endpoint} was made."),
        Webhooks::Adopted { endpoint } => println!("The webhook endpoint {endpoint} is used."),
        Webhooks::Platform => println!("Webhooks come by the platform's endpoint."),
        Webhooks::ByHand(how) => by_hand(how),
    }
}

/// What is there, and what is missing.
pub fn check(check: &Check) {
    match &check.connection {
        Some(known) => connection(known),
        None => println!("A key was put by hand; there is no connection beside it."),
    }
    let mode = match check.key_livemode {
        Some(true) => "live",
        Some(false) => "test",
        None => "unknown",
    };
    println!("The key's mode: {mode}.");
    permissions(&check.permissions);
    let endpoint = &check.endpoint;
    if endpoint.is_platforms {
        println!("Webhooks come by the platform's endpoint.");
    } else if let Some(url) = &endpoint.url {
        let id = endpoint.id.as_deref().unwrap_or("not seen");
        println!("Webhook endpoint to {url}: {id}");
        if endpoint.id.is_some() {
            line(endpoint.enabled == Some(true), "enabled", "");
            let version = endpoint.api_version.as_deref();
            line(
                version.is_some(),
                "API version",
                version.unwrap_or("the account's own"),
            );
            let missing = endpoint.missing_events.join(", ");
            line(missing.is_empty(), "event types", &missing);
        }
    }
    line(endpoint.secret_held, "signing secret", "");
    if let Some(how) = &check.by_hand {
        by_hand(how);
    }
    for trouble in &check.troubles {
        println!("Missing: {}", trouble.message);
    }
    if check.troubles.is_empty() {
        println!("Nothing is missing.");
    }
}

/// What a key may do, and not.
pub fn permissions(permissions: &[Permission]) {
    for of in permissions {
        let what = format!("{} {}", of.right, of.object);
        let missing = of.missing.clone().unwrap_or_default();
        let optional = if of.needed { "" } else { " (optional)" };
        line(of.missing.is_none(), &what, &format!("{missing}{optional}"));
    }
}

fn connection(connection: &Connection) {
    let name = connection.name.as_deref().unwrap_or("without a name");
    let mode = if connection.livemode { "live" } else { "test" };
    let by = match connection.by {
        By::Oauth => "OAuth",
        By::RestrictedKey => "a restricted key",
    };
    let status = match &connection.status {
        Status::Connected => "Connected".to_owned(),
        Status::Paused { reason } => format!("Paused ({reason})"),
        Status::Disconnected => "Disconnected".to_owned(),
    };
    let (account, since) = (&connection.account, connection.since);
    println!("{status}: {name} ({account}, {mode}) by {by}, since {since}.");
}

fn by_hand(how: &ByHand) {
    if how.secret_held {
        println!("The webhook endpoint is made by hand, and its signing secret is held.");
        return;
    }
    println!("Make the webhook endpoint by hand, in Stripe's dashboard:");
    println!("  URL          {}", how.url);
    println!("  API version  {}", how.api_version);
    println!("  events       {}", how.events.join(", "));
    println!("Then connect again, with its signing secret (whsec_…) in the input's second line.");
}

fn line(good: bool, what: &str, more: &str) {
    let sign = if good { '✔' } else { '✘' };
    println!("  {sign} {what:<28} {more}");
}

//! Every route of the API's source has a golden file.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::connect;
use crate::routes::ROUTES;

/// The routes that a source names, as `GET /api/stripe/customer/*`: a method with a list of the path's
/// parts, where a name stands for anything.
fn routes(source: &str, start: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let source = source.split("#[cfg(test)]").next().unwrap_or_default();
    for arm in source.split("(&Method::").skip(1) {
        let Some((method, rest)) = arm.split_once(", [") else {
            continue;
        };
        let is_method = method.chars().all(|c| c.is_ascii_uppercase());
        let Some((path, _)) = rest.split_once("])").filter(|_| is_method) else {
            continue;
        };
        let parts = path.split(", ").map(|part| {
            let part = part.trim();
            let literal = part
                .strip_prefix('"')
                .and_then(|part| part.strip_suffix('"'));
            literal.unwrap_or("*")
        });
        let path = parts.collect::<Vec<_>>().join("/");
        found.insert(format!("{method} /{start}{path}"));
    }
    found
}

fn source(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file);
    fs::read_to_string(path).unwrap()
}

/// The words of `GET /api/stripe/{word}/{id}`.
fn words(source: &str) -> BTreeSet<String> {
    let (_, arms) = source.split_once("match what {").unwrap();
    let (arms, _) = arms.split_once("_ =>").unwrap();
    let words = arms.split('"').skip(1).step_by(2);
    words
        .map(|word| format!("GET /api/stripe/{word}/*"))
        .collect()
}

#[test]
fn every_route_of_the_source_has_a_golden_file() {
    let router = source("router.rs");
    let mut routed = routes(&router, "");
    routed.extend(routes(&source("alerts.rs"), "api/alerts/"));
    routed.extend(words(&router));
    // Told apart by their words; what goes on below is the next file's.
    assert!(routed.remove("GET /api/stripe/*/*"));
    assert!(routed.remove("GET /api/alerts/*"));
    routed.insert("GET /api/alerts".to_owned());
    routed.insert("GET /api/alerts/subscriptions".to_owned());
    // Without a token, in a function of their own.
    for public in [
        "api\", \"integrations\", \"stripe\", \"callback\"",
        "api\", \"unsubscribe\"",
    ] {
        assert!(router.contains(public), "{public}");
    }
    routed.insert("* /api/integrations/stripe/callback".to_owned());
    routed.insert("* /api/unsubscribe/*/*/*".to_owned());
    let known = ROUTES
        .iter()
        .map(|route| route.route)
        .chain(connect::ROUTES.map(|(_, route)| route));
    let mut known: BTreeSet<_> = known.map(str::to_owned).collect();
    assert!(known.remove("GET /api/nothing"));
    assert_eq!(routed, known);
}

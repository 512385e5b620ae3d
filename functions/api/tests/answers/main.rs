//! Golden files of every answer of the API: by route, with its status, headers and body, over the
//! table of the store's golden items. Beside them what the API puts on the bus, into the jobs queue
//! and into the secrets.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed test says where"
)]

mod aws;
#[path = "../../../../shared/store/tests/items/client.rs"]
mod client;
mod complete;
mod connect;
mod gateway;
mod routes;

use paygraph_testkit::golden::GoldenFiles;

use self::aws::Stage;
use self::gateway::{Asked, TOKEN};
use self::routes::ROUTES;

/// Every file of this test, so that one that nothing makes any more is found.
#[tokio::test(flavor = "multi_thread")]
async fn answers_are_those_of_the_golden_files() {
    let mut golden = GoldenFiles::new(env!("CARGO_MANIFEST_DIR"), "answers");
    let mut published = Vec::new();
    for route in ROUTES {
        let stage = Stage::new(None);
        let mut answers = Vec::new();
        for asked in (route.cases)() {
            answers.push(stage.answer(&asked).await);
        }
        golden.json_list(route.name, &answers);
        published.extend(stage.aws.published());
    }
    let connected = connect::told().await;
    for (name, answers) in &connected.answers {
        golden.json_list(name, answers);
    }
    published.extend(connected.published);
    golden.json_list("_bus_entries", &published);
    golden.json_list("_jobs", &connected.jobs);
    golden.json("_secrets", &connected.secrets);
    golden.compare();
}

/// Whoever has no token, or one that may not write, is told so: the same on every route.
#[tokio::test]
async fn every_route_refuses_who_may_not() {
    let stage = Stage::new(None);
    for route in ROUTES.iter().filter(|route| route.needs_token) {
        for asked in (route.cases)() {
            let stranger = Asked {
                token: None,
                ..asked.clone()
            };
            let refused = stage.answer(&stranger).await;
            assert!(refused.contains(r#""status":401"#), "{refused}");
            if asked.method != "GET" && asked.token == Some(TOKEN) {
                let reader = Asked {
                    token: Some(gateway::READER),
                    ..asked
                };
                let refused = stage.answer(&reader).await;
                assert!(refused.contains(r#""status":403"#), "{refused}");
            }
        }
    }
}

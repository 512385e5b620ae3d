//! The SDK's client over a table in memory.

use std::sync::Arc;

use aws_sdk_dynamodb::config::SharedHttpClient;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::{Client, Config};
use aws_smithy_http_client::test_util::infallible_client_fn;
use paygraph_domain::settings::Settings;
use paygraph_store::DynamoStore;
use paygraph_testkit::table::FakeTable;

/// The store over a table in memory, for tenants with the settings of the example.
pub fn store(table: &Arc<FakeTable>) -> DynamoStore {
    let table = Arc::clone(table);
    let http = http(move |operation, body| table.answer(operation, body));
    let config = Config::builder().with_test_defaults_v2().http_client(http);
    let client = Client::from_conf(config.build());
    DynamoStore::new(client, "table", Settings::example().unwrap())
}

/// What answers the requests of an SDK as they stand on the wire: by operation and JSON body, with a
/// status and a JSON body.
pub fn http(
    answer: impl Fn(&str, &str) -> (u16, String) + Send + Sync + 'static,
) -> SharedHttpClient {
    infallible_client_fn(move |request| {
        let target = request.headers()["x-amz-target"].to_str().unwrap();
        let operation = target.rsplit('.').next().unwrap();
        let body = std::str::from_utf8(request.body().bytes().unwrap()).unwrap();
        let (status, answer) = answer(operation, body);
        let response = HttpResponse::new(status.try_into().unwrap(), answer.into());
        response.try_into_http1x().unwrap()
    })
}

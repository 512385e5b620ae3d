//! The function as it is deployed: a process of its own.

use paygraph_runtime::clock::now;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    paygraph_alert::wiring::run(now).await
}

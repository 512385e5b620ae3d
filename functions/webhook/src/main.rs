//! The function as it is deployed: a process of its own.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    paygraph_webhook::wiring::run().await
}

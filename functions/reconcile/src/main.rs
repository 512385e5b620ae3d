//! The function as it is deployed: a process of its own.

use paygraph_runtime::clock::now;

// Pages are asked for on a thread of their own: computing what they say holds no request up.
#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> Result<(), lambda_runtime::Error> {
    paygraph_reconcile::wiring::run(now).await
}

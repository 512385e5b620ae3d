//! Every kind of item that is stored: golden files of what this version writes, and the items of
//! older releases, which it must go on reading.
//!
//! The items come from production code: the engine works through a fixed history over the store, and
//! the ports of the other subsystems write theirs. The table beneath is
//! [`FakeTable`](paygraph_testkit::table::FakeTable).
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed test says where"
)]

mod beside;
pub mod client;
mod complete;
mod cursors;
mod history;
mod kind;
mod more;
mod release;

use std::collections::BTreeMap;
use std::sync::Arc;

use paygraph_testkit::golden::GoldenFiles;
use paygraph_testkit::table::{FakeTable, WireItem, to_golden};

/// The table after the history and all that stands beside it.
fn written() -> Arc<FakeTable> {
    let table = Arc::new(FakeTable::default());
    let store = client::store(&table);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        history::write(&store).await;
        beside::write(&store).await;
    });
    table
}

/// The items of a table by their kinds.
fn by_kind(table: &FakeTable) -> BTreeMap<&'static str, Vec<WireItem>> {
    let mut kinds: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for item in table.items() {
        kinds.entry(kind::of(&item)).or_default().push(item);
    }
    kinds
}

#[test]
fn stored_items_are_those_of_the_golden_files() {
    let mut golden = GoldenFiles::new(env!("CARGO_MANIFEST_DIR"), "items");
    for (kind, items) in by_kind(&written()) {
        let texts: Vec<_> = items.iter().map(to_golden).collect();
        golden.json_list(kind, &texts);
    }
    golden.compare();
}

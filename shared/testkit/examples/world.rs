//! Prints an invented history, one event per line: `world <seed> <customers> <steps>`.
use std::io::{self, BufWriter, Write};

use paygraph_testkit::world::World;

fn main() -> io::Result<()> {
    let mut numbers = std::env::args()
        .skip(1)
        .filter_map(|n| n.parse::<u64>().ok());
    let mut next = |default| numbers.next().unwrap_or(default);
    let (seed, customers, steps) = (next(1), next(10), next(20));
    let bounded = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    let mut out = BufWriter::new(io::stdout().lock());
    for event in World::new("world", seed, 1_700_000_000).run(bounded(customers), bounded(steps)) {
        writeln!(out, "{event}")?;
    }
    out.flush()
}

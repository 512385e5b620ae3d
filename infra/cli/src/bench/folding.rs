//! `paygraph fold` over 100,000 events: time and peak memory.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use paygraph_testkit::world::World;

use super::memory::peak_kib;
use super::{Reading, median};
use crate::local::Places;

const EVENTS: usize = 100_000;
const ROUNDS: usize = 3;

/// Measures it.
pub fn measure(places: &Places) -> anyhow::Result<Vec<Reading>> {
    let path = places.home.join("bench.ndjson");
    let mut events = World::new("fold", 9, 1_700_000_000).run(7_000, 14);
    events.truncate(EVENTS);
    let count = events.len();
    fastrand::seed(1);
    fastrand::shuffle(&mut events);
    let mut file = std::io::BufWriter::new(fs::File::create(&path)?);
    for event in &events {
        writeln!(file, "{event}")?;
    }
    file.flush()?;
    drop((file, events));
    let (mut times, mut peaks) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let mut child = Command::new(std::env::current_exe()?)
            .arg("fold")
            .arg(&path)
            .stdout(Stdio::null())
            .spawn()?;
        let mut peak = 0;
        while child.try_wait()?.is_none() {
            peak = peak.max(peak_kib(child.id()));
            std::thread::sleep(Duration::from_millis(10));
        }
        times.push(u64::try_from(start.elapsed().as_millis())?);
        peaks.push(peak);
    }
    fs::remove_file(path)?;
    let time = format!("{count} events in {} ms", median(times).unwrap_or(0));
    let peak = format!("{} MB", median(peaks).unwrap_or(0) / 1_000);
    Ok(vec![
        Reading::new("fold, shuffled", time, "< 5000 ms for 100000"),
        Reading::new("fold, peak memory", peak, "< 500 MB"),
    ])
}

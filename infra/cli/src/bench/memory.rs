//! How much memory a process has. (Linux; 0 elsewhere.)

use std::fs;

/// The most memory that a process has had, in KiB.
pub fn peak_kib(pid: u32) -> u64 {
    read(&pid.to_string(), "VmHWM:")
}

/// The memory that this process has now, in KiB.
pub fn resident_kib() -> u64 {
    read("self", "VmRSS:")
}

fn read(pid: &str, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(field));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

//! Every command that takes `--json` has a golden file. The commands say themselves what they take.

use std::collections::BTreeSet;
use std::process::Command;

use crate::cases::CASES;

/// Commands that are not run here, each with the reason.
const ELSEWHERE: [(&str, &str); 5] = [
    ("bench", "its numbers are measured anew each time"),
    ("up", "it deploys a stack"),
    ("fake-stripe", "it serves until it is interrupted"),
    ("crm check", "it needs a CRM: functions/crm"),
    ("crm sync", "it needs a CRM: functions/crm"),
];

fn help(words: &[&str]) -> String {
    let done = Command::new(env!("CARGO_BIN_EXE_paygraph"))
        .args(words)
        .arg("--help")
        .output()
        .unwrap();
    String::from_utf8(done.stdout).unwrap()
}

/// The subcommands that a help text lists.
fn subcommands(help: &str) -> Vec<String> {
    let Some((_, list)) = help.split_once("Commands:\n") else {
        return Vec::new();
    };
    let lines = list.lines().take_while(|line| !line.trim().is_empty());
    let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next());
    names
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_command_with_json_has_a_golden_file() {
    let mut with_json = BTreeSet::new();
    let mut waiting: Vec<Vec<String>> = vec![Vec::new()];
    while let Some(words) = waiting.pop() {
        let text = help(&words.iter().map(String::as_str).collect::<Vec<_>>());
        if text.contains("--json") {
            with_json.insert(words.join(" "));
        }
        for name in subcommands(&text) {
            waiting.push(words.iter().cloned().chain([name]).collect());
        }
    }
    assert!(with_json.len() > 15, "{with_json:?}");
    let of =
        |words: &str, command: &str| words == command || words.starts_with(&format!("{command} "));
    let elsewhere: Vec<_> = ELSEWHERE.iter().map(|(command, _)| *command).collect();
    let without: Vec<_> = with_json
        .iter()
        .filter(|command| !CASES.iter().any(|case| of(case.words, command)))
        .filter(|command| !elsewhere.contains(&command.as_str()))
        .collect();
    assert!(
        without.is_empty(),
        "commands without a golden file: {without:?}"
    );
    let stale: Vec<_> = elsewhere
        .iter()
        .filter(|command| !with_json.contains(**command))
        .collect();
    assert!(stale.is_empty(), "commands without --json: {stale:?}");
}

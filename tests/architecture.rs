//! Who may depend on whom, and on what.
#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Each crate with those of ours that it may use. (Test dependencies are free.)
const ALLOWED: &[(&str, &[&str])] = &[
    ("paygraph-domain", &[]),
    ("paygraph-stripe", &["domain", "runtime"]),
    ("paygraph-engine", &["domain", "stripe", "runtime"]),
    ("paygraph-store", &["domain", "engine"]),
    ("paygraph-bus", &["domain", "engine", "runtime"]),
    ("paygraph-runtime", &[]),
    ("paygraph-testkit", &[]),
    ("paygraph-webhook", &["domain", "stripe", "runtime"]),
    (
        "paygraph-worker",
        &["domain", "stripe", "engine", "store", "bus", "runtime"],
    ),
    (
        "paygraph-reconcile",
        &["domain", "stripe", "engine", "store", "bus", "runtime"],
    ),
    (
        "paygraph-tick",
        &["domain", "engine", "store", "bus", "runtime"],
    ),
    (
        "paygraph-api",
        &["domain", "engine", "store", "bus", "runtime"],
    ),
    (
        "paygraph-greenlight",
        &["domain", "stripe", "engine", "store", "bus", "runtime"],
    ),
    (
        "paygraph-sequence",
        &["domain", "engine", "store", "bus", "runtime"],
    ),
    (
        "paygraph-alert",
        &["domain", "engine", "store", "bus", "runtime"],
    ),
    (
        "paygraph-crm",
        &["domain", "engine", "store", "bus", "runtime"],
    ),
];

#[test]
fn crates_depend_only_on_those_they_may() {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let metadata = MetadataCommand::new()
        .manifest_path(manifest)
        .no_deps()
        .exec()
        .unwrap();
    let uses: BTreeMap<String, BTreeSet<String>> = metadata
        .packages
        .iter()
        .map(|package| {
            let own = package.dependencies.iter().filter(|dependency| {
                dependency.kind == DependencyKind::Normal && dependency.name.starts_with("paygraph")
            });
            (
                package.name.to_string(),
                own.map(|dependency| dependency.name.clone()).collect(),
            )
        })
        .collect();
    for (name, allowed) in ALLOWED {
        let allowed: BTreeSet<_> = allowed
            .iter()
            .map(|short| format!("paygraph-{short}"))
            .collect();
        let extra: Vec<_> = uses[*name].difference(&allowed).collect();
        assert!(extra.is_empty(), "{name} must not use {extra:?}");
    }
    let listed: BTreeSet<_> = ALLOWED.iter().map(|(name, _)| (*name).to_owned()).collect();
    let tools = ["paygraph", "paygraph-launcher", "paygraph-tests"]
        .map(str::to_owned)
        .into();
    let unlisted: Vec<_> = uses
        .keys()
        .filter(|n| !listed.contains(*n))
        .cloned()
        .collect();
    assert_eq!(
        unlisted.into_iter().collect::<BTreeSet<_>>(),
        tools,
        "every crate has its rule"
    );
}

/// Other crates with their features, as cargo builds them for these arguments.
fn dependencies(arguments: &[&str]) -> BTreeSet<String> {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--prefix", "none"])
        .args(["--format", "{p}|{f}"])
        .args(arguments)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .unwrap();
    assert!(tree.status.success(), "{tree:?}");
    let tree = String::from_utf8(tree.stdout).unwrap();
    let lines = tree.lines().filter(|line| !line.starts_with("paygraph v"));
    let lines = lines.map(|line| line.trim_end_matches(" (*)"));
    lines.map(str::to_owned).collect()
}

/// Whoever has run the command has built what the tests need, once.
#[test]
fn the_command_is_built_from_what_the_tests_are_built_from() {
    let command = ["--package", "paygraph", "--features", "as-tests"];
    let command = dependencies(&[&command[..], &["--edges", "normal,build"]].concat());
    let tests = dependencies(&["--workspace"]);
    let own: Vec<_> = command.difference(&tests).collect();
    assert!(own.is_empty(), "built again for the tests: {own:?}");
}

//! Every key that the store's source can make stands in a golden file. The keys are found in the
//! source itself, so that a new one fails here until there is an item of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use paygraph_domain::identity::Name;
use paygraph_testkit::table::text;
use serde_json::Value;

use super::by_kind;

/// Texts of the source that look like keys and are none, each with what it is.
const NO_KEYS: [(&str, &str); 6] = [
    ("MEMBER#", "a cursor's list"),
    ("CUSTOMER#", "a cursor's list"),
    ("RUNS#", "a cursor's list"),
    ("ALERTS#", "a cursor's list"),
    ("ALERTSWITH#", "a cursor's list"),
    ("ALERTSOF#", "a cursor's list"),
];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The source without its tests and comments.
fn source(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]").next().unwrap().to_owned();
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = entries
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect();
    found.sort();
    found
}

/// The string literals of a source.
fn literals(source: &str) -> Vec<&str> {
    source.split('"').skip(1).step_by(2).collect()
}

/// Whether a literal makes a key, or a part of one.
fn is_key(literal: &str) -> bool {
    let first = literal.chars().next().unwrap_or(' ');
    let word =
        |text: &str| text.len() > 2 && text.chars().all(|c| c.is_ascii_uppercase() || c == '#');
    let is_template = literal.contains('#') && !literal.contains([' ', '=', '.', ',']);
    word(literal) || (is_template && (first.is_ascii_uppercase() || first == '{'))
}

/// Every key of the store's source and of the objects' own sort keys.
fn templates() -> BTreeSet<String> {
    let root = repository();
    let mut texts: Vec<String> = files(&root.join("shared/store/src"))
        .iter()
        .map(|path| source(path))
        .collect();
    texts.push(source(&root.join("shared/domain/src/account.rs")));
    let mut found: BTreeSet<String> = BTreeSet::new();
    for text in &texts {
        let keys = literals(text).into_iter().filter(|literal| is_key(literal));
        found.extend(keys.map(ToOwned::to_owned));
    }
    let constants = constants(&texts);
    found
        .into_iter()
        .map(|template| filled_in(template, &constants))
        .collect()
}

/// `const NAME: &str = "…";`, by name.
fn constants(texts: &[String]) -> BTreeMap<String, String> {
    let lines = texts.iter().flat_map(|text| text.lines());
    let constant = |line: &str| {
        let (_, rest) = line.split_once("const ")?;
        let (name, rest) = rest.split_once(": &str = \"")?;
        Some((name.to_owned(), rest.split('"').next()?.to_owned()))
    };
    lines.filter_map(constant).collect()
}

fn filled_in(mut template: String, constants: &BTreeMap<String, String>) -> String {
    for (name, value) in constants {
        template = template.replace(&format!("{{{name}}}"), value);
    }
    template
}

/// Whether a key is one that a template makes; a constant is a whole key, its beginning, or a word in
/// it.
fn fits(template: &str, key: &str) -> bool {
    if !template.contains(['#', '{']) {
        return key.split('#').any(|word| word == template);
    }
    let mut parts = template.split(['{', '}']).step_by(2);
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = key.strip_prefix(first) else {
        return false;
    };
    for part in parts {
        let Some(place) = rest.find(part) else {
            return false;
        };
        rest = &rest[place + part.len()..];
    }
    template.ends_with(['#', '}']) || rest.is_empty()
}

fn keys_of_golden_files() -> BTreeSet<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/items");
    let mut keys = BTreeSet::new();
    for path in files(&directory) {
        let items: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        for item in items.as_array().unwrap() {
            let fields = item.as_object().unwrap().iter();
            let is_key = |name: &str| {
                name == "pk" || name == "sk" || name.ends_with("_pk") || name.ends_with("_sk")
            };
            let values = fields.filter(|(name, _)| is_key(name));
            keys.extend(values.filter_map(|(_, value)| value.as_str().map(str::to_owned)));
        }
    }
    keys
}

#[test]
fn every_key_that_the_source_makes_stands_in_a_golden_file() {
    let keys = keys_of_golden_files();
    let exceptions: BTreeSet<_> = NO_KEYS.iter().map(|(key, _)| *key).collect();
    let templates = templates();
    assert!(
        templates.len() > 50,
        "only {} were found: {templates:?}",
        templates.len()
    );
    let without: Vec<_> = templates
        .iter()
        .filter(|template| !exceptions.contains(template.as_str()))
        .filter(|template| !keys.iter().any(|key| fits(template, key)))
        .collect();
    assert!(
        without.is_empty(),
        "no golden item has these keys: {without:#?}"
    );
    let stale: Vec<_> = exceptions
        .iter()
        .filter(|key| !templates.contains(**key))
        .collect();
    assert!(stale.is_empty(), "not in the source any more: {stale:?}");
}

#[test]
fn every_name_by_which_contacts_are_found_stands_in_a_golden_file() {
    let keys = keys_of_golden_files();
    let word = String::new;
    for name in [
        Name::Email(word()),
        Name::Domain(word()),
        Name::Company(word()),
        Name::User(word()),
        Name::Workspace(word()),
    ] {
        let (kind, _) = name.parts();
        let place = format!("T#acme#L#{kind}#");
        assert!(keys.iter().any(|key| key.starts_with(&place)), "{kind}");
    }
}

/// The templates are really held against keys.
#[test]
fn a_template_fits_its_own_keys_only() {
    assert!(fits("T#{tenant}#C#{id}", "T#acme#C#cus_1"));
    assert!(!fits("T#{tenant}#C#{id}", "T#acme#S#cus_1"));
    assert!(fits("INVOICE#", "INVOICE#001#in_1") && fits("CONTACT", "CONTACT"));
    assert!(!fits("CONTACT", "T#a#CONTACTS") && fits("SUB", "STATE#SUB#sub_1"));
    assert!(fits("{}#LEASE", "T#a#RUNS#LEASE") && !fits("{}#LEASE", "T#a#RUNS"));
    assert!(is_key("STATE#PM#") && is_key("TOKEN") && is_key("{:019}#{}"));
    assert!(!is_key("SET #until = :until") && !is_key("schema") && !is_key("#token"));
}

/// No item stands in the table under the kind of another.
#[test]
fn every_kind_has_items_of_its_own() {
    for (kind, items) in by_kind(&super::written()) {
        assert!(!items.is_empty(), "{kind}");
        assert!(
            items.iter().all(|item| !text(item, "pk").is_empty()),
            "{kind}"
        );
    }
}

//! Golden files: what is stored or published, written down once, so that every change of it shows.
//!
//! A test gives each value a file name and the text that production code made of it.
//! `PAYGRAPH_GOLDEN=renew` writes the files instead of comparing them, and removes those that no
//! value belongs to any more. (How to read a change: CONTRIBUTING.md.)
#![expect(clippy::panic, reason = "a failed comparison fails its test")]

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The width up to which a JSON value stands in one line.
const WIDTH: usize = 100;

/// The golden files of one directory.
#[derive(Debug)]
pub struct GoldenFiles {
    directory: PathBuf,
    texts: BTreeMap<String, String>,
}

impl GoldenFiles {
    /// The files in `tests/golden/{directory}` of the crate whose manifest's directory is given
    /// (`env!("CARGO_MANIFEST_DIR")`).
    #[must_use]
    pub fn new(manifest: &str, directory: &str) -> Self {
        Self {
            directory: Path::new(manifest).join("tests/golden").join(directory),
            texts: BTreeMap::new(),
        }
    }

    /// Adds a compact JSON text under a file name without ending.
    ///
    /// # Panics
    /// If the name was given before.
    pub fn json(&mut self, name: &str, compact: &str) {
        self.text(&format!("{name}.json"), &format!("{}\n", indented(compact)));
    }

    /// Adds several compact JSON texts as one list.
    ///
    /// # Panics
    /// If the name was given before.
    pub fn json_list(&mut self, name: &str, compact: &[String]) {
        self.json(name, &format!("[{}]", compact.join(",")));
    }

    /// Adds a text under a whole file name.
    ///
    /// # Panics
    /// If the name was given before.
    pub fn text(&mut self, name: &str, text: &str) {
        let former = self.texts.insert(name.to_owned(), text.to_owned());
        assert!(former.is_none(), "two golden files are named {name}");
    }

    /// Compares every added text with its file, or writes the files if they are to be renewed.
    ///
    /// # Panics
    /// If a text differs from its file, if a file is missing, or if a file belongs to no text.
    #[expect(
        clippy::disallowed_methods,
        reason = "only a person at a terminal renews golden files"
    )]
    pub fn compare(self) {
        let stale = self.files_without_text();
        if std::env::var("PAYGRAPH_GOLDEN").is_ok_and(|word| word == "renew") {
            return self
                .write(&stale)
                .unwrap_or_else(|error| panic!("{}: {error}", self.directory.display()));
        }
        let differing = self.texts.iter().filter_map(|(name, text)| {
            let file = fs::read_to_string(self.directory.join(name));
            let difference = first_difference(&file.unwrap_or_default(), text)?;
            Some(format!("{name}, {difference}"))
        });
        let stale = stale.iter().map(|name| format!("{name}: nothing makes it"));
        let problems: Vec<_> = differing.chain(stale).collect();
        assert!(
            problems.is_empty(),
            "{} golden files in {} differ. If the change is meant, run the test with \
             PAYGRAPH_GOLDEN=renew and read the difference before you commit it.\n{}",
            problems.len(),
            self.directory.display(),
            problems.join("\n"),
        );
    }

    fn files_without_text(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.directory).into_iter().flatten();
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<_> = names
            .filter(|name| !self.texts.contains_key(name))
            .collect();
        names.sort();
        names
    }

    fn write(&self, stale: &[String]) -> io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        for name in stale {
            fs::remove_file(self.directory.join(name))?;
        }
        for (name, text) in &self.texts {
            fs::write(self.directory.join(name), text)?;
        }
        Ok(())
    }
}

/// The first line in which a file differs from the text that it should have.
fn first_difference(file: &str, text: &str) -> Option<String> {
    if file == text {
        return None;
    }
    let (mut old, mut new) = (file.lines(), text.lines());
    for line in 1.. {
        match (old.next(), new.next()) {
            (None, None) => break,
            (a, b) if a == b => {}
            (a, b) => {
                let (a, b) = (a.unwrap_or("(end)"), b.unwrap_or("(end)"));
                return Some(format!("line {line}:\n  file: {a}\n  now:  {b}"));
            }
        }
    }
    Some("at its end".to_owned())
}

/// A compact JSON text with line breaks where it is too wide. The order of fields and the digits of
/// numbers stay.
#[must_use]
pub fn indented(compact: &str) -> String {
    let mut text = String::new();
    write_indented(compact, 0, &mut text);
    text
}

fn write_indented(value: &str, depth: usize, out: &mut String) {
    let is_short = value.len() + 2 * depth <= WIDTH;
    let inner = value.get(1..value.len().saturating_sub(1)).unwrap_or("");
    if is_short || !value.starts_with(['{', '[']) || inner.is_empty() {
        return out.push_str(value);
    }
    let (open, close) = value.split_at(1);
    out.push_str(open);
    for (place, child) in split(inner, ',').into_iter().enumerate() {
        out.push_str(if place == 0 { "\n" } else { ",\n" });
        out.push_str(&"  ".repeat(depth + 1));
        match split(child, ':').as_slice() {
            [name, field] if open == "{" => {
                out.push_str(name);
                out.push_str(": ");
                write_indented(field, depth + 1, out);
            }
            _ => write_indented(child, depth + 1, out),
        }
    }
    out.push('\n');
    out.push_str(&"  ".repeat(depth));
    out.push_str(close.get(close.len() - 1..).unwrap_or(""));
}

/// The parts between separators that stand in no string and no bracket.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut start) = (Vec::new(), 0);
    let (mut depth, mut in_string, mut is_escaped) = (0_usize, false, false);
    for (place, sign) in text.char_indices() {
        match sign {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => in_string = !in_string,
            _ if in_string => {}
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.saturating_sub(1),
            _ if depth == 0 && sign == separator => {
                parts.extend(text.get(start..place));
                start = place + sign.len_utf8();
            }
            _ => {}
        }
    }
    parts.extend(text.get(start..));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_json_is_broken_into_lines_and_stays_the_same() {
        let long = "x".repeat(90);
        let compact = format!(
            r#"{{"b":[1.50,{{"t":"a,\"b\":{{"}}],"a":{{"e":{{}},"long":"{long}"}},"n":null}}"#
        );
        let text = indented(&compact);
        let expected = format!(
            "{{\n  \"b\": [1.50,{{\"t\":\"a,\\\"b\\\":{{\"}}],\n  \"a\": {{\n    \"e\": {{}},\n    \
             \"long\": \"{long}\"\n  }},\n  \"n\": null\n}}"
        );
        assert_eq!(text, expected);
        assert_eq!(indented("[1,2]"), "[1,2]");
    }

    #[test]
    fn a_difference_names_its_line() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        let found = first_difference("a\nb\n", "a\nc\n").unwrap();
        assert_eq!(found, "line 2:\n  file: b\n  now:  c");
        assert!(first_difference("", "a\n").unwrap().contains("line 1"));
        assert_eq!(first_difference("a", "a\n").unwrap(), "at its end");
    }

    #[test]
    #[should_panic(expected = "a.json, line 1")]
    fn a_text_without_its_file_fails() {
        let mut golden = GoldenFiles::new("/nowhere", "x");
        golden.json("a", "{}");
        golden.compare();
    }
}

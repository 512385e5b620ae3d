//! `paygraph settings`: a tenant's own settings.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use paygraph_domain::settings::Settings as Document;
use paygraph_store::settings::OwnSettings;
use serde_json::Value;

use crate::input;
use crate::show::plain;
use crate::stack::{Stack, Which, run};

/// Show or change a tenant's own settings.
#[derive(Args)]
pub struct Settings {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Print the settings that hold
    Show(Show),
    /// Let a tenant have settings of its own
    Set(Set),
    /// Let those of infra/catalog/settings.json hold again
    Reset(Reset),
}

#[derive(Args)]
struct Show {
    #[command(flatten)]
    which: Which,
}

#[derive(Args)]
struct Set {
    /// The whole settings, in the form of infra/catalog/settings.json
    file: PathBuf,
    #[command(flatten)]
    which: Which,
}

#[derive(Args)]
struct Reset {
    #[command(flatten)]
    which: Which,
}

impl Settings {
    /// Does it.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.what {
            What::Show(show) => show.run()?,
            What::Set(set) => set.run()?,
            What::Reset(reset) => reset.run()?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Show {
    fn run(self) -> anyhow::Result<()> {
        let own = own(&self.which.open()?, &self.which)?;
        let tenant = &self.which.tenant;
        let settings = match &own {
            Some(own) => {
                eprintln!("{tenant} has settings of its own:");
                Document::parse(own.document()).context("they are not valid")?
            }
            None => {
                eprintln!("{tenant} has none of its own; those of the example hold:");
                input::settings(None)?
            }
        };
        println!("{}", serde_json::to_string_pretty(&settings)?);
        Ok(())
    }
}

impl Set {
    fn run(self) -> anyhow::Result<()> {
        let settings = input::settings(Some(&self.file))?;
        settings
            .check_tiers()
            .and_then(|()| settings.check_sequences())
            .with_context(|| format!("{} is not valid", self.file.display()))?;
        let stack = self.which.open()?;
        let own = own(&stack, &self.which)?;
        let after = serde_json::to_value(&settings)?;
        let same = own
            .as_ref()
            .is_some_and(|own| read(own) == Some(after.clone()));
        if !same {
            let put = stack
                .store
                .put_settings(&self.which.tenant, &settings, own.as_ref());
            run(async { Ok(put.await?) })?;
        }
        tell(own.as_ref(), &after)
    }
}

impl Reset {
    fn run(self) -> anyhow::Result<()> {
        let stack = self.which.open()?;
        let tenant = &self.which.tenant;
        let Some(own) = own(&stack, &self.which)? else {
            eprintln!("{tenant} has no settings of its own");
            return Ok(());
        };
        run(async { Ok(stack.store.remove_settings(tenant, &own).await?) })?;
        tell(Some(&own), &serde_json::to_value(input::settings(None)?)?)
    }
}

fn own(stack: &Stack, which: &Which) -> anyhow::Result<Option<OwnSettings>> {
    run(async { Ok(stack.store.own_settings(&which.tenant).await?) })
}

/// A tenant's own settings with all their defaults; none when this version cannot read them.
fn read(own: &OwnSettings) -> Option<Value> {
    let settings = Document::parse(own.document()).ok()?;
    serde_json::to_value(settings).ok()
}

/// Says what changed, and when it counts.
fn tell(before: Option<&OwnSettings>, after: &Value) -> anyhow::Result<()> {
    let before = match before {
        Some(own) => read(own),
        None => Some(serde_json::to_value(input::settings(None)?)?),
    };
    let Some(before) = before else {
        eprintln!("What was there could not be read.");
        return Ok(());
    };
    let changes = changes(&before, after);
    for change in &changes {
        println!("{change}");
    }
    if changes.is_empty() {
        eprintln!("Nothing changes.");
    } else {
        eprintln!("It holds within a minute; each customer follows with its next event.");
    }
    Ok(())
}

/// Each value that is not the same: `mrr.past_due_counts: true → false`.
fn changes(before: &Value, after: &Value) -> Vec<String> {
    let mut values: BTreeMap<String, (Option<&Value>, Option<&Value>)> = BTreeMap::new();
    leaves(before, String::new(), &mut |path, value| {
        values.entry(path).or_default().0 = Some(value);
    });
    leaves(after, String::new(), &mut |path, value| {
        values.entry(path).or_default().1 = Some(value);
    });
    let shown = |value: Option<&Value>| value.map_or("–".to_owned(), plain);
    let changed = values.into_iter().filter(|(_, (a, b))| a != b);
    changed
        .map(|(path, (a, b))| format!("{path}: {} → {}", shown(a), shown(b)))
        .collect()
}

fn leaves<'a>(value: &'a Value, path: String, found: &mut impl FnMut(String, &'a Value)) {
    let Some(map) = value.as_object() else {
        return found(path, value);
    };
    for (key, value) in map {
        let path = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        leaves(value, path, found);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_value_that_changed_is_told_with_its_place() {
        let before = serde_json::to_value(Document::example().unwrap()).unwrap();
        let mut after = before.clone();
        after["mrr"]["past_due_counts"] = json!(false);
        after["tiers"]["gold"] = json!(9);
        after["products"] = json!({ "prod_1": { "tier": "gold", "lifetime": false } });
        let told = changes(&before, &after);
        assert!(told.contains(&"mrr.past_due_counts: true → false".to_owned()));
        assert!(told.contains(&"tiers.gold: – → 9".to_owned()));
        assert!(told.contains(&"products.prod_1.tier: – → gold".to_owned()));
        assert!(told.contains(&"products.prod_TTNHfJE07G7dty.tier: team → –".to_owned()));
        assert_eq!(changes(&after, &after), Vec::<String>::new());
    }
}

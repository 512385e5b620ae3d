//! Whether a tenant's Attio has everything that is written to.

use paygraph_domain::crm::Object;
use paygraph_engine::crm::CrmError;
use paygraph_runtime::http::Method;
use serde_json::Value;
use tokio::time::Instant;

use super::names::{Must, attributes, slug};
use super::{Account, taken};

impl Account {
    /// Everything that is missing or not as it must be, in sentences.
    ///
    /// # Errors
    /// [`CrmError`] when Attio cannot be asked.
    pub async fn check(&self, until: Instant) -> Result<Vec<String>, CrmError> {
        let mut problems = Vec::new();
        for object in [Object::Workspace, Object::User, Object::Subscription] {
            let slug = slug(object);
            let path = format!("objects/{slug}/attributes?limit=500");
            let answer = self.ask(Method::GET, &path, None, until).await?;
            if answer.status == 404 {
                problems.push(format!("there is no object {slug}"));
                continue;
            }
            let there = taken(&answer)?;
            let there = there.get("data").and_then(Value::as_array);
            let there = there.map(Vec::as_slice).unwrap_or_default();
            for (name, must) in attributes(object) {
                let problem = problem(name, *must, there);
                problems.extend(problem.map(|problem| format!("{slug}: {problem}")));
            }
        }
        Ok(problems)
    }
}

fn problem(name: &str, must: Must, there: &[Value]) -> Option<String> {
    let named =
        |attribute: &&Value| attribute.get("api_slug").and_then(Value::as_str) == Some(name);
    let Some(attribute) = there.iter().find(named) else {
        return Some(format!("there is no attribute {name}"));
    };
    let is = |what: &str| attribute.get(what).and_then(Value::as_bool) == Some(true);
    let problem = match must {
        _ if is("is_archived") => "is archived",
        Must::BeUnique if !is("is_unique") => "must be unique",
        Must::HoldSeveral if !is("is_multiselect") => "must hold several values",
        Must::Hold if is("is_multiselect") => "must hold one value",
        Must::BeUnique | Must::HoldSeveral | Must::Hold => return None,
    };
    Some(format!("the attribute {name} {problem}"))
}

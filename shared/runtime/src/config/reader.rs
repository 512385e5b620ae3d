//! Takes variables out of a map, and tells everything that is wrong with them at once.

use std::fmt;
use std::ops::RangeInclusive;

use super::{AwsConfig, StripeConfig, Variables};
use crate::telemetry::LogFilter;

/// The most bytes that a part of a table key may have.
const MAX_KEY_PART_BYTES: usize = 255;

/// Everything that is wrong with the settings.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigError(Vec<Problem>);

/// What is wrong with one variable.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Problem {
    variable: &'static str,
    /// Never the value: it may be a secret that slipped into the wrong variable.
    reason: &'static str,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is not usable: ")?;
        for (index, Problem { variable, reason }) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{variable} {reason}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for ConfigError {
    /// The sentence as well: it is what a `main` that ends with this error prints.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ConfigError {}

/// Takes variables out of a map and remembers what is wrong with them.
pub struct Reader<'a> {
    variables: &'a Variables,
    problems: Vec<Problem>,
}

impl fmt::Debug for Reader<'_> {
    /// Without the variables: there are secrets among them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Reader");
        shown.field("problems", &self.problems);
        shown.finish_non_exhaustive()
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(variables: &'a Variables) -> Self {
        Self {
            variables,
            problems: Vec::new(),
        }
    }

    pub(super) fn problem(&mut self, variable: &'static str, reason: &'static str) {
        self.problems.push(Problem { variable, reason });
    }

    /// An empty variable counts as absent: templates set those.
    pub(super) fn optional(&self, name: &str) -> Option<String> {
        self.variables
            .get(name)
            .map(|value| value.trim())
            .filter(|v| !v.is_empty())
            .map(Into::into)
    }

    pub(super) fn required(&mut self, name: &'static str) -> String {
        self.optional(name).unwrap_or_else(|| {
            self.problem(name, "is missing");
            String::new()
        })
    }

    pub(super) fn with_default(&self, name: &str, default: &str) -> String {
        self.optional(name).unwrap_or_else(|| default.to_owned())
    }

    /// A text that goes into table keys, whose parts are divided by `#`.
    pub(super) fn key_part(&mut self, name: &'static str, default: &str) -> String {
        let text = self.with_default(name, default);
        if text.len() > MAX_KEY_PART_BYTES || text.chars().any(|c| c == '#' || c.is_control()) {
            self.problem(
                name,
                "must have at most 255 bytes, no '#' and no control characters",
            );
        }
        text
    }

    pub(super) fn url(&mut self, name: &'static str) -> String {
        let url = self.required(name);
        if !url.is_empty() && !is_url(&url) {
            self.problem(name, "must begin with http:// or https://");
        }
        url
    }

    pub(super) fn optional_url(&mut self, name: &'static str) -> Option<String> {
        let url = self.optional(name);
        if url.as_deref().is_some_and(|url| !is_url(url)) {
            self.problem(name, "must begin with http:// or https://");
        }
        url
    }

    pub(super) fn flag(&mut self, name: &'static str) -> bool {
        let text = self.required(name);
        !text.is_empty() && self.is_true(name, &text)
    }

    /// A flag that is off where nothing is said.
    pub(super) fn optional_flag(&mut self, name: &'static str) -> bool {
        let text = self.with_default(name, "false");
        self.is_true(name, &text)
    }

    fn is_true(&mut self, name: &'static str, text: &str) -> bool {
        if text != "true" && text != "false" {
            self.problem(name, "must be true or false");
        }
        text == "true"
    }

    /// A number in a range, which `reason` says.
    pub(super) fn number(
        &mut self,
        name: &'static str,
        default: u32,
        range: RangeInclusive<u32>,
        reason: &'static str,
    ) -> u32 {
        let Some(text) = self.optional(name) else {
            return default;
        };
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.unwrap_or_else(|| {
            self.problem(name, reason);
            default
        })
    }

    pub(super) fn log(&mut self) -> LogFilter {
        let text = self.with_default("PAYGRAPH_LOG", "info");
        LogFilter::parse(&text).unwrap_or_else(|_| {
            self.problem(
                "PAYGRAPH_LOG",
                "must be a level or target=level, joined by commas",
            );
            LogFilter::default()
        })
    }

    pub(super) fn aws(&mut self) -> AwsConfig {
        let endpoint_url = self.optional_url("AWS_ENDPOINT_URL");
        let service_endpoint_urls = self
            .variables
            .iter()
            .filter(|(name, url)| name.starts_with("AWS_ENDPOINT_URL_") && is_url(url))
            .map(|(name, url)| (name.clone(), url.clone()))
            .collect();
        AwsConfig {
            region: self.required("AWS_REGION"),
            endpoint_url,
            service_endpoint_urls,
            access_key_id: self.required("AWS_ACCESS_KEY_ID"),
            secret_access_key: self.required("AWS_SECRET_ACCESS_KEY").into(),
            session_token: self.optional("AWS_SESSION_TOKEN").map(Into::into),
        }
    }

    pub(super) fn stripe(&mut self) -> StripeConfig {
        StripeConfig {
            url: self.optional_url("PAYGRAPH_STRIPE_URL"),
            secrets_prefix: self.required("PAYGRAPH_SECRETS_PREFIX"),
        }
    }

    pub(super) fn finish<T>(self, config: T) -> Result<T, ConfigError> {
        if self.problems.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError(self.problems))
        }
    }
}

fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

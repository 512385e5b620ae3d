//! The commands, with what they are given.

use std::path::Path;

use paygraph_testkit::history::{MIDDLE, events, events_before};
use serde_json::Value;

use crate::server::{POOR_KEY, RESTRICTED_KEY, Server};

/// What a command talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Nothing.
    Nothing,
    /// The parts of a deployed stack.
    Stack,
    /// The API.
    Api,
}

/// A command with its arguments.
pub struct Case {
    /// The golden file's name.
    pub name: &'static str,
    /// The subcommand's words, and its own arguments.
    pub words: &'static str,
    pub over: Over,
    /// The case that is run before it, over the same stack.
    pub after: Option<&'static str>,
    pub input: fn() -> String,
    /// Places of what is random, or follows from this machine's clock.
    pub random: &'static [&'static str],
}

const fn case(name: &'static str, words: &'static str, over: Over) -> Case {
    Case {
        name,
        words,
        over,
        after: None,
        input: String::new,
        random: &[],
    }
}

const CONNECT: &str =
    "connect --restricted-key-stdin --public-url https://paygraph.example --stripe-url STRIPE";

pub const CASES: &[Case] = &[
    Case {
        input: history,
        ..case("fold", "fold -", Over::Nothing)
    },
    Case {
        input: subscription,
        ..case("mrr", "mrr - --as-of 2026-10-15T00:00:00Z", Over::Nothing)
    },
    Case {
        input: subscription,
        ..case(
            "mrr_explain",
            "mrr - --explain --as-of 2026-10-15T00:00:00Z",
            Over::Nothing,
        )
    },
    case(
        "segments_check",
        "segments check REPOSITORY/infra/catalog/segments.yaml",
        Over::Nothing,
    ),
    Case {
        input: || "churned: { when: 'billing.status' }".to_owned(),
        ..case("segments_check_invalid", "segments check -", Over::Nothing)
    },
    case(
        "sequences_check",
        "sequences check REPOSITORY/infra/catalog/sequences/trial_expiry.yaml",
        Over::Nothing,
    ),
    case("segments_list", "segments list", Over::Api),
    case(
        "segments_members",
        "segments members failed_payment --limit 20",
        Over::Api,
    ),
    case("explain", "explain cus_example --changes 1", Over::Api),
    case("sequences_list", "sequences list", Over::Stack),
    case(
        "sequences_preview",
        "sequences preview failed_payment_recovery --customer cus_example --now 2026-10-15T00:00:00Z",
        Over::Stack,
    ),
    case(
        "sequences_simulate",
        "sequences simulate failed_payment_recovery --customer cus_example --now 2026-10-15T00:00:00Z",
        Over::Stack,
    ),
    Case {
        random: &["/token"],
        ..case("token_create", "token create --name reporting", Over::Stack)
    },
    case("tick", "tick --now 2026-12-24T00:00:00Z", Over::Stack),
    Case {
        random: &["/run", "/events"],
        ..case("reevaluate", "reevaluate", Over::Stack)
    },
    case("replay_list", "replay --failed --list", Over::Stack),
    case("replay_failed", "replay --failed", Over::Stack),
    Case {
        input: event,
        ..case("replay_file", "replay -", Over::Stack)
    },
    Case {
        random: &["/id"],
        ..case("backfill", "backfill", Over::Stack)
    },
    Case {
        random: &["/id"],
        ..case("reconcile", "reconcile", Over::Stack)
    },
    Case {
        random: &["/id"],
        ..case("sync", "sync cus_example", Over::Stack)
    },
    Case {
        input: || RESTRICTED_KEY.to_owned(),
        ..case("connect", CONNECT, Over::Stack)
    },
    Case {
        input: || POOR_KEY.to_owned(),
        ..case("connect_refused", CONNECT, Over::Stack)
    },
    Case {
        after: Some("connect"),
        ..case(
            "check",
            "check --public-url https://paygraph.example --stripe-url STRIPE",
            Over::Stack,
        )
    },
];

impl Case {
    pub fn arguments(&self, server: &Server) -> Vec<String> {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let words = self
            .words
            .replace("REPOSITORY", repository.to_str().unwrap())
            .replace("STRIPE", &server.stripe_url);
        let mut arguments: Vec<String> = words.split(' ').map(str::to_owned).collect();
        let url = &server.url;
        let place = match self.over {
            Over::Nothing => Vec::new(),
            Over::Api => vec![
                "--api-url".to_owned(),
                url.clone(),
                "--token".to_owned(),
                "t".to_owned(),
            ],
            Over::Stack => format!(
                "--table table --queue-url {url}/ingest --dlq-url {url}/dead --jobs-queue-url \
                 {url}/jobs --tenant {}",
                self.tenant()
            )
            .split(' ')
            .map(str::to_owned)
            .collect(),
        };
        arguments.extend(place);
        arguments.push("--json".to_owned());
        arguments
    }
}

impl Case {
    /// Who connects was not connected before.
    fn tenant(&self) -> &'static str {
        let connects = self.words.contains("--stripe-url");
        if connects { "newcomer" } else { "acme" }
    }
}

fn lines(events: &[Value]) -> String {
    events.iter().map(|event| format!("{event}\n")).collect()
}

fn history() -> String {
    lines(&events_before(MIDDLE))
}

fn event() -> String {
    events()[0].to_string()
}

/// The history's subscription as it was after its trial.
fn subscription() -> String {
    let events = events();
    let last = events.iter().find(|event| event["id"] == "evt_example_006");
    last.unwrap()["data"]["object"].to_string()
}

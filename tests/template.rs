//! What template.yaml promises, read from the template itself.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use paygraph_domain::product::message::ProductMessage;

/// The lines of each resource of a type, by name.
fn resources(kind: &str) -> Vec<(String, Vec<String>)> {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml")).unwrap();
    let body = text
        .split_once("\nResources:\n")
        .unwrap()
        .1
        .split_once("\nOutputs:")
        .unwrap()
        .0
        .to_owned();
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    for line in body
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
    {
        let name = line
            .strip_prefix("  ")
            .filter(|rest| !rest.starts_with(' '));
        match (
            name.and_then(|name| name.strip_suffix(':')),
            found.last_mut(),
        ) {
            (Some(name), _) => found.push((name.to_owned(), Vec::new())),
            (None, Some((_, lines))) => lines.push(line.trim().to_owned()),
            (None, None) => {}
        }
    }
    let of_kind = format!("Type: {kind}");
    found.retain(|(_, lines)| lines.contains(&of_kind));
    found
}

fn value(lines: &[String], name: &str) -> Option<i64> {
    let line = lines
        .iter()
        .find_map(|line| line.strip_prefix(&format!("{name}: ")))?;
    line.parse().ok()
}

/// N18: every queue keeps 14 days and hides a message six times as long as its function may take;
/// every queue but the dead letters gives up after ten deliveries; an hour of age raises an alarm.
#[test]
fn n18_queues_keep_fourteen_days_and_an_hour_of_age_is_an_alarm() {
    let queues = resources("AWS::SQS::Queue");
    assert!(queues.len() >= 4);
    for (name, lines) in &queues {
        assert_eq!(
            value(lines, "MessageRetentionPeriod"),
            Some(14 * 86_400),
            "{name}"
        );
        let takes = if name.starts_with("Jobs") { 300 } else { 30 };
        assert_eq!(value(lines, "VisibilityTimeout"), Some(6 * takes), "{name}");
        let expected = if name.ends_with("DeadLetters") {
            None
        } else {
            Some(10)
        };
        assert_eq!(value(lines, "maxReceiveCount"), expected, "{name}");
    }
    let alarms = resources("AWS::CloudWatch::Alarm");
    let has = |lines: &[String], what: &str| lines.iter().any(|line| line.contains(what));
    for (name, _) in &queues {
        let queue = format!("!GetAtt {name}.QueueName");
        let mut watching = alarms.iter().filter(|(_, alarm)| has(alarm, &queue));
        if name.ends_with("DeadLetters") {
            assert!(watching.next().is_some(), "{name} has no alarm");
        } else {
            let aged = watching.find(|(_, alarm)| has(alarm, "AgeOfOldestMessage"));
            let (_, aged) = aged.unwrap();
            assert_eq!(value(aged, "Threshold"), Some(3_600), "{name}");
        }
    }
}

/// Product events that come by Segment's own bus are messages as the webhook writes them, and there is
/// such a rule only where there is such a bus.
#[test]
fn what_the_bus_of_segments_brings_is_a_message_of_product_events() {
    let rules = resources("AWS::Events::Rule");
    let (_, rule) = rules
        .iter()
        .find(|(name, _)| name == "SegmentRule")
        .unwrap();
    assert!(rule.contains(&"Condition: HasSegmentBus".to_owned()));
    let from = rule
        .iter()
        .position(|line| line.starts_with("InputTemplate:"));
    let template = rule[from.unwrap() + 1..].join(" ");
    let event = r#"{"type":"identify","userId":"u1","messageId":"m1"}"#;
    let body = template
        .replace("${SegmentTenant}", "acme")
        .replace("<aws.events.event.ingestion-time>", "2026-11-21T04:43:03Z")
        .replace("<event>", event);
    let message = ProductMessage::read(&body).unwrap().unwrap();
    assert_eq!(message.tenant.as_str(), "acme");
    assert_eq!(message.say().unwrap()[0].id, "m1");
    let policies = resources("AWS::SQS::QueuePolicy");
    let (_, policy) = policies
        .iter()
        .find(|(name, _)| name == "SegmentQueuePolicy")
        .unwrap();
    assert!(policy.contains(&"Condition: HasSegmentBus".to_owned()));
    assert!(policy.iter().any(|line| line.contains("SegmentRule.Arn")));
}

/// Every function has its log group, an alarm on its errors, and no rights on everything.
#[test]
fn every_function_is_watched_and_has_few_rights() {
    let alarms = resources("AWS::CloudWatch::Alarm");
    for (name, lines) in resources("AWS::Serverless::Function") {
        assert!(
            lines.iter().any(|line| line.contains("LogGroup:")),
            "{name}"
        );
        let watched = alarms
            .iter()
            .any(|(_, l)| l.iter().any(|l| l.contains(&format!("!Ref {name}"))));
        assert!(watched, "{name} has no alarm");
        assert!(
            !lines
                .iter()
                .any(|line| line.ends_with('*') && line.starts_with("Action")),
            "{name}"
        );
        assert!(!lines.contains(&"Resource: \"*\"".to_owned()), "{name}");
    }
}

/// Each webhook would be one message more for GreenLight: only who asks for it pays for it.
#[test]
fn greenlight_hears_of_every_webhook_only_where_it_is_asked_for() {
    let rules = resources("AWS::Events::Rule");
    let rule = |wanted: &str| &rules.iter().find(|(name, _)| name == wanted).unwrap().1;
    let asked = "State: !If [HasGreenlightWebhooks, ENABLED, DISABLED]".to_owned();
    assert!(rule("GreenlightWebhookRule").contains(&asked));
    let all_others = "detail-type: [{ anything-but: { prefix: \"stripe.\" } }]".to_owned();
    assert!(rule("GreenlightRule").contains(&all_others));
}

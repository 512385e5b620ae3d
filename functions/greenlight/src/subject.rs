//! NATS subjects: tokens with dots between them.

/// The tokens of a subject, joined.
#[must_use]
pub fn subject(tokens: &[&str]) -> String {
    let tokens: Vec<_> = tokens.iter().map(|token| safe(token)).collect();
    format!("greenlight.{}", tokens.join("."))
}

/// The subject of a webhook. The dots of the event's type stay, so that `…stripe.>` has them all.
#[must_use]
pub fn of_webhook(what: &str, event_type: &str) -> String {
    let tokens = ["webhook", what, "stripe"];
    subject(
        &tokens
            .into_iter()
            .chain(event_type.split('.'))
            .collect::<Vec<_>>(),
    )
}

/// A token without what means something in a subject: dots, wildcards, spaces.
/// <https://docs.nats.io/nats-concepts/subjects#characters-allowed-and-recommended-for-subject-names>
fn safe(token: &str) -> String {
    let keep = |c: char| !matches!(c, '.' | '*' | '>') && !c.is_whitespace() && !c.is_control();
    let safe: String = token
        .chars()
        .map(|c| if keep(c) { c } else { '_' })
        .collect();
    if safe.is_empty() {
        "_".to_owned()
    } else {
        safe
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_token_can_be_taken_for_two_or_for_a_wildcard() {
        assert_eq!(
            subject(&["a.b", "*", ">", "x y\tz", ""]),
            "greenlight.a_b._._.x_y_z._"
        );
        assert_eq!(
            of_webhook("received", "customer.subscription.created"),
            "greenlight.webhook.received.stripe.customer.subscription.created"
        );
        assert_eq!(
            of_webhook("failed", "a..>"),
            "greenlight.webhook.failed.stripe.a._._"
        );
    }
}

//! One request, as often as it takes.

use std::time::{Duration, Instant};

use jiff::fmt::rfc2822;
use paygraph_domain::id::StripeId;
use paygraph_domain::time::Timestamp;
use stripe_client_core::RequestBuilder;

use super::transport::{Answer, Headers};
use super::{Client, ClientError};

/// The longest wait between two attempts that we choose ourselves.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// How long one attempt may take.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(30);
/// The first wait.
const FIRST_WAIT: Duration = Duration::from_millis(500);

impl Client {
    /// Sends a request until it is answered in a way that will not change, or patience ends.
    pub(super) async fn send<T>(
        &self,
        request: &RequestBuilder,
        account: Option<&str>,
        read: impl Fn(&Answer) -> Result<T, String>,
    ) -> Result<(T, Answer), ClientError> {
        let begun = Instant::now();
        let account = account.or(self.access.account.as_ref().map(StripeId::as_str));
        let headers = Headers {
            key: &self.access.key,
            account,
            // The same for every attempt: Stripe then does it once.
            idempotency: uuid::Uuid::new_v4(),
        };
        // Within all the patience there is room for several.
        let attempt_time = (self.patience / 3).min(LONGEST_ATTEMPT);
        let mut attempt = 0;
        loop {
            let turn = self.budget.turn(endpoint(&request.path)).await;
            let sent = self.transport.send(request, &headers, attempt_time).await;
            if let Ok(answer) = &sent
                && answer.is_success()
            {
                turn.answered(answer.headers_took);
            }
            let (error, told) = match sent {
                Ok(answer) if answer.is_success() => match read(&answer) {
                    Ok(value) => {
                        self.budget.note(true);
                        return Ok((value, answer));
                    }
                    Err(error) => (ClientError::Unavailable(error), None),
                },
                Ok(answer) => {
                    let error = ClientError::read(answer.status, &answer.body);
                    if !answer.should_retry.unwrap_or_else(|| error.is_passing()) {
                        self.budget.note(!error.is_passing());
                        return Err(error);
                    }
                    (error, answer.retry_after)
                }
                Err(error) => (ClientError::Unavailable(error), None),
            };
            let wait = told.unwrap_or_else(|| random_wait(attempt));
            if begun.elapsed().saturating_add(wait) > self.patience {
                self.fell_silent();
                return Err(error);
            }
            tracing::warn!(code = "stripe_again", error = %error, attempt, wait_ms = wait.as_millis(), "Stripe is asked again");
            if matches!(error, ClientError::Limited(_)) {
                self.budget.hold(wait);
            }
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }
}

/// What Stripe's limit per kind of object is counted by: `/customers` of `/customers/cus_1`.
fn endpoint(path: &str) -> &str {
    let end = path.match_indices('/').nth(1).map(|(at, _)| at);
    // `/checkout/sessions` is one kind.
    if path.starts_with("/checkout/") {
        return "/checkout/sessions";
    }
    end.and_then(|end| path.get(..end)).unwrap_or(path)
}

/// A random part of a wait that doubles.
fn random_wait(attempt: u32) -> Duration {
    let most = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(attempt.min(10)));
    let most = u64::try_from(most.min(LONGEST_WAIT).as_millis()).unwrap_or(0);
    Duration::from_millis(fastrand::u64(most / 4..=most))
}

/// Reads an instant as HTTP writes it: `Sat, 21 Nov 2026 12:00:00 GMT`.
pub(super) fn http_date(text: &str) -> Option<Timestamp> {
    let time = rfc2822::parse(text.trim()).ok()?;
    Timestamp::from_unix(time.timestamp().as_second()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_read_as_http_writes_it() {
        let now = http_date("Sat, 21 Nov 2026 12:00:00 GMT").unwrap();
        assert_eq!(now.to_string(), "2026-11-21T12:00:00Z");
        assert_eq!(http_date("soon"), None);
    }

    #[test]
    fn a_kind_of_object_has_one_limit() {
        assert_eq!(endpoint("/customers/cus_1"), "/customers");
        assert_eq!(endpoint("/customers"), "/customers");
        assert_eq!(endpoint("/invoices/in_1/lines"), "/invoices");
        assert_eq!(endpoint("/checkout/sessions/cs_1"), "/checkout/sessions");
    }
}

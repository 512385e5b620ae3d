//! Asking other people's servers: kept connections, a time for each attempt, and again after what
//! passes by itself.
//!
//! Nothing here logs or keeps a URL: with some services it is the secret.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
pub use hyper::Method;
use hyper::Request;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;

use crate::pace::Pace;
use crate::telemetry::Chain;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(3);
/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(8);
/// How long a connection is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(60);
/// The most bytes of an answer.
const MAX_BYTES: usize = 1 << 20;
/// The wait before a second attempt where the server names none; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// The longest of these.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// The longest `Retry-After` that counts. A server may name any number (RFC 9110, 10.2.3), and an
/// instant that far ahead could not be computed. Every caller gives up long before an hour.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(3_600);

/// A request that can be sent more than once.
pub type Asked = Request<Full<Bytes>>;

/// Connections that are kept, to whatever is asked.
pub type Connections = Pool<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Other people's servers, asked with patience.
#[derive(Debug, Clone)]
pub struct Http {
    pool: Connections,
}

/// An answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Bytes,
    /// How long the server asks to be left alone.
    pub retry_after: Option<Duration>,
}

/// Why a request came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// It may succeed later: no answer, one too many, or trouble there.
    #[error("{0}")]
    Passing(String),
    /// It will not: the server refuses it, with this status.
    #[error("the server answered {0}")]
    Refused(u16),
    /// It cannot be sent.
    #[error("{0}")]
    Unsendable(&'static str),
}

/// An attempt that came to nothing, and another one may not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passing {
    /// What went wrong.
    pub problem: String,
    /// How long the server asks to be left alone.
    pub told: Option<Duration>,
}

impl Http {
    /// A client that trusts the public authorities.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new() -> Result<Self, rustls::Error> {
        let pool = connections()?;
        Ok(Self { pool })
    }

    /// Sends a request once; `time` is how long that may take.
    ///
    /// # Errors
    /// What went wrong on the way. Any answer is an answer.
    pub async fn send(&self, request: Asked, time: Duration) -> Result<Answer, String> {
        let answer = async {
            let answer = self.pool.request(request).await;
            let answer = answer.map_err(|error| Chain(&error).to_string())?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, MAX_BYTES).collect().await;
            let body = body.map_err(|error| Chain(error.as_ref()).to_string())?;
            Ok::<_, String>(Answer {
                status: head.status.as_u16(),
                body: body.to_bytes(),
                retry_after: retry_after(&head.headers),
            })
        };
        let late = |_| format!("no answer within {} s", time.as_secs());
        tokio::time::timeout(time, answer).await.map_err(late)?
    }

    /// Sends a request until it succeeds, is refused, or would have to wait past `until`. A
    /// `Retry-After` is kept to.
    ///
    /// # Errors
    /// [`HttpError`], classed by whether another attempt may help.
    pub async fn persist(&self, request: &Asked, until: Instant) -> Result<Answer, HttpError> {
        let answer = self.settle(request, until, None).await?;
        if (200..300).contains(&answer.status) {
            Ok(answer)
        } else {
            Err(HttpError::Refused(answer.status))
        }
    }

    /// The same, giving a refusal as the answer that it is. At a pace, each attempt has its turn, and
    /// who is to wait lets all others wait too.
    ///
    /// # Errors
    /// [`HttpError::Passing`] when `until` has come.
    pub async fn settle(
        &self,
        request: &Asked,
        until: Instant,
        pace: Option<&Pace>,
    ) -> Result<Answer, HttpError> {
        let mut wait = FIRST_WAIT;
        loop {
            let Passing { problem, told } = match self.attempt(request, until, pace).await {
                Ok(answer) => return Ok(answer),
                Err(passing) => passing,
            };
            let pause = told.unwrap_or(wait);
            if Instant::now() + pause >= until {
                return Err(HttpError::Passing(problem));
            }
            tokio::time::sleep(pause).await;
            wait = wait.saturating_mul(2).min(LONGEST_WAIT);
        }
    }

    /// One attempt: an answer that waiting would not change.
    ///
    /// # Errors
    /// [`Passing`].
    pub async fn attempt(
        &self,
        request: &Asked,
        until: Instant,
        pace: Option<&Pace>,
    ) -> Result<Answer, Passing> {
        let passing = |problem, told| Passing { problem, told };
        let turn = match pace {
            Some(pace) => {
                let turn = pace.turn(until).await;
                let late = || passing("there was no turn in time".to_owned(), None);
                Some((pace, turn.ok_or_else(late)?))
            }
            None => None,
        };
        let left = until.saturating_duration_since(Instant::now());
        let sent = self.send(request.clone(), ATTEMPT.min(left)).await;
        let answer = sent.map_err(|problem| passing(problem, None))?;
        if !passes(answer.status) {
            if let Some((pace, turn)) = turn {
                pace.answered(turn);
            }
            return Ok(answer);
        }
        let told = answer.retry_after;
        if let (Some(pace), Some(told)) = (pace, told) {
            pace.hold(told);
        }
        let problem = format!("the server answered {}", answer.status);
        Err(passing(problem, told))
    }
}

/// Connections that trust the public authorities.
///
/// # Errors
/// When TLS cannot be set up.
pub fn connections() -> Result<Connections, rustls::Error> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_connect_timeout(Some(CONNECT));
    http.set_nodelay(true);
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())?
        .https_or_http()
        .enable_http1()
        .wrap_connector(http);
    Ok(Pool::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .build(connector))
}

/// A request that posts JSON to a URL that nobody is to read.
///
/// # Errors
/// [`HttpError::Unsendable`] when the URL is none.
pub fn post_json(url: &SecretString, body: Vec<u8>) -> Result<Asked, HttpError> {
    let mut request = Request::new(Full::from(body));
    *request.method_mut() = Method::POST;
    let url = url.expose_secret().trim();
    *request.uri_mut() = url
        .parse()
        .map_err(|_| HttpError::Unsendable("the URL is none"))?;
    let json = HeaderValue::from_static("application/json");
    request.headers_mut().insert(CONTENT_TYPE, json);
    Ok(request)
}

/// A request with JSON, or nothing, by whoever has the token; nobody is to read it.
///
/// # Errors
/// [`HttpError::Unsendable`] when the URL or the token is none.
pub fn with_token(
    method: Method,
    url: &str,
    token: &SecretString,
    body: Option<Vec<u8>>,
) -> Result<Asked, HttpError> {
    let json = body.is_some().then_some("application/json");
    let mut request = Request::new(Full::from(body.unwrap_or_default()));
    *request.method_mut() = method;
    *request.uri_mut() = url
        .parse()
        .map_err(|_| HttpError::Unsendable("the URL is none"))?;
    let bearer = format!("Bearer {}", token.expose_secret().trim());
    let mut bearer =
        HeaderValue::try_from(bearer).map_err(|_| HttpError::Unsendable("the token is none"))?;
    bearer.set_sensitive(true);
    request.headers_mut().insert(AUTHORIZATION, bearer);
    if let Some(json) = json {
        let json = HeaderValue::from_static(json);
        request.headers_mut().insert(CONTENT_TYPE, json);
    }
    Ok(request)
}

/// Whether a status says that another attempt may succeed.
fn passes(status: u16) -> bool {
    matches!(status, 408 | 429 | 500..=599)
}

/// Reads how long an answer asks to wait: a number of seconds, or an instant by the server's own
/// clock. At most [`MAX_RETRY_AFTER`].
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    requested_wait(headers).map(|wait| wait.min(MAX_RETRY_AFTER))
}

fn requested_wait(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    let told = text(RETRY_AFTER)?.trim();
    if !told.is_empty() && told.bytes().all(|digit| digit.is_ascii_digit()) {
        // A number with too many digits is a very long wait.
        return Some(Duration::from_secs(told.parse().unwrap_or(u64::MAX)));
    }
    let until = httpdate::parse_http_date(told).ok()?;
    let now = httpdate::parse_http_date(text(DATE)?).ok()?;
    Some(until.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(retry_after: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let date = HeaderValue::from_static("Sat, 21 Nov 2026 12:00:00 GMT");
        headers.insert(DATE, date);
        headers.insert(RETRY_AFTER, HeaderValue::from_str(retry_after).unwrap());
        headers
    }

    #[test]
    fn n8_n16_both_forms_of_retry_after_are_read() {
        let waits = |text: &str| retry_after(&headers(text)).map(|wait| wait.as_secs());
        assert_eq!(waits("7"), Some(7));
        assert_eq!(waits("Sat, 21 Nov 2026 12:00:30 GMT"), Some(30));
        assert_eq!(waits("Sat, 21 Nov 2026 11:00:00 GMT"), Some(0));
        assert_eq!(waits("soon"), None);
    }

    /// Starts a server that answers every request with 429 and this `Retry-After`.
    fn start_limiting_server(retry_after: &'static str) -> SecretString {
        use std::io::{Read as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 1_024]).unwrap();
                let answer = format!(
                    "HTTP/1.1 429 Too Many Requests\r\nDate: Sat, 21 Nov 2026 12:00:00 GMT\r\n\
                     Retry-After: {retry_after}\r\nContent-Length: 0\r\n\r\n"
                );
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        url.into()
    }

    /// S20: a wait beyond all instants ends the attempts, and neither the client nor its pace panics.
    #[tokio::test]
    async fn s20_a_huge_retry_after_gives_up_instead_of_panicking() {
        for told in ["18446744073709551615", "Fri, 31 Dec 9999 23:59:59 GMT"] {
            let url = start_limiting_server(told);
            let request = post_json(&url, Vec::new()).unwrap();
            let (http, pace) = (Http::new().unwrap(), Pace::new(25));
            let until = Instant::now() + Duration::from_secs(5);
            let answer = http.settle(&request, until, Some(&pace)).await;
            let expected = HttpError::Passing("the server answered 429".to_owned());
            assert_eq!(answer, Err(expected), "{told}");
            assert_eq!(pace.turn(until).await, None, "the pace keeps to the wait");
        }
    }

    proptest::proptest! {
        /// S20: every number of seconds, however many digits it has.
        #[test]
        fn s20_every_number_of_seconds_is_a_bounded_wait(told in "[0-9]{1,60}") {
            let expected = told.parse().map_or(MAX_RETRY_AFTER, Duration::from_secs);
            let wait = retry_after(&headers(&told)).unwrap();
            proptest::prop_assert_eq!(wait, expected.min(MAX_RETRY_AFTER));
            proptest::prop_assert!(Instant::now().checked_add(wait).is_some());
        }

        /// S20: every instant that HTTP can write.
        #[test]
        fn s20_every_date_is_a_bounded_wait(seconds in 0_u64..253_402_300_800) {
            let at = std::time::UNIX_EPOCH + Duration::from_secs(seconds);
            let wait = retry_after(&headers(&httpdate::fmt_http_date(at))).unwrap();
            proptest::prop_assert!(wait <= MAX_RETRY_AFTER);
        }

        /// S20: nothing else is read as a wait, and nothing panics.
        #[test]
        fn s20_other_text_is_no_wait(told in "[ -~]{0,40}") {
            let wait = retry_after(&headers(&told));
            proptest::prop_assert!(wait.is_none_or(|wait| wait <= MAX_RETRY_AFTER));
        }
    }

    #[test]
    fn a_url_that_is_none_is_not_shown() {
        let secret = SecretString::from("not a url");
        let error = post_json(&secret, Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "the URL is none");
    }
}

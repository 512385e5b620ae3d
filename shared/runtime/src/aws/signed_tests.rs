use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use super::*;
use crate::config::{Config as _, Variables};

const SES: ServiceNames = ServiceNames {
    host: "email",
    signing: "ses",
    endpoint_variable: "AWS_ENDPOINT_URL_SESV2",
};

fn config(region: &str, places: &[(&str, &str)]) -> AwsConfig {
    let fixed = [
        ("AWS_REGION", region),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_SESSION_TOKEN", "token"),
    ];
    let all = fixed.iter().chain(places);
    let all = all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    AwsConfig::read(&Variables::from_iter(all)).unwrap()
}

/// Starts a server that sends one response, and returns the request as text.
fn answering(answer: &'static str) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut read = vec![0; 8_192];
        let length = stream.read(&mut read).unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8_lossy(read.get(..length).unwrap()).into_owned()
    });
    (url, server)
}

async fn post(url: &str) -> Result<ServiceResponse, RequestError> {
    let service =
        SignedClient::new(&config("eu-west-1", &[("AWS_ENDPOINT_URL", url)]), SES).unwrap();
    let time = Duration::from_secs(5);
    service
        .post_json("/v2/email/outbound-emails", b"{}".to_vec(), time)
        .await
}

#[test]
fn a_service_is_where_the_region_or_the_variables_say() {
    let local = ("AWS_ENDPOINT_URL", "http://127.0.0.1:4566/");
    let own = ("AWS_ENDPOINT_URL_SESV2", "http://127.0.0.1:9");
    let cases: [(&str, &[_], &str); 4] = [
        ("eu-west-1", &[], "https://email.eu-west-1.amazonaws.com"),
        (
            "cn-north-1",
            &[],
            "https://email.cn-north-1.amazonaws.com.cn",
        ),
        ("eu-west-1", &[local], "http://127.0.0.1:4566"),
        ("eu-west-1", &[local, own], "http://127.0.0.1:9"),
    ];
    for (region, places, expected) in cases {
        assert_eq!(endpoint_of(&config(region, places), SES), expected);
    }
}

#[tokio::test]
async fn a_request_is_signed_for_its_service_and_region() {
    let (url, server) = answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    let answer = post(&url).await.unwrap();
    assert_eq!((answer.status, answer.error), (200, None));
    let asked = server.join().unwrap();
    assert!(
        asked.starts_with("POST /v2/email/outbound-emails HTTP/1.1"),
        "{asked}"
    );
    let scope = "/eu-west-1/ses/aws4_request";
    assert!(
        asked.contains("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"),
        "{asked}"
    );
    assert!(asked.contains(scope), "{asked}");
    assert!(
        asked.contains("SignedHeaders=content-type;host;x-amz-date;x-amz-security-token"),
        "{asked}"
    );
    assert!(asked.contains("x-amz-security-token: token"), "{asked}");
}

#[tokio::test]
async fn an_error_has_the_name_that_aws_gives_it() {
    let (url, server) = answering(
        "HTTP/1.1 429 Too Many Requests\r\nx-amzn-ErrorType: TooManyRequestsException:http://internal.amazon.com/coral/\r\n\
         Content-Length: 2\r\n\r\n{}",
    );
    let answer = post(&url).await.unwrap();
    assert_eq!(answer.status, 429);
    assert_eq!(answer.error.as_deref(), Some("TooManyRequestsException"));
    server.join().unwrap();
    let full = "aws.protocoltests.restjson#FooError:http://internal.amazon.com/coral/";
    assert_eq!(parse_error_name(full).as_deref(), Some("FooError"));
    assert_eq!(parse_error_name(""), None);
}

#[tokio::test]
async fn a_request_that_reached_nobody_is_told_apart_from_one_that_got_no_answer() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let failed = post(&format!("http://{closed}")).await.unwrap_err();
    assert!(
        matches!(failed, RequestError::NotConnected(_)),
        "{failed:?}"
    );
    let (url, _server) = answering("");
    let failed = post(&url).await.unwrap_err();
    assert!(matches!(failed, RequestError::NoResponse(_)), "{failed:?}");
}

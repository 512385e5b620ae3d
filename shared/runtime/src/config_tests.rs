use secrecy::ExposeSecret;

use super::*;

fn variables(extra: &[(&str, &str)]) -> Variables {
    [
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "AKIA"),
        ("AWS_SECRET_ACCESS_KEY", "hidden-key"),
    ]
    .iter()
    .chain(extra)
    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
    .collect()
}

const WEBHOOK: [(&str, &str); 2] = [
    (
        "PAYGRAPH_QUEUE_URL",
        "https://sqs.eu-west-1.amazonaws.com/1/ingest",
    ),
    ("PAYGRAPH_SECRETS_PREFIX", "paygraph/prod"),
];

#[test]
fn the_webhook_reads_what_it_needs() {
    let config = WebhookConfig::read(&variables(&WEBHOOK)).unwrap();
    assert_eq!(config.queue_url, WEBHOOK[0].1);
    assert_eq!(config.secrets_prefix, "paygraph/prod");
    assert_eq!(config.platform_tenant, "default");
    assert_eq!(config.aws.region, "eu-west-1");
    assert_eq!(config.aws.secret_access_key.expose_secret(), "hidden-key");
    assert!(!format!("{config:?}").contains("hidden-key"));
}

#[test]
fn a_reader_shows_what_is_wrong_and_no_variable() {
    let variables = variables(&[("PAYGRAPH_LOG", "a=hidden-level")]);
    let mut reader = Reader::new(&variables);
    reader.log();
    let shown = format!("{reader:?}");
    assert!(shown.contains("PAYGRAPH_LOG"), "{shown}");
    assert!(!shown.contains("hidden"), "{shown}");
}

#[test]
fn every_problem_is_told_at_once_by_name() {
    let wrong = Variables::from([
        ("PAYGRAPH_LIVEMODE".to_owned(), "yes".to_owned()),
        ("PAYGRAPH_TABLE".to_owned(), "  ".to_owned()),
        ("PAYGRAPH_LOG".to_owned(), "a=loud".to_owned()),
        ("AWS_ENDPOINT_URL".to_owned(), "localhost".to_owned()),
        ("PAYGRAPH_STRIPE_URL".to_owned(), "stripe.com".to_owned()),
    ]);
    assert_eq!(
        WorkerConfig::read(&wrong).unwrap_err().to_string(),
        "the configuration is not usable: \
         AWS_ENDPOINT_URL must begin with http:// or https://; AWS_REGION is missing; \
         AWS_ACCESS_KEY_ID is missing; AWS_SECRET_ACCESS_KEY is missing; \
         PAYGRAPH_LOG must be a level or target=level, joined by commas; \
         PAYGRAPH_TABLE is missing; PAYGRAPH_EVENT_BUS is missing; \
         PAYGRAPH_DLQ_URL is missing; \
         PAYGRAPH_LIVEMODE must be true or false; \
         PAYGRAPH_STRIPE_URL must begin with http:// or https://; \
         PAYGRAPH_SECRETS_PREFIX is missing"
    );
}

#[test]
fn the_platform_tenant_can_be_part_of_a_key() {
    for wrong in ["a#b", "a\nb", &"x".repeat(256)] {
        let mut variables = variables(&WEBHOOK);
        variables.insert("PAYGRAPH_PLATFORM_TENANT".to_owned(), wrong.to_owned());
        variables.remove("PAYGRAPH_QUEUE_URL");
        let error = WebhookConfig::read(&variables).unwrap_err();
        let expected = "the configuration is not usable: PAYGRAPH_QUEUE_URL is missing; \
             PAYGRAPH_PLATFORM_TENANT must have at most 255 bytes, no '#' and no control characters";
        assert_eq!(error.to_string(), expected);
        assert_eq!(format!("{error:?}"), expected, "what `main` prints");
    }
}

#[test]
fn each_function_reads_only_its_own() {
    let table = ("PAYGRAPH_TABLE", "paygraph");
    let bus = ("PAYGRAPH_EVENT_BUS", "paygraph");
    let queue = ("PAYGRAPH_QUEUE_URL", "http://127.0.0.1:1/ingest");
    let dlq = ("PAYGRAPH_DLQ_URL", "http://127.0.0.1:1/dlq");
    let live = ("PAYGRAPH_LIVEMODE", "true");
    let secrets = ("PAYGRAPH_SECRETS_PREFIX", "paygraph");
    let jobs = ("PAYGRAPH_JOBS_QUEUE_URL", "http://127.0.0.1:1/jobs");
    assert!(
        WorkerConfig::read(&variables(&[table, bus, dlq, live, secrets]))
            .unwrap()
            .livemode
    );
    assert_eq!(
        TickConfig::read(&variables(&[table, bus])).unwrap().table,
        "paygraph"
    );
    assert_eq!(
        ApiConfig::read(&variables(&[table, queue, dlq, bus, live, secrets, jobs]))
            .unwrap()
            .dlq_url,
        dlq.1
    );
    let reconcile = [table, queue, dlq, bus, live, secrets, jobs];
    let share = |percent| {
        let given = [&reconcile[..], &[("PAYGRAPH_STRIPE_SHARE", percent)]].concat();
        ReconcileConfig::read(&variables(&given)).map(|config| config.share)
    };
    assert_eq!((share(""), share("75")), (Ok(40), Ok(75)));
    assert!(share("101").is_err());
    assert!(AwsConfig::read(&variables(&[])).is_ok());
}

#[test]
fn greenlight_shows_an_email_or_an_id() {
    let read = |value: &str| {
        let extra = [
            ("PAYGRAPH_TABLE", "t"),
            ("PAYGRAPH_DLQ_URL", "https://sqs/own"),
            ("PAYGRAPH_INGEST_DLQ_URL", "https://sqs/ingest"),
            ("PAYGRAPH_SECRETS_PREFIX", "paygraph"),
            ("PAYGRAPH_GREENLIGHT_ENTITY", value),
        ];
        GreenlightConfig::read(&variables(&extra)).map(|config| config.entity)
    };
    assert_eq!(read(""), Ok(GreenlightEntity::Email));
    assert_eq!(read("email"), Ok(GreenlightEntity::Email));
    assert_eq!(read("customer_id"), Ok(GreenlightEntity::CustomerId));
    assert_eq!(
        read("name").unwrap_err().to_string(),
        "the configuration is not usable: PAYGRAPH_GREENLIGHT_ENTITY must be email or customer_id"
    );
}

#[test]
fn sequences_are_drafts_unless_a_stack_says_otherwise() {
    let read = |value: &str| {
        let extra = [
            ("PAYGRAPH_TABLE", "t"),
            ("PAYGRAPH_EVENT_BUS", "b"),
            ("PAYGRAPH_DLQ_URL", "http://127.0.0.1:1/dlq"),
            ("PAYGRAPH_ENABLE_SEQUENCES", value),
        ];
        SequenceConfig::read(&variables(&extra)).map(|config| config.enable_examples)
    };
    assert_eq!(read(""), Ok(false));
    assert_eq!(read("false"), Ok(false));
    assert_eq!(read("true"), Ok(true));
    assert_eq!(
        read("all").unwrap_err().to_string(),
        "the configuration is not usable: PAYGRAPH_ENABLE_SEQUENCES must be true or false"
    );
    assert_eq!(
        SequenceConfig::read(&variables(&[]))
            .unwrap_err()
            .to_string(),
        "the configuration is not usable: PAYGRAPH_TABLE is missing; PAYGRAPH_EVENT_BUS is missing; \
         PAYGRAPH_DLQ_URL is missing"
    );
}

#[test]
fn alerts_go_to_a_topic_if_there_is_one() {
    let read = |topic: &str| {
        let extra = [
            ("PAYGRAPH_TABLE", "t"),
            ("PAYGRAPH_DLQ_URL", "http://127.0.0.1:1/dlq"),
            ("PAYGRAPH_SECRETS_PREFIX", "paygraph"),
            ("PAYGRAPH_ALERT_TOPIC_ARN", topic),
        ];
        AlertConfig::read(&variables(&extra)).map(|config| config.topic_arn)
    };
    assert_eq!(read(""), Ok(None));
    let topic = "arn:aws:sns:eu-west-1:1:alerts";
    assert_eq!(read(topic), Ok(Some(topic.to_owned())));
    assert_eq!(
        read("alerts").unwrap_err().to_string(),
        "the configuration is not usable: PAYGRAPH_ALERT_TOPIC_ARN must begin with arn:"
    );
}

#[test]
fn a_crm_is_asked_eight_times_a_second_if_nobody_says_otherwise() {
    let read = |writes: &'static str| {
        let extra = [
            ("PAYGRAPH_TABLE", "paygraph"),
            ("PAYGRAPH_EVENT_BUS", "paygraph"),
            ("PAYGRAPH_DLQ_URL", "http://127.0.0.1/dlq"),
            ("PAYGRAPH_SECRETS_PREFIX", "paygraph"),
            ("PAYGRAPH_CRM_WRITES", writes),
        ];
        CrmConfig::read(&variables(&extra)).map(|config| config.writes_per_second)
    };
    assert_eq!((read(""), read("12")), (Ok(8), Ok(12)));
    for writes in ["0", "many"] {
        assert_eq!(
            read(writes).unwrap_err().to_string(),
            "the configuration is not usable: PAYGRAPH_CRM_WRITES must be a number from 1 to 1000"
        );
    }
}

#[test]
fn one_service_can_be_elsewhere() {
    let config = AwsConfig::read(&variables(&[
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:4566"),
        ("AWS_ENDPOINT_URL_EVENTBRIDGE", "http://127.0.0.1:9"),
    ]))
    .unwrap();
    assert_eq!(
        config.endpoint_url.as_deref(),
        Some("http://127.0.0.1:4566")
    );
    assert_eq!(
        config
            .service_endpoint_urls
            .get("AWS_ENDPOINT_URL_EVENTBRIDGE")
            .map(String::as_str),
        Some("http://127.0.0.1:9")
    );
}

#[test]
fn the_environment_of_the_process_is_a_map() {
    assert!(environment().contains_key("PATH"));
}

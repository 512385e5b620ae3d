//! A failed payment sets everything in motion once, though everybody on its way dies once.

use std::sync::PoisonError;

use paygraph_bus::Queue;
use paygraph_domain::id::CustomerId;
use paygraph_domain::sequence::{State, Why};
use paygraph_engine::sequence::Enrolments as _;
use paygraph_testkit::fake_attio::{FakeAttio, TOKEN, Trouble};
use paygraph_testkit::nats::NatsServer;
use paygraph_tests::{Slack, Tenant, now, stack, unique, wait};
use serde_json::{Value, json};

use crate::ALONE;
use crate::broken::{Silent, WithoutBus, hide_for, kill};

/// The queues of everybody who is killed.
const QUEUES: [&str; 5] = [
    "queue_url",
    "alert_queue_url",
    "crm_queue_url",
    "greenlight_queue_url",
    "sequence_queue_url",
];
/// How long a message of theirs is not seen after it was taken, in the template.
const HIDDEN: u32 = 180;
/// The same while this test waits for it: longer than a claim holds.
const HIDDEN_HERE: u32 = 70;

/// The lines that GreenLight has written, with this in them.
fn lines(part: &str) -> Vec<String> {
    let group = stack().local("greenlight_log_group");
    let (mut lines, mut next) = (Vec::new(), Value::Null);
    loop {
        let mut asked = json!({ "logGroupName": group });
        if !next.is_null() {
            asked["nextToken"] = next;
        }
        let request = ureq::post(stack().local("aws_endpoint_url"))
            .header("x-amz-target", "Logs_20140328.FilterLogEvents")
            .content_type("application/x-amz-json-1.1");
        let mut answer = request.send(asked.to_string()).unwrap();
        let told: Value = answer.body_mut().read_json().unwrap();
        let events = told["events"].as_array().unwrap().iter();
        let texts = events.map(|event| event["message"].as_str().unwrap().trim().to_owned());
        lines.extend(texts.filter(|line| line.contains(part)));
        next = told["nextToken"].clone();
        if next.is_null() {
            return lines;
        }
    }
}

fn hide_all_for(seconds: u32) {
    for queue in QUEUES {
        hide_for(queue, seconds);
    }
}

/// Waits until nobody has anything left to do.
fn all_done() {
    let waiting = |name: &str| {
        let queue = Queue::new(stack().sqs.clone(), stack().local(name));
        stack().block_on(queue.count_messages()).unwrap()
    };
    for queue in QUEUES {
        wait(queue, || (waiting(queue) == 0).then_some(()));
    }
}

/// Everything outside that targets tell.
struct Outside {
    tenant: Tenant,
    customer: String,
    slack: Slack,
    attio: FakeAttio,
    nats: NatsServer,
}

impl Outside {
    fn start() -> Self {
        let attio = FakeAttio::start(Trouble::default());
        Self {
            tenant: Tenant::unique(),
            customer: unique("cus_"),
            slack: Slack::start(),
            attio: stack().block_on(attio).unwrap(),
            nats: NatsServer::start(),
        }
    }

    fn with_attio(&self, url: &str) {
        let secret = json!({ "token": TOKEN, "url": url });
        stack().keep_secret(&format!("attio/{}", self.tenant.id), &secret);
    }

    fn with_nats(&self, url: &str) {
        stack().keep_secret("nats", &json!({ "url": url, "stream": "GREENLIGHT" }));
    }

    /// How often the CRM was told of a status.
    fn written(&self, status: &str) -> usize {
        let writes = self.attio.writes().into_iter();
        let of_customer = writes.filter(|write| {
            let of = (write.object.as_str(), write.id.as_str());
            of == ("subscriptions", self.customer.as_str()) && write.values["status"] == status
        });
        of_customer.count()
    }

    fn messages(&self, what: &str) -> usize {
        let subject = format!("greenlight.{what}.{}", self.customer);
        let subjects = stack().block_on(self.nats.subjects()).into_iter();
        subjects.filter(|held| *held == subject).count()
    }

    fn lines(&self, action: &str) -> usize {
        lines(&format!("{action}: {}@example.com", self.customer)).len()
    }

    /// The states of the enrolments that there were.
    fn recoveries(&self) -> Vec<State> {
        let contact = CustomerId::parse(&self.customer).unwrap();
        let held = stack().store.enrolments(&self.tenant.id, &contact);
        let held = stack().block_on(held).unwrap().into_iter();
        let held = held.filter(|held| held.sequence == "failed_payment_recovery");
        held.map(|held| held.state).collect()
    }
}

/// D1, D5, N7, N19: the webhook comes three times; the worker is killed between commit and publish,
/// and each target between its claim and what it was about to do. There is one alert, one message to
/// Slack, one enrolment with its step, one write to the CRM, one line and one message to NATS; and
/// the recovery ends or updates each once.
#[test]
fn d1_d5_n7_n19_a_failed_payment_is_told_once_though_each_dies_once() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (outside, t) = (Outside::start(), now() - 60);
    let (tenant, customer) = (&outside.tenant, &outside.customer);
    outside.with_attio(outside.attio.url());
    tenant.subscribe(customer, &format!("{customer}@example.com"), t);
    wait("Attio", || (outside.written("active") == 1).then_some(()));
    all_done();

    // Nothing answers any more, neither the bus nor anything outside.
    hide_all_for(HIDDEN_HERE);
    let [slack, attio, nats] = [Silent::start(), Silent::start(), Silent::start()];
    let url = format!("http://{}", slack.address);
    stack().keep_secret(&format!("slack/{}", tenant.id), &json!({ "url": url }));
    outside.with_attio(&format!("http://{}", attio.address));
    outside.with_nats(&format!("nats://{}", nats.address));
    // Who has read a secret already would not look again for minutes.
    for function in ["alert_function", "crm_function", "greenlight_function"] {
        kill(function);
    }
    let worker = WithoutBus::run("worker_function");
    let sequence = WithoutBus::run("sequence_function");

    let turned = tenant.turn(customer, "past_due", t, t + 10);
    tenant.fail_payment(customer, t + 10);
    tenant.post(&turned);
    tenant.post(&turned);
    worker.bus.wait();
    assert!(worker.mend() > 0, "the worker was at it");
    slack.wait();
    outside.slack.serve(tenant);
    assert!(kill("alert_function") > 0, "it was at it");
    attio.wait();
    outside.with_attio(outside.attio.url());
    assert!(kill("crm_function") > 0, "it was at it");
    nats.wait();
    outside.with_nats(&outside.nats.url());
    assert!(kill("greenlight_function") > 0, "it was at it");
    sequence.bus.wait();
    assert!(sequence.mend() > 0, "it was at it");

    let alerts = || tenant.alerts_of("payment_failure", customer);
    let raised = wait("the alert", || alerts().pop());
    let title = raised["title"].as_str().unwrap();
    let step = format!("sequence:failed_payment_recovery:{customer}:1:notice");
    wait("Slack", || outside.slack.heard(title).pop());
    wait("the step", || stack().delivered(&step).pop());
    all_done();
    let told = || {
        [
            alerts().len(),
            outside.slack.heard(title).len(),
            stack().delivered(&step).len(),
            outside.recoveries().len(),
            outside.written("past_due"),
            outside.lines("invoice_failed"),
            outside.messages("payment.failed.micro.billing"),
        ]
    };
    assert_eq!(told(), [1; 7]);
    let is_running = |state: &State| matches!(state, State::Running { .. });
    assert!(outside.recoveries().iter().all(is_running));

    tenant.recover_payment(customer, t + 10);
    tenant.turn(customer, "active", t, t + 30);
    tenant.wait_until_resolved(customer);
    all_done();
    assert_eq!(told(), [1; 7]);
    let has_left = |state: &State| matches!(state, State::Left { why: Why::Exit, .. });
    assert!(outside.recoveries().iter().all(has_left));
    let recovered = [
        outside.written("active"),
        outside.lines("invoice_paid"),
        outside.messages("payment.succeeded.macro.billing"),
    ];
    assert_eq!(recovered, [2, 1, 1], "the first time it began to be active");

    stack().keep_secret("nats", &json!({}));
    kill("greenlight_function");
    hide_all_for(HIDDEN);
}

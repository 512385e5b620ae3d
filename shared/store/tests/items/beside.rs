//! What stands beside the engine's commits, written by the ports of its subsystems.

use std::collections::{BTreeMap, BTreeSet};

use paygraph_domain::alert::plan::Held;
use paygraph_domain::alert::routing::Route;
use paygraph_domain::alert::subscription::Subscription;
use paygraph_domain::alert::{Acknowledged, Alert, AlertId, Channel, Kind, Status};
use paygraph_domain::analytics::{Book, Day, Fact, Happened};
use paygraph_domain::drift::Class;
use paygraph_domain::email::{Outbound, Suppressed};
use paygraph_domain::id::{Cause, StripeCustomerId, StripeId};
use paygraph_domain::money::{Currency, Money};
use paygraph_domain::sequence::{Enrolment, State, Taken, Why};
use paygraph_domain::settings::Settings;
use paygraph_domain::standing::Severity;
use paygraph_engine::alert::{
    AlertBursts as _, Alerts as _, Burst, Change, SINGLE_MESSAGES, Unresolved, Whose,
};
use paygraph_engine::analytics::{Analytics as _, Census};
use paygraph_engine::connection::{By, Connection, ConnectionStore as _, Status as Connected};
use paygraph_engine::crm::{Kept, Shown, Shows as _};
use paygraph_engine::email::Emails as _;
use paygraph_engine::ports::{Commit, Runs as _, Store as _};
use paygraph_engine::run::{
    Drift, Failure, Job, Kind as ObjectKind, Look, Outcome, Range, Run, Scope, Stage,
};
use paygraph_engine::target::{Effect, Effects as _};
use paygraph_engine::watch::{Usual, Watch, Watches as _};
use paygraph_store::DynamoStore;
use paygraph_store::token::Right;
use serde_json::json;

use super::history::{at, contact, tenant};

const DAY: i64 = 86_400;

pub async fn write(store: &DynamoStore) {
    alerts(store).await;
    bursts(store).await;
    analytics(store).await;
    connection(store).await;
    emails_and_crm(store).await;
    enrolments(store).await;
    runs(store).await;
    small(store).await;
}

fn alert(id: &str, title: &str) -> Alert {
    Alert {
        id: AlertId::parse(id).unwrap(),
        severity: Severity::High,
        title: title.to_owned(),
        evidence: json!({ "invoice": "in_example", "amount": { "usd": 5_800 } }),
        owner: Some("north".to_owned()),
        route: Route {
            channels: [Channel::Slack, Channel::Sns].into(),
            subscribers: ["cs-team".to_owned()].into(),
        },
        raised_at: at(0),
        status: Status::Open,
        acknowledged: None,
        resolved_at: None,
    }
}

async fn alerts(store: &DynamoStore) {
    let tenant = tenant();
    let failed = alert(
        "payment_failure:1790007200:in_example:acme",
        "Payment failed",
    );
    let expiring = alert("card_expiring:1790001000:pm_example:acme", "Card expires");
    let over = alert("past_due:1790007200::acme", "Past due");
    let endpoint = alert("endpoint:1790000000::", "Stripe's events do not arrive");
    let raised = [&failed, &expiring, &over];
    let held = |alert: &Alert, waiting: &[Channel]| Held {
        id: alert.id.clone(),
        raised_at: alert.raised_at,
        waiting: waiting.iter().copied().collect(),
    };
    let whose = Whose::Contact(contact("acme"));
    let mut change = Change {
        tenant: tenant.clone(),
        whose,
        contact_version: None,
        unresolved: Unresolved {
            rev: 1,
            alerts: raised
                .iter()
                .map(|alert| held(alert, &[Channel::Slack]))
                .collect(),
        },
        raise: raised.map(Clone::clone).into(),
        resolve: Vec::new(),
        at: at(0),
    };
    store.change(&change).await.unwrap();
    change.unresolved = Unresolved {
        rev: 2,
        alerts: vec![held(&failed, &[]), held(&expiring, &[Channel::Sns])],
    };
    (change.raise, change.resolve) = (Vec::new(), vec![over.id.clone()]);
    store.change(&change).await.unwrap();
    let by = Acknowledged {
        by: "ana".to_owned(),
        at: at(60),
    };
    store.acknowledge(&tenant, &failed.id, &by).await.unwrap();
    change.whose = Whose::Tenant;
    change.unresolved = Unresolved {
        rev: 1,
        alerts: vec![held(&endpoint, &[])],
    };
    (change.raise, change.resolve) = (vec![endpoint], Vec::new());
    store.change(&change).await.unwrap();
    for (kinds, customer) in [
        (BTreeSet::new(), None),
        ([Kind::PastDue, Kind::Dispute].into(), Some(contact("acme"))),
    ] {
        let subscription = Subscription {
            subscriber: "cs-team".to_owned(),
            kinds,
            customer,
            channel: Channel::Slack,
        };
        store.subscribe(&tenant, &subscription).await.unwrap();
    }
}

/// A burst with a closed digest of one alert, and a second of its channel.
async fn bursts(store: &DynamoStore) {
    let (tenant, burst) = (tenant(), Burst::of(Channel::Slack, Kind::PastDue, at(0)));
    for number in 0..=SINGLE_MESSAGES {
        let id = AlertId::parse(&format!("past_due:1790007200::c{number}")).unwrap();
        store.join_burst(&tenant, &burst, &id).await.unwrap();
    }
    assert_eq!(store.close_burst(&tenant, &burst).await.unwrap(), 1);
    let reserved = store.reserve_second(&tenant, Channel::Slack, at(0), at(9));
    assert_eq!(reserved.await.unwrap(), Some(at(0)));
}

async fn analytics(store: &DynamoStore) {
    let tenant = tenant();
    let usd = Currency::parse("usd").unwrap();
    for (event, happened) in [
        ("evt_1#1", Happened::Paid(Money::of(&usd, 5_800))),
        ("evt_2#1", Happened::Canceled),
        ("evt_3#1", Happened::Converted),
        ("evt_4#1", Happened::Lost),
    ] {
        let fact = Fact {
            at: at(0),
            happened,
        };
        store.keep_fact(&tenant, event, &fact).await.unwrap();
    }
    let mut book = Book {
        mrr: Money::of(&usd, 5_800),
        subscribers: 1,
        lifetime: BTreeMap::new(),
    };
    let lifetime = book.lifetime.entry(usd).or_default();
    (lifetime.paid, lifetime.customers) = (11_600, 1);
    for (days, whole) in [(-DAY, true), (0, false)] {
        let census = Census {
            book: book.clone(),
            done_to: Some(contact("acme")),
            whole,
            told: whole,
            ..Census::new(Day::of(at(days)))
        };
        store.note_census(&tenant, &census, at(0)).await.unwrap();
    }
}

async fn connection(store: &DynamoStore) {
    let tenant = tenant();
    let connection = Connection {
        account: StripeId::parse("acct_1").unwrap(),
        name: Some("Acme".to_owned()),
        livemode: true,
        by: By::RestrictedKey,
        since: at(-DAY),
        endpoint: Some("we_1".to_owned()),
        status: Connected::Connected,
        rev: 0,
    };
    store.put_connection(&tenant, &connection).await.unwrap();
    let paused = Connection {
        status: Connected::Paused {
            reason: "the key may not read invoices".to_owned(),
        },
        rev: 1,
        ..connection
    };
    store.put_connection(&tenant, &paused).await.unwrap();
    store.spend(&tenant, "n0nce", at(600)).await.unwrap();
}

async fn emails_and_crm(store: &DynamoStore) {
    let tenant = tenant();
    let id = contact("acme");
    for (hash, why) in [("0a1b", None), ("2c3d", Some(Suppressed::Bounced))] {
        store.recipient(&tenant, hash, "t0ken").await.unwrap();
        if let Some(why) = why {
            let suppressed = store.suppress(&tenant, hash, None, why, at(5));
            assert!(suppressed.await.unwrap());
        }
    }
    let outbound = Outbound::default().with("evt_1#2", at(1));
    store.keep_outbound(&tenant, &id, &outbound).await.unwrap();
    let outbound = outbound.with("evt_2#2", at(2));
    store.keep_outbound(&tenant, &id, &outbound).await.unwrap();
    let kept = Kept {
        digest: u64::MAX,
        record: "rec_1".to_owned(),
        page: Some("https://crm.example/rec_1".to_owned()),
    };
    let records = [
        ("user#u_1".to_owned(), None),
        ("workspace#ws_1".to_owned(), Some(kept)),
    ];
    let upsell = AlertId::parse("upsell:1790000000::acme").unwrap();
    let shown = Shown {
        version: 3,
        records: records.into(),
        tasks: vec![Held {
            id: upsell,
            raised_at: at(0),
            waiting: BTreeSet::new(),
        }],
    };
    store.take_turn(&tenant, &id, at(0), at(60)).await.unwrap();
    let noted = store.note_shown(&tenant, &id, 1, &shown, Some(at(90)));
    noted.await.unwrap();
}

async fn enrolments(store: &DynamoStore) {
    let taken = |step: &str, sent| Taken {
        step: step.to_owned(),
        delay: 3_600,
        at: at(0),
        sent,
    };
    for (sequence, state) in [
        ("failed_payment_recovery", State::Running { due: at(DAY) }),
        (
            "trial_expiry",
            State::Left {
                at: at(0),
                why: Why::Exit,
            },
        ),
        ("upgrade_celebration", State::Done { at: at(0) }),
    ] {
        let enrolment = Enrolment {
            sequence: sequence.to_owned(),
            n: 2,
            version: 1,
            enrolled_at: at(-3_600),
            event: "evt_1#1".to_owned(),
            taken: vec![taken("first", true), taken("second", false)],
            moved: 30,
            state,
        };
        let mut commit = Commit::new(tenant());
        commit.put_enrolment(contact("acme"), enrolment);
        store.commit(&commit).await.unwrap();
    }
}

fn run(id: &str, job: Job, scope: Scope) -> Run {
    Run::new(id.to_owned(), tenant(), job, scope, at(0))
}

async fn runs(store: &DynamoStore) {
    let tenant = tenant();
    let customer = StripeCustomerId::parse("cus_example").unwrap();
    let token = store.lease(&tenant, at(0), at(60)).await.unwrap().unwrap();
    let begun = run("backfill-1", Job::Backfill, Scope::default());
    store.note(&begun, token, at(60)).await.unwrap();
    let mut reading = run("backfill-2", Job::Backfill, Scope::default());
    reading.stage = Stage::Objects;
    reading.ranges = vec![Range {
        kind: ObjectKind::Invoices,
        from: at(-90 * DAY),
        before: at(0),
        status: Some("open".to_owned()),
        after: Some("in_7".to_owned()),
        read_to: Some(at(-9 * DAY)),
    }];
    store.note(&reading, token, at(60)).await.unwrap();
    let scope = Scope {
        kinds: vec![ObjectKind::Subscriptions, ObjectKind::Invoices],
        since: Some(at(-35 * DAY)),
        recent: true,
        dry_run: true,
        object: Some("cus_example".to_owned()),
    };
    let mut compared = run("reconcile-1", Job::Reconcile, scope);
    compared.stage = Stage::SecondLook;
    compared.passed = Some(contact("acme"));
    compared.second_look_at = Some(at(300));
    compared.problem = Some("the key may not read invoices".to_owned());
    compared.stopped = true;
    let counts = &mut compared.counts;
    (
        counts.pages,
        counts.committed,
        counts.in_flight,
        counts.differed,
    ) = (7, 5, 1, 2);
    counts.objects.insert(ObjectKind::Subscriptions, 40);
    let failure = "it names no customer".to_owned();
    counts.failed.insert("in_9".to_owned(), failure);
    counts.failed_total = 1;
    store.note(&compared, token, at(60)).await.unwrap();
    let look = |kind, object: &str, unlisted| Look {
        customer: customer.clone(),
        kind,
        object: object.to_owned(),
        unlisted,
        rev: (!unlisted).then_some(3),
    };
    let looks = [
        look(ObjectKind::Subscriptions, "sub_example", false),
        look(ObjectKind::PaymentMethods, "pm_example", true),
    ];
    store.note_looks(&compared, &looks).await.unwrap();
    let drift = |class, field: Option<&str>, outcome| Drift {
        class,
        severity: paygraph_engine::run::Severity::Critical,
        customer: customer.clone(),
        object: "sub_example".to_owned(),
        field: field.map(str::to_owned),
        local: json!("active"),
        stripe: json!("canceled"),
        money_per_month: [("usd".to_owned(), 5_800)].into(),
        outcome,
    };
    let drift = [
        drift(Class::StatusMismatch, Some("status"), Outcome::Healed),
        drift(Class::MissingLocal, None, Outcome::DryRun),
        drift(Class::MissingInStripe, Some("status"), Outcome::Review),
    ];
    store.note_drift(&compared, &drift).await.unwrap();
    set_aside(store, &compared).await;
}

/// What a run set aside, and what its lists returned.
async fn set_aside(store: &DynamoStore, run: &Run) {
    let failure = Failure {
        object: "in_9".to_owned(),
        reason: "it names no customer".to_owned(),
    };
    store.note_failures(run, &[failure]).await.unwrap();
    let ids = [1, u64::MAX];
    store
        .note_returned(run, "00000000000000a1", &ids)
        .await
        .unwrap();
}

async fn small(store: &DynamoStore) {
    let tenant = tenant();
    let settings = Settings::example().unwrap().with_all_sequences();
    let put = store.put_settings(&tenant, &settings, None);
    put.await.unwrap();
    let rights = [Right::Read, Right::Write];
    let token = store.create_token(&tenant, "reporting", &rights, at(0));
    token.await.unwrap();
    for (what, is_done) in [("evt_1#0", false), ("evt_2#0", true)] {
        let effect = Effect::new("greenlight", what);
        store.claim(&tenant, &effect, at(0), at(60)).await.unwrap();
        if is_done {
            store.done(&tenant, &effect, 1, at(1)).await.unwrap();
        }
    }
    let mut usual = Usual::default();
    usual.count(at(-600), at(-300), 12);
    let watch = Watch {
        rev: 0,
        watched_to: at(-300),
        missed: 2,
        usual,
        reasons: [("missed".to_owned(), "2 events never came".to_owned())].into(),
        since: Some(at(-300)),
    };
    store.note_watch(&tenant, &watch).await.unwrap();
    let cause = Cause::parse("evt_example_001").unwrap();
    let beat = store.beat(&tenant, &cause, at(-30), at(0));
    beat.await.unwrap();
    let done_to = contact("acme");
    let noted = store.note_run(&tenant, "reevaluate-1", &done_to, at(DAY).unix());
    noted.await.unwrap();
}

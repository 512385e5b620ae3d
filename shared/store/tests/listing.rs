//! Lists of contacts: what is asked of the indexes, and what a cursor is.
#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemOutput;
use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::types::{AttributeValue, Select};
use aws_smithy_mocks::{RuleMode, mock, mock_client};
use paygraph_domain::contact::Contact;
use paygraph_domain::id::{CustomerId, TenantId};
use paygraph_domain::settings::Settings;
use paygraph_store::DynamoStore;
use paygraph_store::listing::{Count, List};

type Item = HashMap<String, AttributeValue>;

fn tenant() -> TenantId {
    TenantId::parse("acme").unwrap()
}

fn id(text: &str) -> CustomerId {
    CustomerId::parse(text).unwrap()
}

fn store(client: Client) -> DynamoStore {
    DynamoStore::new(client, "table", Settings::example().unwrap())
}

fn item<const N: usize>(fields: [(&str, &str); N]) -> Item {
    fields
        .map(|(name, value)| (name.to_owned(), AttributeValue::S(value.to_owned())))
        .into()
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

#[tokio::test]
async fn members_are_read_page_by_page() {
    let member = |id: &'static str| item([("segment_sk", id)]);
    let first = mock!(Client::query)
        .match_requests(|request| {
            let values = request.expression_attribute_values().unwrap();
            request.index_name() == Some("segment")
                && request.limit() == Some(2)
                && values.get(":list") == Some(&text("T#acme#G#churned"))
                && !values.contains_key(":after")
        })
        .then_output(move || {
            QueryOutput::builder()
                .items(member("a"))
                .items(member("b"))
                .set_last_evaluated_key(Some(member("b")))
                .build()
        });
    let second = mock!(Client::query)
        .match_requests(|request| {
            let values = request.expression_attribute_values().unwrap();
            values.get(":after") == Some(&text("b"))
        })
        .then_output(move || QueryOutput::builder().items(member("c")).build());
    let client = mock_client!(aws_sdk_dynamodb, RuleMode::Sequential, [&first, &second]);
    let store = store(client);
    let page = store.members(&tenant(), "churned", None, 2).await.unwrap();
    assert_eq!(page.entries, [id("a"), id("b")]);
    // The cursor goes out as a text and comes back.
    let text = page.next.unwrap().encode();
    assert_eq!(List::Customers.cursor(&text), None, "it is of another list");
    let cursor = List::Members.cursor(&text);
    let page = store
        .members(&tenant(), "churned", cursor.as_ref(), 2)
        .await
        .unwrap();
    assert_eq!((page.entries, page.next), (vec![id("c")], None));
}

#[tokio::test]
async fn a_segment_is_counted_over_its_pages_and_not_without_end() {
    let pages = |last: bool| {
        mock!(Client::query)
            .match_requests(|request| request.select() == Some(&Select::Count))
            .then_output(move || {
                let key = (!last).then(|| item([("segment_sk", "x")]));
                QueryOutput::builder()
                    .count(7_000)
                    .set_last_evaluated_key(key)
                    .build()
            })
    };
    let (first, second) = (pages(false), pages(true));
    let client = mock_client!(aws_sdk_dynamodb, RuleMode::Sequential, [&first, &second]);
    let counted = store(client).count_members(&tenant(), "tier_free").await;
    let (members, more) = (14_000, false);
    assert_eq!(counted.unwrap(), Count { members, more });
    let endless = pages(false);
    let client = mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, [&endless]);
    let counted = store(client).count_members(&tenant(), "tier_free").await;
    let (members, more) = (70_000, true);
    assert_eq!(counted.unwrap(), Count { members, more });
}

#[tokio::test]
async fn customers_come_by_lifetime_value_and_are_read_in_that_order() {
    let place = |worth: u32, id: &str| format!("{worth:019}#{id}");
    let listed = mock!(Client::query)
        .match_requests(|request| {
            request.index_name() == Some("tenant")
                && request.scan_index_forward() == Some(false)
                && request.expression_attribute_values().unwrap().get(":list")
                    == Some(&text("T#acme#CONTACTS"))
        })
        .then_output(move || {
            let at = |worth, id| item([("tenant_sk", &place(worth, id))]);
            QueryOutput::builder()
                .items(at(900, "rich"))
                .items(at(5, "gone"))
                .items(at(1, "poor"))
                .set_last_evaluated_key(Some(at(1, "poor")))
                .build()
        });
    let read = mock!(Client::batch_get_item)
        .match_requests(|request| {
            let asked = request.request_items().unwrap().get("table").unwrap();
            asked.consistent_read() == Some(true) && asked.keys().len() == 3
        })
        .then_output(|| {
            let contact = |name: &str| {
                let doc = serde_json::to_string(&Contact::new(id(name))).unwrap();
                item([("sk", "CONTACT"), ("doc", &doc)])
            };
            let found = vec![contact("poor"), contact("rich")];
            BatchGetItemOutput::builder()
                .responses("table", found)
                .build()
        });
    let client = mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, [&listed, &read]);
    let store = store(client);
    let page = store.by_worth(&tenant(), None, 3).await.unwrap();
    assert_eq!(
        page.next.as_ref(),
        page.entries.last().map(|last| &last.cursor)
    );
    let ids: Vec<_> = page.entries.into_iter().map(|listed| listed.id).collect();
    let contacts = store.contacts(&tenant(), &ids).await.unwrap();
    let found: Vec<_> = contacts.into_iter().map(|contact| contact.id).collect();
    assert_eq!(found, [id("rich"), id("poor")]);
}

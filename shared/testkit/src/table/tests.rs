use super::*;

fn ask(table: &FakeTable, operation: &str, request: &Value) -> (u16, Value) {
    let (status, body) = table.answer(operation, &request.to_string());
    (status, serde_json::from_str(&body).unwrap())
}

fn key(pk: &str, sk: &str) -> Value {
    json!({ "pk": { "S": pk }, "sk": { "S": sk } })
}

#[test]
fn a_condition_that_is_not_met_writes_nothing() {
    let table = FakeTable::default();
    let put = json!({ "Item": key("a", "b"), "ConditionExpression": "attribute_not_exists(pk)" });
    assert_eq!(ask(&table, "PutItem", &put).0, 200);
    let (status, refused) = ask(&table, "PutItem", &put);
    assert_eq!(status, 400);
    let name = refused["__type"].as_str().unwrap();
    assert!(name.ends_with("#ConditionalCheckFailedException"));
    let claim = |now: i64| {
        json!({
            "Key": key("a", "b"), "ReturnValues": "ALL_NEW",
            "UpdateExpression": "SET #until = :until, first = if_not_exists(first, :now) ADD claims :one REMOVE x",
            "ConditionExpression":
                "attribute_exists(pk) AND (attribute_not_exists(#until) OR #until <= :now)",
            "ExpressionAttributeNames": { "#until": "until" },
            "ExpressionAttributeValues": {
                ":until": { "N": (now + 9).to_string() }, ":now": { "N": now.to_string() },
                ":one": { "N": "1" },
            },
        })
    };
    assert_eq!(ask(&table, "UpdateItem", &claim(10)).0, 200);
    assert_eq!(ask(&table, "UpdateItem", &claim(12)).0, 400);
    let (_, ours) = ask(&table, "UpdateItem", &claim(100));
    let item = &ours["Attributes"];
    assert_eq!(item["claims"], json!({ "N": "2" }));
    assert_eq!(item["first"], json!({ "N": "10" }));
}

#[test]
fn a_transaction_is_all_or_nothing_and_names_no_item_twice() {
    let table = FakeTable::default();
    let put = |sk: &str, condition: &str| json!({ "Put": { "Item": key("a", sk), "ConditionExpression": condition } });
    let absent = "attribute_not_exists(pk)";
    let writes = json!({ "TransactItems": [put("1", absent), put("2", "attribute_exists(pk)")] });
    let (status, refused) = ask(&table, "TransactWriteItems", &writes);
    let reasons = json!([{ "Code": "None" }, { "Code": "ConditionalCheckFailed" }]);
    assert_eq!((status, &refused["CancellationReasons"]), (400, &reasons));
    assert!(table.items().is_empty());
    let twice = json!({ "TransactItems": [put("1", absent), put("1", absent)] });
    let (_, refused) = ask(&table, "TransactWriteItems", &twice);
    let name = refused["__type"].as_str().unwrap();
    assert!(name.ends_with("#ValidationException"));
    let fine = json!({ "TransactItems": [put("1", absent), put("2", absent)] });
    assert_eq!(ask(&table, "TransactWriteItems", &fine).0, 200);
    assert_eq!(table.items().len(), 2);
}

#[test]
fn a_query_answers_in_pages_and_an_index_gives_keys() {
    let table = FakeTable::default();
    for place in ["1", "2", "3"] {
        let mut item = key("a", &format!("X#{place}"));
        item["segment_pk"] = json!({ "S": "list" });
        item["segment_sk"] = json!({ "S": place });
        item["doc"] = json!({ "S": "{}" });
        table.put(item.as_object().unwrap().clone());
    }
    let mut asked = json!({
        "KeyConditionExpression": "pk = :pk AND begins_with(sk, :x)", "Limit": 2,
        "ScanIndexForward": false,
        "ExpressionAttributeValues": { ":pk": { "S": "a" }, ":x": { "S": "X#" } },
    });
    let (_, page) = ask(&table, "Query", &asked);
    assert_eq!(page["Items"][0]["sk"]["S"], "X#3");
    assert_eq!(page["Items"][0]["doc"]["S"], "{}");
    asked["ExclusiveStartKey"] = page["LastEvaluatedKey"].clone();
    let (_, page) = ask(&table, "Query", &asked);
    assert_eq!(page["Items"].as_array().unwrap().len(), 1);
    assert!(page["LastEvaluatedKey"].is_null());
    let listed = json!({
        "IndexName": "segment", "KeyConditionExpression": "segment_pk = :l AND segment_sk > :a",
        "ExpressionAttributeValues": { ":l": { "S": "list" }, ":a": { "S": "1" } },
    });
    let (_, page) = ask(&table, "Query", &listed);
    assert_eq!(page["Count"], 2);
    assert!(page["Items"][0].get("doc").is_none());
    let between = json!({
        "KeyConditionExpression": "pk = :pk AND sk BETWEEN :from AND :until", "Select": "COUNT",
        "ExpressionAttributeValues":
            { ":pk": { "S": "a" }, ":from": { "S": "X#" }, ":until": { "S": "X#2" } },
    });
    let (_, counted) = ask(&table, "Query", &between);
    assert_eq!(
        (&counted["Count"], &counted["Items"]),
        (&json!(2), &Value::Null)
    );
}

//! DynamoDB: keys, items, transactions.

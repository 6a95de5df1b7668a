//! The audit record: entries, filters, numbers.

use std::sync::Arc;

use squall_model::{AuditRecord, AuditResult, Author, DocumentKind};
use squall_value::{Value, dict};

use super::{World, at, put, text};
use crate::{AuditFilter, Command, Page, Purge};

/// An entry with everything that one may have.
fn entry(user: &str, action: &str, resource: Option<&str>, seconds: i64) -> AuditRecord {
    AuditRecord {
        number: 0,
        at: at(seconds),
        author: Author {
            user: text(user),
            method: text("action_token"),
            delegate: Some(text("execution:6532c0ffee00000000000001")),
            address: Some(text("192.0.2.7")),
            agent: Some(text("st2 \"3.9\"\n\u{0}")),
            request: Some(text("PUT /api/v1/rules/shop.restock")),
        },
        action: text(action),
        resource: resource.map(text),
        result: AuditResult::Done,
        reason: Some(text("as it was asked")),
        before: dict! { "enabled" => true },
        after: dict! { "enabled" => false, "name" => "\u{0}é" },
        repeated: 3,
    }
}

fn record(entry: &AuditRecord) -> Command {
    Command::Record(Arc::new(entry.clone()))
}

/// Entries that satisfy a filter, and how many there are.
async fn list(world: &World, filter: &AuditFilter, page: Page) -> (Vec<AuditRecord>, u64) {
    let listed = world.store.audit(filter, page).await.expect("readable");
    let items = listed.items.iter().map(|record| AuditRecord::clone(record));
    (items.collect(), listed.total)
}

async fn numbers(world: &World, filter: &AuditFilter) -> Vec<u64> {
    let (items, total) = list(world, filter, Page::ALL).await;
    assert_eq!(total, items.len() as u64);
    items.iter().map(|record| record.number).collect()
}

/// An entry is there exactly when its transaction is, whole, and numbered without gaps; it is no
/// change in the feed.
pub async fn entries_come_with_their_transaction(world: &World) {
    let document = world.document(DocumentKind::Rule, "shop.restock", 1);
    let full = entry("ann", "rule_create", Some("rule:shop:restock"), 1);
    let bare = AuditRecord {
        author: Author {
            user: text(""),
            ..Author::default()
        },
        action: text("sign_in"),
        resource: None,
        result: AuditResult::Refused,
        reason: None,
        before: Value::Null,
        after: Value::Null,
        repeated: 0,
        ..full.clone()
    };
    world.hold(1, vec![put(&document), record(&full)]).await;
    // The document is there already, so nothing is recorded either.
    world.refuse(2, vec![record(&bare), put(&document)]).await;
    world.hold(3, vec![record(&bare), record(&full)]).await;
    let filter = AuditFilter {
        oldest_first: true,
        ..AuditFilter::default()
    };
    let (items, total) = list(world, &filter, Page::ALL).await;
    let numbered = |number, record: &AuditRecord| AuditRecord {
        number,
        ..record.clone()
    };
    assert_eq!(
        items,
        [numbered(1, &full), numbered(2, &bare), numbered(3, &full)]
    );
    assert_eq!(total, 3);
    assert_eq!(world.changes().await.len(), 1);
}

/// Entries of many kinds, by time, as the filters are tried on.
async fn population(world: &World) -> Vec<AuditRecord> {
    let resources = ["rule:shop:a", "rule:shop:b", "rule:shopping:a", "pack:shop"];
    let mut all = Vec::new();
    for index in 0..40_usize {
        let user = ["ann", "Ann", "bob", ""][index % 4];
        let action = ["rule_create", "rule_delete", "sign_in"][index % 3];
        let resource = (index % 5 != 0).then(|| resources[index % resources.len()]);
        // Several are made at the same moment, and one comes late.
        let seconds = if index == 7 { 90 } else { (index / 3) as i64 };
        let mut made = entry(user, action, resource, seconds);
        if index % 7 == 0 {
            made.result = AuditResult::Refused;
        }
        world.hold(seconds, vec![record(&made)]).await;
        made.number = index as u64 + 1;
        all.push(made);
    }
    all.sort_by_key(|record| (record.at, record.number));
    all
}

fn filters() -> Vec<AuditFilter> {
    let none = AuditFilter::default();
    vec![
        none.clone(),
        AuditFilter {
            user: Some(text("ann")),
            ..none.clone()
        },
        AuditFilter {
            user: Some(text("")),
            ..none.clone()
        },
        AuditFilter {
            user: Some(text("nobody")),
            ..none.clone()
        },
        AuditFilter {
            action: Some(text("sign_in")),
            ..none.clone()
        },
        AuditFilter {
            resource: Some(text("rule:shop:a")),
            ..none.clone()
        },
        AuditFilter {
            resource_prefix: Some(text("rule:shop:")),
            ..none.clone()
        },
        AuditFilter {
            result: Some(AuditResult::Refused),
            ..none.clone()
        },
        AuditFilter {
            after: Some(at(3)),
            before: Some(at(9)),
            ..none.clone()
        },
        AuditFilter {
            user: Some(text("bob")),
            action: Some(text("sign_in")),
            resource_prefix: Some(text("rule:")),
            after: Some(at(1)),
            ..none.clone()
        },
    ]
}

/// Every filter selects what it says, with the total, in both orders, page by page.
pub async fn audit_filters_agree(world: &World) {
    let all = population(world).await;
    for filter in filters() {
        let mut wanted: Vec<_> = all.iter().filter(|record| filter.matches(record)).collect();
        let newest_first: Vec<_> = wanted.iter().rev().map(|record| record.number).collect();
        assert_eq!(numbers(world, &filter).await, newest_first, "{filter:?}");
        let filter = AuditFilter {
            oldest_first: true,
            ..filter
        };
        let mut offset = 0;
        while !wanted.is_empty() {
            let (items, total) = list(world, &filter, Page { offset, limit: 6 }).await;
            assert_eq!(total, offset + wanted.len() as u64, "{filter:?}");
            let part: Vec<_> = wanted.drain(..wanted.len().min(6)).collect();
            assert!(items.iter().eq(part.iter().copied()), "{filter:?}");
            offset += part.len() as u64;
        }
    }
}

/// Old entries go from the beginning, and numbers never come twice.
pub async fn old_entries_go(world: &World) {
    let made = |seconds| record(&entry("ann", "rule_create", None, seconds));
    for seconds in [1, 2, 9, 3, 4] {
        world.hold(seconds, vec![made(seconds)]).await;
    }
    let purge = async |before, limit| {
        let before = at(before);
        let purge = Purge::Audit { before, limit };
        world.store.purge(purge).await.expect("purged")
    };
    let all = AuditFilter::default();
    assert_eq!(purge(3, 1).await, 1);
    // The third is younger, so what comes after it stays as well.
    assert_eq!(purge(8, 100).await, 1);
    assert_eq!(numbers(world, &all).await, [3, 5, 4]);
    assert_eq!(purge(100, 100).await, 2);
    assert_eq!(purge(100, 100).await, 0);
    assert_eq!(numbers(world, &all).await, [5]);
    world.hold(10, vec![made(10)]).await;
    assert_eq!(numbers(world, &all).await, [6, 5]);
}

//! Documents.

use squall_model::DocumentKind;

use super::{World, at, bare, put, text};
use crate::{Command, DocumentFilter, Operation, Page, Refusal};

const KEY: DocumentKind = DocumentKind::Key;

/// A document changes from the revision on which the change was decided.
pub async fn documents_have_revisions(world: &World) {
    let mut document = world.document(KEY, "system:a", 1);
    document.pack = Some(text("acme"));
    world.hold(1, vec![put(&document)]).await;
    let mut rival = world.document(KEY, "system:a", 1);
    assert_eq!(
        world.refuse(1, vec![put(&rival)]).await,
        (0, Refusal::Exists)
    );
    rival.kind = DocumentKind::Setting;
    world.hold(1, vec![put(&rival)]).await;

    document.revision = 2;
    document.body = squall_value::list![1, "zwei"];
    document.pack = None;
    document.changed = at(2);
    world.hold(2, vec![put(&document)]).await;
    assert_eq!(
        world.refuse(2, vec![put(&document)]).await,
        (0, Refusal::Changed)
    );
    document.revision = 5;
    assert_eq!(
        world.refuse(2, vec![put(&document)]).await,
        (0, Refusal::Changed)
    );
    document.revision = 2;
    let read = world.store.document(KEY, "system:a", at(3)).await;
    assert_eq!(read.expect("readable").as_deref(), Some(&document));
    let mut absent = world.document(KEY, "system:b", 1);
    absent.revision = 2;
    assert_eq!(
        world.refuse(2, vec![put(&absent)]).await,
        (0, Refusal::Missing)
    );
    // Ids are unique as well.
    let mut twin = world.document(KEY, "system:c", 1);
    twin.id = document.id;
    assert_eq!(
        world.refuse(2, vec![put(&twin)]).await,
        (0, Refusal::Exists)
    );
}

/// An expired document is gone, and its key is free.
pub async fn documents_expire(world: &World) {
    let mut token = world.document(DocumentKind::Token, "hash", 1);
    token.expires = Some(at(10));
    world.hold(1, vec![put(&token)]).await;
    let find = async |now| {
        let store = &world.store;
        let by_key = store.document(token.kind, "hash", at(now)).await;
        let by_id = store.document_by_id(token.kind, token.id, at(now)).await;
        let filter = DocumentFilter::default();
        let listed = store
            .documents(token.kind, &filter, Page::ALL, at(now))
            .await;
        (
            by_key.expect("readable").is_some(),
            by_id.expect("readable").is_some(),
            listed.expect("readable").total,
        )
    };
    assert_eq!(find(9).await, (true, true, 1));
    assert_eq!(find(10).await, (false, false, 0));
    let mut changed = token.clone();
    changed.revision = 2;
    assert_eq!(
        world.refuse(10, vec![put(&changed)]).await,
        (0, Refusal::Missing)
    );
    let delete = Command::DeleteDocument {
        kind: token.kind,
        key: text("hash"),
        from: 1,
    };
    assert_eq!(world.refuse(10, vec![delete]).await, (0, Refusal::Missing));
    let mut next = world.document(DocumentKind::Token, "hash", 10);
    next.expires = Some(at(20));
    assert_eq!(
        world.refuse(9, vec![put(&next)]).await,
        (0, Refusal::Exists)
    );
    world.hold(10, vec![put(&next)]).await;
    let read = world.store.document(next.kind, "hash", at(11)).await;
    assert_eq!(read.expect("readable").as_deref(), Some(&next));
    assert_eq!(find(11).await, (true, false, 1));
}

/// A document goes from the revision on which that was decided; the feed says so.
pub async fn documents_are_deleted(world: &World) {
    let document = world.document(DocumentKind::Rule, "acme.restart", 1);
    let delete = |from| Command::DeleteDocument {
        kind: DocumentKind::Rule,
        key: text("acme.restart"),
        from,
    };
    assert_eq!(
        world.refuse(1, vec![delete(1)]).await,
        (0, Refusal::Missing)
    );
    world.hold(1, vec![put(&document)]).await;
    assert_eq!(
        world.refuse(2, vec![delete(2)]).await,
        (0, Refusal::Changed)
    );
    world.hold(2, vec![delete(1)]).await;
    let read = world
        .store
        .document(document.kind, &document.key, at(3))
        .await;
    assert_eq!(read.expect("readable"), None);
    let read = world
        .store
        .document_by_id(document.kind, document.id, at(3))
        .await;
    assert_eq!(read.expect("readable"), None);
    let last = bare(&world.changes().await).pop().expect("a change");
    assert_eq!(last.operation, Operation::Deleted);
    // Key and id are free again.
    world
        .hold(3, vec![put(&document), delete(1), put(&document)])
        .await;
    let read = world
        .store
        .document(document.kind, &document.key, at(3))
        .await;
    assert_eq!(read.expect("readable").as_deref(), Some(&document));
}

/// A document is found by kind and id.
pub async fn documents_are_found_by_id(world: &World) {
    let rule = world.document(DocumentKind::Rule, "acme.restart", 1);
    let mut action = world.document(DocumentKind::Action, "acme.restart", 1);
    action.id = rule.id;
    world.hold(1, vec![put(&rule), put(&action)]).await;
    for document in [&rule, &action] {
        let read = world
            .store
            .document_by_id(document.kind, rule.id, at(2))
            .await;
        assert_eq!(read.expect("readable").as_deref(), Some(document));
    }
    let read = world
        .store
        .document_by_id(DocumentKind::Alias, rule.id, at(2))
        .await;
    assert_eq!(read.expect("readable"), None);
}

/// Lists are by key, narrowed by pack and prefix, with exact totals.
pub async fn documents_are_listed_by_key(world: &World) {
    let mut commands = Vec::new();
    for (key, pack) in [
        ("system:b", None),
        ("system:B", Some("acme")),
        ("system:a", Some("acme")),
        ("system:%", None),
        ("system:_x", None),
        ("system:äö", Some("other")),
        ("user:stanley:a", None),
        ("systen", None),
        ("", None),
    ] {
        let mut document = world.document(KEY, key, 1);
        document.pack = pack.map(text);
        commands.push(put(&document));
    }
    commands.push(put(&world.document(
        DocumentKind::Setting,
        "system:other",
        1,
    )));
    world.hold(1, commands).await;
    let list = async |prefix: Option<&str>, pack: Option<&str>, offset, limit| {
        let filter = DocumentFilter {
            pack: pack.map(text),
            key_prefix: prefix.map(text),
        };
        let page = Page { offset, limit };
        let listed = world.store.documents(KEY, &filter, page, at(2)).await;
        let listed = listed.expect("readable");
        let keys: Vec<String> = listed
            .items
            .iter()
            .map(|item| item.key.to_string())
            .collect();
        format!("{} {}", listed.total, keys.join(" "))
    };
    let all = u64::MAX;
    assert_eq!(
        list(None, None, 1, all).await,
        "9 system:% system:B system:_x system:a system:b system:äö systen user:stanley:a"
    );
    assert_eq!(
        list(Some("system:"), None, 0, all).await,
        "6 system:% system:B system:_x system:a system:b system:äö"
    );
    assert_eq!(
        list(Some("system:"), None, 2, 2).await,
        "6 system:_x system:a"
    );
    assert_eq!(list(Some("system:%"), None, 0, all).await, "1 system:%");
    assert_eq!(list(Some("system:_"), None, 0, all).await, "1 system:_x");
    assert_eq!(
        list(Some("system:"), Some("acme"), 0, all).await,
        "2 system:B system:a"
    );
    assert_eq!(list(None, Some("nobody"), 0, all).await, "0 ");
    assert_eq!(list(None, None, 100, 10).await, "9 ");
}

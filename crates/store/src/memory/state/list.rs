//! Lists.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use squall_model::{
    AuditRecord, Document, DocumentKind, Enforcement, Execution, ExecutionId, Timestamp,
    TriggerInstance,
};

use super::State;
use crate::{
    AuditFilter, Change, DocumentFilter, EnforcementFilter, ExecutionFilter, ExecutionOrder,
    Listing, Page, ParentFilter, TriggerInstanceFilter, decide,
};

/// The page of `matching`, which is in order, and its length.
fn page_of<T: Clone>(matching: impl Iterator<Item = T>, page: Page) -> Listing<T> {
    let mut items = Vec::new();
    let mut total = 0;
    for item in matching {
        if total >= page.offset && total - page.offset < page.limit {
            items.push(item);
        }
        total += 1;
    }
    Listing { items, total }
}

/// The same, in whichever direction is asked for.
fn page_in_order<T: Clone>(
    matching: impl DoubleEndedIterator<Item = T>,
    oldest_first: bool,
    page: Page,
) -> Listing<T> {
    if oldest_first {
        page_of(matching, page)
    } else {
        page_of(matching.rev(), page)
    }
}

impl State {
    pub(in crate::memory) fn list_audit(
        &self,
        filter: &AuditFilter,
        page: Page,
    ) -> Listing<Arc<AuditRecord>> {
        let matching = self.audit.iter().filter(|record| filter.matches(record));
        let mut matching: Vec<_> = matching.cloned().collect();
        matching.sort_by_key(|record| (record.at, record.number));
        page_in_order(matching.into_iter(), filter.oldest_first, page)
    }

    pub(in crate::memory) fn list_executions(
        &self,
        filter: &ExecutionFilter,
        page: Page,
    ) -> Listing<Arc<Execution>> {
        let matching = |&(_, id): &(Timestamp, ExecutionId)| {
            let execution = self.executions.get(&id)?;
            filter.matches(execution).then(|| Arc::clone(execution))
        };
        let oldest_first = filter.order == ExecutionOrder::OldestFirst;
        let places = |ids: &mut dyn Iterator<Item = &ExecutionId>| {
            let found = ids.filter_map(|id| self.executions.get(id));
            let places = found.map(|execution| (execution.request.requested, execution.id()));
            places.collect::<BTreeSet<_>>()
        };
        let empty = BTreeSet::new();
        let narrowed;
        // The smallest index that holds everything that can match.
        let candidates = if !filter.ids.is_empty() {
            narrowed = places(&mut filter.ids.iter());
            &narrowed
        } else if let ParentFilter::Of(parent) = filter.parent {
            narrowed = places(&mut self.children.get(&parent).into_iter().flatten());
            &narrowed
        } else if let Some(root) = filter.root {
            self.by_root.get(&root).unwrap_or(&empty)
        } else if !filter.statuses.is_empty()
            && filter.statuses.iter().all(|status| !status.is_ended())
        {
            narrowed = places(&mut self.unfinished.iter());
            &narrowed
        } else if let Some(action) = &filter.action {
            self.by_action.get(action).unwrap_or(&empty)
        } else if filter.parent == ParentFilter::Top {
            &self.top
        } else {
            &self.by_requested
        };
        page_in_order(candidates.iter().filter_map(matching), oldest_first, page)
    }

    pub(in crate::memory) fn list_unfinished(
        &self,
        after: Option<ExecutionId>,
        limit: usize,
    ) -> Vec<Arc<Execution>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.unfinished
            .range((from, Bound::Unbounded))
            .filter_map(|id| self.executions.get(id).cloned())
            .take(limit)
            .collect()
    }

    pub(in crate::memory) fn list_children(&self, parent: ExecutionId) -> Vec<Arc<Execution>> {
        let ids = self.children.get(&parent).into_iter().flatten();
        ids.filter_map(|id| self.executions.get(id).cloned())
            .collect()
    }

    pub(in crate::memory) fn list_child_ids(
        &self,
        parents: &[ExecutionId],
    ) -> Vec<(ExecutionId, ExecutionId)> {
        let pairs = parents.iter().flat_map(|parent| {
            let ids = self.children.get(parent).into_iter().flatten();
            ids.map(|id| (*parent, *id))
        });
        let mut pairs: Vec<_> = pairs.collect();
        pairs.sort_by_key(|(_, child)| *child);
        pairs
    }

    pub(in crate::memory) fn list_trigger_instances(
        &self,
        filter: &TriggerInstanceFilter,
        page: Page,
    ) -> Listing<Arc<TriggerInstance>> {
        let matching = self.by_occurred.iter().filter_map(|(_, id)| {
            let instance = self.trigger_instances.get(id)?;
            filter.matches(instance).then(|| Arc::clone(instance))
        });
        page_in_order(matching, filter.oldest_first, page)
    }

    pub(in crate::memory) fn list_pending(&self, limit: usize) -> Vec<Arc<TriggerInstance>> {
        self.pending
            .iter()
            .filter_map(|(_, id)| self.trigger_instances.get(id).cloned())
            .take(limit)
            .collect()
    }

    pub(in crate::memory) fn list_enforcements(
        &self,
        filter: &EnforcementFilter,
        page: Page,
    ) -> Listing<Arc<Enforcement>> {
        let get = |id| {
            let enforcement = self.enforcements.get(id)?;
            filter.matches(enforcement).then(|| Arc::clone(enforcement))
        };
        if let Some(instance) = filter.trigger_instance {
            let of = self.by_trigger_instance.get(&instance);
            let mut found: Vec<_> = of
                .into_iter()
                .flatten()
                .filter_map(|(_, id)| get(id))
                .collect();
            found.sort_by_key(|enforcement| (enforcement.enforced, enforcement.id));
            return page_in_order(found.into_iter(), filter.oldest_first, page);
        }
        let matching = self.by_enforced.iter().filter_map(|(_, id)| get(id));
        page_in_order(matching, filter.oldest_first, page)
    }

    pub(in crate::memory) fn list_documents(
        &self,
        kind: DocumentKind,
        filter: &DocumentFilter,
        page: Page,
        now: Timestamp,
    ) -> Listing<Arc<Document>> {
        let first = filter.key_prefix.clone().unwrap_or_else(|| Arc::from(""));
        let prefix = Arc::clone(&first);
        let matching = self
            .documents
            .range((kind, first)..)
            .take_while(|((of, key), _)| *of == kind && key.starts_with(&*prefix))
            .map(|(_, document)| document)
            .filter(|document| filter.matches(document) && decide::is_live(document, now))
            .cloned();
        page_of(matching, page)
    }

    pub(in crate::memory) fn changes_after(&self, position: u64, limit: usize) -> Vec<Change> {
        let first = self.changes.front().map_or(0, |change| change.position);
        // Positions have no gaps, so the place of a change follows from its position.
        let skip = position.saturating_add(1).saturating_sub(first);
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        self.changes
            .iter()
            .skip(skip)
            .take(limit)
            .cloned()
            .collect()
    }

    pub(in crate::memory) fn change_bounds(&self) -> (u64, u64) {
        match (self.changes.front(), self.changes.back()) {
            (Some(first), Some(last)) => (first.position, last.position),
            _ => (0, 0),
        }
    }
}

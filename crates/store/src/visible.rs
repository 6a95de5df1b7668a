//! What a caller with few rights sees, taken apart: a list for such a caller should cost as much as
//! what it shows, not as much as there is.
//!
//! A filter with a [`Visibility`] is a choice among many conditions, by which no index finds
//! anything. What remains of it beside the other conditions is often one condition or none; what is
//! more is a union of *parts*, each of which an index finds in the order of the list.

use squall_model::ActionRef;
use squall_value::Str;

use crate::{ExecutionFilter, Visibility, sql};

/// Into how many parts a list is taken apart at most. Merging that many costs as much as walking
/// all.
pub const PARTS_MAX: usize = 32;

/// A part of what a filter selects. Parts of the same filter have nothing in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The filter of the part, which is about one user or one action and shows all of it.
    pub filter: ExecutionFilter,
    /// Without what belongs to these users, because other parts have it.
    pub without: Vec<Str>,
}

/// What can be seen, without the users' own.
fn is_visible(action: &ActionRef, actions: &[ActionRef], packs: &[Str]) -> bool {
    actions.contains(action) || packs.iter().any(|pack| **pack == *action.pack())
}

impl ExecutionFilter {
    /// The filter with as little of its visibility as decides anything beside the other conditions;
    /// `None` when nothing can satisfy it.
    #[must_use]
    pub fn narrowed(&self) -> Option<ExecutionFilter> {
        let Visibility::Only {
            users,
            actions,
            packs,
            ids,
        } = &self.visibility
        else {
            return Some(self.clone());
        };
        let (mut users, mut actions, mut packs) = (users.clone(), actions.clone(), packs.clone());
        let mut filter = self.clone();
        filter.visibility = Visibility::All;
        if let Some(user) = &self.user {
            if users.contains(user) {
                return Some(filter);
            }
            users.clear();
        }
        if let Some(action) = &self.action {
            if is_visible(action, &actions, &packs) {
                return Some(filter);
            }
            actions.clear();
            packs.clear();
        }
        if let Some(pack) = &self.pack {
            if packs.contains(pack) {
                return Some(filter);
            }
            actions.retain(|action| *action.pack() == **pack);
            packs.clear();
        }
        actions.retain(|action| !packs.iter().any(|pack| **pack == *action.pack()));
        // A choice of one is a condition like any other.
        match (&users[..], &actions[..], &packs[..], &ids[..]) {
            ([], [], [], []) => return None,
            ([user], [], [], []) => filter.user = Some(user.clone()),
            ([], [action], [], []) => filter.action = Some(action.clone()),
            _ => {
                filter.visibility = Visibility::Only {
                    users,
                    actions,
                    packs,
                    ids: ids.clone(),
                };
            }
        }
        Some(filter)
    }

    /// The packs whose actions have to be known to take the filter apart: those of which the caller
    /// sees everything. None when it is not taken apart.
    #[must_use]
    pub fn visible_packs(&self) -> &[Str] {
        match &self.visibility {
            Visibility::Only { packs, .. } if sql::is_walked(self) => packs,
            _ => &[],
        }
    }

    /// The parts of a [narrowed](Self::narrowed) filter. `contents` are the actions in the
    /// [visible packs](Self::visible_packs) that executions may be of. `None` when it cannot be
    /// taken apart, or not into few parts, or when other conditions select more than the visibility.
    #[must_use]
    pub fn parts(&self, contents: &[ActionRef]) -> Option<Vec<Part>> {
        let Visibility::Only {
            users,
            actions,
            ids,
            ..
        } = &self.visibility
        else {
            return None;
        };
        // Each of these is about no more than one user and one action.
        let is_apt = ids.is_empty() && users.len() + actions.len() + contents.len() <= PARTS_MAX;
        if !is_apt || !sql::is_walked(self) {
            return None;
        }
        let whole = ExecutionFilter {
            visibility: Visibility::All,
            ..self.clone()
        };
        let own = users.iter().map(|user| Part {
            filter: ExecutionFilter {
                user: Some(user.clone()),
                ..whole.clone()
            },
            without: Vec::new(),
        });
        let of_actions = actions.iter().chain(contents).map(|action| Part {
            filter: ExecutionFilter {
                action: Some(action.clone()),
                ..whole.clone()
            },
            without: users.clone(),
        });
        let parts: Vec<Part> = own.chain(of_actions).collect();
        (!parts.is_empty()).then_some(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actions(text: &str) -> Vec<ActionRef> {
        let words = text.split_whitespace();
        words.map(|word| ActionRef::parse(word).unwrap()).collect()
    }

    fn texts(text: &str) -> Vec<Str> {
        text.split_whitespace().map(Str::from).collect()
    }

    /// `user=…`, `action=…` and `pack=…`.
    fn filter(text: &str, visible: [&str; 3]) -> ExecutionFilter {
        let mut filter = ExecutionFilter {
            visibility: Visibility::Only {
                users: texts(visible[0]),
                actions: actions(visible[1]),
                packs: texts(visible[2]),
                ids: Vec::new(),
            },
            ..ExecutionFilter::default()
        };
        for word in text.split_whitespace() {
            match word.split_once('=').unwrap() {
                ("user", user) => filter.user = Some(Str::from(user)),
                ("action", action) => filter.action = Some(ActionRef::parse(action).unwrap()),
                ("pack", pack) => filter.pack = Some(Str::from(pack)),
                (other, _) => panic!("{other}"),
            }
        }
        filter
    }

    /// The filter's conditions and what is left of the visibility.
    fn shown(filter: &ExecutionFilter) -> String {
        let mut words = Vec::new();
        words.extend(filter.user.as_ref().map(|user| format!("user={user}")));
        words.extend(
            filter
                .action
                .as_ref()
                .map(|one| format!("action={}", one.as_str())),
        );
        words.extend(filter.pack.as_ref().map(|pack| format!("pack={pack}")));
        if let Visibility::Only {
            users,
            actions,
            packs,
            ..
        } = &filter.visibility
        {
            let actions: Vec<&str> = actions.iter().map(|one| one.as_str()).collect();
            words.push(format!(
                "[{}|{}|{}]",
                users.join(" "),
                actions.join(" "),
                packs.join(" ")
            ));
        }
        words.join(" ")
    }

    #[test]
    fn a_visibility_is_narrowed_by_the_other_conditions() {
        for (conditions, visible, expect) in [
            ("", ["ann", "p.a", "q"], Some("[ann|p.a|q]")),
            ("", ["ann", "q.a p.a", "q"], Some("[ann|p.a|q]")),
            ("", ["ann", "", ""], Some("user=ann")),
            ("", ["", "p.a", ""], Some("action=p.a")),
            ("", ["", "", ""], None),
            ("user=ann", ["ann", "p.a", ""], Some("user=ann")),
            (
                "user=bob",
                ["ann", "p.a p.b", ""],
                Some("user=bob [|p.a p.b|]"),
            ),
            ("user=bob", ["ann", "p.a", ""], Some("user=bob action=p.a")),
            ("user=bob", ["ann", "", ""], None),
            ("action=p.a", ["ann", "p.a", ""], Some("action=p.a")),
            ("action=q.x", ["ann", "p.a", "q"], Some("action=q.x")),
            (
                "action=p.b",
                ["ann", "p.a", "q"],
                Some("user=ann action=p.b"),
            ),
            ("user=bob action=p.b", ["ann", "p.a", "q"], None),
            ("pack=q", ["ann", "p.a", "q"], Some("pack=q")),
            ("pack=p", ["ann", "p.a o.a", "q"], Some("pack=p [ann|p.a|]")),
            ("pack=r", ["ann", "p.a", "q"], Some("user=ann pack=r")),
        ] {
            let narrowed = filter(conditions, visible).narrowed();
            let narrowed = narrowed.as_ref().map(shown);
            assert_eq!(narrowed.as_deref(), expect, "{conditions} {visible:?}");
        }
    }

    #[test]
    fn parts_have_one_user_or_one_action_each() {
        let apart = |visible, contents: &str| {
            let parts = filter("", visible).parts(&actions(contents))?;
            let parts = parts
                .iter()
                .map(|part| (shown(&part.filter), part.without.join(" ")));
            Some(parts.collect::<Vec<_>>())
        };
        let part = |filter: &str, without: &str| (filter.to_owned(), without.to_owned());
        let expect = vec![
            part("user=ann", ""),
            part("user=bob", ""),
            part("action=p.a", "ann bob"),
            part("action=q.x", "ann bob"),
        ];
        assert_eq!(apart(["ann bob", "p.a", "q"], "q.x"), Some(expect));
        let many: Vec<String> = (0..PARTS_MAX)
            .map(|number| format!("q.a{number}"))
            .collect();
        assert_eq!(apart(["ann", "", "q"], &many.join(" ")), None);
        assert_eq!(ExecutionFilter::default().parts(&[]), None);
    }
}

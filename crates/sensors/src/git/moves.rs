//! What moved between two states of a repository's branches. Pure.

use std::collections::{BTreeMap, BTreeSet};

use squall_value::{Dict, Str, Value, dict};

/// Branches and the commits at their heads.
pub(super) type Heads = BTreeMap<Str, Str>;

/// One branch whose head is another now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Move {
    pub(super) branch: Str,
    /// `None` when the branch is new.
    pub(super) before: Option<Str>,
    /// `None` when the branch is gone.
    pub(super) after: Option<Str>,
}

/// A file that a move changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct File {
    pub(super) path: Str,
    pub(super) status: &'static str,
    pub(super) old_path: Option<Str>,
}

impl File {
    pub(super) fn to_value(&self) -> Value {
        let mut file = Dict::new();
        file.insert("path", self.path.clone());
        file.insert("status", self.status);
        if let Some(old_path) = &self.old_path {
            file.insert("old_path", old_path.clone());
        }
        file.into()
    }
}

pub(super) fn moves(before: &Heads, after: &Heads) -> Vec<Move> {
    let branches: BTreeSet<&Str> = before.keys().chain(after.keys()).collect();
    branches
        .into_iter()
        .map(|branch| Move {
            branch: branch.clone(),
            before: before.get(branch).cloned(),
            after: after.get(branch).cloned(),
        })
        .filter(|moved| moved.before != moved.after)
        .collect()
}

pub(super) fn apply(heads: &mut Heads, moved: &Move) {
    match &moved.after {
        Some(after) => heads.insert(moved.branch.clone(), after.clone()),
        None => heads.remove(&moved.branch),
    };
}

pub(super) fn position_of_heads(heads: &Heads) -> Value {
    dict! { "heads" => heads.iter().map(|(k, v)| (k.clone(), v.clone())).collect::<Dict>() }
}

pub(super) fn heads_of_position(position: &Value) -> Option<Heads> {
    let heads = position.get("heads")?.as_dict()?;
    heads
        .iter()
        .map(|(branch, commit)| Some((branch.clone(), commit.as_str()?.into())))
        .collect()
}

/// Reads `git diff --name-status -z -M`.
pub(super) fn files(output: &str) -> Vec<File> {
    let mut parts = output.split('\0');
    let mut files = Vec::new();
    while let (Some(status), Some(path)) = (parts.next(), parts.next()) {
        let second = status
            .starts_with(['R', 'C'])
            .then(|| parts.next())
            .flatten();
        let status = match status.as_bytes().first() {
            Some(b'A' | b'C') => "added",
            Some(b'D') => "removed",
            Some(b'R') => "renamed",
            _ => "modified",
        };
        files.push(File {
            path: second.unwrap_or(path).into(),
            status,
            old_path: second.filter(|_| status == "renamed").map(|_| path.into()),
        });
    }
    files
}

/// Reads `git log -z` with the fields id, author, email, time and message behind unit separators.
pub(super) fn commits(output: &str, message_bytes_max: usize) -> Vec<Value> {
    let commit = |text: &str| {
        let fields: Vec<&str> = text.splitn(5, '\x1f').collect();
        let [id, author, email, time, message] = fields[..] else {
            return None;
        };
        let end = message.floor_char_boundary(message_bytes_max);
        Some(dict! {
            "id" => id.trim_start(),
            "author" => author,
            "email" => email,
            "message" => message[..end].trim_end(),
            "timestamp" => super::utc(time),
        })
    };
    output.split('\0').filter_map(commit).collect()
}

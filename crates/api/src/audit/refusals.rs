//! Refusals in the audit record: all of them while they are few, counts when they are many, so that
//! nobody can fill the disk by asking for what is refused.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use squall_model::{AuditRecord, Author, Timestamp};
use squall_store::audit::Entry;
use squall_value::Str;

/// Within this time the same user is recorded once for the same action from the same address.
const WINDOW: Duration = Duration::from_secs(60);

/// How many refusals are recorded within that time in all.
const RECORDED_MAX: usize = 100;

/// Who is refused what, from where.
type Kind = (Str, Option<Str>, Str);

/// What of refusals is to be recorded.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// What was recorded within the present time, and how often it came again.
    kinds: HashMap<Kind, u64>,
    /// What came beyond [`RECORDED_MAX`] kinds.
    others: u64,
    /// Until when the present time lasts.
    ends: Option<Timestamp>,
}

impl Refusals {
    /// Takes a refusal; gives what is to be recorded now: the first of its kind at once, later ones
    /// as a count when their time is over.
    pub(super) fn add(&self, record: AuditRecord) -> Vec<AuditRecord> {
        let now = record.at;
        let mut counts = self.0.lock();
        let mut due = match counts.ends {
            Some(ends) if ends > now => Vec::new(),
            _ => counts.end(now),
        };
        let ends = now.checked_add(WINDOW).unwrap_or(Timestamp::MAX);
        counts.ends.get_or_insert(ends);
        let author = &record.author;
        let kind = (
            author.user.clone(),
            author.address.clone(),
            record.action.clone(),
        );
        if let Some(count) = counts.kinds.get_mut(&kind) {
            *count += 1;
        } else if counts.kinds.len() < RECORDED_MAX {
            counts.kinds.insert(kind, 0);
            due.push(record);
        } else {
            counts.others += 1;
        }
        due
    }

    /// What was counted so far and has not been recorded.
    pub(super) fn counted(&self, now: Timestamp) -> Vec<AuditRecord> {
        self.0.lock().counted(now)
    }
}

impl Counts {
    /// Begins a new time; gives what the last one counted.
    fn end(&mut self, now: Timestamp) -> Vec<AuditRecord> {
        let due = self.counted(now);
        *self = Counts::default();
        due
    }

    fn counted(&mut self, now: Timestamp) -> Vec<AuditRecord> {
        let mut due = Vec::new();
        for ((user, address, action), count) in &mut self.kinds {
            if *count > 0 {
                let author = Author {
                    user: user.clone(),
                    address: address.clone(),
                    ..Author::default()
                };
                due.push(sum(author, action, std::mem::take(count), now));
            }
        }
        due.sort_by(|a, b| (&a.author.user, &a.action).cmp(&(&b.author.user, &b.action)));
        if self.others > 0 {
            let others = std::mem::take(&mut self.others);
            due.push(sum(Author::default(), "refusals", others, now));
        }
        due
    }
}

/// An entry that stands for many.
fn sum(author: Author, action: &str, count: u64, at: Timestamp) -> AuditRecord {
    let whose = match action {
        "refusals" => "of many users, addresses and actions",
        _ => "of the same kind",
    };
    let reason = format!("{count} more {whose}, which came too fast for entries of their own");
    let entry = Entry {
        repeated: count,
        ..Entry::refused(action, None, &reason)
    };
    entry.by(author, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each line is `SECOND USER ADDRESS ACTION`, or `SECOND` alone for whoever looks; gives what
    /// is recorded.
    fn check(script: &str) -> String {
        let refusals = Refusals::default();
        let mut text = String::new();
        for line in script.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let at = Timestamp::from_second(words[0].parse().unwrap()).unwrap();
            let due = match words[1..] {
                [user, address, action] => {
                    let author = Author {
                        user: Str::from(user),
                        address: Some(Str::from(address)),
                        ..Author::default()
                    };
                    let refused = Entry::refused(action, None, "no");
                    refusals.add(refused.by(author, at))
                }
                _ => refusals.counted(at),
            };
            for record in due {
                let (user, action) = (&record.author.user, &record.action);
                text += &format!("{}: {user} {action} +{}\n", words[0], record.repeated);
            }
        }
        text
    }

    #[test]
    fn the_first_of_a_kind_is_recorded_and_the_others_are_counted() {
        let got = check(
            "0 ann a sign_in\n1 ann a sign_in\n2 ann a sign_in\n3 bob a sign_in\n4 ann b sign_in\n\
             5 ann a rule_create\n59 ann a sign_in\n60 bob a sign_in\n61 ann a sign_in",
        );
        assert_eq!(
            got,
            "0: ann sign_in +0\n3: bob sign_in +0\n4: ann sign_in +0\n5: ann rule_create +0\n\
             60: ann sign_in +3\n60: bob sign_in +0\n61: ann sign_in +0\n"
        );
    }

    #[test]
    fn whoever_looks_sees_the_counts() {
        let got = check("0 ann a sign_in\n1 ann a sign_in\n2\n3\n4 ann a sign_in\n61 bob a x");
        assert_eq!(
            got,
            "0: ann sign_in +0\n2: ann sign_in +1\n61: ann sign_in +1\n61: bob x +0\n"
        );
    }

    #[test]
    fn a_flood_from_everywhere_is_one_count() {
        let flood: String = (0..10_000)
            .map(|n| format!("0 user{n} a sign_in\n"))
            .collect();
        let got = check(&format!("{flood}61 ann a sign_in"));
        assert_eq!(got.lines().count(), RECORDED_MAX + 2);
        assert!(got.ends_with("61:  refusals +9900\n61: ann sign_in +0\n"));
    }
}

//! The list of exceptions: one a line, with its reason.
//!
//! ```text
//! <check> <path>[#<subject>]   <reason>
//! ```

use anyhow::{Result, bail};

use super::Finding;

#[derive(Debug)]
struct Exception {
    line: usize,
    check: String,
    place: String,
}

impl Exception {
    fn covers(&self, finding: &Finding) -> bool {
        let (path, subject) = match self.place.split_once('#') {
            Some((path, subject)) => (path, Some(subject)),
            None => (&*self.place, None),
        };
        self.check == finding.check
            && path == finding.path
            && subject.is_none_or(|subject| subject == finding.subject)
    }
}

/// What is let through.
#[derive(Debug)]
pub(crate) struct Exceptions(Vec<Exception>);

impl Exceptions {
    /// Reads the list.
    ///
    /// # Errors
    ///
    /// When a line has no check, no place or no reason.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut exceptions = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut words = line.split_whitespace();
            let (Some(check), Some(place), Some(_)) = (words.next(), words.next(), words.next())
            else {
                bail!(
                    "line {}: an exception is `<check> <path>[#<subject>] <reason>`, this is `{line}`",
                    index + 1
                );
            };
            exceptions.push(Exception {
                line: index + 1,
                check: check.to_owned(),
                place: place.to_owned(),
            });
        }
        Ok(Self(exceptions))
    }

    /// What is left of the findings, and a finding for each exception without use.
    pub(crate) fn apply(&self, findings: Vec<Finding>) -> Vec<Finding> {
        let mut used = vec![false; self.0.len()];
        let mut left: Vec<Finding> = findings
            .into_iter()
            .filter(|finding| {
                let cover = self.0.iter().position(|one| one.covers(finding));
                if let Some(index) = cover {
                    used[index] = true;
                }
                cover.is_none()
            })
            .collect();
        let unused = self.0.iter().zip(used).filter(|(_, used)| !used);
        left.extend(unused.map(|(exception, _)| Finding {
            path: super::EXCEPTIONS.to_owned(),
            line: exception.line,
            check: "exceptions",
            subject: String::new(),
            message: format!(
                "`{} {}` lets nothing through any more: remove the line",
                exception.check, exception.place
            ),
        }));
        left
    }
}

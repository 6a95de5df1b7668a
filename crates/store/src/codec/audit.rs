//! Entries of the audit record, and the authors that these and events have.

use squall_model::{AuditRecord, AuditResult, Author};
use squall_value::{Str, Value};

use super::{Body, BodyReader, Damage, Packed, moment, unpack};

/// The body of an entry: all but what is filtered by.
#[must_use]
pub fn encode_audit(record: &AuditRecord) -> Packed {
    let mut body = Body::new();
    body.author(&record.author);
    if let Some(reason) = &record.reason {
        body.text("reason", reason);
    }
    if record.repeated > 0 {
        body.number("repeated", record.repeated);
    }
    if record.before.is_null() && record.after.is_null() {
        return body.finish(&[]);
    }
    body.finish(&[&record.before, &record.after])
}

impl Body {
    /// All of an author but the name.
    pub(super) fn author(&mut self, author: &Author) {
        let texts = [
            (
                "method",
                Some(&author.method).filter(|text| !text.is_empty()),
            ),
            ("delegate", author.delegate.as_ref()),
            ("address", author.address.as_ref()),
            ("agent", author.agent.as_ref()),
            ("request", author.request.as_ref()),
        ];
        for (key, text) in texts {
            if let Some(text) = text {
                self.text(key, text);
            }
        }
    }
}

impl BodyReader<'_> {
    /// The author of that name.
    pub(super) fn author(&self, user: Str) -> Author {
        Author {
            user,
            method: self.text("method").unwrap_or_default(),
            delegate: self.text("delegate"),
            address: self.text("address"),
            agent: self.text("agent"),
            request: self.text("request"),
        }
    }
}

/// An entry as its row holds it.
#[derive(Debug, Clone, Copy)]
pub struct AuditRow<'a> {
    /// Its number.
    pub number: i64,
    /// When.
    pub at: i64,
    /// Who.
    pub user: &'a str,
    /// What.
    pub action: &'a str,
    /// To what.
    pub resource: Option<&'a str>,
    /// How it ended.
    pub result: &'a str,
    /// All else.
    pub body: &'a [u8],
}

impl AuditRow<'_> {
    /// The entry.
    ///
    /// # Errors
    ///
    /// [`Damage`] when a column does not hold what was written.
    pub fn record(&self) -> Result<AuditRecord, Damage> {
        let text = unpack(self.body)?;
        let mut body = BodyReader::new(&text)?;
        let author = body.author(Str::from(self.user));
        let reason = body.text("reason");
        let repeated = body.number("repeated").unwrap_or(0);
        let (before, after) = match body.lines.clone().next() {
            None => (Value::Null, Value::Null),
            Some(_) => (body.value()?, body.value()?),
        };
        Ok(AuditRecord {
            number: self.number.cast_unsigned(),
            at: moment(self.at)?,
            author,
            action: Str::from(self.action),
            resource: self.resource.map(Str::from),
            result: AuditResult::from_word(self.result)
                .ok_or(Damage::from("its result is unknown"))?,
            reason,
            before,
            after,
            repeated,
        })
    }
}

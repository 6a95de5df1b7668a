//! Claims: who is deciding about an execution at this moment.
//!
//! Between a decision and the answer of the store nobody knows how an execution stands. Whoever
//! decides claims it until the consequences have happened, so that no second decision is made
//! meanwhile: two would start two processes.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use squall_model::ExecutionId;

/// All claims of this server.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    /// With whether somebody else asked meanwhile.
    claimed: Mutex<HashMap<ExecutionId, bool>>,
}

/// A claim; it ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    claims: Arc<Claims>,
    id: ExecutionId,
}

impl Claims {
    /// Claims an execution. `None` when somebody has it: that one looks again when it is done.
    pub(crate) fn enter(self: &Arc<Claims>, id: ExecutionId) -> Option<Claim> {
        use std::collections::hash_map::Entry;
        match self.claimed.lock().entry(id) {
            Entry::Occupied(mut other) => {
                other.insert(true);
                None
            }
            Entry::Vacant(free) => {
                free.insert(false);
                let claims = Arc::clone(self);
                Some(Claim { claims, id })
            }
        }
    }

    /// Whether somebody decides about the execution now.
    pub(crate) fn contains(&self, id: ExecutionId) -> bool {
        self.claimed.lock().contains_key(&id)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.claimed.lock().len()
    }
}

impl Claim {
    /// What is claimed.
    pub(crate) fn id(&self) -> ExecutionId {
        self.id
    }

    /// Ends the claim; `true` when somebody asked for the execution meanwhile.
    pub(crate) fn end(self) -> bool {
        let again = self.claims.claimed.lock().remove(&self.id);
        again.unwrap_or(false)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.claimed.lock().remove(&self.id);
    }
}

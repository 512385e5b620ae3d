//! One contact: its turn, what is to be written, and whether it was the newest state.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::try_join_all;
use paygraph_domain::alert::plan::Held;
use paygraph_domain::contact::Contact;
use paygraph_domain::crm::{MAX_USERS, Object, Record, key, records};
use paygraph_domain::id::{CustomerId, StripeCustomerId};
use paygraph_domain::identity::Name;
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_domain::user::User;
use tokio::time::Instant;

use super::task::{Task, due};
use super::{Crm, CrmError, Kept, Look, Shown, Shows, TURN, Turn};
use crate::backoff::{Deadline, pause};
use crate::fetch::Fetch;
use crate::identity::IdentityError;
use crate::ports::{Clock, LedgerEntry, Store, StoreError};
use crate::process::Engine;
use crate::user::Users;

/// What was done.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Done {
    /// Records that were written.
    pub written: usize,
    /// Tasks that were made.
    pub tasks: usize,
    /// Contacts that have taken something over from this one: what was written here may have come
    /// after theirs, so they are to be written anew.
    pub moved: BTreeSet<CustomerId>,
    /// What the CRM told, taken in: its outboxes are to be published.
    pub entries: Vec<LedgerEntry>,
}

impl Done {
    /// Counts in what else was done. Who has taken something over is not told twice.
    pub fn add(&mut self, other: Self) {
        self.written += other.written;
        self.tasks += other.tasks;
        self.entries.extend(other.entries);
    }
}

/// Why the CRM may not show the newest state.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// Somebody else writes of the contact.
    #[error("somebody else is at it")]
    Held,
    /// What the CRM told could not be taken in.
    #[error(transparent)]
    Contact(#[from] IdentityError),
    /// The table failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The CRM did not take it.
    #[error(transparent)]
    Crm(#[from] CrmError),
}

/// A contact with its users.
struct Seen {
    contact: Contact,
    users: Vec<User>,
}

impl Seen {
    /// Tells it from what it was before.
    fn versions(&self) -> (u64, Vec<u64>) {
        let users = self.users.iter().map(|user| user.version);
        (self.contact.version, users.collect())
    }
}

/// What goes wrong at the first record of several: the others are written in any case.
type Refused = Option<CrmError>;

/// Brings the CRM up to how a contact stands now. What was written is noted, whatever comes after.
///
/// # Errors
/// [`SyncError`]. All but [`CrmError::Never`] may succeed later.
pub async fn bring<S, C, F, K>(
    engine: &Engine<S, C, F>,
    crm: &K,
    look: &Look<'_>,
) -> Result<Done, SyncError>
where
    S: Store + Shows + Users,
    C: Clock,
    F: Fetch,
    K: Crm,
{
    // Nothing may fail between taking the turn and giving it up.
    let (store, clock) = (&engine.store, &engine.clock);
    let settings = store.settings(look.tenant).await?;
    let turn = turn(store, clock, look).await?;
    let (token, mut shown) = (turn.token, turn.shown.clone());
    let mut bringing = Bringing {
        engine,
        crm,
        look,
        turn,
        settings,
        now: clock.now(),
        done: Done::default(),
    };
    let brought = bringing.all(&mut shown).await;
    let noted = store.note_shown(look.tenant, look.contact, token, &shown, None);
    noted.await?;
    brought.map(|()| bringing.done)
}

/// A turn that is ours.
struct Ours {
    token: u64,
    until: Timestamp,
    shown: Shown,
}

/// Waits for the contact's turn.
async fn turn<S: Shows, C: Clock>(
    store: &S,
    clock: &C,
    look: &Look<'_>,
) -> Result<Ours, SyncError> {
    for attempt in 5.. {
        let now = clock.now();
        let until = now.plus(TURN);
        let turn = store.take_turn(look.tenant, look.contact, now, until);
        match turn.await? {
            Turn::Ours(token, shown) => {
                return Ok(Ours {
                    token,
                    until,
                    shown,
                });
            }
            Turn::Held if Instant::now() >= look.until => break,
            Turn::Held => pause(attempt).await,
        }
    }
    Err(SyncError::Held)
}

struct Bringing<'a, S, C, F, K> {
    engine: &'a Engine<S, C, F>,
    crm: &'a K,
    look: &'a Look<'a>,
    turn: Ours,
    settings: Arc<Settings>,
    now: Timestamp,
    done: Done,
}

impl<S: Store + Shows + Users, C: Clock, F: Fetch, K: Crm> Bringing<'_, S, C, F, K> {
    /// Writes until the contact is the one that was written.
    async fn all(&mut self, shown: &mut Shown) -> Result<(), SyncError> {
        let mut is_fresh = self.look.anew || shown.records.is_empty();
        if self.look.anew {
            forget(shown);
        }
        let mut seen = self.see().await?;
        loop {
            let wanted = seen.as_ref();
            let wanted = wanted.map(|seen| records(&seen.contact, &seen.users));
            let wanted = wanted.unwrap_or_default();
            let before = self.done.written;
            let known = self.done.entries.len();
            let refused = self.write(&wanted, shown).await?;
            if self.done.entries.len() > known {
                // It is another one now, by what the CRM told.
                seen = self.see().await?;
                continue;
            }
            if refused.is_some() && !is_fresh {
                // Perhaps somebody has deleted there what is remembered here.
                is_fresh = true;
                forget(shown);
                continue;
            }
            self.let_go(&wanted, shown).await?;
            if let Some(seen) = &seen {
                shown.version = seen.contact.version;
                self.tasks(&seen.contact, shown).await?;
            }
            if let Some(refused) = refused {
                return Err(refused.into());
            }
            if self.done.written == before {
                return Ok(());
            }
            let again = self.see().await?;
            let versions = |seen: &Option<Seen>| seen.as_ref().map(Seen::versions);
            if versions(&again) == versions(&seen) {
                return Ok(());
            }
            seen = again;
        }
    }

    async fn see(&self) -> Result<Option<Seen>, StoreError> {
        let tenant = self.look.tenant;
        let Some(contact) = self.engine.store.contact(tenant, self.look.contact).await? else {
            return Ok(None);
        };
        let ids = contact.profile.iter();
        let ids = ids.flat_map(|profile| profile.users.iter().take(MAX_USERS));
        let users = try_join_all(ids.map(|id| self.engine.store.user(tenant, id))).await?;
        let users = users.into_iter().flatten().collect();
        Ok(Some(Seen { contact, users }))
    }

    /// Writes the records that the CRM does not have like this, and takes in what it told of them.
    async fn write(&mut self, wanted: &[Record], shown: &mut Shown) -> Result<Refused, SyncError> {
        self.announce(wanted, shown).await?;
        let mut latest = None;
        let written = self.write_each(wanted, shown, &mut latest).await;
        if let Some((at, name)) = latest
            && let Err(error) = self.contacted(at).await
        {
            // Only who is written again tells it again.
            shown.records.insert(name, None);
            return written.and(Err(error));
        }
        written
    }

    /// What is refused holds up only what belongs to it; what passes ends it. `latest` is when
    /// somebody was in touch last, with the record that tells it.
    async fn write_each(
        &mut self,
        wanted: &[Record],
        shown: &mut Shown,
        latest: &mut Option<(Timestamp, String)>,
    ) -> Result<Refused, SyncError> {
        let mut refused = None;
        for record in wanted {
            let (name, digest) = (record.key(), record.digest());
            if kept(shown, &name).is_some_and(|kept| kept.digest == digest) {
                continue;
            }
            let Some(workspaces) = workspaces(record, shown) else {
                continue;
            };
            match self.crm.upsert(record, &workspaces, self.look.until).await {
                Ok(there) => {
                    self.done.written += 1;
                    // Nobody was in touch later than now.
                    let told = there.contacted.filter(|at| *at <= self.now);
                    let told = told.map(|at| (at, name.clone()));
                    *latest = latest.take().max(told);
                    let kept = Kept {
                        digest,
                        record: there.id,
                        page: there.page,
                    };
                    shown.records.insert(name, Some(kept));
                }
                Err(error @ CrmError::Never(_)) => refused = refused.or(Some(error)),
                Err(error @ CrmError::Again(_)) => return Err(error.into()),
            }
        }
        Ok(refused)
    }

    /// Takes in that somebody was in touch with the contact.
    async fn contacted(&mut self, at: Timestamp) -> Result<(), SyncError> {
        let Look {
            tenant, contact, ..
        } = *self.look;
        let left = self.look.until.saturating_duration_since(Instant::now());
        let deadline = Deadline::after(left);
        let entry = self.engine.contacted(tenant, contact, at, deadline).await?;
        self.done.entries.extend(entry);
        Ok(())
    }

    /// Notes which records are about to be written for the first time: should we die, and one of them
    /// go to another contact meanwhile, the next one still knows of it.
    async fn announce(&self, wanted: &[Record], shown: &mut Shown) -> Result<(), StoreError> {
        let before = shown.records.len();
        for record in wanted {
            shown.records.entry(record.key()).or_default();
        }
        if shown.records.len() == before {
            return Ok(());
        }
        let (token, until) = (self.turn.token, Some(self.turn.until));
        let Look {
            tenant, contact, ..
        } = *self.look;
        let noted = self
            .engine
            .store
            .note_shown(tenant, contact, token, shown, until);
        noted.await
    }

    /// Forgets records that are no longer this contact's. Who has them now is to be written anew
    /// before.
    async fn let_go(&mut self, wanted: &[Record], shown: &mut Shown) -> Result<(), StoreError> {
        let wanted: BTreeSet<_> = wanted.iter().map(Record::key).collect();
        let gone = shown.records.keys().filter(|name| !wanted.contains(*name));
        let gone: Vec<_> = gone.cloned().collect();
        for name in gone {
            let mut owners = self.owners(&name).await?;
            owners.retain(|owner| owner != self.look.contact);
            owners.retain(|owner| !self.look.written.contains(owner));
            if owners.is_empty() {
                shown.records.remove(&name);
            }
            self.done.moved.extend(owners);
        }
        Ok(())
    }

    /// The contacts that a record is of. (A user's are all of those that name it, and each writes the
    /// same.)
    async fn owners(&self, name: &str) -> Result<Vec<CustomerId>, StoreError> {
        let tenant = self.look.tenant;
        let of = |object| name.strip_prefix(&key(object, ""));
        if let Some(id) = of(Object::Subscription) {
            let Ok(id) = StripeCustomerId::parse(id) else {
                return Ok(Vec::new());
            };
            let owner = self.engine.store.contact_of(tenant, &id).await?;
            return Ok(owner.into_iter().collect());
        }
        let Some(id) = of(Object::Workspace) else {
            return Ok(Vec::new());
        };
        let name = Name::Workspace(id.to_owned());
        self.engine.store.named(tenant, &name).await
    }

    /// Makes the tasks that there are to be; each once, as long as its reason stands.
    async fn tasks(&mut self, contact: &Contact, shown: &mut Shown) -> Result<(), SyncError> {
        let (news, now) = (self.look.news, self.now);
        let plan = due(contact, &shown.tasks, &self.settings, news, now);
        let Some(workspace) = shown.workspace().map(|kept| kept.record.clone()) else {
            return Ok(());
        };
        for reason in plan.raise {
            let task = Task {
                alert: reason.alert(Some(&contact.id)),
                title: reason.title,
                workspace: workspace.clone(),
            };
            self.crm.task(&task, self.look.until).await?;
            self.done.tasks += 1;
            shown.tasks.push(Held {
                id: task.alert,
                raised_at: now,
                waiting: BTreeSet::new(),
            });
        }
        shown.tasks.retain(|held| !plan.resolve.contains(&held.id));
        Ok(())
    }
}

/// Lets everything be written again.
fn forget(shown: &mut Shown) {
    for kept in shown.records.values_mut() {
        *kept = None;
    }
}

fn kept<'a>(shown: &'a Shown, name: &str) -> Option<&'a Kept> {
    shown.records.get(name)?.as_ref()
}

/// The CRM's ids of the workspaces that a record belongs to, if it has them all.
fn workspaces(record: &Record, shown: &Shown) -> Option<Vec<String>> {
    let ids = record.belongs.workspaces();
    let kept = ids.map(|id| kept(shown, &key(Object::Workspace, id)));
    kept.map(|kept| Some(kept?.record.clone())).collect()
}

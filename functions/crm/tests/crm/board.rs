//! A CRM in memory whose writes take their time: what is begun may be overtaken, or cut off. Now and
//! then it tells that somebody was in touch.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use paygraph_domain::crm::{Object, Record};
use paygraph_engine::crm::{Crm, CrmError, Task, There};
use tokio::time::{Instant, sleep, timeout_at};

use crate::support::at;

/// The CRM.
pub struct Board {
    records: Mutex<BTreeMap<String, Record>>,
    /// The workspaces that somebody writes of.
    writing: Mutex<Vec<String>>,
    random: Mutex<fastrand::Rng>,
}

/// Somebody writes of a workspace.
struct Writing<'a>(&'a Board, String);

impl<'a> Writing<'a> {
    fn begin(board: &'a Board, record: &Record) -> Self {
        let mut writing = board.writing.lock().unwrap();
        let is_workspace = record.object == Object::Workspace;
        assert!(
            !is_workspace || !writing.contains(&record.id),
            "two write of one customer"
        );
        writing.push(record.id.clone());
        Self(board, record.id.clone())
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        let mut writing = self.0.writing.lock().unwrap();
        let place = writing.iter().position(|id| *id == self.1);
        writing.swap_remove(place.unwrap());
    }
}

impl Board {
    /// The same seed gives the same waits.
    pub fn new(seed: u64) -> Self {
        Self {
            records: Mutex::default(),
            writing: Mutex::default(),
            random: Mutex::new(fastrand::Rng::with_seed(seed)),
        }
    }

    /// A number below another.
    pub fn below(&self, end: u64) -> u64 {
        self.random.lock().unwrap().u64(..end)
    }

    async fn wait(&self) {
        sleep(Duration::from_millis(self.below(4_000))).await;
    }

    fn put(&self, record: &Record) {
        let mut records = self.records.lock().unwrap();
        records.insert(record.key(), record.clone());
    }

    pub fn record(&self, name: &str) -> Option<Record> {
        self.records.lock().unwrap().get(name).cloned()
    }
}

impl Crm for Board {
    async fn upsert(
        &self,
        record: &Record,
        _: &[String],
        until: Instant,
    ) -> Result<There, CrmError> {
        let _writing = Writing::begin(self, record);
        let write = async {
            self.wait().await;
            self.put(record);
            self.wait().await;
        };
        let late = |_| CrmError::Again("late".to_owned());
        timeout_at(until, write).await.map_err(late)?;
        if self.below(10) == 0 {
            return Err(CrmError::Again("broken".to_owned()));
        }
        Ok(There {
            id: record.key(),
            page: None,
            contacted: (self.below(3) == 0).then(|| at(i64::try_from(self.below(600)).unwrap())),
        })
    }

    async fn task(&self, _: &Task, _: Instant) -> Result<(), CrmError> {
        Ok(())
    }
}

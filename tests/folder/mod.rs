//! A folder of a disk, so that one disk (and its one crash) holds the table and its dead letters.

use std::sync::Arc;

use hypostyle::Result;
use hypostyle::storage::{Entry, Input, Output, Published, Storage};

#[derive(Debug)]
pub struct Folder {
    disk: Arc<dyn Storage>,
    name: &'static str,
}

impl Folder {
    pub fn at(disk: &Arc<dyn Storage>, name: &'static str) -> Arc<dyn Storage> {
        Arc::new(Folder { disk: Arc::clone(disk), name })
    }

    fn path(&self, path: &str) -> String {
        format!("{}/{path}", self.name)
    }

    fn own(&self, entries: Vec<Entry>) -> Vec<Entry> {
        let prefix = self.path("");
        let own = |entry: Entry| Some(Entry { path: entry.path.strip_prefix(&prefix)?.to_owned(), ..entry });
        entries.into_iter().filter_map(own).collect()
    }
}

impl Storage for Folder {
    fn open(&self, path: &str) -> Result<Arc<dyn Input>> {
        self.disk.open(&self.path(path))
    }

    fn create(&self, path: &str) -> Result<Box<dyn Output>> {
        self.disk.create(&self.path(path))
    }

    fn publish_if_absent(&self, path: &str, bytes: &[u8]) -> Result<Published> {
        self.disk.publish_if_absent(&self.path(path), bytes)
    }

    fn list(&self, prefix: &str) -> Result<Vec<Entry>> {
        Ok(self.own(self.disk.list(&self.path(prefix))?))
    }

    fn list_unfinished(&self) -> Result<Vec<Entry>> {
        Ok(self.own(self.disk.list_unfinished()?))
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.disk.remove(&self.path(path))
    }

    fn name(&self) -> String {
        self.name.to_owned()
    }
}

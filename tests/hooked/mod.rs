//! A storage that lets somebody else act in the middle of an operation's way: before each call, whoever waits is called first.

use std::fmt;
use std::sync::{Arc, Mutex};

use hypostyle::Result;
use hypostyle::storage::{Entry, Input, Output, Published, Storage};

/// What is about to be done, and with which path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Open,
    Create,
    Publish,
    List,
    Remove,
}

type Hook = Box<dyn FnMut(Call, &str) + Send>;

/// Cloning gives another handle. What the hook itself does here is not hooked.
#[derive(Clone)]
pub struct Hooked {
    inner: Arc<dyn Storage>,
    hook: Arc<Mutex<Option<Hook>>>,
}

impl Hooked {
    pub fn new(inner: Arc<dyn Storage>) -> Hooked {
        Hooked { inner, hook: Arc::default() }
    }

    pub fn before(&self, hook: impl FnMut(Call, &str) + Send + 'static) {
        *self.hook.lock().unwrap() = Some(Box::new(hook));
    }

    fn call(&self, call: Call, path: &str) {
        let hook = self.hook.lock().unwrap().take();
        if let Some(mut hook) = hook {
            hook(call, path);
            self.hook.lock().unwrap().get_or_insert(hook);
        }
    }
}

impl fmt::Debug for Hooked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hooked({:?})", self.inner)
    }
}

impl Storage for Hooked {
    fn open(&self, path: &str) -> Result<Arc<dyn Input>> {
        self.call(Call::Open, path);
        self.inner.open(path)
    }

    fn create(&self, path: &str) -> Result<Box<dyn Output>> {
        self.call(Call::Create, path);
        self.inner.create(path)
    }

    fn publish_if_absent(&self, path: &str, bytes: &[u8]) -> Result<Published> {
        self.call(Call::Publish, path);
        self.inner.publish_if_absent(path, bytes)
    }

    fn list(&self, prefix: &str) -> Result<Vec<Entry>> {
        self.call(Call::List, prefix);
        self.inner.list(prefix)
    }

    fn list_unfinished(&self) -> Result<Vec<Entry>> {
        self.inner.list_unfinished()
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.call(Call::Remove, path);
        self.inner.remove(path)
    }

    fn name(&self) -> String {
        self.inner.name()
    }
}

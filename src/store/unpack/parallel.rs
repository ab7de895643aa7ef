//! Several layers at once, each made by one process and by one thread of it.

use crate::error::Result;
use crate::id::Sha256;
use crate::store::Store;
use crate::store::lock::Lock;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Layers in work at once.
pub const PARALLEL: usize = 3;

/// How a layer came to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was there already, or another process has just made it.
    Existed,
    Made,
}

/// Sees that every layer is there. `make` is called, from several threads, with the index of a layer that is not and that
/// this process has claimed. Returns the pins of all layers: they hold until the image is published.
pub fn ensure_layers(
    store: &Store,
    diff_ids: &[Sha256],
    make: &(dyn Fn(usize) -> Result<()> + Sync),
    done: &(dyn Fn(usize, Outcome) + Sync),
) -> Result<Vec<Lock>> {
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let results = Mutex::new((Vec::new(), None));
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(diff_id) = diff_ids.get(index).filter(|_| !failed.load(Ordering::Relaxed)) else {
                return;
            };
            let result = ensure_layer(store, diff_id, &|| make(index));
            let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
            match result {
                Ok((pin, outcome)) => {
                    results.0.push(pin);
                    done(index, outcome);
                }
                Err(e) => {
                    failed.store(true, Ordering::Relaxed);
                    results.1.get_or_insert(e);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..PARALLEL.min(diff_ids.len()) {
            // Without a further thread the others, or this one, do its work.
            let _ = std::thread::Builder::new()
                .name("layer".to_owned())
                .stack_size(512 << 10)
                .spawn_scoped(scope, work);
        }
        work();
    });
    let (pins, error) = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    error.map_or(Ok(pins), Err)
}

fn ensure_layer(store: &Store, diff_id: &Sha256, make: &dyn Fn() -> Result<()>) -> Result<(Lock, Outcome)> {
    let pin = store.pin_layer(diff_id)?;
    if is_there(store, diff_id)? {
        return Ok((pin, Outcome::Existed));
    }
    let claim = store.claim_layer(diff_id)?;
    let outcome = if is_there(store, diff_id)? {
        Outcome::Existed
    } else {
        make()?;
        Outcome::Made
    };
    store.end_claim(diff_id, claim)?;
    Ok((pin, outcome))
}

fn is_there(store: &Store, diff_id: &Sha256) -> Result<bool> {
    let there = store.layer(diff_id)?.is_some();
    if there {
        store.link_layer(diff_id)?;
    }
    Ok(there)
}

//! Progress of a pull: one bar per layer, on stderr, for a person at a terminal.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::Mutex;
use std::sync::PoisonError;

/// Bars of one pull.
#[derive(Debug)]
pub struct Bars {
    all: MultiProgress,
    bars: Mutex<Vec<ProgressBar>>,
}

impl Bars {
    /// Hidden when `quiet`, and when stderr is no terminal.
    pub fn new(quiet: bool) -> Self {
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        Self { all: MultiProgress::with_draw_target(target), bars: Mutex::new(Vec::new()) }
    }

    /// Begins with layers of these names and sizes (0: not known).
    pub fn begin(&self, layers: &[(String, u64)]) {
        let style = ProgressStyle::with_template("{prefix} [{bar:30}] {bytes}/{total_bytes} {msg}");
        let mut bars = self.bars();
        for (name, size) in layers {
            let bar = self.all.add(ProgressBar::new(*size));
            if let Ok(style) = &style {
                bar.set_style(style.clone().progress_chars("=> "));
            }
            bar.set_prefix(format!("layer {}", name.get(..12).unwrap_or(name)));
            bars.push(bar);
        }
    }

    /// A layer's bytes so far.
    pub fn at(&self, index: usize, bytes: u64) {
        if let Some(bar) = self.bars().get(index) {
            bar.set_position(bytes);
        }
    }

    /// A layer is there.
    pub fn done(&self, index: usize, message: &'static str) {
        if let Some(bar) = self.bars().get(index) {
            if let Some(length) = bar.length() {
                bar.set_position(length);
            }
            bar.finish_with_message(message);
        }
    }

    fn bars(&self) -> std::sync::MutexGuard<'_, Vec<ProgressBar>> {
        self.bars.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

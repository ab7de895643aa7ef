//! `coracle toolbox home …`: what a box with `--home overlay` has changed. Runs in the store's namespace, which reads the
//! files of all users of the box.

pub mod commit;
pub mod diff;

//! The races of `oci_escape` against a runtime that loses them: built with the feature `unsafe-paths`, which looks every path
//! below a rootfs up a second time, by name, and hides files behind the container's own `/dev/null`. So the attack is known to work where the defence is missing.
//!
//! CORACLE_TEST_WEAKENED says that CORACLE_TEST_RUNTIME is such a build: `tests/run full` makes one, and nothing ships it.

use crate::need;

/// A defence that is missing is found missing within this many containers.
const TRIES: usize = 1000;

#[test]
fn a_runtime_that_looks_twice_loses_the_race() {
    need!("weakened", "userns", "busybox", "coracle-oci");
    let tries = crate::oci_escape::tries_until_lost(TRIES);
    println!("lost after {tries} containers");
    assert!(tries < TRIES, "the attack of `oci_escape` reaches nothing even where nothing stops it");
}

#[test]
fn a_runtime_that_takes_the_containers_null_uncovers() {
    need!("weakened", "userns", "busybox", "coracle-oci");
    let tries = crate::oci_escape::tries_until_uncovered(TRIES);
    println!("uncovered after {tries} containers");
    assert!(tries < TRIES, "the attack of `oci_escape` uncovers nothing even where nothing stops it");
}

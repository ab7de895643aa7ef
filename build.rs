//! How the released programs are linked.
//!
//! A panic aborts, so nobody walks the tables for unwinding that the compiler writes for the standard library and, with
//! link-time optimisation, for all of our code: a seventh of `coracle-oci`. The linker is told to leave them out
//! (`no-unwind.ld`; `sys::unwind` does it for what would read them), and to pack relative relocations, which musl understands
//! since 1.2.4 (Rust 1.93). Development builds and tests keep both: tests unwind, and a panic there shows where it came from.

#[expect(clippy::disallowed_methods, reason = "Cargo tells a build script by the environment")]
fn main() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=packaging/no-unwind.ld");
    if std::env::var("PROFILE").as_deref() != Ok("release") {
        return;
    }
    println!("cargo::rustc-link-arg-bins=-T{}", folder.join("no-unwind.ld").display());
    println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
}

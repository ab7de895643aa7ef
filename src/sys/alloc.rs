//! The allocator of both binaries (why not musl's: Cargo.toml), and the proof that code after clone never allocates: in
//! builds with debug assertions the allocator ends the process that does.
//!
//! Every test of the runtime with such a build is a test of this rule. Release builds have the plain allocator.

#![allow(unsafe_code, reason = "an allocator is an unsafe trait")]

#[cfg(debug_assertions)]
pub(super) use trap::forbid;

#[cfg(not(debug_assertions))]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

#[cfg(debug_assertions)]
mod trap {
    use dlmalloc::GlobalDlmalloc;
    use std::alloc::{GlobalAlloc, Layout};
    use std::sync::atomic::{AtomicBool, Ordering};

    /// Set in the child of `clone_child`, which has memory of its own: nobody else sees it.
    static FORBIDDEN: AtomicBool = AtomicBool::new(false);

    #[global_allocator]
    static ALLOCATOR: Trap = Trap;

    struct Trap;

    /// From here on this process does not allocate.
    pub(in crate::sys) fn forbid() {
        FORBIDDEN.store(true, Ordering::Relaxed);
    }

    fn check() {
        if FORBIDDEN.load(Ordering::Relaxed) {
            // What was allocated is in the core's stack; these words say where to look.
            let _ = rustix::io::write(rustix::stdio::stderr(), b"coracle: allocation after clone\n");
            crate::sys::process::exit_now(71);
        }
    }

    // SAFETY: every call goes to the real allocator as it came.
    unsafe impl GlobalAlloc for Trap {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            check();
            // SAFETY: the caller keeps the rules of the trait, which are those of GlobalDlmalloc.
            unsafe { GlobalDlmalloc.alloc(layout) }
        }

        unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
            // SAFETY: as in `alloc`.
            unsafe { GlobalDlmalloc.dealloc(pointer, layout) }
        }

        unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
            check();
            // SAFETY: as in `alloc`.
            unsafe { GlobalDlmalloc.alloc_zeroed(layout) }
        }

        unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            check();
            // SAFETY: as in `alloc`.
            unsafe { GlobalDlmalloc.realloc(pointer, layout, size) }
        }
    }
}

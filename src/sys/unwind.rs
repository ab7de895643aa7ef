//! What stands in the place of the unwinder in released programs. A panic aborts, and their tables for unwinding are left out
//! (`build.rs`), so nobody could walk a stack; but the standard library's panic hook asks for a backtrace, and its functions
//! end in `_Unwind_Resume`. Who is told here that there is no more stack needs no reader of debug information to name it, and
//! no libunwind: a sixth of `coracle-oci`. Only in static programs: a C library may have an unwinder loaded of its own.
//!
//! Names and signatures are those of the Itanium C++ ABI, level I, and of gcc's additions to it.

#![allow(unsafe_code, reason = "functions that others call by their names")]

use std::ffi::{c_int, c_void};

/// `_URC_END_OF_STACK`.
const END_OF_STACK: c_int = 5;

/// Calls `_trace` for no frame.
// SAFETY: the signature is the ABI's, and neither argument is used. No other definition is linked: a program in which libunwind
// is needed has other functions of it too, and the linker refuses two of one name.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Backtrace(_trace: *const c_void, _argument: *mut c_void) -> c_int {
    END_OF_STACK
}

/// Functions that only unwinding calls.
macro_rules! never {
    ($($name:ident)*) => {$(
        // SAFETY: takes no argument that the caller gives, and does not return.
        #[unsafe(no_mangle)]
        extern "C" fn $name() -> ! {
            std::process::abort()
        }
    )*};
}

never! {
    _Unwind_Resume
    _Unwind_GetIP
    _Unwind_GetIPInfo
    _Unwind_GetDataRelBase
    _Unwind_GetTextRelBase
    _Unwind_GetLanguageSpecificData
    _Unwind_GetRegionStart
    _Unwind_SetGR
    _Unwind_SetIP
}

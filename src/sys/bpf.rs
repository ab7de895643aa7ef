//! Programs of the extended BPF that decide about devices: their instructions, loading them, attaching them to a cgroup.

#![allow(unsafe_code)] // bpf(2): rustix lacks it

use rustix::io::{Errno, Result};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// One instruction (struct bpf_insn). Registers are numbered as the kernel does; 0 is the result.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    code: u8,
    /// Destination in the low four bits, source in the high ones.
    registers: u8,
    offset: i16,
    immediate: i32,
}

// linux/bpf_common.h, linux/bpf.h.
const LOAD_WORD: u8 = 0x61; // LDX | MEM | W
const COPY: u8 = 0xbc; // ALU | MOV | X, 32 bits
const SET: u8 = 0xb4; // ALU | MOV | K
const AND: u8 = 0x54; // ALU | AND | K
const SHIFT_RIGHT: u8 = 0x74; // ALU | RSH | K
const SKIP_UNLESS_EQUAL: u8 = 0x55; // JMP | JNE | K
const SKIP_IF_EQUAL: u8 = 0x15; // JMP | JEQ | K
const EXIT: u8 = 0x95;

impl Instruction {
    const fn new(code: u8, to: u8, from: u8, offset: i16, immediate: i32) -> Self {
        Self { code, registers: to | from << 4, offset, immediate }
    }

    /// `to` = the 32 bits at `from` + `offset`.
    pub const fn load_word(to: u8, from: u8, offset: i16) -> Self {
        Self::new(LOAD_WORD, to, from, offset, 0)
    }

    /// `to` = `from`.
    pub const fn copy(to: u8, from: u8) -> Self {
        Self::new(COPY, to, from, 0, 0)
    }

    /// `to` = `value`.
    pub const fn set(to: u8, value: i32) -> Self {
        Self::new(SET, to, 0, 0, value)
    }

    /// `to` &= `mask`.
    pub const fn and(to: u8, mask: i32) -> Self {
        Self::new(AND, to, 0, 0, mask)
    }

    /// `to` >>= `bits`.
    pub const fn shift_right(to: u8, bits: i32) -> Self {
        Self::new(SHIFT_RIGHT, to, 0, 0, bits)
    }

    /// Skips `count` instructions unless `register` is `value`.
    pub const fn skip_unless_equal(register: u8, value: i32, count: i16) -> Self {
        Self::new(SKIP_UNLESS_EQUAL, register, 0, count, value)
    }

    /// Skips `count` instructions if `register` is `value`.
    pub const fn skip_if_equal(register: u8, value: i32, count: i16) -> Self {
        Self::new(SKIP_IF_EQUAL, register, 0, count, value)
    }

    /// Ends with the result in register 0.
    pub const fn exit() -> Self {
        Self::new(EXIT, 0, 0, 0, 0)
    }

    /// What the kernel does with it, for tests: a jump by so many, or the end (`Some(None)`).
    #[cfg(test)]
    pub fn run(&self, context: &[u32], registers: &mut [u32; 8]) -> Option<Option<i16>> {
        let (to, from) = (usize::from(self.registers & 0xf), usize::from(self.registers >> 4));
        let value = self.immediate as u32;
        match self.code {
            LOAD_WORD => registers[to] = context[self.offset as usize / 4],
            COPY => registers[to] = registers[from],
            SET => registers[to] = value,
            AND => registers[to] &= value,
            SHIFT_RIGHT => registers[to] >>= value,
            SKIP_UNLESS_EQUAL if registers[to] != value => return Some(Some(self.offset)),
            SKIP_IF_EQUAL if registers[to] == value => return Some(Some(self.offset)),
            EXIT => return Some(None),
            _ => {}
        }
        None
    }
}

/// The first fields of union bpf_attr for BPF_PROG_LOAD.
#[repr(C)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

/// Those for BPF_PROG_ATTACH.
#[repr(C)]
struct Attach {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
}

const CMD_LOAD: libc::c_long = 5;
const CMD_ATTACH: libc::c_long = 8;
const PROGRAM_OF_DEVICES: u32 = 15;
const ATTACH_DEVICE: u32 = 6;
const ALLOW_MULTI: u32 = 2;

fn bpf<T>(command: libc::c_long, attr: &T) -> Result<libc::c_long> {
    // SAFETY: the kernel reads size_of::<T>() bytes of `attr`, which is a plain struct that outlives the call; what its
    // addresses point to is borrowed by the callers.
    let returned = unsafe { libc::syscall(libc::SYS_bpf, command, &raw const *attr, size_of::<T>()) };
    if returned < 0 {
        return Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL));
    }
    Ok(returned)
}

/// Loads a program that decides about devices. Needs CAP_SYS_ADMIN or CAP_BPF with CAP_NET_ADMIN.
pub fn load_device_program(code: &[Instruction]) -> Result<OwnedFd> {
    let load = Load {
        kind: PROGRAM_OF_DEVICES,
        count: u32::try_from(code.len()).map_err(|_| Errno::TOOBIG)?,
        instructions: code.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
    };
    let fd = bpf(CMD_LOAD, &load)?;
    // SAFETY: the kernel returned a new fd (close-on-exec), owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Attaches it to a cgroup v2 directory, beside what may be attached there already: every one of them must allow.
pub fn attach_device_program(cgroup: BorrowedFd<'_>, program: &OwnedFd) -> Result<()> {
    let attach = Attach {
        target: cgroup.as_raw_fd() as u32,
        program: program.as_raw_fd() as u32,
        kind: ATTACH_DEVICE,
        flags: ALLOW_MULTI,
    };
    bpf(CMD_ATTACH, &attach).map(drop)
}

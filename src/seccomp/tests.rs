//! Programs are run by a small BPF interpreter: tables of verdicts, and every verdict against libseccomp's.

use oci_spec::runtime::LinuxSeccomp;

use super::abi::{Abi, X32_BIT};
use super::{Program, SockFilter, compile, default_profile, flags};

const ALLOW: u32 = 0x7fff_0000;
const KILL: u32 = 0;
const ERRNO: u32 = 0x0005_0000;
const EPERM: u32 = ERRNO | 1;
const ENOSYS: u32 = ERRNO | 38;

const ABIS: [Abi; 5] = [Abi::X86_64, Abi::X86, Abi::X32, Abi::Aarch64, Abi::Arm];

/// One syscall as a filter sees it.
#[derive(Debug, Clone, Copy)]
struct Call {
    arch: u32,
    nr: u32,
    args: [u64; 6],
}

/// Runs a program as the kernel does; also checks that no jump leaves it.
fn run(program: &[SockFilter], call: &Call) -> u32 {
    let word = |offset: u32| match offset {
        0 => call.nr,
        4 => call.arch,
        16.. => {
            let arg = call.args[(offset as usize - 16) / 8];
            if offset.is_multiple_of(8) { arg as u32 } else { (arg >> 32) as u32 }
        }
        _ => panic!("load from {offset}"),
    };
    let (mut pc, mut acc) = (0, 0_u32);
    loop {
        let i = program[pc];
        let branch = |hit| usize::from(if hit { i.jt } else { i.jf });
        pc += 1;
        match i.code {
            0x20 => acc = word(i.k),
            0x54 => acc &= i.k,
            0x05 => pc += i.k as usize,
            0x15 => pc += branch(acc == i.k),
            0x25 => pc += branch(acc > i.k),
            0x35 => pc += branch(acc >= i.k),
            0x45 => pc += branch(acc & i.k != 0),
            0x06 => return i.k,
            other => panic!("instruction {other:#x} at {pc}"),
        }
    }
}

fn profile(json: &str) -> LinuxSeccomp {
    serde_json::from_str(json).unwrap()
}

fn compiled(json: &str) -> Program {
    compile(&profile(json)).unwrap()
}

fn call(abi: Abi, name: &str, args: &[u64]) -> Call {
    let nr = abi.number(name).unwrap_or_else(|| panic!("{name} on {abi:?}"));
    let mut all = [0; 6];
    all[..args.len()].copy_from_slice(args);
    Call { arch: abi.audit_arch(), nr, args: all }
}

#[test]
fn the_table_is_sorted_and_complete() {
    assert!(super::table::SYSCALLS.is_sorted_by(|a, b| a.0 < b.0));
    assert_eq!(i64::from(Abi::X86_64.number("openat2").unwrap()), libc::SYS_openat2);
    assert_eq!(Abi::X32.number("ioctl"), Some(X32_BIT | 514));
    assert_eq!(Abi::Arm.number("cacheflush"), Some(0xf0002));
    assert_eq!(Abi::Aarch64.number("open"), None);
}

#[test]
fn each_abi_sees_its_own_numbers() {
    let program = compiled(
        r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,
        "architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_X86","SCMP_ARCH_X32","SCMP_ARCH_AARCH64","SCMP_ARCH_ARM"],
        "syscalls":[{"names":["write","cacheflush","nosuch"],"action":"SCMP_ACT_ALLOW"}]}"#,
    );
    for abi in ABIS {
        assert_eq!(run(&program.0, &call(abi, "write", &[])), ALLOW, "{abi:?}");
        assert_eq!(run(&program.0, &call(abi, "read", &[])), ENOSYS, "{abi:?}");
    }
    assert_eq!(run(&program.0, &call(Abi::Arm, "cacheflush", &[])), ALLOW);
    assert_eq!(run(&program.0, &Call { arch: 0x8000_0016, nr: 4, args: [0; 6] }), KILL);
}

#[test]
fn an_unlisted_abi_is_killed_but_a_skipped_call_is_not() {
    let program = compiled(r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[]}"#);
    assert_eq!(run(&program.0, &call(Abi::X86_64, "read", &[])), ALLOW);
    assert_eq!(run(&program.0, &call(Abi::X86, "read", &[])), KILL);
    assert_eq!(run(&program.0, &call(Abi::X32, "read", &[])), KILL);
    assert_eq!(run(&program.0, &Call { arch: Abi::X86_64.audit_arch(), nr: u32::MAX, args: [0; 6] }), ALLOW);
}

#[test]
fn comparisons_are_of_64_bits() {
    let probe: [u64; 7] = [0, 4, 5, 6, 1 << 32, 5 | 1 << 32, u64::MAX];
    type Holds = fn(u64, u64) -> bool;
    let cases: [(&str, Holds); 6] = [
        ("SCMP_CMP_EQ", |a, b| a == b),
        ("SCMP_CMP_NE", |a, b| a != b),
        ("SCMP_CMP_LT", |a, b| a < b),
        ("SCMP_CMP_LE", |a, b| a <= b),
        ("SCMP_CMP_GT", |a, b| a > b),
        ("SCMP_CMP_GE", |a, b| a >= b),
    ];
    for (op, holds) in cases {
        for value in [0, 5, 5 | 1 << 32, u64::MAX] {
            let program = compiled(&format!(
                r#"{{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,"syscalls":[{{"names":["ioctl"],
                "action":"SCMP_ACT_ALLOW","args":[{{"index":1,"value":{value},"op":"{op}"}}]}}]}}"#
            ));
            for arg in probe {
                let expected = if holds(arg, value) { ALLOW } else { ENOSYS };
                assert_eq!(
                    run(&program.0, &call(Abi::X86_64, "ioctl", &[7, arg])),
                    expected,
                    "{arg:#x} {op} {value:#x}"
                );
            }
        }
    }
}

#[test]
fn arguments_of_an_entry_are_anded_and_repeated_ones_ored() {
    let entry = |args: &str| {
        compiled(&format!(
            r#"{{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,
            "syscalls":[{{"names":["socket"],"action":"SCMP_ACT_ALLOW","args":[{args}]}}]}}"#
        ))
    };
    let both = entry(r#"{"index":0,"value":1,"op":"SCMP_CMP_EQ"},{"index":1,"value":2,"op":"SCMP_CMP_EQ"}"#);
    assert_eq!(run(&both.0, &call(Abi::X86_64, "socket", &[1, 2])), ALLOW);
    assert_eq!(run(&both.0, &call(Abi::X86_64, "socket", &[1, 3])), ENOSYS);
    let either =
        entry(r#"{"index":0,"value":1,"op":"SCMP_CMP_EQ"},{"index":0,"value":2,"op":"SCMP_CMP_EQ"}"#);
    assert_eq!(run(&either.0, &call(Abi::X86_64, "socket", &[1])), ALLOW);
    assert_eq!(run(&either.0, &call(Abi::X86_64, "socket", &[2])), ALLOW);
    assert_eq!(run(&either.0, &call(Abi::X86_64, "socket", &[3])), ENOSYS);
}

#[test]
fn every_action_returns_its_value() {
    let cases = [
        ("SCMP_ACT_KILL", "", KILL),
        ("SCMP_ACT_KILL_THREAD", "", KILL),
        ("SCMP_ACT_KILL_PROCESS", "", 0x8000_0000),
        ("SCMP_ACT_TRAP", "", 0x0003_0000),
        ("SCMP_ACT_ERRNO", "", EPERM),
        ("SCMP_ACT_ERRNO", r#","errnoRet":4095"#, ERRNO | 4095),
        ("SCMP_ACT_TRACE", r#","errnoRet":7"#, 0x7ff0_0007),
        ("SCMP_ACT_LOG", "", 0x7ffc_0000),
        ("SCMP_ACT_NOTIFY", "", 0x7fc0_0000),
    ];
    for (action, errno, expected) in cases {
        let program = compiled(&format!(
            r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{{"names":["mkdir"],"action":"{action}"{errno}}}]}}"#
        ));
        assert_eq!(run(&program.0, &call(Abi::X86_64, "mkdir", &[])), expected, "{action}");
        assert_eq!(run(&program.0, &call(Abi::X86_64, "rmdir", &[])), ALLOW);
    }
}

#[test]
fn what_the_kernel_or_the_specification_refuses_is_an_error() {
    let cases = [
        (r#"{"defaultAction":"SCMP_ACT_NOTIFY"}"#, "seccomp: SCMP_ACT_NOTIFY cannot be the default action"),
        (
            r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["a","write"],"action":"SCMP_ACT_NOTIFY"}]}"#,
            "seccomp: syscalls[0]: SCMP_ACT_NOTIFY cannot be used for write",
        ),
        (
            r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["a"],"action":"SCMP_ACT_TRAP","errnoRet":1}]}"#,
            "seccomp: syscalls[0]: SCMP_ACT_TRAP takes no errnoRet",
        ),
        (
            r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":4096}"#,
            "seccomp: wrong defaultErrnoRet: errnoRet 4096 is above 4095",
        ),
        (
            r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["a"],"action":"SCMP_ACT_TRAP",
                "args":[{"index":6,"value":1,"op":"SCMP_CMP_EQ"}]}]}"#,
            "seccomp: syscalls[0]: args index 6 is outside 0-5",
        ),
    ];
    for (json, message) in cases {
        assert_eq!(compile(&profile(json)).unwrap_err().to_string(), message);
    }
}

#[test]
fn calls_newer_than_an_eperm_profile_do_not_exist() {
    let program = compiled(
        r#"{"defaultAction":"SCMP_ACT_ERRNO","architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_X86","SCMP_ARCH_X32","SCMP_ARCH_ARM"],
        "syscalls":[{"names":["read","cacheflush"],"action":"SCMP_ACT_ALLOW"},{"names":["openat2"],"action":"SCMP_ACT_ERRNO"}]}"#,
    );
    for abi in [Abi::X86_64, Abi::X86, Abi::X32, Abi::Arm] {
        assert_eq!(run(&program.0, &call(abi, "openat", &[])), EPERM, "{abi:?}: older than the newest");
        assert_eq!(run(&program.0, &call(abi, "openat2", &[])), EPERM, "{abi:?}: the newest");
        assert_eq!(run(&program.0, &call(abi, "mseal", &[])), ENOSYS, "{abi:?}: newer");
    }
    assert_eq!(run(&program.0, &call(Abi::Arm, "cacheflush", &[])), ALLOW);
    assert_eq!(run(&program.0, &call(Abi::Arm, "set_tls", &[])), EPERM);
    let program = compiled(
        r#"{"defaultAction":"SCMP_ACT_KILL","syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW"}]}"#,
    );
    assert_eq!(run(&program.0, &call(Abi::X86_64, "mseal", &[])), KILL);
}

/// Four hundred rules on one syscall put more than 255 instructions between jumps and their targets.
#[test]
fn far_jumps_arrive() {
    let entries: Vec<String> = (0..400)
        .map(|n| {
            format!(
                r#"{{"names":["ioctl"],"action":"SCMP_ACT_ERRNO","errnoRet":{},
                "args":[{{"index":0,"value":{n},"op":"SCMP_CMP_EQ"}},{{"index":3,"value":{n},"op":"SCMP_CMP_NE"}}]}}"#,
                n + 1
            )
        })
        .collect();
    let program =
        compiled(&format!(r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{}]}}"#, entries.join(",")));
    assert!(program.0.len() > 2000);
    for n in 0..400 {
        assert_eq!(run(&program.0, &call(Abi::X86_64, "ioctl", &[n, 0, 0, n + 1])), ERRNO | (n as u32 + 1));
        assert_eq!(run(&program.0, &call(Abi::X86_64, "ioctl", &[n, 0, 0, n])), ALLOW);
    }
    let more = entries.iter().map(|entry| entry.replace("ioctl", "fcntl").replace("ERRNO", "TRACE"));
    let too_many: Vec<String> = entries.iter().cloned().chain(more).collect();
    let json = format!(r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{}]}}"#, too_many.join(","));
    assert!(compile(&profile(&json)).unwrap_err().to_string().contains("the kernel takes 4096"));
}

#[test]
fn flags_are_the_kernels_bits() {
    let json = |action: &str| {
        format!(
            r#"{{"defaultAction":"SCMP_ACT_ALLOW","flags":["SECCOMP_FILTER_FLAG_LOG","SECCOMP_FILTER_FLAG_TSYNC",
            "SECCOMP_FILTER_FLAG_SPEC_ALLOW","SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
            "syscalls":[{{"names":["mkdir"],"action":"{action}"}}]}}"#
        )
    };
    assert_eq!(flags(&profile(&json("SCMP_ACT_NOTIFY"))).unwrap(), 0x26);
    assert_eq!(flags(&profile(&json("SCMP_ACT_TRAP"))).unwrap(), 0x06);
}

#[test]
fn the_default_profile_refuses_what_containers_must_not_do() {
    let program = compile(&default_profile(&[])).unwrap();
    let ns = 0x1000_0000_u64;
    let high = 1_u64 << 32;
    let refused: &[(&str, &[u64], u32)] = &[
        ("socket", &[38], EPERM),
        ("socket", &[38 | high], EPERM),
        ("socket", &[40], EPERM),
        ("socket", &[16, 3, 9], ERRNO | 22),
        ("ioctl", &[0, 0x5412], EPERM),
        ("ioctl", &[0, 0x5412 | high], EPERM),
        ("ioctl", &[0, 0x541c], EPERM),
        ("clone", &[ns | 17], EPERM),
        ("unshare", &[ns], EPERM),
        ("unshare", &[0x80], EPERM),
        ("clone3", &[], ENOSYS),
        ("io_uring_setup", &[], ENOSYS),
        ("keyctl", &[], EPERM),
        ("add_key", &[], EPERM),
        ("userfaultfd", &[], EPERM),
        ("bpf", &[], EPERM),
        ("perf_event_open", &[], EPERM),
        ("mount", &[], EPERM),
        ("fsopen", &[], EPERM),
        ("personality", &[0x40000], ENOSYS),
    ];
    let allowed: &[(&str, &[u64])] = &[
        ("socket", &[1]),
        ("socket", &[2]),
        ("socket", &[10]),
        ("socket", &[16, 3, 0]),
        ("socket", &[17]),
        ("ioctl", &[0, 0x5401]),
        ("ioctl", &[0, 0x5413]),
        ("ioctl", &[0, 0xc010_6400]),
        ("clone", &[0x1200011]),
        ("clone", &[0x3d0f00]),
        ("unshare", &[0x400]),
        ("personality", &[0]),
        ("personality", &[0xffff_ffff]),
        ("openat2", &[]),
        ("rseq", &[]),
        ("mseal", &[]),
    ];
    for abi in [Abi::X86_64, Abi::X86, Abi::X32] {
        for (name, args, expected) in refused {
            assert_eq!(run(&program.0, &call(abi, name, args)), *expected, "{abi:?} {name} {args:x?}");
        }
        for (name, args) in allowed {
            assert_eq!(run(&program.0, &call(abi, name, args)), ALLOW, "{abi:?} {name} {args:x?}");
        }
    }
    assert_eq!(run(&program.0, &call(Abi::X86, "socketcall", &[1])), EPERM);
    assert!(program.0.len() < 1100, "{}", program.0.len());
}

/// A deny list must also close i386's second way to the same calls.
#[test]
fn multiplexed_calls_share_the_verdict() {
    let program = compiled(
        r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86"],
        "syscalls":[{"names":["connect","msgget"],"action":"SCMP_ACT_ERRNO"}]}"#,
    );
    assert_eq!(run(&program.0, &call(Abi::X86, "socketcall", &[3])), EPERM);
    assert_eq!(run(&program.0, &call(Abi::X86, "socketcall", &[2])), ALLOW);
    assert_eq!(run(&program.0, &call(Abi::X86, "ipc", &[13 | 1 << 16])), EPERM);
}

mod against_libseccomp;

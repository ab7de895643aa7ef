//! Every verdict of our programs against libseccomp's own, for every syscall, ABI and class of arguments.
//!
//! Needs python3 and libseccomp.so.2, which is what crun and runc are linked with (`libseccomp.py`). Known differences,
//! none of which lets anything through: an older libseccomp does not know the newest names, and it compares
//! ipc(2)'s first argument with its version bits.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

use oci_spec::runtime::{LinuxSeccomp, LinuxSyscall};

use super::super::table::SYSCALLS;
use super::*;

#[test]
#[allow(clippy::disallowed_methods, reason = "the peer is a script; external::Tool is for the product")]
fn every_verdict_is_libseccomps() {
    let profiles = profiles();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/seccomp/tests/libseccomp.py");
    let mut peer = Command::new("/usr/bin/python3")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is needed: apt-get install python3 libseccomp2");
    let request = serde_json::json!({
        "profiles": profiles,
        "names": SYSCALLS.iter().map(|(name, _)| name).collect::<Vec<_>>(),
    });
    peer.stdin.take().unwrap().write_all(request.to_string().as_bytes()).unwrap();
    let output = peer.wait_with_output().unwrap();
    assert!(output.status.success(), "libseccomp.py failed");
    let lines = String::from_utf8(output.stdout).unwrap();
    let mut lines = lines.lines();
    let unknown: Vec<&str> = lines.next().unwrap().split(' ').collect();
    let theirs: Vec<Vec<Vec<SockFilter>>> = lines.map(|line| line.split(' ').map(decode).collect()).collect();
    assert_eq!(theirs.len(), profiles.len());

    let (mut compared, mut broken) = (0_u64, 0);
    for (profile, theirs) in profiles.iter().zip(&theirs) {
        let ours = compile(profile).unwrap();
        let listed = profile.architectures().iter().flatten().filter_map(|arch| Abi::from_oci(*arch));
        let abis = std::iter::once(Abi::X86_64).chain(listed.filter(|abi| *abi != Abi::X86_64));
        let newest = if profile.default_errno_ret() == Some(38) { u32::MAX } else { newest_name(profile) };
        for (abi, theirs) in abis.zip(theirs) {
            // 2.5 forgets to load the number where another architecture's names sort differently from x86_64's.
            if theirs[2] != (SockFilter { code: 0x20, jt: 0, jf: 0, k: 0 }) {
                broken += 1;
                continue;
            }
            for call in calls(profile, abi) {
                if call.nr & !X32_BIT > newest || unknown.iter().any(|name| abi.number(name) == Some(call.nr))
                {
                    continue;
                }
                compared += 1;
                assert_eq!(
                    run(&ours.0, &call),
                    run(theirs, &call),
                    "{call:x?} under {}",
                    about(profile, abi, &call)
                );
            }
        }
    }
    assert!(
        compared > 200_000 && broken < 20,
        "{compared} verdicts compared, {broken} of its programs broken"
    );
}

fn decode(hex: &str) -> Vec<SockFilter> {
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
    let instruction = |b: &[u8]| SockFilter {
        code: u16::from_le_bytes([b[0], b[1]]),
        jt: b[2],
        jf: b[3],
        k: u32::from_le_bytes([b[4], b[5], b[6], b[7]]),
    };
    bytes.chunks(8).map(instruction).collect()
}

/// Real ones, then made-up ones with every operator, action and default.
fn profiles() -> Vec<LinuxSeccomp> {
    let caps = |list: &[&str]| list.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>();
    let mut all = vec![
        default_profile(&[]),
        default_profile(&caps(&["CAP_SYS_ADMIN"])),
        default_profile(&caps(&["CAP_AUDIT_WRITE", "CAP_SYS_CHROOT", "CAP_BPF"])),
    ];
    if let Ok(json) = std::fs::read("/usr/share/containers/seccomp.json") {
        all.push(crate::seccomp::parse_profile(&json, &caps(&["CAP_SYS_CHROOT"])).unwrap());
    }
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..100 {
        all.push(random_profile(&mut seed));
    }
    all
}

/// xorshift64: the same profiles on every run.
fn next(seed: &mut u64, below: u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed % below
}

const INTERESTING: [u64; 10] =
    [0, 1, 0x5412, 0x7fff_ffff, 0xffff_ffff, 1 << 32, 0x5412 | 1 << 32, 1 << 63, u64::MAX, 0x1000_0000];

fn random_profile(seed: &mut u64) -> LinuxSeccomp {
    let actions = ["ALLOW", "ERRNO", "KILL_PROCESS", "TRAP", "TRACE", "LOG", "KILL"];
    let operators = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"];
    let mut named = BTreeSet::new();
    let mut syscalls = Vec::new();
    for _ in 0..next(seed, 60) {
        let row = next(seed, SYSCALLS.len() as u64) as usize;
        let name = SYSCALLS[row].0;
        // Two names of one call, and calls behind a multiplexer, would overlap.
        if !named.insert(name) || name.contains("sync_file_range") || Abi::X86.multiplexed(name).is_some() {
            continue;
        }
        let action = actions[next(seed, actions.len() as u64) as usize];
        let mut push = |args| {
            syscalls.push(
                serde_json::json!({"names": [name], "action": format!("SCMP_ACT_{action}"), "args": args}),
            );
        };
        // Several entries of one syscall only with the same operator on the same argument: libseccomp 2.5 loses rules
        // when it merges others (TRAP if arg2 != 0 with TRAP if arg5 <= 2^63: arg5 = 2^32-1 gets through).
        if next(seed, 2) == 0 {
            let index = next(seed, 6);
            for _ in 0..=next(seed, 4) {
                let value = INTERESTING[next(seed, 10) as usize];
                push(vec![serde_json::json!({"index": index, "op": "SCMP_CMP_EQ", "value": value})]);
            }
        } else {
            // valueTwo inside the mask: with bits outside, libseccomp's 64-bit ABIs ignore them and its 32-bit ones do not.
            let argument = |index: u64, seed: &mut u64| {
                let op = operators[next(seed, 7) as usize];
                let (one, two) = (INTERESTING[next(seed, 10) as usize], INTERESTING[next(seed, 10) as usize]);
                serde_json::json!({"index": index, "op": format!("SCMP_CMP_{op}"), "value": one, "valueTwo": one & two})
            };
            push((0..next(seed, 4)).map(|n| argument(n * 2 % 5, seed)).collect());
        }
    }
    let default = actions[next(seed, actions.len() as u64) as usize];
    let arches: Vec<_> = ["X86", "X32", "AARCH64", "ARM"].iter().filter(|_| next(seed, 2) == 0).collect();
    let arches: Vec<_> = arches.iter().map(|a| format!("SCMP_ARCH_{a}")).collect();
    let json = serde_json::json!({
        "defaultAction": format!("SCMP_ACT_{default}"),
        "defaultErrnoRet": (default == "ERRNO").then_some(38),
        "architectures": arches,
        "syscalls": syscalls,
    });
    serde_json::from_value(json).unwrap()
}

/// Every number of an ABI, and some of none, with arguments around the profile's own values.
fn calls(profile: &LinuxSeccomp, abi: Abi) -> Vec<Call> {
    let mut all = Vec::new();
    let base = if abi == Abi::X32 { X32_BIT } else { 0 };
    let mut numbers: BTreeSet<u32> = SYSCALLS.iter().filter_map(|(name, _)| abi.number(name)).collect();
    numbers.extend([base + 600, base + 1000, base + 0xf0002, base + 0xf0005]);
    for nr in numbers {
        let plain = Call { arch: abi.audit_arch(), nr, args: [0; 6] };
        all.push(plain);
        for argument in profile
            .syscalls()
            .iter()
            .flatten()
            .filter(|e| concerns(e, abi, nr))
            .flat_map(|e| e.args())
            .flatten()
        {
            let near = [argument.value(), argument.value_two().unwrap_or(0)];
            let near = near.iter().flat_map(|v| [*v, v.wrapping_add(1), v.wrapping_sub(1), v ^ 1 << 32]);
            for value in near.chain(INTERESTING) {
                // These ABIs' arguments have no upper half; x32's have.
                let narrow = matches!(abi, Abi::X86 | Abi::Arm);
                let value = if narrow { value & 0xffff_ffff } else { value };
                for others in [0, value] {
                    let mut call = plain;
                    call.args = [others; 6];
                    call.args[argument.index()] = value;
                    all.push(call);
                }
            }
        }
    }
    all
}

fn concerns(entry: &LinuxSyscall, abi: Abi, nr: u32) -> bool {
    entry.names().iter().any(|name| abi.number(name) == Some(nr))
}

/// The default and the entries that decide a call, for the message.
fn about(profile: &LinuxSeccomp, abi: Abi, call: &Call) -> String {
    let entries: Vec<_> = profile.syscalls().iter().flatten().filter(|e| concerns(e, abi, call.nr)).collect();
    format!("{}: {}", profile.default_action(), serde_json::to_string(&entries).unwrap())
}

/// runc's ENOSYS stub is ours and runc's, not libseccomp's.
fn newest_name(profile: &LinuxSeccomp) -> u32 {
    let names = profile.syscalls().iter().flatten().flat_map(|e| e.names());
    names.filter_map(|name| Abi::X86_64.number(name)).max().unwrap_or(0)
}

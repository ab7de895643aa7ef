//! What a profile says about each syscall number of one ABI, with libseccomp's semantics (see the module's header).

use std::collections::BTreeMap;

use oci_spec::runtime::{
    LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompOperator, LinuxSyscall,
};

use super::abi::{ARM_PRIVATE, Abi};
use crate::error::{Error, Result};

/// seccomp_data has six arguments.
const ARGUMENTS: usize = 6;

pub const RET_KILL_THREAD: u32 = 0;
const RET_ERRNO: u32 = 0x0005_0000;
const ENOSYS: u32 = RET_ERRNO | libc::ENOSYS as u32;

/// One comparison of one argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition {
    pub index: u32,
    pub op: LinuxSeccompOperator,
    pub value: u64,
    /// What of the argument counts: all of it unless `op` is MASKED_EQ, and never more than the ABI has.
    pub mask: u64,
}

/// All conditions hold → action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub conditions: Vec<Condition>,
    pub action: u32,
}

/// What happens to a syscall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Return(u32),
    /// The first rule that holds, else the default.
    Choose(Vec<Rule>),
}

/// Everything that the profile says about one ABI.
#[derive(Debug)]
pub struct AbiRules {
    pub verdicts: BTreeMap<u32, Verdict>,
    pub newer: Option<Newer>,
}

/// Numbers (`start..end`) newer than the profile, where its default errno would mislead a libc.
#[derive(Debug)]
pub struct Newer {
    pub start: u32,
    pub end: u32,
    pub action: u32,
}

/// The profile's default action.
pub fn default_action(seccomp: &LinuxSeccomp) -> Result<u32> {
    if seccomp.default_action() == LinuxSeccompAction::ScmpActNotify {
        return Err(Error::usage("seccomp: SCMP_ACT_NOTIFY cannot be the default action"));
    }
    action_value(seccomp.default_action(), seccomp.default_errno_ret())
        .map_err(|e| e.wrap("seccomp: wrong defaultErrnoRet"))
}

/// Collects the verdicts of every syscall that the profile names and `abi` has.
pub fn of_abi(seccomp: &LinuxSeccomp, abi: Abi, default: u32) -> Result<AbiRules> {
    let mut verdicts = BTreeMap::new();
    let mut newest = None;
    for (index, entry) in seccomp.syscalls().iter().flatten().enumerate() {
        let action = action_value(entry.action(), entry.errno_ret())
            .map_err(|e| e.wrap(format!("seccomp: syscalls[{index}]")))?;
        let rules =
            entry_rules(entry, action, abi).map_err(|e| e.wrap(format!("seccomp: syscalls[{index}]")))?;
        for name in entry.names() {
            if let Some(number) = abi.number(name) {
                if number < ARM_PRIVATE || abi != Abi::Arm {
                    newest = newest.max(Some(number));
                }
                if action != default {
                    add(&mut verdicts, number, &rules, action);
                }
            }
            if let Some(m) = abi.multiplexed(name)
                && action != default
                && rules.is_empty()
            {
                let condition = Condition {
                    index: 0,
                    op: LinuxSeccompOperator::ScmpCmpMaskedEq,
                    value: u64::from(m.value),
                    mask: u64::from(m.mask),
                };
                add(&mut verdicts, m.number, &[Rule { conditions: vec![condition], action }], action);
            }
        }
    }
    let is_errno = default & 0xffff_0000 == RET_ERRNO && default != ENOSYS;
    let newer = newest.filter(|_| is_errno).map(|number| Newer {
        start: number + 1,
        end: end_of_table(abi),
        action: ENOSYS,
    });
    Ok(AbiRules { verdicts, newer })
}

/// Where numbers stop being new ones: at the next ABI's, or at ARM's private calls.
fn end_of_table(abi: Abi) -> u32 {
    match abi {
        Abi::X86_64 => super::abi::X32_BIT,
        Abi::Arm => ARM_PRIVATE,
        // -1 is how a tracer says "no syscall": never an unknown one.
        Abi::X86 | Abi::X32 | Abi::Aarch64 => u32::MAX,
    }
}

fn add(verdicts: &mut BTreeMap<u32, Verdict>, number: u32, rules: &[Rule], action: u32) {
    match verdicts.get_mut(&number) {
        // The first entry without conditions stands.
        Some(Verdict::Return(_)) => {}
        Some(Verdict::Choose(list)) if !rules.is_empty() => list.extend_from_slice(rules),
        _ if rules.is_empty() => {
            verdicts.insert(number, Verdict::Return(action));
        }
        _ => {
            verdicts.insert(number, Verdict::Choose(rules.to_vec()));
        }
    }
}

/// No rules: the entry looks at no argument.
fn entry_rules(entry: &LinuxSyscall, action: u32, abi: Abi) -> Result<Vec<Rule>> {
    if entry.action() == LinuxSeccompAction::ScmpActNotify && entry.names().iter().any(|n| n == "write") {
        // The process that installs the filter would wait for its own listener.
        return Err(Error::usage("SCMP_ACT_NOTIFY cannot be used for write"));
    }
    let mut seen = [false; ARGUMENTS];
    let mut repeated = false;
    let mut conditions = Vec::new();
    for argument in entry.args().iter().flatten() {
        let slot = seen.get_mut(argument.index()).ok_or_else(|| {
            Error::usage(format!("args index {} is outside 0-{}", argument.index(), ARGUMENTS - 1))
        })?;
        repeated |= std::mem::replace(slot, true);
        conditions.push(condition(argument, abi));
    }
    if conditions.is_empty() {
        return Ok(Vec::new());
    }
    if repeated {
        return Ok(conditions.into_iter().map(|c| Rule { conditions: vec![c], action }).collect());
    }
    Ok(vec![Rule { conditions, action }])
}

fn condition(argument: &LinuxSeccompArg, abi: Abi) -> Condition {
    // index is below 6: the caller checked it.
    let index = argument.index() as u32;
    let op = argument.op();
    let (value, mask) = if op == LinuxSeccompOperator::ScmpCmpMaskedEq {
        (argument.value_two().unwrap_or(0), argument.value())
    } else {
        (argument.value(), u64::MAX)
    };
    let mask = mask & abi.argument_bits();
    // libseccomp, too, ignores the bits of valueTwo outside the mask, and of any value outside the argument.
    Condition { index, op, value: value & mask, mask }
}

/// `SECCOMP_RET_*` with its data.
fn action_value(action: LinuxSeccompAction, errno_ret: Option<u32>) -> Result<u32> {
    match (action, errno_ret) {
        // MAX_ERRNO: the kernel cuts larger ones down.
        (LinuxSeccompAction::ScmpActErrno, Some(errno)) if errno > 4095 => {
            Err(Error::usage(format!("errnoRet {errno} is above 4095")))
        }
        (LinuxSeccompAction::ScmpActTrace, Some(message)) if message > 0xffff => {
            Err(Error::usage(format!("errnoRet {message} is above 65535")))
        }
        (LinuxSeccompAction::ScmpActErrno | LinuxSeccompAction::ScmpActTrace, _) | (_, None) => {
            Ok(action.as_u32(errno_ret))
        }
        // runtime-spec, "seccomp": an error, not a silence.
        (action, Some(_)) => Err(Error::usage(format!("{action} takes no errnoRet"))),
    }
}

//! Verdicts → program: ranges of equal fate under a balanced tree, conditions behind its leaves.

use oci_spec::runtime::{LinuxSeccomp, LinuxSeccompOperator};

use super::Program;
use super::abi::{Abi, X32_BIT};
use super::asm::{Assembler, Target, Test};
use super::rules::{self, Condition, RET_KILL_THREAD, Rule, Verdict};
use crate::error::{Error, Kind, Result};

/// The kernel's BPF_MAXINSNS.
const MAX_INSTRUCTIONS: usize = 4096;

// struct seccomp_data { int nr; __u32 arch; __u64 instruction_pointer; __u64 args[6]; }
const NR: u32 = 0;
const ARCH: u32 = 4;
const ARGS: u32 = 16;

/// All numbers from `start` to the next range's share a verdict.
#[derive(Debug)]
struct Range {
    start: u32,
    verdict: Verdict,
}

/// What the leaves of one architecture's tree share.
#[derive(Debug)]
struct Leaves<'a> {
    default: u32,
    /// Conditions already written: x32's are mostly x86_64's again.
    written: Vec<(&'a [Rule], Target)>,
}

/// See [`super::compile`].
pub fn program(seccomp: &LinuxSeccomp) -> Result<Program> {
    let default = rules::default_action(seccomp)?;
    let abis = wanted_abis(seccomp)?;
    let mut asm = Assembler::default();

    // Backwards: the native ABI's body ends up nearest to the dispatch.
    let mut bodies: Vec<(u32, Target)> = Vec::new();
    for abi in abis.iter().rev() {
        let arch = abi.audit_arch();
        if bodies.iter().any(|(known, _)| *known == arch) {
            continue;
        }
        let ranges = ranges_of_arch(seccomp, arch, &abis, default)?;
        let mut leaves = Leaves { default, written: Vec::new() };
        let root = tree(&mut asm, &ranges, &mut leaves);
        bodies.push((arch, asm.load(NR, root)));
    }
    let mut dispatch = Target::Return(RET_KILL_THREAD);
    for (arch, body) in bodies {
        dispatch = asm.branch(Test::Equal, arch, body, dispatch);
    }
    let start = asm.load(ARCH, dispatch);

    let code = asm.finish(start);
    if code.len() > MAX_INSTRUCTIONS {
        return Err(Error::usage(format!(
            "the seccomp profile compiles to {} instructions, the kernel takes {MAX_INSTRUCTIONS}",
            code.len()
        ))
        .hint("Shorten the profile, or list fewer architectures in it."));
    }
    Ok(Program(code))
}

/// The native ABI first, then those listed.
fn wanted_abis(seccomp: &LinuxSeccomp) -> Result<Vec<Abi>> {
    let native = Abi::native().ok_or_else(|| {
        Error::new(Kind::Host, "seccomp filters are not available for this machine's architecture")
    })?;
    let mut abis = vec![native];
    for arch in seccomp.architectures().iter().flatten() {
        match Abi::from_oci(*arch) {
            Some(abi) if !abis.contains(&abi) => abis.push(abi),
            _ => {}
        }
    }
    Ok(abis)
}

/// The ranges of every ABI behind one audit number: x86_64 and x32 share theirs.
fn ranges_of_arch(seccomp: &LinuxSeccomp, arch: u32, abis: &[Abi], default: u32) -> Result<Vec<Range>> {
    let mut ranges = Vec::new();
    for abi in [Abi::X86_64, Abi::X86, Abi::X32, Abi::Aarch64, Abi::Arm] {
        if abi.audit_arch() != arch {
            continue;
        }
        let first = if abi == Abi::X32 { X32_BIT } else { 0 };
        if abis.contains(&abi) {
            push_abi(&mut ranges, seccomp, abi, first, default)?;
        } else {
            push(&mut ranges, first, Verdict::Return(RET_KILL_THREAD));
        }
    }
    // A tracer that skips a syscall sets its number to -1: that is not a foreign ABI's.
    push(&mut ranges, u32::MAX, Verdict::Return(default));
    Ok(ranges)
}

/// Appends the numbers of one ABI, with the default in the gaps.
fn push_abi(
    ranges: &mut Vec<Range>,
    seccomp: &LinuxSeccomp,
    abi: Abi,
    first: u32,
    default: u32,
) -> Result<()> {
    let rules = rules::of_abi(seccomp, abi, default)?;
    let known =
        rules.verdicts.into_iter().map(|(number, verdict)| (number, number.saturating_add(1), verdict));
    let newer = rules.newer.map(|n| (n.start, n.end, Verdict::Return(n.action)));
    let mut segments: Vec<(u32, u32, Verdict)> = known.chain(newer).collect();
    segments.sort_by_key(|(start, ..)| *start);

    let mut next = first;
    for (start, end, verdict) in segments {
        push(ranges, next, Verdict::Return(default));
        push(ranges, start, verdict);
        next = end;
    }
    push(ranges, next, Verdict::Return(default));
    Ok(())
}

/// Begins a range; one that would be empty gives way, one of the same verdict goes on.
fn push(ranges: &mut Vec<Range>, start: u32, verdict: Verdict) {
    ranges.pop_if(|last| last.start == start);
    if ranges.last().is_none_or(|last| last.verdict != verdict) {
        ranges.push(Range { start, verdict });
    }
}

/// The number is in the accumulator; halves the ranges until one is left.
fn tree<'a>(asm: &mut Assembler, ranges: &'a [Range], leaves: &mut Leaves<'a>) -> Target {
    match ranges {
        [] => Target::Return(leaves.default),
        [only] => leaf(asm, only, leaves),
        _ => {
            let (lower, upper) = ranges.split_at(ranges.len() / 2);
            let above = tree(asm, upper, leaves);
            let below = tree(asm, lower, leaves);
            // `upper` holds at least one range: there are two or more.
            let start = upper.first().map_or(0, |range| range.start);
            asm.branch(Test::GreaterOrEqual, start, above, below)
        }
    }
}

fn leaf<'a>(asm: &mut Assembler, range: &'a Range, leaves: &mut Leaves<'a>) -> Target {
    match &range.verdict {
        Verdict::Return(action) => Target::Return(*action),
        Verdict::Choose(rules) => {
            if let Some((_, target)) = leaves.written.iter().find(|(written, _)| *written == rules.as_slice())
            {
                return *target;
            }
            let mut next = Target::Return(leaves.default);
            for rule in rules.iter().rev() {
                next = all_hold(asm, rule, next);
            }
            leaves.written.push((rules, next));
            next
        }
    }
}

fn all_hold(asm: &mut Assembler, rule: &Rule, otherwise: Target) -> Target {
    let mut then = Target::Return(rule.action);
    for condition in rule.conditions.iter().rev() {
        then = holds(asm, condition, then, otherwise);
    }
    then
}

/// Loads the argument's halves and compares: the high one decides unless it is equal.
fn holds(asm: &mut Assembler, condition: &Condition, yes: Target, no: Target) -> Target {
    use LinuxSeccompOperator as Op;
    let (test, yes, no) = match condition.op {
        Op::ScmpCmpEq | Op::ScmpCmpMaskedEq => (Test::Equal, yes, no),
        Op::ScmpCmpNe => (Test::Equal, no, yes),
        Op::ScmpCmpGt => (Test::Greater, yes, no),
        Op::ScmpCmpLe => (Test::Greater, no, yes),
        Op::ScmpCmpGe => (Test::GreaterOrEqual, yes, no),
        Op::ScmpCmpLt => (Test::GreaterOrEqual, no, yes),
    };
    let (low, high) = (condition.value as u32, (condition.value >> 32) as u32);
    let (low_mask, high_mask) = (condition.mask as u32, (condition.mask >> 32) as u32);
    // Little endian, as all our ABIs are.
    let low_offset = ARGS + 8 * condition.index;

    let low_test = asm.branch(test, low, yes, no);
    let low_test = masked_load(asm, low_offset, low_mask, low_test);
    if high_mask == 0 {
        return low_test;
    }
    let equal = asm.branch(Test::Equal, high, low_test, no);
    let high_test = match test {
        Test::Equal => equal,
        Test::Greater | Test::GreaterOrEqual => asm.branch(Test::Greater, high, yes, equal),
    };
    masked_load(asm, low_offset + 4, high_mask, high_test)
}

fn masked_load(asm: &mut Assembler, offset: u32, mask: u32, next: Target) -> Target {
    let next = if mask == u32::MAX { next } else { asm.and(mask, next) };
    asm.load(offset, next)
}

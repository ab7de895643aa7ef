//! A `process` object → what the child does to itself before execve. Pure but for the facts that are handed in.

use super::filter::{self, Filter};
use super::target::c_string;
use crate::caps::CapabilitySets;
use crate::error::{Error, Result};
use crate::sys::process::{ExecStrings, MemoryPolicy, SchedAttr};
use oci_spec::runtime::{
    IOPriorityClass, LinuxMemoryPolicy, LinuxPersonality, LinuxPersonalityDomain, LinuxSchedulerFlag,
    LinuxSchedulerPolicy, MemoryPolicyFlagType, MemoryPolicyModeType, PosixRlimit, PosixRlimitType, Process,
    Scheduler,
};
use rustix::process::{Gid, Resource, Rlimit};
use rustix::thread::CpuSet;
use std::ffi::CString;

/// What becomes of the process.
#[derive(Debug)]
pub struct ProcessPlan {
    /// `args[0]` as given, for messages.
    pub command: String,
    pub argv: ExecStrings,
    pub env: ExecStrings,
    /// The same as text.
    pub environment: Vec<String>,
    /// Files to try for `args[0]`, in the order of the container's PATH.
    pub candidates: Vec<CString>,
    pub cwd: CString,
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<Gid>,
    /// Leave the supplementary groups as they are (`run.oci.keep_original_groups`).
    pub keep_groups: bool,
    pub umask: u32,
    pub caps: CapabilitySets,
    pub no_new_privileges: bool,
    pub rlimits: Vec<(Resource, Rlimit)>,
    pub filter: Option<Filter>,
    pub apparmor: Option<CString>,
    pub selinux: Option<CString>,
    pub terminal: Option<Terminal>,
    pub scheduler: Option<SchedAttr>,
    pub io_priority: Option<(u16, u16)>,
    pub personality: Option<u32>,
    pub memory_policy: Option<MemoryPolicy>,
    pub cpus: Cpus,
    /// The container has a cpuset. SCHED_DEADLINE is for processes that may run everywhere.
    pub in_cpuset: bool,
    pub oom_score_adj: Option<i32>,
    /// Name of the new session keyring.
    pub keyring: Option<CString>,
    /// What was asked for and is left out.
    pub warnings: Vec<String>,
}

/// Where the process may run, within its cgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cpus {
    /// Where its caller may.
    Inherited,
    /// Everywhere: what the caller is bound to is the caller's (an engine's, started by a pinned service).
    All,
    /// `execCPUAffinity`.
    Set(rustix::thread::CpuSet),
}

/// A terminal of the container's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terminal {
    pub rows: u16,
    pub columns: u16,
    /// Lines end as the payload wrote them, without carriage returns: for a foreground process, whose output goes to a
    /// terminal that adds its own, or into a pipe.
    pub plain: bool,
}

/// What the process depends on besides its own document.
#[derive(Debug, Default)]
pub struct ProcessScope<'a> {
    pub personality: Option<&'a LinuxPersonality>,
    pub memory_policy: Option<&'a LinuxMemoryPolicy>,
    /// `execCPUAffinity.final`; the specification has it for an exec alone.
    pub affinity: Option<CpuSet>,
    pub filter: Option<Filter>,
    /// What the runtime has of capabilities, for a process of its own user namespace: that has no more of them.
    pub capabilities: Option<u64>,
    /// `ANNOTATION_CPUS`.
    pub inherits_cpus: bool,
    /// `resources.cpu.cpus` is there.
    pub in_cpuset: bool,
    /// For the session keyring; none with `--no-new-keyring`.
    pub keyring_of: Option<&'a str>,
    pub keep_groups: bool,
    /// Whether the host knows SELinux labels.
    pub selinux: bool,
    /// HOME where the environment has none.
    pub home: Option<String>,
    /// Added to the environment.
    pub extra_env: Vec<String>,
}

/// Where commands are looked for when the environment does not say.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Plans a process.
pub fn plan(process: &Process, scope: ProcessScope<'_>) -> Result<ProcessPlan> {
    let args = process.args().as_deref().unwrap_or_default();
    let Some(command) = args.first().filter(|command| !command.is_empty()) else {
        return Err(Error::usage("process.args must not be empty"));
    };
    if !process.cwd().is_absolute() {
        return Err(Error::usage(format_args!("process.cwd {:?} is not absolute", process.cwd())));
    }
    if process.selinux_label().as_ref().is_some_and(|label| !label.is_empty()) && !scope.selinux {
        return Err(Error::usage(
            "selinux label is specified in config, but selinux is disabled or not supported",
        ));
    }
    let env = environment(process, &scope)?;
    let user = process.user();
    let asked = process.capabilities().as_ref();
    let mut caps = CapabilitySets::from_oci(asked);
    let no_ambient =
        |name| format!("can't raise ambient capability {name}: it is not permitted and inheritable");
    let mut warnings: Vec<String> = caps.not_ambient(asked).into_iter().map(no_ambient).collect();
    // "Runtimes SHOULD NOT fail if the container configuration requests capabilities that cannot be granted" (config.md).
    let refused = scope.capabilities.map(|held| caps.limit_to(held)).unwrap_or_default();
    if !refused.is_empty() {
        warnings.push(format!(
            "ignoring capabilities that the runtime does not have itself: [{}]",
            refused.join(" ")
        ));
    }
    Ok(ProcessPlan {
        command: command.clone(),
        argv: ExecStrings::new(args.iter().map(|arg| c_string(arg)).collect::<Result<_>>()?),
        candidates: candidates(command, &env)?,
        env: ExecStrings::new(env.iter().map(|var| c_string(var)).collect::<Result<_>>()?),
        cwd: c_string(&process.cwd().to_string_lossy())?,
        uid: user.uid(),
        gid: user.gid(),
        groups: user.additional_gids().iter().flatten().map(|gid| Gid::from_raw(*gid)).collect(),
        keep_groups: scope.keep_groups,
        umask: user.umask().unwrap_or(0o022),
        caps,
        environment: env,
        no_new_privileges: process.no_new_privileges().unwrap_or(false),
        rlimits: process.rlimits().iter().flatten().map(rlimit).collect::<Result<_>>()?,
        filter: scope.filter,
        apparmor: label(process.apparmor_profile().as_deref(), "exec ")?,
        selinux: label(process.selinux_label().as_deref(), "")?,
        terminal: process.terminal().unwrap_or(false).then(|| terminal(process)),
        scheduler: process.scheduler().as_ref().map(scheduler),
        io_priority: process.io_priority().as_ref().map(|io| {
            let class = match io.class() {
                IOPriorityClass::IoprioClassRt => 1,
                IOPriorityClass::IoprioClassBe => 2,
                IOPriorityClass::IoprioClassIdle => 3,
            };
            (class, u16::try_from(io.priority()).unwrap_or(7))
        }),
        personality: scope.personality.map(personality).transpose()?,
        in_cpuset: scope.in_cpuset,
        cpus: match scope.affinity {
            Some(set) => Cpus::Set(set),
            None if scope.inherits_cpus => Cpus::Inherited,
            None => Cpus::All,
        },
        memory_policy: scope.memory_policy.map(memory_policy).transpose()?,
        oom_score_adj: process.oom_score_adj(),
        warnings,
        keyring: scope.keyring_of.map(|id| c_string(&format!("_ses.{id}"))).transpose()?,
    })
}

fn environment(process: &Process, scope: &ProcessScope<'_>) -> Result<Vec<String>> {
    let mut env: Vec<String> = Vec::new();
    for var in process.env().iter().flatten().chain(&scope.extra_env) {
        let Some((name, _)) = var.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err(Error::usage(format_args!("process.env {var:?} is not NAME=VALUE")));
        };
        // The last one wins, as in a shell: programs differ in which of two they would see.
        let prefix_len = name.len() + 1;
        env.retain(|other| other.get(..prefix_len) != var.get(..prefix_len));
        env.push(var.clone());
    }
    if let Some(home) = &scope.home
        && !env.iter().any(|var| var.len() > "HOME=".len() && var.starts_with("HOME="))
    {
        env.retain(|var| var != "HOME=");
        env.push(format!("HOME={home}"));
    }
    Ok(env)
}

/// A command with a slash is a file; else each directory of PATH is tried.
fn candidates(command: &str, env: &[String]) -> Result<Vec<CString>> {
    if command.contains('/') {
        return Ok(vec![c_string(command)?]);
    }
    let path = env.iter().find_map(|var| var.strip_prefix("PATH=")).unwrap_or(DEFAULT_PATH);
    path.split(':')
        .map(|dir| if dir.is_empty() { "." } else { dir })
        .map(|dir| c_string(&format!("{}/{command}", dir.trim_end_matches('/'))))
        .collect()
}

fn label(label: Option<&str>, prefix: &str) -> Result<Option<CString>> {
    label.filter(|label| !label.is_empty()).map(|label| c_string(&format!("{prefix}{label}"))).transpose()
}

fn terminal(process: &Process) -> Terminal {
    let side = |n: u64| u16::try_from(n).unwrap_or(u16::MAX);
    process
        .console_size()
        .map(|size| Terminal { rows: side(size.height()), columns: side(size.width()), plain: false })
        .unwrap_or_default()
}

fn rlimit(limit: &PosixRlimit) -> Result<(Resource, Rlimit)> {
    let resource = match limit.typ() {
        PosixRlimitType::RlimitCpu => Resource::Cpu,
        PosixRlimitType::RlimitFsize => Resource::Fsize,
        PosixRlimitType::RlimitData => Resource::Data,
        PosixRlimitType::RlimitStack => Resource::Stack,
        PosixRlimitType::RlimitCore => Resource::Core,
        PosixRlimitType::RlimitRss => Resource::Rss,
        PosixRlimitType::RlimitNproc => Resource::Nproc,
        PosixRlimitType::RlimitNofile => Resource::Nofile,
        PosixRlimitType::RlimitMemlock => Resource::Memlock,
        PosixRlimitType::RlimitAs => Resource::As,
        PosixRlimitType::RlimitLocks => Resource::Locks,
        PosixRlimitType::RlimitSigpending => Resource::Sigpending,
        PosixRlimitType::RlimitMsgqueue => Resource::Msgqueue,
        PosixRlimitType::RlimitNice => Resource::Nice,
        PosixRlimitType::RlimitRtprio => Resource::Rtprio,
        PosixRlimitType::RlimitRttime => Resource::Rttime,
    };
    if limit.soft() > limit.hard() {
        return Err(Error::usage(format_args!("process.rlimits {:?}: soft is above hard", limit.typ())));
    }
    let value = |n: u64| (n != u64::MAX).then_some(n);
    Ok((resource, Rlimit { current: value(limit.soft()), maximum: value(limit.hard()) }))
}

fn scheduler(asked: &Scheduler) -> SchedAttr {
    let policy = match asked.policy() {
        LinuxSchedulerPolicy::SchedOther => 0,
        LinuxSchedulerPolicy::SchedFifo => 1,
        LinuxSchedulerPolicy::SchedRr => 2,
        LinuxSchedulerPolicy::SchedBatch => 3,
        LinuxSchedulerPolicy::SchedIso => 4,
        LinuxSchedulerPolicy::SchedIdle => 5,
        LinuxSchedulerPolicy::SchedDeadline => 6,
    };
    let flag = |flag: &LinuxSchedulerFlag| match flag {
        LinuxSchedulerFlag::SchedResetOnFork => 0x01,
        LinuxSchedulerFlag::SchedFlagReclaim => 0x02,
        LinuxSchedulerFlag::SchedFlagDLOverrun => 0x04,
        LinuxSchedulerFlag::SchedFlagKeepPolicy => 0x08,
        LinuxSchedulerFlag::SchedFlagKeepParams => 0x10,
        LinuxSchedulerFlag::SchedFlagUtilClampMin => 0x20,
        LinuxSchedulerFlag::SchedFlagUtilClampMax => 0x40,
    };
    SchedAttr {
        size: size_of::<SchedAttr>() as u32,
        policy,
        flags: asked.flags().iter().flatten().map(flag).fold(0, |all, f| all | f),
        nice: asked.nice().unwrap_or(0),
        priority: asked.priority().and_then(|p| u32::try_from(p).ok()).unwrap_or(0),
        runtime: asked.runtime().unwrap_or(0),
        deadline: asked.deadline().unwrap_or(0),
        period: asked.period().unwrap_or(0),
    }
}

fn personality(asked: &LinuxPersonality) -> Result<u32> {
    if let Some(flag) = asked.flags().iter().flatten().next() {
        return Err(Error::usage(format_args!("linux.personality.flags {flag:?} is not supported"))
            .cause("the specification has no flags"));
    }
    Ok(match asked.domain() {
        LinuxPersonalityDomain::PerLinux => 0,
        LinuxPersonalityDomain::PerLinux32 => 8,
    })
}

/// CPUs of `execCPUAffinity`: `0-3,7`. None for an empty list.
pub fn cpus(list: Option<&String>) -> Result<Option<CpuSet>> {
    let Some(list) = list.filter(|list| !list.is_empty()) else { return Ok(None) };
    let bad = || Error::usage(format_args!("process.execCPUAffinity {list:?} is not a list of CPUs"));
    let mut set = CpuSet::new();
    numbers(list, CpuSet::MAX_CPU, |cpu| set.set(cpu)).ok_or_else(bad)?;
    Ok(Some(set))
}

/// `0-3,7`, each number to `take`. None where it is something else, or beyond `limit`.
fn numbers(list: &str, limit: usize, mut take: impl FnMut(usize)) -> Option<()> {
    for range in list.split(',').map(str::trim).filter(|r| !r.is_empty()) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let parse = |n: &str| n.trim().parse::<usize>().ok().filter(|n| *n < limit);
        let (first, last) = (parse(first)?, parse(last)?);
        (first <= last).then_some(())?;
        (first..=last).for_each(&mut take);
    }
    Some(())
}

/// `linux.memoryPolicy` as set_mempolicy(2) takes it (linux/mempolicy.h).
fn memory_policy(asked: &LinuxMemoryPolicy) -> Result<MemoryPolicy> {
    let mode = match asked.mode() {
        MemoryPolicyModeType::MpolDefault => 0,
        MemoryPolicyModeType::MpolPreferred => 1,
        MemoryPolicyModeType::MpolBind => 2,
        MemoryPolicyModeType::MpolInterleave => 3,
        MemoryPolicyModeType::MpolLocal => 4,
        MemoryPolicyModeType::MpolPreferredMany => 5,
        MemoryPolicyModeType::MpolWeightedInterleave => 6,
    };
    let flag = |flag: &MemoryPolicyFlagType| match flag {
        MemoryPolicyFlagType::MpolFNumaBalancing => 1 << 13,
        MemoryPolicyFlagType::MpolFRelativeNodes => 1 << 14,
        MemoryPolicyFlagType::MpolFStaticNodes => 1 << 15,
    };
    let mut policy = MemoryPolicy::default();
    policy.mode = asked.flags().iter().flatten().map(flag).fold(mode, |all, bit| all | bit);
    if let Some(nodes) = asked.nodes().as_ref().filter(|nodes| !nodes.is_empty()) {
        let bad = || Error::usage(format_args!("linux.memoryPolicy.nodes {nodes:?} is not a list of nodes"));
        numbers(nodes, MemoryPolicy::MAX_NODE, |node| policy.add(node)).ok_or_else(bad)?;
    }
    Ok(policy)
}

/// Compiles the container's seccomp profile.
pub fn filter_of(seccomp: Option<&oci_spec::runtime::LinuxSeccomp>) -> Result<Option<Filter>> {
    seccomp.map(filter::compile).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(json: serde_json::Value) -> Process {
        let mut base = serde_json::json!({"cwd": "/", "args": ["sh"], "user": {"uid": 0, "gid": 0}});
        base.as_object_mut().unwrap().extend(json.as_object().unwrap().clone());
        serde_json::from_value(base).unwrap()
    }

    fn texts(strings: &[CString]) -> Vec<&str> {
        strings.iter().map(|s| s.to_str().unwrap()).collect()
    }

    #[test]
    fn commands_are_looked_for_in_the_containers_path() {
        let p =
            plan(&process(serde_json::json!({"env": ["PATH=/a:/b/:"]})), ProcessScope::default()).unwrap();
        assert_eq!(texts(&p.candidates), ["/a/sh", "/b/sh", "./sh"]);
        let p = plan(&process(serde_json::json!({"args": ["bin/x"]})), ProcessScope::default()).unwrap();
        assert_eq!(texts(&p.candidates), ["bin/x"]);
    }

    #[test]
    fn the_environment_is_data() {
        let scope = || ProcessScope { home: Some("/root".into()), ..ProcessScope::default() };
        let p = plan(&process(serde_json::json!({"env": ["A=1", "B=2", "A=3"]})), scope()).unwrap();
        assert_eq!(texts(p.env.strings()), ["B=2", "A=3", "HOME=/root"]);
        assert!(plan(&process(serde_json::json!({"env": ["novalue"]})), scope()).is_err());
    }

    #[test]
    fn limits_are_checked() {
        let limit = |soft: u64, hard: u64| {
            process(serde_json::json!({"rlimits": [{"type": "RLIMIT_NOFILE", "soft": soft, "hard": hard}]}))
        };
        assert!(plan(&limit(2, 1), ProcessScope::default()).is_err());
        let p = plan(&limit(1, u64::MAX), ProcessScope::default()).unwrap();
        assert_eq!(p.rlimits, [(Resource::Nofile, Rlimit { current: Some(1), maximum: None })]);
    }
}

//! What can fail after clone: a step, an index into the plan, an errno. Twelve bytes; the words are made by the parent.

use rustix::io::Errno;

macro_rules! steps {
    ($($name:ident => $words:literal,)+) => {
        /// A step of the child, in the order of its life.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u32)]
        pub enum Step { $($name,)+ }

        impl Step {
            const ALL: &[(Self, &'static str)] = &[$((Self::$name, $words),)+];

            /// The step as what the child was doing.
            pub fn words(self) -> &'static str {
                Self::ALL.get(self as usize).map_or("", |(_, words)| *words)
            }
        }
    };
}

steps! {
    Handshake => "wait for the runtime",
    Dumpable => "prctl(PR_SET_DUMPABLE, 0)",
    MapRoot => "become root of the user namespace",
    Keyring => "join a new session keyring",
    Join => "join a namespace",
    CgroupNamespace => "unshare(CLONE_NEWCGROUP)",
    TimeNamespace => "set up the time namespace",
    Loopback => "bring the loopback interface up",
    Hostname => "set the host name",
    Domainname => "set the domain name",
    HostPropagation => "stop mount propagation to the host",
    RootSource => "open the root file system",
    RootAttach => "mount the root file system",
    MountTarget => "open the target of",
    MountSource => "open the source of",
    MountOption => "set an option of",
    MountAttach => "attach",
    MountAttributes => "set the attributes of",
    MountPropagation => "set the propagation of",
    MountCopyUp => "copy the directory into",
    MountLabel => "set the security label of",
    DevOpen => "open /dev of the container",
    Device => "make the device",
    DevLink => "make a link in /dev",
    Terminal => "open a terminal in /dev/pts of the container",
    TerminalConsole => "bind the terminal on /dev/console",
    TerminalSend => "send the terminal to the console socket",
    TerminalControl => "make the terminal the controlling terminal",
    CreateHook => "run a createContainer hook",
    Sysctl => "set the sysctl",
    ReadonlyPath => "make read-only",
    MaskedPath => "mask",
    RootReadonly => "make the root file system read-only",
    Pivot => "pivot_root()",
    Detach => "detach the old root",
    RootPropagation => "set the propagation of the root file system",
    Cwd => "chdir to cwd",
    Stdio => "hand stdio to the user",
    Affinity => "set the cpu affinity",
    Scheduler => "set the scheduler",
    IoPriority => "set the io priority",
    MemoryPolicy => "set the memory policy",
    Personality => "set the personality",
    Rlimit => "set the resource limit",
    Label => "set the security label",
    Filter => "install the seccomp filter",
    Bounding => "limit the capability bounding set",
    Groups => "set the supplementary groups",
    Gid => "set the group id",
    Uid => "set the user id",
    Capabilities => "set the capabilities",
    Ambient => "set the ambient capabilities",
    NoNewPrivileges => "set no_new_privs",
    Descriptors => "close the file descriptors of the runtime",
    Lookup => "find the command",
    Start => "wait for start",
    StartHook => "run a startContainer hook",
    Stage => "clone in the joined namespaces",
    Exec => "execute the command",
}

impl Step {
    /// The system call that the step stands on, where it is one that old kernels and strict filters lack.
    pub fn feature(self) -> Option<&'static str> {
        match self {
            Self::MountTarget
            | Self::MountCopyUp
            | Self::DevOpen
            | Self::Device
            | Self::Terminal
            | Self::TerminalConsole
            | Self::Sysctl
            | Self::ReadonlyPath
            | Self::MaskedPath => Some("openat2 (Linux 5.6)"),
            Self::RootSource => Some("open_tree (Linux 5.2)"),
            Self::MountSource => Some("open_tree, fsopen, fsconfig (Linux 5.2)"),
            Self::MountOption => Some("fsconfig (Linux 5.2)"),
            Self::RootAttach | Self::MountAttach => Some("move_mount (Linux 5.2)"),
            Self::HostPropagation
            | Self::MountAttributes
            | Self::MountPropagation
            | Self::RootReadonly
            | Self::RootPropagation => Some("mount_setattr (Linux 5.12)"),
            Self::Filter => Some("seccomp (Linux 3.17)"),
            _ => None,
        }
    }
}

/// A failed step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fail {
    pub step: Step,
    /// Which mount, device, path… of the plan.
    pub index: u32,
    pub errno: i32,
}

impl Fail {
    /// As sent over the socket and left in the state directory.
    pub fn to_bytes(self) -> [u8; 12] {
        let mut bytes = [0; 12];
        for (to, from) in bytes.chunks_exact_mut(4).zip([self.step as u32, self.index, self.errno as u32]) {
            to.copy_from_slice(&from.to_ne_bytes());
        }
        bytes
    }

    /// The other direction; none for bytes that are no failure.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut words = bytes.chunks_exact(4).map(|word| word.try_into().map_or(0, u32::from_ne_bytes));
        let (step, index, errno) = (words.next()?, words.next()?, words.next()?);
        let (step, _) = Step::ALL.get(step as usize)?;
        Some(Self { step: *step, index, errno: errno as i32 })
    }
}

/// How a hook ended, where an errno would be: beyond all errnos, the signal or the exit status.
pub fn ended_as(code: Option<i32>, signal: Option<i32>) -> i32 {
    match (code, signal) {
        (_, Some(signal)) => 2048 - signal,
        (Some(code), None) => 2048 + code,
        (None, None) => 2048,
    }
}

/// The other direction, in words; none for an errno.
pub fn ended_words(errno: i32) -> Option<String> {
    match errno {
        ..1984 => None,
        1984..2048 => {
            let signal = 2048 - errno;
            let name = nix::sys::signal::Signal::try_from(signal).map_or("", |signal| signal.as_str());
            let words = if signal == libc::SIGSYS { "bad system call" } else { name };
            Some(format!("signal {signal}: {words}"))
        }
        code => Some(format!("exit status {}", code - 2048)),
    }
}

/// Says which step a failed call belonged to.
pub trait OrFail<T> {
    fn or_fail(self, step: Step, index: usize) -> Result<T, Fail>;
}

impl<T> OrFail<T> for rustix::io::Result<T> {
    fn or_fail(self, step: Step, index: usize) -> Result<T, Fail> {
        self.map_err(|e| fail(step, index, e))
    }
}

/// A failure.
pub fn fail(step: Step, index: usize, errno: Errno) -> Fail {
    Fail { step, index: index as u32, errno: errno.raw_os_error() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_survives_the_socket() {
        for (step, words) in Step::ALL {
            let sent = Fail { step: *step, index: 7, errno: libc::EPERM };
            assert_eq!(Fail::from_bytes(&sent.to_bytes()), Some(sent));
            assert!(!words.is_empty() && step.words() == *words);
        }
        assert_eq!(Fail::from_bytes(&[0xff; 12]), None);
        assert_eq!(Fail::from_bytes(b"R"), None);
    }
}

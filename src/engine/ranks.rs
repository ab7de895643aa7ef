//! Ranks: the processes of one job step on one node, in one container that they share.
//!
//! Programs of MPI copy from one rank's memory into another's (`process_vm_readv`), and share /dev/shm. The kernel allows
//! the first only within one user namespace, a rank names its neighbour by a pid, and the second is a matter of the mount
//! namespace: so the ranks share all namespaces, not only the image's mount.
//!
//! ```text
//! srun ─┬─ coracle run app.sqsh CMD ══ coracle-oci rank ── CMD      the same process; the command is its child, and dies
//!       ├─ coracle run app.sqsh CMD ══ coracle-oci rank ── CMD      with it
//!       └─ …                                  │ shared lock on <run>/<id>/users
//! monitor ── init (pid 1) ── hold             │
//!                             └─ waits for the exclusive lock: ends when no rank is left
//! ```
//!
//! - **Who makes them.** The first rank makes an ordinary container that removes itself, with a monitor and a guard as
//!   every other; its command is `coracle-oci hold` behind our init. Whoever comes meanwhile waits for a lock.
//! - **How the others join.** The container's name is made of the step, the image and the options: a rank that looks for
//!   it and finds it takes a shared lock, and is an `exec` into it, started by the rank itself: it stays in the cgroup
//!   (and on the CPUs) where the launcher has put it, has the launcher's own stdio and fds, and its exit code is its own.
//! - **What keeps them alive.** The shared locks, each by an open file of the rank alone: the kernel counts, and a rank that
//!   is killed counts no more. No rank is a parent of another, or pid 1: nobody takes the others along.
//! - **The end.** Who has the exclusive lock writes it into the file, so that a rank which comes now makes another container.
//!   Slurm, which kills all processes of a step at its end, kills the monitor and all else that was born in it; then the
//!   next command of this user removes what is left of the record.
//!
//! A container of ranks has no cgroup of its own, so no limits: those are the step's. Its network is the host's unless one
//! was asked for, and /dev/shm has room for half of the memory, as the host's.

use super::create::{Created, create_as};
use super::exec::ExecOptions;
use super::options::{CreateOptions, PullPolicy, SHM_SIZE, Source};
use super::specgen::{self, ImageDefaults};
use super::{lookup, mpi, names, source};
use crate::error::{Context, Error, Result};
use crate::external::runtime::Rank;
use crate::id::{ContainerId, ContainerName};
use crate::monitor::client::{self, HeadStart, LaunchOptions};
use crate::monitor::recover;
use crate::ondisk::container::{Cgroups, Container, NetworkMode, Restart};
use crate::ondisk::{self, ranks::Ranks};
use crate::paths::Dirs;
use crate::store::squash::SquashFile;
use crate::sys::{CallContext, cpus};
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::Pid;
use std::os::fd::OwnedFd;

/// The file of the ranks' locks, in the container's runtime directory.
const USERS: &str = "users";

/// Where our init is in a container.
const INIT: &str = "/run/podman-init";

/// A container of ranks, and our lock on its life.
#[derive(Debug)]
pub struct Shared {
    pub container: Container,
    image: ImageDefaults,
    users: OwnedFd,
}

/// Why this container cannot be one that ranks share; `None`: it can.
pub fn hindrance(options: &CreateOptions) -> Option<&'static str> {
    let reasons = [
        (options.process.tty, "--tty"),
        (options.name.is_some(), "--name"),
        (!options.network.ports.is_empty() || options.network.publish_all, "--publish"),
        (options.limits != super::options::Limits::default(), "a limit of resources"),
        (options.restart != Restart::No, "--restart"),
        (options.runtime.is_some(), "--runtime"),
        (options.timeout > 0, "--timeout"),
        (options.pid_file.is_some(), "--pidfile"),
    ];
    reasons.into_iter().find(|(is, _)| *is).map(|(_, name)| name)
}

/// Joins the container of this step, or makes it. `told` gets a new one before it runs.
pub fn acquire(
    dirs: &Dirs,
    options: &CreateOptions,
    step: &str,
    told: impl FnOnce(&Created),
) -> Result<Shared> {
    let file = source::image_file(options)?;
    let name = name_of(step, options, file.as_ref())?;
    let _lock = lock(dirs, &name)?;
    match join(dirs, &name)? {
        Some(shared) => Ok(shared),
        None => start(dirs, options, name, file.as_ref(), told),
    }
}

impl Shared {
    /// The rank that runs the command of `options`, with its environment, `env` over it, and `preserved` fds from 3 on. It ends
    /// with `parent`.
    pub fn rank(
        &self,
        dirs: &Dirs,
        options: &CreateOptions,
        env: &[(String, String)],
        preserved: u32,
        parent: Option<Pid>,
    ) -> Result<Rank> {
        let process = self.process(dirs, options, env)?;
        let root = dirs.container_run(&self.container.id).join("oci");
        let id = self.container.id.as_str();
        Rank::new(&root, id, process.to_string().as_bytes(), &self.users, preserved, parent)
    }

    /// Whether the command of `options` is a program of MPI, as far as that can be seen.
    pub fn runs_mpi(&self, dirs: &Dirs, options: &CreateOptions) -> bool {
        let process = self.process(dirs, options, &[]);
        process.is_ok_and(|process| mpi::is_program_of_mpi(dirs, &self.container, &process).unwrap_or(false))
    }

    fn process(
        &self,
        dirs: &Dirs,
        options: &CreateOptions,
        env: &[(String, String)],
    ) -> Result<serde_json::Value> {
        let asked = &options.process;
        let known = |name: &String| !asked.unset_env_all && !asked.unset_env.contains(name);
        let wanted = ExecOptions {
            command: specgen::command(options, &self.image)?,
            env: asked.env.iter().chain(env).cloned().collect(),
            host_env: asked.host_env.iter().filter(|(name, _)| known(name)).cloned().collect(),
            ..ExecOptions::default()
        };
        super::exec::process(dirs, &self.container, &wanted)
    }
}

/// The same for all ranks of a step that run the same image in the same way, whatever their commands and environments are.
fn name_of(step: &str, options: &CreateOptions, file: Option<&SquashFile>) -> Result<ContainerName> {
    use sha2::Digest;
    let mut same = options.clone();
    (same.command, same.create_command, same.process.env) = (Vec::new(), Vec::new(), Vec::new());
    same.process.host_env = Vec::new();
    (same.process.interactive, same.auto_remove) = (false, true);
    let stamp = file.map(|file| (&file.stamp, file.offset));
    let digest: [u8; 32] = sha2::Sha256::digest(format!("{step}\n{stamp:?}\n{same:?}").as_bytes()).into();
    ContainerName::parse(&format!("ranks-{}", crate::id::hex(digest.get(..12).unwrap_or_default())))
}

/// One starts, the others wait. Sixteen files for all steps: they are never removed.
fn lock(dirs: &Dirs, name: &ContainerName) -> Result<OwnedFd> {
    let run = dirs.open_run()?;
    let slot = name.as_str().chars().nth("ranks-".len()).unwrap_or('0');
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&run, format!("ranks-{slot}.lock"), flags, Mode::from(0o600))
        .call(|| "openat(ranks.lock)")?;
    flock(&file, FlockOperation::LockExclusive).call(|| "flock(ranks.lock)")?;
    Ok(file)
}

fn flock(file: &OwnedFd, operation: FlockOperation) -> rustix::io::Result<()> {
    loop {
        match rustix::fs::flock(file, operation) {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}

/// The container that runs under this name, held; `None`: there is none, or it is about to end.
fn join(dirs: &Dirs, name: &ContainerName) -> Result<Option<Shared>> {
    let Some(id) = names::claimed_by(dirs, name)? else { return Ok(None) };
    let path = dirs.container_run(&id).join(USERS);
    let users =
        match rustix::fs::open(&path, OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            other => other.call(|| format!("open({path:?})"))?,
        };
    if flock(&users, FlockOperation::NonBlockingLockShared).is_err() {
        return Ok(None);
    }
    let ended = rustix::fs::fstat(&users).call(|| format!("fstat({path:?})"))?.st_size > 0;
    if ended || !client::listens(dirs, &id)? {
        return Ok(None);
    }
    let container = lookup::read_container(dirs, &id)?;
    let image: Ranks = ondisk::read(lookup::open_container(dirs, &id)?, ondisk::ranks::NAME)?;
    Ok(Some(Shared { container, image: defaults(image), users }))
}

fn defaults(image: Ranks) -> ImageDefaults {
    ImageDefaults { entrypoint: image.entrypoint, cmd: image.cmd, ..ImageDefaults::default() }
}

fn start(
    dirs: &Dirs,
    options: &CreateOptions,
    name: ContainerName,
    file: Option<&SquashFile>,
    told: impl FnOnce(&Created),
) -> Result<Shared> {
    let found = source::prepare(dirs, options, file)?;
    let image = Ranks {
        version: ondisk::VERSION,
        entrypoint: found.image.entrypoint.clone(),
        cmd: found.image.cmd.clone(),
    };
    // What is wrong with the command is said before anything is made.
    specgen::command(options, &found.image)?;
    let options = holding(options, &name, &image)?;
    let mut launch = LaunchOptions {
        attach: false,
        stdin: false,
        detach_keys: Vec::new(),
        sig_proxy: false,
        scope: false,
        preserved: Vec::new(),
    };
    let id = ContainerId::random()?;
    // What is everybody's is not bound to our CPUs.
    let own = cpus::use_all();
    let head_start = HeadStart::begin(dirs, &id, options.cgroups, &launch, file);
    cpus::back_to(own);
    let head_start = head_start?;
    let created = create_as(dirs, id, &options, &recover::starting(), file)?;
    told(&created);
    let container = created.container;
    let what = || format!("cannot start the container of the ranks of {}", container.image);
    let users = users_file(dirs, &container.id, OFlags::CREATE).what(what)?;
    flock(&users, FlockOperation::LockShared).call(|| "flock(users)").what(what)?;
    launch.preserved = vec![users_file(dirs, &container.id, OFlags::empty()).what(what)?];
    client::launch_with(head_start, dirs, &container, &launch).what(what)?;
    Ok(Shared { image: defaults(image), users, container })
}

/// The container's own options: no command but the one that waits.
fn holding(options: &CreateOptions, name: &ContainerName, image: &Ranks) -> Result<CreateOptions> {
    let mut held = options.clone();
    held.name = Some(name.as_str().to_owned());
    // One that has just ended, or was killed, may still have it.
    held.replace = true;
    held.auto_remove = true;
    held.cgroups = Cgroups::Disabled;
    held.entrypoint = Some(Vec::new());
    held.command = [INIT, "hold", "3"].map(str::to_owned).into();
    held.process.init = true;
    held.process.interactive = false;
    held.process.env = Vec::new();
    held.process.host_env = Vec::new();
    held.network.mode = held.network.mode.or(Some(NetworkMode::Host));
    // Nobody has asked for another.
    if held.shm_size == SHM_SIZE {
        let memory = rustix::system::sysinfo();
        held.shm_size = u64::from(memory.mem_unit).saturating_mul(memory.totalram) / 2;
    }
    if let Source::Image { pull, .. } = &mut held.source {
        // It is there by now.
        *pull = PullPolicy::Missing;
    }
    let record = serde_json::to_value(image)
        .map_err(|e| Error::internal(format_args!("cannot encode {}: {e}", ondisk::ranks::NAME)))?;
    held.extra.records.push((ondisk::ranks::NAME, record));
    Ok(held)
}

fn users_file(dirs: &Dirs, id: &ContainerId, create: OFlags) -> Result<OwnedFd> {
    let run = dirs.open_run()?;
    match rustix::fs::mkdirat(&run, id.as_str(), Mode::from(0o700)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(e) => Err(e).call(|| format!("mkdirat({:?})", id.as_str()))?,
    }
    let path = dirs.container_run(id).join(USERS);
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | create;
    Ok(rustix::fs::open(&path, flags, Mode::from(0o600)).call(|| format!("open({path:?})"))?)
}

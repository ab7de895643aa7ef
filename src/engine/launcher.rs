//! Who started this command as one of many: Slurm, Open MPI or another launcher of MPI programs, told by the environment.
//!
//! A launcher tells its ranks who they are, and where its server is, by variables, by a fd (PMI) and by a directory (PMIx).
//! What of it a container would hide is passed on: variables that begin with one of `PASSED`, the fd of PMI_FD, and the
//! directories of PMIx at their own paths. A token (SLURM_JWT) is none of a program's business.
//!
//! The step is what the launcher calls it. PMI has no name for it: there its ranks on one node have one parent.
//!
//! A PMIx server compares the uid and gid that a rank says it has with the job's: ranks are their user inside too, and not
//! root, unless somebody was asked for.

use super::options::{CreateOptions, MountKind, MountOption, UsernsMode};
use crate::ondisk::container::NetworkMode;
use std::collections::BTreeMap;
use std::path::Path;

type Environment = BTreeMap<String, String>;

/// Prefixes of variables that launchers set for the programs that they start.
const PASSED: [&str; 9] =
    ["SLURM_", "PMI_", "PMIX_", "OMPI_", "PRTE_", "PALS_", "FLUX_", "HYDRA_", "MPI_LOCAL"];

/// What is told to Slurm's own commands, and to nobody else.
const SECRETS: [&str; 1] = ["SLURM_JWT"];

/// Variables that name a directory of the PMIx server.
const DIRECTORIES: [&str; 4] =
    ["PMIX_SERVER_TMPDIR", "PMIX_DSTORE_21_BASE_PATH", "PMIX_DSTORE_ESH_BASE_PATH", "OMPI_FILE_LOCATION"];

/// The launcher of this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launcher {
    /// As it is called in words.
    pub name: &'static str,
    /// The same for all ranks of the step, and for no other.
    pub step: String,
    /// How many ranks the step has, on all nodes.
    pub size: u32,
    /// The first one of all.
    pub is_first: bool,
}

impl Launcher {
    /// From the environment; `None`: nobody that is known.
    pub fn of(env: &Environment) -> Option<Self> {
        let text = |name: &str| env.get(name).map(String::as_str).filter(|value| !value.is_empty());
        let number = |name: &str| text(name).and_then(|value| value.parse::<u32>().ok());
        let is_first = ["OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"]
            .into_iter()
            .find_map(number)
            .is_none_or(|rank| rank == 0);
        if let (Some(size), Some(step)) = (number("OMPI_COMM_WORLD_SIZE"), text("PMIX_NAMESPACE")) {
            // Its own words are numbers: unique for one mpirun, and not for the user.
            let server = text("OMPI_MCA_orte_hnp_uri").unwrap_or_default();
            return Some(Self { name: "mpirun", step: format!("pmix {step} {server}"), size, is_first });
        }
        if let (Some(job), Some(step)) = (text("SLURM_JOB_ID"), text("SLURM_STEP_ID")) {
            let size = number("SLURM_STEP_NUM_TASKS").or_else(|| number("SLURM_NTASKS")).unwrap_or(1);
            return Some(Self { name: "srun", step: format!("slurm {job} {step}"), size, is_first });
        }
        let size = number("PMI_SIZE")?;
        let parent = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
        let since = crate::monitor::recover::start_time(parent);
        Some(Self { name: "mpiexec", step: format!("pmi {parent} {since:?}"), size, is_first })
    }
}

/// Puts what the launcher says before what the user says. The network is the host's: there the launcher's server is.
pub fn pass_through(env: &Environment, options: &mut CreateOptions) {
    if !options.process.unset_env_all {
        let passed = env.iter().filter(|(name, _)| {
            PASSED.iter().any(|prefix| name.starts_with(prefix))
                && !SECRETS.contains(&name.as_str())
                && !options.process.unset_env.contains(name)
        });
        let passed: Vec<_> = passed.map(|(name, value)| (name.clone(), value.clone())).collect();
        options.process.env.splice(0..0, passed);
    }
    for path in directories(env) {
        if !options.mounts.iter().any(|mount| Path::new(&path).starts_with(&mount.destination)) {
            options.mounts.push(MountOption {
                kind: MountKind::Bind(path.clone()),
                destination: path,
                options: ["rbind", "rprivate", "nosuid", "nodev"].map(str::to_owned).into(),
                copy_up: false,
            });
        }
    }
}

/// The user's own uid inside, where the launcher's server would turn everybody else away. `chosen`: who the ranks are was said.
pub fn be_oneself(env: &Environment, options: &mut CreateOptions, chosen: bool) {
    if env.contains_key("PMIX_RANK") && !chosen && !rustix::process::getuid().is_root() {
        options.namespaces.userns = UsernsMode::OnlyMe;
    }
}

/// Whether the ranks are somebody else inside, as far as the options say it.
fn is_other_user(options: &CreateOptions) -> bool {
    let own = rustix::process::getuid().as_raw();
    let named = options.process.user.as_ref().and_then(|user| user.split(':').next());
    if let Some(name) = named {
        return name.parse() != Ok(own);
    }
    match options.namespaces.userns {
        UsernsMode::OnlyMe => false,
        UsernsMode::KeepId { uid, .. } => uid.is_some_and(|uid| uid != own),
        UsernsMode::Host | UsernsMode::NoMap => own != 0,
    }
}

/// Those that are there, without those below others. The last part of a store's path may be made later: then its parent.
fn directories(env: &Environment) -> Vec<String> {
    let named = DIRECTORIES.iter().filter_map(|name| env.get(*name)).map(Path::new);
    let there = named.filter_map(|path| path.ancestors().take(2).find(|path| path.is_dir()));
    // Below a directory that is everybody's, never that itself.
    let own = there.filter(|path| path.is_absolute() && path.components().count() > 2);
    let mut all: Vec<&Path> = own.collect();
    all.sort_unstable();
    all.dedup_by(|later, earlier| later.starts_with(*earlier));
    all.into_iter().map(|path| path.to_string_lossy().into_owned()).collect()
}

/// The number in PMI_FD, where a launcher that speaks PMI is connected.
pub fn pmi_fd(env: &Environment) -> Option<i32> {
    env.get("PMI_FD").and_then(|fd| fd.parse().ok()).filter(|fd| *fd > 2)
}

/// Why the ranks would not find each other, as a clause, where that can be seen.
pub fn would_be_alone(
    env: &Environment,
    options: &CreateOptions,
    is_open: impl Fn(i32) -> bool,
) -> Option<String> {
    let given = |name: &str| options.process.env.iter().any(|(known, _)| known == name);
    let dropped = |name: &&&str| env.contains_key(**name) && !given(name);
    if let Some(name) = ["PMIX_RANK", "PMI_RANK", "PMI_FD"].iter().find(dropped) {
        return Some(format!("the variable {name} is taken from it"));
    }
    if let Some(fd) = pmi_fd(env).filter(|fd| !is_open(*fd)) {
        return Some(format!("PMI_FD says {fd}, and that file descriptor is not open"));
    }
    let server = env.iter().find(|(name, _)| name.starts_with("PMIX_SERVER_URI"));
    let remote = env.contains_key("PMIX_RANK") && server.is_some_and(|(_, uri)| uri.contains(";tcp"));
    let own = options.network.mode.as_ref().is_some_and(|mode| *mode != NetworkMode::Host);
    if remote && own {
        return Some(
            "the launcher's PMIx server is on the host's loopback, and the network is another one".to_owned(),
        );
    }
    (env.contains_key("PMIX_RANK") && is_other_user(options)).then(|| {
        let uid = rustix::process::getuid().as_raw();
        format!("the launcher's PMIx server knows the user {uid}, and they are another one there; leave out --user and --userns")
    })
}

/// Whether the launcher gives its ranks nothing by which a program of MPI finds the others.
pub fn is_silent(env: &Environment) -> bool {
    !["PMIX_RANK", "PMI_RANK", "PMI_FD", "PMI_CONTROL_PORT", "PALS_RANKID"]
        .iter()
        .any(|name| env.contains_key(*name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(text: &str) -> Environment {
        text.split_whitespace().filter_map(|w| w.split_once('=')).map(|(k, v)| (k.into(), v.into())).collect()
    }

    #[test]
    fn launchers_are_told_by_their_variables() {
        assert_eq!(
            Launcher::of(&env("HOME=/ SLURM_JOB_ID=5 SLURM_NTASKS=4")),
            None,
            "a batch script is no step"
        );
        let srun = "SLURM_JOB_ID=5 SLURM_STEP_ID=1 SLURM_STEP_NUM_TASKS=4 SLURM_PROCID=3 SLURM_NTASKS=9";
        let launcher = Launcher::of(&env(srun)).unwrap();
        assert_eq!((launcher.name, launcher.step.as_str(), launcher.size), ("srun", "slurm 5 1", 4));
        assert!(!launcher.is_first);
        // mpirun that was started in a step: its ranks are its own.
        let mpirun = format!("{srun} OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_RANK=0 PMIX_NAMESPACE=77");
        let launcher = Launcher::of(&env(&mpirun)).unwrap();
        assert_eq!((launcher.name, launcher.size, launcher.is_first), ("mpirun", 2, true));
        assert_eq!(Launcher::of(&env("PMI_SIZE=3 PMI_RANK=1 PMI_FD=7")).unwrap().name, "mpiexec");
        assert!(is_silent(&env(srun)) && !is_silent(&env("PMI_FD=7")));
    }

    #[test]
    fn directories_are_passed_once_and_never_whole_trees_of_others() {
        let both =
            env("PMIX_SERVER_TMPDIR=/proc/self/task PMIX_DSTORE_21_BASE_PATH=/proc/self/task/not-yet/there");
        assert_eq!(directories(&both), ["/proc/self/task"]);
        assert!(directories(&env("PMIX_SERVER_TMPDIR=/proc")).is_empty());
    }
}

//! Flags of podman's that coracle refuses: better a clear error than a flag that parses and does nothing.
//!
//! A flag leaves this table when it works. The hint says what to use instead, where there is something.

use crate::error::Error;

/// Of `run` and `create`.
const CREATE: &[(&str, &str)] = &[
    ("--blkio-weight-device", ""),
    ("--cgroup-parent", ""),
    ("--chrootdirs", ""),
    ("--conmon-pidfile", "`--pidfile` writes the container's own process id."),
    ("--cpu-rt-period", ""),
    ("--cpu-rt-runtime", ""),
    ("--creds", "Pull first: `coracle pull --creds USER:PASSWORD IMAGE`."),
    ("--decryption-key", ""),
    ("--device-cgroup-rule", "Give the device itself with `--device`."),
    ("--disable-content-trust", ""),
    ("--env-merge", ""),
    ("--gidmap", "Use `--userns keep-id` or `--userns host`."),
    ("--gpus", "Give the device nodes with `--device`."),
    ("--group-entry", ""),
    ("--health-cmd", ""),
    ("--health-interval", ""),
    ("--health-log-destination", ""),
    ("--health-max-log-count", ""),
    ("--health-max-log-size", ""),
    ("--health-on-failure", ""),
    ("--health-retries", ""),
    ("--health-start-period", ""),
    ("--health-startup-cmd", ""),
    ("--health-startup-interval", ""),
    ("--health-startup-retries", ""),
    ("--health-startup-success", ""),
    ("--health-startup-timeout", ""),
    ("--health-timeout", ""),
    ("--hosts-file", "Mount a file: `--no-hosts --volume FILE:/etc/hosts:ro`."),
    ("--hostuser", ""),
    ("--init-ctr", ""),
    ("--init-path", "Give an init of your own as the entrypoint."),
    ("--ip", ""),
    ("--ip6", ""),
    ("--mac-address", ""),
    ("--memory-swappiness", ""),
    ("--network-alias", ""),
    ("--oom-kill-disable", ""),
    ("--passwd", ""),
    ("--passwd-entry", ""),
    ("--personality", ""),
    ("--pod", ""),
    ("--pod-id-file", ""),
    ("--preserve-fd", "`--preserve-fds N` passes N files from number 3 on."),
    ("--preserve-fds", "Files are passed by `coracle run --preserve-fds`."),
    ("--rdt-class", ""),
    ("--requires", ""),
    ("--retry", ""),
    ("--retry-delay", ""),
    ("--rmi", "Remove the image afterwards with `coracle rmi`."),
    ("--sdnotify", ""),
    ("--seccomp-policy", "Give a profile with `--security-opt seccomp=FILE`."),
    ("--secret", "Mount a file: `--volume FILE:/run/secrets/NAME:ro`."),
    ("--shm-size-systemd", ""),
    ("--subgidname", ""),
    ("--subuidname", ""),
    ("--uidmap", "Use `--userns keep-id` or `--userns host`."),
    ("--volumes-from", "Name the volumes with `--volume`."),
];

/// Of other commands: command, flag, hint.
const OTHERS: &[(&str, &str, &str)] = &[
    ("container exists", "--external", "coracle has no containers of other tools."),
    ("exec", "--preserve-fd", "`--preserve-fds N` passes N files from number 3 on."),
    ("images", "--history", ""),
    ("ps", "--external", "coracle has no containers of other tools."),
    ("ps", "--pod", "coracle has no pods."),
    ("ps", "-p", "coracle has no pods."),
    ("ps", "--ns", ""),
    ("ps", "--sync", "Every command finds out by itself what became of a container."),
    ("ps", "--watch", "Use `watch coracle ps`."),
    ("ps", "-w", "Use `watch coracle ps`."),
    ("pull", "--cert-dir", ""),
    ("pull", "--decryption-key", ""),
    ("pull", "--disable-content-trust", ""),
    ("pull", "--retry", "An interrupted pull goes on where it stopped: run it again."),
    ("pull", "--retry-delay", ""),
    ("rm", "--depend", ""),
    ("system prune", "--build", ""),
    ("system prune", "--external", ""),
    ("unshare", "--rootless-netns", ""),
    ("update", "--blkio-weight-device", ""),
    ("update", "--cpu-rt-period", ""),
    ("update", "--cpu-rt-runtime", ""),
    ("update", "--health-cmd", ""),
    ("update", "--memory-swappiness", ""),
    ("update", "--no-healthcheck", ""),
    ("update", "--restart", "Make the container anew with another policy."),
    ("volume create", "--driver", "All volumes are local."),
    ("volume create", "-d", "All volumes are local."),
    ("volume create", "--opt", ""),
    ("volume create", "-o", ""),
    ("login", "--cert-dir", ""),
    ("login", "--compat-auth-file", ""),
    ("login", "--secret", ""),
    ("logout", "--compat-auth-file", ""),
];

/// The error for `flag` of the command at `path` (`coracle container run`), when podman has such a flag.
pub fn find(path: &str, flag: &str) -> Option<Error> {
    let command = path.strip_prefix("coracle ").unwrap_or(path);
    let plain =
        command.strip_prefix("container ").or_else(|| command.strip_prefix("image ")).unwrap_or(command);
    let hint = match plain {
        "run" | "create" => CREATE.iter().find(|(name, _)| *name == flag).map(|(_, hint)| *hint),
        _ => OTHERS
            .iter()
            .find(|(of, name, _)| (*of == command || *of == plain) && *name == flag)
            .map(|(_, _, hint)| *hint),
    }?;
    let error = Error::usage(format_args!("flag {flag} is not supported yet"));
    Some(error.hint(if hint.is_empty() {
        format!("See what `{path} --help` offers.")
    } else {
        hint.to_owned()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_flag_of_podmans_is_refused_by_name() {
        let error = find("coracle container run", "--gpus").unwrap();
        assert_eq!(error.what(), "flag --gpus is not supported yet");
        assert_eq!(error.exit_code(), 125);
        assert!(find("coracle run", "--nope").is_none());
        assert!(find("coracle container exists", "--external").is_some());
    }
}

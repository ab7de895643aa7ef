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
    ("create", "--preserve-fds", "Files are passed by `coracle run --preserve-fds`."),
    ("exec", "--preserve-fd", "`--preserve-fds N` passes N files from number 3 on."),
    ("images", "--history", ""),
    ("ps", "--external", "coracle has no containers of other tools."),
    ("ps", "--pod", "coracle has no pods."),
    ("ps", "-p", "coracle has no pods."),
    ("ps", "--ns", ""),
    ("ps", "--sync", "Every command finds out by itself what became of a container."),
    ("ps", "--watch", "Use `watch coracle ps`."),
    ("ps", "-w", "Use `watch coracle ps`."),
    ("pull", "--all-tags", "Name each tag: `coracle pull IMAGE:TAG IMAGE:TAG`."),
    ("pull", "-a", "Name each tag: `coracle pull IMAGE:TAG IMAGE:TAG`."),
    ("pull", "--cert-dir", ""),
    ("pull", "--decryption-key", ""),
    ("pull", "--disable-content-trust", ""),
    ("pull", "--retry", "An interrupted pull goes on where it stopped: run it again."),
    ("pull", "--retry-delay", ""),
    ("rm", "--depend", ""),
    (
        "system migrate",
        "--new-runtime",
        "Name it where a container is made: `coracle create --runtime NAME`.",
    ),
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
    let shared = CREATE.iter().filter(|_| matches!(plain, "run" | "create"));
    let own = OTHERS.iter().filter(|(of, ..)| *of == command || *of == plain);
    let all = shared.copied().chain(own.map(|&(_, name, hint)| (name, hint)));
    let hint = all.into_iter().find_map(|(name, hint)| (name == flag).then_some(hint))?;
    let error = Error::usage(format_args!("flag {flag} is not supported yet"));
    Some(error.hint(if hint.is_empty() {
        format!("See what `{path} --help` offers.")
    } else {
        hint.to_owned()
    }))
}

/// podman's commands that coracle does not have; empty: there is nothing like it yet. A command of a group also stands
/// for itself (`container commit`, `image push`).
const COMMANDS: &[(&str, &str)] = &[
    ("artifact", "Keep files in a volume, or mount them with `--volume`."),
    ("auto-update", "Pull and run again: `coracle pull IMAGE`, `coracle run --replace …`."),
    ("build", "Build with another tool (buildah, `podman build`) and load the result with `coracle load`."),
    ("checkpoint", ""),
    ("cleanup", "Nothing is left behind that would need it: see `coracle system check`."),
    ("clone", ""),
    ("commit", "Copy the files out with `coracle export`, or keep what changes in a volume."),
    ("compose", "Start each container with `coracle run`."),
    ("diff", "Compare an exported tree: `coracle export CONTAINER | tar -t`."),
    ("events", "See the state with `coracle ps` and wait for an end with `coracle wait`."),
    ("farm", "coracle builds no images."),
    ("generate", ""),
    ("healthcheck", "Run the check yourself: `coracle exec CONTAINER COMMAND`."),
    ("import", "Run an unpacked tree directly: `coracle run --rootfs DIR COMMAND`."),
    ("init", "`coracle create` makes a container that `coracle start` can start at once."),
    ("kube", ""),
    ("machine", "coracle needs no virtual machine: it runs on the machine itself."),
    ("manifest", ""),
    ("mount", "Read the files with `coracle cp` or `coracle export`."),
    ("network", "Give each container its network with `--network none|host|slirp4netns`."),
    ("play", ""),
    (
        "pod",
        "Run the programs in one container (`coracle exec`), or let containers share the host's network: `--network host`.",
    ),
    ("push", "Push with another tool, for example skopeo."),
    ("restore", ""),
    ("runlabel", "Read the label with `coracle inspect IMAGE`, and run its command yourself."),
    ("save", "An image can be pulled again by its digest; skopeo copies images between places."),
    ("scp", ""),
    ("search", "Search on the registry's web site."),
    ("secret", "Mount a file: `--volume FILE:/run/secrets/NAME:ro`."),
    ("sign", ""),
    ("stats", "See the processes with `coracle top CONTAINER`."),
    ("tree", "See the layers with `coracle history IMAGE`."),
    ("trust", ""),
    ("umount", "coracle mounts nothing outside of containers."),
    ("unmount", "coracle mounts nothing outside of containers."),
    ("update", "Stop the container and make it anew with other limits."),
    ("system connection", "coracle has no service to connect to: run it on the machine itself."),
    ("system renumber", "Nothing needs it: coracle has no locks with numbers."),
    (
        "system reset",
        "Remove everything with `coracle rm --all --force` and `coracle system prune --all --volumes`.",
    ),
    ("system service", "coracle has no service: call the command itself."),
    (
        "volume export",
        "Copy it out with a container: `coracle run --rm -v NAME:/v IMAGE tar -c -C /v . >FILE`.",
    ),
    (
        "volume import",
        "Copy it in with a container: `coracle run --rm -i -v NAME:/v IMAGE tar -x -C /v <FILE`.",
    ),
    ("volume mount", ""),
    ("volume reload", "Nothing needs it."),
    ("volume unmount", ""),
];

/// The error for a command of podman's that does not exist here: `word` after `path` (`coracle`, `coracle image`).
pub fn command(path: &str, word: &str) -> Option<Error> {
    let group = path.strip_prefix("coracle").unwrap_or(path).trim_start();
    let plain = matches!(group, "" | "container" | "image");
    let full = format!("{group} {word}");
    let (_, hint) = COMMANDS.iter().find(|(name, _)| (plain && *name == word) || *name == full)?;
    let error = Error::usage(format_args!("{path} {word} is not supported yet"));
    Some(if hint.is_empty() {
        error.hint(format_args!("See what `{path} --help` offers."))
    } else {
        error.hint(hint)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_flag_of_podmans_is_refused_by_name() {
        let error = find("coracle container run", "--secret").unwrap();
        assert_eq!(error.what(), "flag --secret is not supported yet");
        assert_eq!(error.exit_code(), 125);
        assert!(find("coracle run", "--nope").is_none());
        assert!(find("coracle container exists", "--external").is_some());
    }
}

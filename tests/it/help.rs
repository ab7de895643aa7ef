//! The help of every command, and that no flag of podman's is forgotten: it works, or it is refused by its name.

use crate::support::{Env, need};
use coracle::cli::flags::unsupported;
use coracle::cli::tree;

/// Flags of `podman run` 5.4.
const PODMAN_RUN: &str = "
--add-host --annotation --arch --attach --authfile --blkio-weight --blkio-weight-device --cap-add
--cap-drop --cgroup-conf --cgroup-parent --cgroupns --cgroups --chrootdirs --cidfile
--conmon-pidfile --cpu-period --cpu-quota --cpu-rt-period --cpu-rt-runtime --cpu-shares --cpus
--cpuset-cpus --cpuset-mems --decryption-key --detach --detach-keys --device --device-cgroup-rule
--device-read-bps --device-read-iops --device-write-bps --device-write-iops --disable-content-trust
--dns --dns-option --dns-search --entrypoint --env --env-file --env-host --env-merge --expose
--gidmap --gpus --group-add --group-entry --health-cmd --health-interval --health-log-destination
--health-max-log-count --health-max-log-size --health-on-failure --health-retries
--health-start-period --health-startup-cmd --health-startup-interval --health-startup-retries
--health-startup-success --health-startup-timeout --health-timeout --help --hostname --hosts-file
--hostuser --http-proxy --image-volume --init --init-path --interactive --ip --ip6 --ipc --label
--label-file --log-driver --log-opt --mac-address --memory --memory-reservation --memory-swap
--memory-swappiness --mount --name --network --network-alias --no-healthcheck --no-hostname
--no-hosts --oom-kill-disable --oom-score-adj --os --passwd --passwd-entry --personality --pid
--pidfile --pids-limit --platform --pod --pod-id-file --preserve-fd --preserve-fds --privileged
--publish --publish-all --pull --quiet --rdt-class --read-only --read-only-tmpfs --replace
--requires --restart --retry --retry-delay --rm --rmi --rootfs --sdnotify --seccomp-policy --secret
--security-opt --shm-size --shm-size-systemd --sig-proxy --stop-signal --stop-timeout --subgidname
--subuidname --sysctl --systemd --timeout --tls-verify --tmpfs --tty --tz --uidmap --ulimit --umask
--unsetenv --unsetenv-all --user --userns --uts --variant --volume --volumes-from --workdir
";

/// Widest line of help without a terminal.
const WIDTH: usize = 100;

fn commands(command: &clap::Command, path: &[String], visit: &mut dyn FnMut(&clap::Command, &[String])) {
    visit(command, path);
    for below in command.get_subcommands() {
        let mut path = path.to_vec();
        path.push(below.get_name().to_owned());
        commands(below, &path, visit);
    }
}

#[test]
fn every_flag_of_podman_run_works_or_is_refused_by_name() {
    let document = tree::document();
    for command in ["run", "create"] {
        let definition = document.find_subcommand(command).unwrap();
        for flag in PODMAN_RUN.split_whitespace() {
            let only_run =
                ["--detach", "--detach-keys", "--sig-proxy", "--preserve-fd", "--rmi", "--attach", "--quiet"];
            if command == "create" && only_run.contains(&flag) {
                continue;
            }
            let name = flag.trim_start_matches('-');
            let works = definition.get_arguments().any(|arg| arg.get_long() == Some(name));
            let refused = unsupported::find(&format!("coracle {command}"), flag).is_some();
            assert!(works != refused, "{command} {flag}: works {works}, refused {refused}");
        }
    }
}

#[test]
fn every_flag_and_command_says_what_it_is_for() {
    commands(&tree::document(), &[], &mut |command, path| {
        assert!(command.get_about().is_some(), "{path:?}");
        for arg in command.get_arguments() {
            assert!(arg.get_help().is_some(), "{path:?} {}", arg.get_id());
        }
    });
}

#[test]
fn help_is_on_stdout_and_fits() {
    need!("userns");
    let env = Env::new();
    let mut all: Vec<Vec<String>> = Vec::new();
    commands(&tree::document(), &[], &mut |_, path| all.push(path.to_vec()));
    for path in all {
        let text = env.coracle().args(&path).arg("--help").ok();
        assert!(text.contains("Usage: coracle"), "{path:?}: {text}");
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{path:?}: {text}");
        if !path.is_empty() {
            assert_eq!(env.coracle().arg("help").args(&path).ok(), text, "help {path:?}");
        }
    }
}

#[test]
fn version_is_one_line() {
    need!("userns");
    let env = Env::new();
    assert_eq!(
        env.coracle().arg("--version").ok(),
        format!("coracle version {}\n", env!("CARGO_PKG_VERSION"))
    );
    let json = env.coracle().args(["version", "--format", "{{.Client.Version}}"]).ok();
    assert_eq!(json, format!("{}\n", env!("CARGO_PKG_VERSION")));
}

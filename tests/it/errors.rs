//! Every message that a wrong command line leads to, word for word, with its exit code. Writing a message begins here.

use crate::support::{Env, need};

/// Arguments, exit code, stdout, stderr.
type Case = (&'static str, i32, &'static str, &'static str);

const CASES: &[Case] = &[
    ("", 125, "", "Error: missing command\nHint: List the commands with `coracle --help`.\n"),
    ("rnu", 125, "", "Error: unknown command \"rnu\" for \"coracle\"\nHint: Did you mean `coracle run`?\n"),
    (
        "frob",
        125,
        "",
        "Error: unknown command \"frob\" for \"coracle\"\nHint: List the commands with `coracle --help`.\n",
    ),
    (
        "build .",
        125,
        "",
        "Error: coracle build is not supported yet\nHint: Build with another tool (buildah, `podman build`) and load the result with `coracle load`.\n",
    ),
    (
        "compose up",
        125,
        "",
        "Error: coracle compose is not supported yet\nHint: Start each container with `coracle run`.\n",
    ),
    (
        "container stats",
        125,
        "",
        "Error: coracle container stats is not supported yet\nHint: See the processes with `coracle top CONTAINER`.\n",
    ),
    (
        "image push x",
        125,
        "",
        "Error: coracle image push is not supported yet\nHint: Push with another tool, for example skopeo.\n",
    ),
    (
        "create --preserve-fds 1 i",
        125,
        "",
        "Error: flag --preserve-fds is not supported yet\nHint: Files are passed by `coracle run --preserve-fds`.\n",
    ),
    (
        "slurm oci-conf --slurm-version new",
        125,
        "",
        "Error: invalid --slurm-version \"new\": not a year and a month\nHint: For example: `--slurm-version 23.11`.\n",
    ),
    (
        "slurm oci-conf --images --slurm-version 22.05",
        125,
        "",
        "Error: Slurm 22.05 cannot start images by srun --container\nCaused by: before 23.02 it reads config.json of a bundle, whatever its oci.conf says\n\
         Hint: Start them without it, `srun coracle run app.sqsh`, or make bundles of them with `coracle bundle`, and leave out --images.\n",
    ),
    (
        "slurm run --environment /no/such app.sqsh",
        125,
        "",
        "Error: cannot start app.sqsh for Slurm\nCaused by: read(\"/no/such\"): ENOENT (No such file or directory)\n\
         Hint: Slurm writes that file where oci.conf says CreateEnvFile=null: `coracle slurm oci-conf --images` prints all of it.\n",
    ),
    (
        "slurm run --environment /etc/hostname app.sqsh",
        125,
        "",
        "Error: cannot start app.sqsh for Slurm\nCaused by: /etc/hostname has no byte 0 after each variable\n\
         Hint: Slurm writes that file where oci.conf says CreateEnvFile=null: `coracle slurm oci-conf --images` prints all of it.\n",
    ),
    (
        "volume mk",
        125,
        "",
        "Error: unknown command \"mk\" for \"coracle volume\"\nHint: List the commands with `coracle volume --help`.\n",
    ),
    (
        "volume",
        125,
        "",
        "Error: missing command after coracle volume\nHint: List the commands with `coracle volume --help`.\n",
    ),
    (
        "--url x ps",
        125,
        "",
        "Error: flag --url is not supported yet\nHint: coracle has no service to connect to: run it on the machine itself, for example over ssh.\n",
    ),
    (
        "--log-level loud ps",
        125,
        "",
        "Error: invalid log level \"loud\": not one of debug, info, warn, error\n",
    ),
    (
        "ps --frmat x",
        125,
        "",
        "Error: unknown flag: --frmat\nHint: Did you mean --format? Run `coracle ps --help`.\n",
    ),
    ("ps --watch 5", 125, "", "Error: flag --watch is not supported yet\nHint: Use `watch coracle ps`.\n"),
    ("ps -Z", 125, "", "Error: unknown shorthand flag: -Z\nHint: Run `coracle ps --help`.\n"),
    ("ps --format", 125, "", "Error: flag --format needs a value\nHint: Run `coracle ps --help`.\n"),
    ("ps extra", 125, "", "Error: unexpected argument \"extra\"\nHint: Run `coracle ps --help`.\n"),
    (
        "ps --all=maybe",
        125,
        "",
        "Error: invalid value \"maybe\" for --all: not true or false\nHint: Run `coracle ps --help`.\n",
    ),
    (
        "ps --quiet --format json",
        125,
        "",
        "Error: --quiet cannot be combined with --format\nHint: Run `coracle ps --help`.\n",
    ),
    (
        "ps --sort x",
        125,
        "",
        "Error: invalid --sort \"x\": one of command, created, id, image, names, runningfor, status\nHint: For example: `--sort names`.\n",
    ),
    (
        "ps --filter nope=1",
        125,
        "",
        "Error: \"nope\" is no filter\nHint: Filters are id, name, label, exited, status, ancestor, before, since, until, volume, network, health, restart-policy, should-start-on-boot.\n",
    ),
    (
        "ps --filter name",
        125,
        "",
        "Error: invalid filter \"name\": not key=value\nHint: For example: `--filter name=web`.\n",
    ),
    (
        "fanout i",
        125,
        "",
        "Error: coracle fanout wants an argument: --ranks <N>\nHint: Run `coracle fanout --help`.\n",
    ),
    ("run", 125, "", "Error: coracle run wants an argument: IMAGE\nHint: Run `coracle run --help`.\n"),
    (
        "run --secret a i",
        125,
        "",
        "Error: flag --secret is not supported yet\nHint: Mount a file: `--volume FILE:/run/secrets/NAME:ro`.\n",
    ),
    (
        "run --gpus a/b i",
        125,
        "",
        "Error: invalid --gpus \"a/b\": neither all nor the number or name of a GPU\nHint: For example: `--gpus all`.\n",
    ),
    ("run --foo i", 125, "", "Error: unknown flag: --foo\nHint: Run `coracle run --help`.\n"),
    (
        "run --memory 1GX i",
        125,
        "",
        "Error: invalid --memory \"1GX\": unknown suffix \"gx\"\nHint: For example: `256m`.\n",
    ),
    (
        "run --cpus x i",
        125,
        "",
        "Error: invalid --cpus \"x\": not a number\nHint: For example: `--cpus 0.5`.\n",
    ),
    (
        "run --cpus 1 --cpu-quota 5 i",
        125,
        "",
        "Error: --cpus cannot be combined with --cpu-quota\nHint: Run `coracle run --help`.\n",
    ),
    (
        "run --memory 64m --memory-swap 32m i",
        125,
        "",
        "Error: --memory-swap is smaller than --memory\nCaused by: memory plus swap is 33554432 bytes, memory alone 67108864\nHint: --memory-swap is memory and swap together.\n",
    ),
    (
        "run --cap-add NET_ROW i",
        125,
        "",
        "Error: unknown capability \"NET_ROW\"\nHint: Did you mean CAP_NET_RAW? All names are in capabilities(7).\n",
    ),
    (
        "run --ulimit nofiles=5 i",
        125,
        "",
        "Error: invalid ulimit \"nofiles=5\": unknown limit \"nofiles\"; one of as, core, cpu, data, fsize, locks, memlock, msgqueue, nice, nofile, nproc, rss, rtprio, rttime, sigpending, stack\nHint: For example: `--ulimit nofile=1024:2048`.\n",
    ),
    (
        "run --stop-signal NOPE i",
        125,
        "",
        "Error: unknown signal \"NOPE\"\nHint: Use a name or a number of signal(7), for example TERM or 15.\n",
    ),
    (
        "run -v a/b:/c i",
        125,
        "",
        "Error: invalid volume name \"a/b\"\nCaused by: must match [a-zA-Z0-9][a-zA-Z0-9_.-]*\nHint: A path on the host starts with `/` or `./`: `--volume ./a/b:/c`.\n",
    ),
    (
        "run -v /a:b i",
        125,
        "",
        "Error: invalid volume \"/a:b\": the path in the container is not absolute\nHint: For example: `--volume /data:/data:ro`.\n",
    ),
    ("run -v /a:/b -v /c:/b i", 125, "", "Error: duplicate mount destination /b\n"),
    (
        "run --mount type=bind,dst=/a i",
        125,
        "",
        "Error: invalid mount \"type=bind,dst=/a\": a bind wants src=\nHint: For example: `--mount type=bind,src=/data,dst=/data,ro`.\n",
    ),
    (
        "run -p 99999:80 i",
        125,
        "",
        "Error: invalid port mapping \"99999:80\": the host's port is not a number from 1 to 65535\nHint: For example: `--publish 127.0.0.1:8080:80/tcp`.\n",
    ),
    ("run -p 80:80 -p 80:81 i", 125, "", "Error: host port 80/tcp is published twice\n"),
    (
        "run --network none -p 8080:80 i",
        125,
        "",
        "Error: --publish cannot be combined with --network none\nHint: Ports are published with `--network slirp4netns`; with `--network host` the container has the host's ports.\n",
    ),
    (
        "run --network bridge i",
        125,
        "",
        "Error: --network bridge is not supported yet\nHint: Use `--network slirp4netns`: outgoing traffic and published ports work with it.\n",
    ),
    (
        "run --network mynet i",
        125,
        "",
        "Error: network mynet does not exist\nCaused by: named networks are not supported yet\nHint: Use one of none, host or slirp4netns.\n",
    ),
    (
        "run --network ns:/proc/1/ns/net i",
        125,
        "",
        "Error: --network ns:/proc/1/ns/net is not supported yet\nCaused by: every container has a user namespace of its own, and the kernel lets it join nothing that belongs to another\nHint: Share the host's with `--network host`, or run both programs in one container (`coracle exec`).\n",
    ),
    (
        "run --userns auto i",
        125,
        "",
        "Error: --userns auto is not supported yet\nHint: Use host, keep-id or nomap.\n",
    ),
    (
        "run --workdir src i",
        125,
        "",
        "Error: invalid working directory \"src\": not an absolute path\nHint: For example: `--workdir /src`.\n",
    ),
    (
        "run --hostname a_b!c i",
        125,
        "",
        "Error: invalid hostname \"a_b!c\": not letters, digits, `-` and `.`, up to 64\nHint: For example: `--hostname web`.\n",
    ),
    (
        "run --restart sometimes i",
        125,
        "",
        "Error: invalid restart policy \"sometimes\": one of no, always, unless-stopped, on-failure[:N]\nHint: For example: `--restart on-failure:3`.\n",
    ),
    (
        "run --rm --restart always i",
        125,
        "",
        "Error: --rm cannot be combined with --restart always or unless-stopped\n",
    ),
    (
        "run --detach-keys ctrl-1 i",
        125,
        "",
        "Error: invalid detach key sequence \"ctrl-1\": keys are ctrl-X or single characters\nHint: For example: `--detach-keys ctrl-p,ctrl-q`.\n",
    ),
    (
        "run --log-driver journald i",
        125,
        "",
        "Error: log driver journald is not supported yet\nHint: Use `--log-driver k8s-file`.\n",
    ),
    (
        "run --env-file /nonexistent i",
        125,
        "",
        "Error: cannot read /nonexistent of --env-file\nCaused by: read(\"/nonexistent\"): ENOENT (No such file or directory)\n",
    ),
    ("run --security-opt apparmor=x i", 125, "", "Error: --security-opt apparmor=x is not supported yet\n"),
    (
        "run --name -x i",
        125,
        "",
        "Error: invalid container name \"-x\"\nCaused by: must match [a-zA-Z0-9][a-zA-Z0-9_.-]*\n",
    ),
    ("run --replace i", 125, "", "Error: --replace wants --name\n"),
    (
        "rm nosuch",
        1,
        "",
        "Error: no container with ID or name \"nosuch\" found: no such container\nHint: See what there is with `coracle ps -a`.\n",
    ),
    ("rm --ignore nosuch", 0, "", ""),
    ("rm --force nosuch", 0, "", ""),
    (
        "rm",
        125,
        "",
        "Error: no container given\nHint: Name one or more containers, or use --all or --latest.\n",
    ),
    (
        "stop nosuch",
        125,
        "",
        "Error: no container with name or ID \"nosuch\" found: no such container\nHint: See what there is with `coracle ps -a`.\n",
    ),
    ("stop --ignore nosuch", 0, "", ""),
    (
        "kill nosuch",
        125,
        "",
        "Error: no container with name or ID \"nosuch\" found: no such container\nHint: See what there is with `coracle ps -a`.\n",
    ),
    (
        "kill --signal NOPE x",
        125,
        "",
        "Error: unknown signal \"NOPE\"\nHint: Use a name or a number of signal(7), for example TERM or 15.\n",
    ),
    (
        "start nosuch",
        125,
        "",
        "Error: no container with name or ID \"nosuch\" found: no such container\nHint: See what there is with `coracle ps -a`.\n",
    ),
    (
        "wait nosuch",
        125,
        "",
        "Error: no container with name or ID \"nosuch\" found: no such container\nHint: See what there is with `coracle ps -a`.\n",
    ),
    ("wait --ignore nosuch", 0, "-1\n", ""),
    (
        "logs nosuch",
        125,
        "",
        "Error: no container with name or ID \"nosuch\" found: no such container\nHint: See what there is with `coracle ps -a`.\n",
    ),
    (
        "logs --since yesterday x",
        125,
        "",
        "Error: invalid --since \"yesterday\": neither a time nor a duration\nHint: For example: `2026-01-31T10:00:00Z, 10m`.\n",
    ),
    (
        "exec nosuch true",
        125,
        "",
        "Error: no container with name or ID \"nosuch\" found: no such container\nHint: See what there is with `coracle ps -a`.\n",
    ),
    (
        "inspect nosuch",
        125,
        "[]\n",
        "Error: no such object: \"nosuch\"\nHint: See what there is with `coracle ps -a`, `coracle images` and `coracle volume ls`.\n",
    ),
    (
        "container inspect nosuch",
        125,
        "[]\n",
        "Error: no such container nosuch\nHint: See what there is with `coracle ps -a`.\n",
    ),
    (
        "image inspect nosuch",
        125,
        "[]\n",
        "Error: nosuch: image not known\nHint: List images with `coracle images`.\n",
    ),
    (
        "volume inspect nosuch",
        125,
        "[]\n",
        "Error: no such volume nosuch\nHint: List volumes with `coracle volume ls`.\n",
    ),
    ("container exists nosuch", 1, "", ""),
    ("image exists nosuch", 1, "", ""),
    ("volume exists nosuch", 1, "", ""),
    ("rmi nosuch", 1, "", "Error: nosuch: image not known\nHint: List images with `coracle images`.\n"),
    ("tag nosuch x", 125, "", "Error: nosuch: image not known\nHint: List images with `coracle images`.\n"),
    (
        "volume rm nosuch",
        1,
        "",
        "Error: no volume with name \"nosuch\" found: no such volume\nHint: List volumes with `coracle volume ls`.\n",
    ),
    (
        "volume create a/b",
        125,
        "",
        "Error: invalid volume name \"a/b\"\nCaused by: must match [a-zA-Z0-9][a-zA-Z0-9_.-]*\n",
    ),
    (
        "cp a b",
        125,
        "",
        "Error: neither the source nor the target is in a container\nHint: Write CONTAINER:PATH for one of them, for example `coracle cp web:/etc/hosts .`.\n",
    ),
    (
        "completion tcsh",
        125,
        "",
        "Error: invalid shell \"tcsh\": one of bash, zsh, fish\nHint: For example: `coracle completion bash`.\n",
    ),
    ("pull --creds secret x", 125, "", "Error: invalid credentials: not USER:PASSWORD\n"),
    (
        "pull --policy now x",
        125,
        "",
        "Error: invalid pull policy \"now\": one of missing, always, newer, never\nHint: For example: `--pull=newer`.\n",
    ),
    (
        "unshare /nonexistent/program",
        127,
        "",
        "Error: cannot run /nonexistent/program\nCaused by: No such file or directory (os error 2)\n",
    ),
    ("unshare /etc", 126, "", "Error: cannot run /etc\nCaused by: Permission denied (os error 13)\n"),
];

#[test]
fn messages_and_exit_codes_are_exact() {
    need!("userns");
    let env = Env::new();
    let mut wrong = Vec::new();
    for (words, code, stdout, stderr) in CASES {
        let output = env.coracle().args(words.split_whitespace()).run();
        if (output.code, output.stdout.as_str(), output.stderr.as_str()) != (*code, *stdout, *stderr) {
            wrong.push(format!("coracle {words}: {} {:?} {:?}", output.code, output.stdout, output.stderr));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_reader_that_goes_away_ends_the_command_quietly() {
    need!("userns");
    let env = Env::new();
    let script = r#""$0" --help | true; echo "${PIPESTATUS[0]}""#;
    let program = need::program("coracle", env!("CARGO_BIN_EXE_coracle"));
    let output = env.tool("bash").arg("-c").arg(script).arg(program).run();
    // Either it was quick enough to write all, or it ended as by SIGPIPE.
    assert!(["0\n", "141\n"].contains(&output.stdout.as_str()), "{output:#?}");
    assert_eq!(output.stderr, "");
}

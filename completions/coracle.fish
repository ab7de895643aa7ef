# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_coracle_global_optspecs
    string join \n root= runroot= log-level= runtime= storage-driver= storage-opt= cgroup-manager= h/help V/version
end

function __fish_coracle_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_coracle_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_coracle_using_subcommand
    set -l cmd (__fish_coracle_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c coracle -n "__fish_coracle_needs_command" -l root -d 'Keep images, containers and volumes in this directory' -r -F
complete -c coracle -n "__fish_coracle_needs_command" -l runroot -d 'Keep sockets and locks in this directory, on a local file system' -r -F
complete -c coracle -n "__fish_coracle_needs_command" -l log-level -d 'Say less or more: debug, info, warn, error' -r
complete -c coracle -n "__fish_coracle_needs_command" -l runtime -d 'Use this OCI runtime: a path, or a name to look for' -r
complete -c coracle -n "__fish_coracle_needs_command" -l storage-driver -d 'Make new containers with this driver: overlay, fuse-overlayfs, vfs' -r
complete -c coracle -n "__fish_coracle_needs_command" -l storage-opt -d 'Look for images in this store as well (additionalimagestore=DIR), or limit what images take (max_size=SIZE)' -r
complete -c coracle -n "__fish_coracle_needs_command" -l cgroup-manager -d 'Ask for cgroups from systemd, from the file system (cgroupfs), or not at all (disabled)' -r
complete -c coracle -n "__fish_coracle_needs_command" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_needs_command" -s V -l version -d 'Print version'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "run" -d 'Make a container and run a command in it'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "fanout" -d 'Run a command as many ranks in one container'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "create" -d 'Make a container without starting it, and print its id'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "start" -d 'Start containers'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "stop" -d 'Stop running containers'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "restart" -d 'Stop containers and start them again'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "kill" -d 'Send a signal to containers'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "rm" -d 'Remove containers'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "ps" -d 'List containers'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "list" -d 'List containers'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "ls" -d 'List containers'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "exec" -d 'Run a command in a running container'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "attach" -d 'Connect to a running container\'s terminal or streams'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "logs" -d 'Show what containers wrote'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "inspect" -d 'Show everything about containers, images or volumes'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "wait" -d 'Wait until containers end, and print their exit codes'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "top" -d 'Show the processes of a container'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "cp" -d 'Copy files between the host and containers, running or not'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "export" -d 'Write the files of a container to a tar archive'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "port" -d 'Show the published ports of a container'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "rename" -d 'Give a container another name'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "pause" -d 'Freeze all processes of containers'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "unpause" -d 'Let paused containers go on'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "update" -d 'Change the limits of a container, running or not'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "pull" -d 'Pull images from a registry, a directory or an archive, and print their ids'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "images" -d 'List images'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "load" -d 'Load images from a docker-archive or oci-archive, compressed or not'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "history" -d 'Show the steps that an image was made of'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "rmi" -d 'Remove images, or names of images'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "tag" -d 'Give an image more names'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "untag" -d 'Take names from an image; without names, all of them'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "login" -d 'Log in to a registry, and store the credentials in auth.json'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "logout" -d 'Forget the credentials for a registry'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "bundle" -d 'Write an image to a directory as an OCI runtime bundle, for coracle-oci and for `srun --container`'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "info" -d 'Show what this machine offers and where things are'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "version" -d 'Show the version'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "doctor" -d 'Check by trying what containers need on this machine'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "unshare" -d 'Run a command as root of the user namespace of images and containers'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "host" -d 'Run a command on the host, from inside a box'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "completion" -d 'Print a completion script for a shell'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "container" -d 'Manage containers'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "image" -d 'Manage images'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "volume" -d 'Manage volumes'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "toolbox" -d 'Live in boxes with your own home, user and tools'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "slurm" -d 'Set up a Slurm cluster'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "config" -d 'Show and change settings'
complete -c coracle -n "__fish_coracle_needs_command" -f -a "system" -d 'Manage what coracle keeps'
complete -c coracle -n "__fish_coracle_using_subcommand run" -l preserve-fds -d 'Pass this many open files from number 3 on' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l share-ranks -d 'Share one container with the other ranks of the job step on this node (srun, mpirun)' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -s a -l attach -d 'Connect stdin, stdout or stderr; stdout and stderr go together' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l detach-keys -d 'Keys that detach from the container; empty for none' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l sig-proxy -d 'Pass signals to the container (not with a terminal, where keys do it)' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -s e -l env -d 'Set an environment variable; KEY alone or PREFIX* takes the values from the host' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l env-file -d 'Read environment variables from a file, one KEY=VALUE a line' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l http-proxy -d 'Pass the host\'s proxy variables (http_proxy, no_proxy, …)' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l unsetenv -d 'Remove a variable of the image\'s environment' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -s w -l workdir -d 'Working directory in the container' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -s u -l user -d 'User and group: a name of the image\'s, or a number' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l group-add -d 'Additional groups: names of the image\'s, or numbers' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -s h -l hostname -d 'Host name in the container; the container\'s short id if not given' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l umask -d 'Umask in octal' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l ulimit -d 'Resource limits of setrlimit(2), or host: the caller\'s own' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l oom-score-adj -d 'How likely the kernel kills the container when memory runs out, -1000 to 1000' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l tz -d 'Time zone: a name such as Europe/Berlin, or `local`' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l sysctl -d 'Kernel parameters of the container\'s namespaces' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -s v -l volume -d 'Mount a host directory or file (a path), or a named volume' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l mount -d 'Mount by keys: type=bind|volume|tmpfs|devpts,src=…,dst=…,ro' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l tmpfs -d 'Mount an empty file system in memory' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l read-only-tmpfs -d 'With --read-only: keep /dev/shm, /run, /tmp and /var/tmp writable, in memory' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l image-volume -d 'What becomes of the image\'s volumes: bind (an anonymous volume), tmpfs or ignore' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l device -d 'Give a device of the host: its node, or its CDI name vendor.com/class=name' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l gpus -d 'Give GPUs: all, or their numbers or names, by CDI (nvidia.com/gpu, amd.com/gpu); without a spec, from the driver\'s files' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l shm-size -d 'Size of /dev/shm' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l overlay -d 'With an image in one file: keep what is written in this directory, for the next container' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -s m -l memory -d 'Memory limit: a number with b, k, m or g' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l memory-reservation -d 'Soft memory limit' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l memory-swap -d 'Limit of memory and swap together; -1 for unlimited swap' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l cpus -d 'Number of CPUs, for example 0.5' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l cpu-quota -d 'CPU time in microseconds for each period' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l cpu-period -d 'The period in microseconds' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -s c -l cpu-shares -d 'CPU share relative to other containers; 1024 is normal' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l cpuset-cpus -d 'CPUs to run on' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l cpuset-mems -d 'Memory nodes to use' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l pids-limit -d 'Number of processes; -1 or 0 for unlimited' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l blkio-weight -d 'Share of disk bandwidth, 10 to 1000' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l device-read-bps -d 'Most bytes that are read from a disk in a second' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l device-write-bps -d 'Most bytes that are written to a disk in a second' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l device-read-iops -d 'Most reads from a disk in a second' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l device-write-iops -d 'Most writes to a disk in a second' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l cgroup-conf -d 'A file of the cgroup and what to write to it' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l network -l net -d 'none, host or slirp4netns[:OPTIONS]' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -s p -l publish -d 'Publish a port of the container, or a range of them' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l expose -d 'Name a port that the container listens on' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l dns -d 'DNS servers; `none` keeps the image\'s /etc/resolv.conf' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l dns-search -d 'DNS search domains; `.` for none' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l dns-option -l dns-opt -d 'DNS options' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l add-host -d 'Add a line to /etc/hosts; the address may be host-gateway' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l cap-add -d 'Add a capability, or all' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l cap-drop -d 'Drop a capability, or all' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l security-opt -d 'seccomp=FILE|unconfined, no-new-privileges, mask=PATHS, unmask=PATHS|ALL' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l userns -d 'How users are mapped: host, keep-id[:uid=N,gid=N] or nomap' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l pid -d 'Process namespace: private or host' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l ipc -d 'IPC namespace: private or host' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l uts -d 'Host name namespace: private or host' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l cgroupns -d 'Cgroup namespace: private or host' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l hpc -d 'As on the host: your user and groups, home, /tmp, current directory, environment, network and processes, and no new privileges' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l module -d 'Add what this site\'s module of that name stands for: files, devices, variables and flags (podman-hpc\'s modules.d)' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l name -d 'Name of the container' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l entrypoint -d 'Replace the image\'s entrypoint: a program, or a JSON array' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -s l -l label -d 'Set a label' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l label-file -d 'Read labels from a file' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l annotation -d 'Set an annotation of the OCI runtime' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l restart -d 'Restart when it ends: no, always, unless-stopped, on-failure[:N]; after a reboot, coracle-restart.service does it' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l stop-signal -d 'Signal that `stop` sends first' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l stop-timeout -d 'Seconds until `stop` kills' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l timeout -d 'Kill the container after this many seconds' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l log-driver -d 'Where output goes: k8s-file, none or passthrough' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l log-opt -d 'max-size=SIZE, path=FILE' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l cgroups -d 'Cgroups of its own: enabled or disabled' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l cidfile -d 'Write the container\'s id to this file, which must not exist' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l pidfile -d 'Write the process id of the container to this file' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l systemd -d 'Prepare it for systemd as its first process: true (when the command is an init), always or false' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l pull -d 'When to pull: missing, always, newer or never' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l platform -d 'Platform of the image: os/arch[/variant]' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l arch -d 'Architecture of the image' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l os -d 'Operating system of the image' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l variant -d 'Architecture variant of the image' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l authfile -d 'File with credentials for a pull' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -l tls-verify -d 'Require TLS and check certificates for a pull' -r
complete -c coracle -n "__fish_coracle_using_subcommand run" -s d -l detach -d 'Run in the background and print the container\'s id'
complete -c coracle -n "__fish_coracle_using_subcommand run" -s t -l tty -d 'Allocate a terminal for the container'
complete -c coracle -n "__fish_coracle_using_subcommand run" -s i -l interactive -d 'Keep stdin open'
complete -c coracle -n "__fish_coracle_using_subcommand run" -l env-host -d 'Pass the whole environment of the host'
complete -c coracle -n "__fish_coracle_using_subcommand run" -l unsetenv-all -d 'Remove all variables of the image\'s environment'
complete -c coracle -n "__fish_coracle_using_subcommand run" -l init -d 'Run a small init as pid 1, which forwards signals and reaps processes'
complete -c coracle -n "__fish_coracle_using_subcommand run" -l read-only -d 'Make the root file system read-only'
complete -c coracle -n "__fish_coracle_using_subcommand run" -l rootfs -d 'IMAGE is a directory with a root file system'
complete -c coracle -n "__fish_coracle_using_subcommand run" -s P -l publish-all -d 'Publish all exposed ports to free ports of the host'
complete -c coracle -n "__fish_coracle_using_subcommand run" -l no-hosts -d 'Keep the image\'s /etc/hosts'
complete -c coracle -n "__fish_coracle_using_subcommand run" -l no-hostname -d 'Keep the image\'s /etc/hostname'
complete -c coracle -n "__fish_coracle_using_subcommand run" -l privileged -d 'All capabilities of the user namespace, no seccomp filter, no masked paths; still not root of the host'
complete -c coracle -n "__fish_coracle_using_subcommand run" -l replace -d 'Remove a container of the same name first'
complete -c coracle -n "__fish_coracle_using_subcommand run" -l rm -d 'Remove the container and its anonymous volumes when it ends'
complete -c coracle -n "__fish_coracle_using_subcommand run" -l no-healthcheck -d 'Health checks are not run in any case'
complete -c coracle -n "__fish_coracle_using_subcommand run" -s q -l quiet -d 'Show no progress of a pull'
complete -c coracle -n "__fish_coracle_using_subcommand run" -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -s n -l ranks -d 'How many ranks, 1 to 4096' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -s e -l env -d 'Set an environment variable; KEY alone or PREFIX* takes the values from the host' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l env-file -d 'Read environment variables from a file, one KEY=VALUE a line' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l http-proxy -d 'Pass the host\'s proxy variables (http_proxy, no_proxy, …)' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l unsetenv -d 'Remove a variable of the image\'s environment' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -s w -l workdir -d 'Working directory in the container' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -s u -l user -d 'User and group: a name of the image\'s, or a number' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l group-add -d 'Additional groups: names of the image\'s, or numbers' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -s h -l hostname -d 'Host name in the container; the container\'s short id if not given' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l umask -d 'Umask in octal' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l ulimit -d 'Resource limits of setrlimit(2), or host: the caller\'s own' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l oom-score-adj -d 'How likely the kernel kills the container when memory runs out, -1000 to 1000' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l tz -d 'Time zone: a name such as Europe/Berlin, or `local`' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l sysctl -d 'Kernel parameters of the container\'s namespaces' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -s v -l volume -d 'Mount a host directory or file (a path), or a named volume' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l mount -d 'Mount by keys: type=bind|volume|tmpfs|devpts,src=…,dst=…,ro' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l tmpfs -d 'Mount an empty file system in memory' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l read-only-tmpfs -d 'With --read-only: keep /dev/shm, /run, /tmp and /var/tmp writable, in memory' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l image-volume -d 'What becomes of the image\'s volumes: bind (an anonymous volume), tmpfs or ignore' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l device -d 'Give a device of the host: its node, or its CDI name vendor.com/class=name' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l gpus -d 'Give GPUs: all, or their numbers or names, by CDI (nvidia.com/gpu, amd.com/gpu); without a spec, from the driver\'s files' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l shm-size -d 'Size of /dev/shm' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l overlay -d 'With an image in one file: keep what is written in this directory, for the next container' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -s m -l memory -d 'Memory limit: a number with b, k, m or g' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l memory-reservation -d 'Soft memory limit' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l memory-swap -d 'Limit of memory and swap together; -1 for unlimited swap' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l cpus -d 'Number of CPUs, for example 0.5' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l cpu-quota -d 'CPU time in microseconds for each period' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l cpu-period -d 'The period in microseconds' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -s c -l cpu-shares -d 'CPU share relative to other containers; 1024 is normal' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l cpuset-cpus -d 'CPUs to run on' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l cpuset-mems -d 'Memory nodes to use' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l pids-limit -d 'Number of processes; -1 or 0 for unlimited' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l blkio-weight -d 'Share of disk bandwidth, 10 to 1000' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l device-read-bps -d 'Most bytes that are read from a disk in a second' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l device-write-bps -d 'Most bytes that are written to a disk in a second' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l device-read-iops -d 'Most reads from a disk in a second' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l device-write-iops -d 'Most writes to a disk in a second' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l cgroup-conf -d 'A file of the cgroup and what to write to it' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l network -l net -d 'none, host or slirp4netns[:OPTIONS]' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -s p -l publish -d 'Publish a port of the container, or a range of them' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l expose -d 'Name a port that the container listens on' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l dns -d 'DNS servers; `none` keeps the image\'s /etc/resolv.conf' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l dns-search -d 'DNS search domains; `.` for none' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l dns-option -l dns-opt -d 'DNS options' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l add-host -d 'Add a line to /etc/hosts; the address may be host-gateway' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l cap-add -d 'Add a capability, or all' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l cap-drop -d 'Drop a capability, or all' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l security-opt -d 'seccomp=FILE|unconfined, no-new-privileges, mask=PATHS, unmask=PATHS|ALL' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l userns -d 'How users are mapped: host, keep-id[:uid=N,gid=N] or nomap' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l pid -d 'Process namespace: private or host' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l ipc -d 'IPC namespace: private or host' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l uts -d 'Host name namespace: private or host' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l cgroupns -d 'Cgroup namespace: private or host' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l hpc -d 'As on the host: your user and groups, home, /tmp, current directory, environment, network and processes, and no new privileges' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l module -d 'Add what this site\'s module of that name stands for: files, devices, variables and flags (podman-hpc\'s modules.d)' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l name -d 'Name of the container' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l entrypoint -d 'Replace the image\'s entrypoint: a program, or a JSON array' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -s l -l label -d 'Set a label' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l label-file -d 'Read labels from a file' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l annotation -d 'Set an annotation of the OCI runtime' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l restart -d 'Restart when it ends: no, always, unless-stopped, on-failure[:N]; after a reboot, coracle-restart.service does it' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l stop-signal -d 'Signal that `stop` sends first' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l stop-timeout -d 'Seconds until `stop` kills' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l timeout -d 'Kill the container after this many seconds' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l log-driver -d 'Where output goes: k8s-file, none or passthrough' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l log-opt -d 'max-size=SIZE, path=FILE' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l cgroups -d 'Cgroups of its own: enabled or disabled' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l cidfile -d 'Write the container\'s id to this file, which must not exist' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l pidfile -d 'Write the process id of the container to this file' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l systemd -d 'Prepare it for systemd as its first process: true (when the command is an init), always or false' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l pull -d 'When to pull: missing, always, newer or never' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l platform -d 'Platform of the image: os/arch[/variant]' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l arch -d 'Architecture of the image' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l os -d 'Operating system of the image' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l variant -d 'Architecture variant of the image' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l authfile -d 'File with credentials for a pull' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l tls-verify -d 'Require TLS and check certificates for a pull' -r
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l tag-output -d 'Begin each line of output with the number of the rank that wrote it'
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l kill-on-bad-exit -d 'End all ranks when one ends with another code than 0: SIGTERM, and SIGKILL after --stop-timeout'
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -s t -l tty -d 'Allocate a terminal for the container'
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -s i -l interactive -d 'Keep stdin open'
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l env-host -d 'Pass the whole environment of the host'
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l unsetenv-all -d 'Remove all variables of the image\'s environment'
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l init -d 'Run a small init as pid 1, which forwards signals and reaps processes'
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l read-only -d 'Make the root file system read-only'
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l rootfs -d 'IMAGE is a directory with a root file system'
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -s P -l publish-all -d 'Publish all exposed ports to free ports of the host'
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l no-hosts -d 'Keep the image\'s /etc/hosts'
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l no-hostname -d 'Keep the image\'s /etc/hostname'
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l privileged -d 'All capabilities of the user namespace, no seccomp filter, no masked paths; still not root of the host'
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l replace -d 'Remove a container of the same name first'
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l rm -d 'Remove the container and its anonymous volumes when it ends'
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l no-healthcheck -d 'Health checks are not run in any case'
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -s q -l quiet -d 'Show no progress of a pull'
complete -c coracle -n "__fish_coracle_using_subcommand fanout" -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand create" -s e -l env -d 'Set an environment variable; KEY alone or PREFIX* takes the values from the host' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l env-file -d 'Read environment variables from a file, one KEY=VALUE a line' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l http-proxy -d 'Pass the host\'s proxy variables (http_proxy, no_proxy, …)' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l unsetenv -d 'Remove a variable of the image\'s environment' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -s w -l workdir -d 'Working directory in the container' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -s u -l user -d 'User and group: a name of the image\'s, or a number' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l group-add -d 'Additional groups: names of the image\'s, or numbers' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -s h -l hostname -d 'Host name in the container; the container\'s short id if not given' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l umask -d 'Umask in octal' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l ulimit -d 'Resource limits of setrlimit(2), or host: the caller\'s own' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l oom-score-adj -d 'How likely the kernel kills the container when memory runs out, -1000 to 1000' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l tz -d 'Time zone: a name such as Europe/Berlin, or `local`' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l sysctl -d 'Kernel parameters of the container\'s namespaces' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -s v -l volume -d 'Mount a host directory or file (a path), or a named volume' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l mount -d 'Mount by keys: type=bind|volume|tmpfs|devpts,src=…,dst=…,ro' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l tmpfs -d 'Mount an empty file system in memory' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l read-only-tmpfs -d 'With --read-only: keep /dev/shm, /run, /tmp and /var/tmp writable, in memory' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l image-volume -d 'What becomes of the image\'s volumes: bind (an anonymous volume), tmpfs or ignore' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l device -d 'Give a device of the host: its node, or its CDI name vendor.com/class=name' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l gpus -d 'Give GPUs: all, or their numbers or names, by CDI (nvidia.com/gpu, amd.com/gpu); without a spec, from the driver\'s files' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l shm-size -d 'Size of /dev/shm' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l overlay -d 'With an image in one file: keep what is written in this directory, for the next container' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -s m -l memory -d 'Memory limit: a number with b, k, m or g' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l memory-reservation -d 'Soft memory limit' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l memory-swap -d 'Limit of memory and swap together; -1 for unlimited swap' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l cpus -d 'Number of CPUs, for example 0.5' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l cpu-quota -d 'CPU time in microseconds for each period' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l cpu-period -d 'The period in microseconds' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -s c -l cpu-shares -d 'CPU share relative to other containers; 1024 is normal' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l cpuset-cpus -d 'CPUs to run on' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l cpuset-mems -d 'Memory nodes to use' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l pids-limit -d 'Number of processes; -1 or 0 for unlimited' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l blkio-weight -d 'Share of disk bandwidth, 10 to 1000' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l device-read-bps -d 'Most bytes that are read from a disk in a second' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l device-write-bps -d 'Most bytes that are written to a disk in a second' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l device-read-iops -d 'Most reads from a disk in a second' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l device-write-iops -d 'Most writes to a disk in a second' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l cgroup-conf -d 'A file of the cgroup and what to write to it' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l network -l net -d 'none, host or slirp4netns[:OPTIONS]' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -s p -l publish -d 'Publish a port of the container, or a range of them' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l expose -d 'Name a port that the container listens on' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l dns -d 'DNS servers; `none` keeps the image\'s /etc/resolv.conf' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l dns-search -d 'DNS search domains; `.` for none' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l dns-option -l dns-opt -d 'DNS options' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l add-host -d 'Add a line to /etc/hosts; the address may be host-gateway' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l cap-add -d 'Add a capability, or all' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l cap-drop -d 'Drop a capability, or all' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l security-opt -d 'seccomp=FILE|unconfined, no-new-privileges, mask=PATHS, unmask=PATHS|ALL' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l userns -d 'How users are mapped: host, keep-id[:uid=N,gid=N] or nomap' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l pid -d 'Process namespace: private or host' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l ipc -d 'IPC namespace: private or host' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l uts -d 'Host name namespace: private or host' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l cgroupns -d 'Cgroup namespace: private or host' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l hpc -d 'As on the host: your user and groups, home, /tmp, current directory, environment, network and processes, and no new privileges' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l module -d 'Add what this site\'s module of that name stands for: files, devices, variables and flags (podman-hpc\'s modules.d)' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l name -d 'Name of the container' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l entrypoint -d 'Replace the image\'s entrypoint: a program, or a JSON array' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -s l -l label -d 'Set a label' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l label-file -d 'Read labels from a file' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l annotation -d 'Set an annotation of the OCI runtime' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l restart -d 'Restart when it ends: no, always, unless-stopped, on-failure[:N]; after a reboot, coracle-restart.service does it' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l stop-signal -d 'Signal that `stop` sends first' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l stop-timeout -d 'Seconds until `stop` kills' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l timeout -d 'Kill the container after this many seconds' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l log-driver -d 'Where output goes: k8s-file, none or passthrough' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l log-opt -d 'max-size=SIZE, path=FILE' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l cgroups -d 'Cgroups of its own: enabled or disabled' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l cidfile -d 'Write the container\'s id to this file, which must not exist' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l pidfile -d 'Write the process id of the container to this file' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l systemd -d 'Prepare it for systemd as its first process: true (when the command is an init), always or false' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l pull -d 'When to pull: missing, always, newer or never' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l platform -d 'Platform of the image: os/arch[/variant]' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l arch -d 'Architecture of the image' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l os -d 'Operating system of the image' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l variant -d 'Architecture variant of the image' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l authfile -d 'File with credentials for a pull' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -l tls-verify -d 'Require TLS and check certificates for a pull' -r
complete -c coracle -n "__fish_coracle_using_subcommand create" -s t -l tty -d 'Allocate a terminal for the container'
complete -c coracle -n "__fish_coracle_using_subcommand create" -s i -l interactive -d 'Keep stdin open'
complete -c coracle -n "__fish_coracle_using_subcommand create" -l env-host -d 'Pass the whole environment of the host'
complete -c coracle -n "__fish_coracle_using_subcommand create" -l unsetenv-all -d 'Remove all variables of the image\'s environment'
complete -c coracle -n "__fish_coracle_using_subcommand create" -l init -d 'Run a small init as pid 1, which forwards signals and reaps processes'
complete -c coracle -n "__fish_coracle_using_subcommand create" -l read-only -d 'Make the root file system read-only'
complete -c coracle -n "__fish_coracle_using_subcommand create" -l rootfs -d 'IMAGE is a directory with a root file system'
complete -c coracle -n "__fish_coracle_using_subcommand create" -s P -l publish-all -d 'Publish all exposed ports to free ports of the host'
complete -c coracle -n "__fish_coracle_using_subcommand create" -l no-hosts -d 'Keep the image\'s /etc/hosts'
complete -c coracle -n "__fish_coracle_using_subcommand create" -l no-hostname -d 'Keep the image\'s /etc/hostname'
complete -c coracle -n "__fish_coracle_using_subcommand create" -l privileged -d 'All capabilities of the user namespace, no seccomp filter, no masked paths; still not root of the host'
complete -c coracle -n "__fish_coracle_using_subcommand create" -l replace -d 'Remove a container of the same name first'
complete -c coracle -n "__fish_coracle_using_subcommand create" -l rm -d 'Remove the container and its anonymous volumes when it ends'
complete -c coracle -n "__fish_coracle_using_subcommand create" -l no-healthcheck -d 'Health checks are not run in any case'
complete -c coracle -n "__fish_coracle_using_subcommand create" -s q -l quiet -d 'Show no progress of a pull'
complete -c coracle -n "__fish_coracle_using_subcommand create" -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand start" -l detach-keys -d 'Keys that detach from the container; empty for none' -r
complete -c coracle -n "__fish_coracle_using_subcommand start" -l sig-proxy -d 'Pass signals to the container (not with a terminal, where keys do it)' -r
complete -c coracle -n "__fish_coracle_using_subcommand start" -s f -l filter -d 'Only containers that match, see ps' -r
complete -c coracle -n "__fish_coracle_using_subcommand start" -s a -l attach -d 'Stay connected to the container; the exit code is its own'
complete -c coracle -n "__fish_coracle_using_subcommand start" -s i -l interactive -d 'Connect stdin too'
complete -c coracle -n "__fish_coracle_using_subcommand start" -l all -d 'All containers that are not running'
complete -c coracle -n "__fish_coracle_using_subcommand start" -s l -l latest -d 'The container that was created last'
complete -c coracle -n "__fish_coracle_using_subcommand start" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand stop" -l cidfile -d 'Read the id from a file' -r
complete -c coracle -n "__fish_coracle_using_subcommand stop" -s f -l filter -d 'Only containers that match, see ps' -r
complete -c coracle -n "__fish_coracle_using_subcommand stop" -s t -l time -d 'Seconds before SIGKILL; negative: never' -r
complete -c coracle -n "__fish_coracle_using_subcommand stop" -s a -l all -d 'All containers'
complete -c coracle -n "__fish_coracle_using_subcommand stop" -s l -l latest -d 'The container that was created last'
complete -c coracle -n "__fish_coracle_using_subcommand stop" -s i -l ignore -d 'Do not complain about containers that do not exist'
complete -c coracle -n "__fish_coracle_using_subcommand stop" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand restart" -l cidfile -d 'Read the id from a file' -r
complete -c coracle -n "__fish_coracle_using_subcommand restart" -s f -l filter -d 'Only containers that match, see ps' -r
complete -c coracle -n "__fish_coracle_using_subcommand restart" -s t -l time -d 'Seconds before SIGKILL; negative: never' -r
complete -c coracle -n "__fish_coracle_using_subcommand restart" -s a -l all -d 'All containers'
complete -c coracle -n "__fish_coracle_using_subcommand restart" -s l -l latest -d 'The container that was created last'
complete -c coracle -n "__fish_coracle_using_subcommand restart" -l running -d 'All running containers'
complete -c coracle -n "__fish_coracle_using_subcommand restart" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand kill" -l cidfile -d 'Read the id from a file' -r
complete -c coracle -n "__fish_coracle_using_subcommand kill" -s s -l signal -d 'The signal, by name or number' -r
complete -c coracle -n "__fish_coracle_using_subcommand kill" -s a -l all -d 'All running containers'
complete -c coracle -n "__fish_coracle_using_subcommand kill" -s l -l latest -d 'The container that was created last'
complete -c coracle -n "__fish_coracle_using_subcommand kill" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand rm" -l cidfile -d 'Read the id from a file' -r
complete -c coracle -n "__fish_coracle_using_subcommand rm" -l filter -d 'Only containers that match, see ps' -r
complete -c coracle -n "__fish_coracle_using_subcommand rm" -s t -l time -d 'With --force: seconds before SIGKILL; negative: never' -r
complete -c coracle -n "__fish_coracle_using_subcommand rm" -s a -l all -d 'All containers'
complete -c coracle -n "__fish_coracle_using_subcommand rm" -s l -l latest -d 'The container that was created last'
complete -c coracle -n "__fish_coracle_using_subcommand rm" -s f -l force -d 'Stop running containers first'
complete -c coracle -n "__fish_coracle_using_subcommand rm" -s i -l ignore -d 'Do not complain about containers that do not exist'
complete -c coracle -n "__fish_coracle_using_subcommand rm" -s v -l volumes -d 'Also remove their anonymous volumes'
complete -c coracle -n "__fish_coracle_using_subcommand rm" -l quiet -d 'Print nothing for what went well (`run --replace`)'
complete -c coracle -n "__fish_coracle_using_subcommand rm" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand ps" -s f -l filter -d 'Only containers that match' -r
complete -c coracle -n "__fish_coracle_using_subcommand ps" -l format -d 'json, a Go template, or `table` and a template' -r
complete -c coracle -n "__fish_coracle_using_subcommand ps" -s n -l last -d 'Only the last N containers, in any state' -r
complete -c coracle -n "__fish_coracle_using_subcommand ps" -l sort -d 'Order: command, created, id, image, names, runningfor, size, status' -r
complete -c coracle -n "__fish_coracle_using_subcommand ps" -s a -l all -d 'Also containers that are not running'
complete -c coracle -n "__fish_coracle_using_subcommand ps" -s l -l latest -d 'Only the container that was created last'
complete -c coracle -n "__fish_coracle_using_subcommand ps" -l no-trunc -d 'Show ids and commands in full'
complete -c coracle -n "__fish_coracle_using_subcommand ps" -l noheading -d 'Print no header'
complete -c coracle -n "__fish_coracle_using_subcommand ps" -s q -l quiet -d 'Print only ids'
complete -c coracle -n "__fish_coracle_using_subcommand ps" -s s -l size -d 'Show what the container has written, in bytes'
complete -c coracle -n "__fish_coracle_using_subcommand ps" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand list" -s f -l filter -d 'Only containers that match' -r
complete -c coracle -n "__fish_coracle_using_subcommand list" -l format -d 'json, a Go template, or `table` and a template' -r
complete -c coracle -n "__fish_coracle_using_subcommand list" -s n -l last -d 'Only the last N containers, in any state' -r
complete -c coracle -n "__fish_coracle_using_subcommand list" -l sort -d 'Order: command, created, id, image, names, runningfor, size, status' -r
complete -c coracle -n "__fish_coracle_using_subcommand list" -s a -l all -d 'Also containers that are not running'
complete -c coracle -n "__fish_coracle_using_subcommand list" -s l -l latest -d 'Only the container that was created last'
complete -c coracle -n "__fish_coracle_using_subcommand list" -l no-trunc -d 'Show ids and commands in full'
complete -c coracle -n "__fish_coracle_using_subcommand list" -l noheading -d 'Print no header'
complete -c coracle -n "__fish_coracle_using_subcommand list" -s q -l quiet -d 'Print only ids'
complete -c coracle -n "__fish_coracle_using_subcommand list" -s s -l size -d 'Show what the container has written, in bytes'
complete -c coracle -n "__fish_coracle_using_subcommand list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand ls" -s f -l filter -d 'Only containers that match' -r
complete -c coracle -n "__fish_coracle_using_subcommand ls" -l format -d 'json, a Go template, or `table` and a template' -r
complete -c coracle -n "__fish_coracle_using_subcommand ls" -s n -l last -d 'Only the last N containers, in any state' -r
complete -c coracle -n "__fish_coracle_using_subcommand ls" -l sort -d 'Order: command, created, id, image, names, runningfor, size, status' -r
complete -c coracle -n "__fish_coracle_using_subcommand ls" -s a -l all -d 'Also containers that are not running'
complete -c coracle -n "__fish_coracle_using_subcommand ls" -s l -l latest -d 'Only the container that was created last'
complete -c coracle -n "__fish_coracle_using_subcommand ls" -l no-trunc -d 'Show ids and commands in full'
complete -c coracle -n "__fish_coracle_using_subcommand ls" -l noheading -d 'Print no header'
complete -c coracle -n "__fish_coracle_using_subcommand ls" -s q -l quiet -d 'Print only ids'
complete -c coracle -n "__fish_coracle_using_subcommand ls" -s s -l size -d 'Show what the container has written, in bytes'
complete -c coracle -n "__fish_coracle_using_subcommand ls" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand exec" -l detach-keys -d 'Keys that detach from the command; empty for none' -r
complete -c coracle -n "__fish_coracle_using_subcommand exec" -s e -l env -d 'Set an environment variable; KEY alone or PREFIX* takes the values from the host' -r
complete -c coracle -n "__fish_coracle_using_subcommand exec" -l env-file -d 'Read environment variables from a file, one KEY=VALUE a line' -r
complete -c coracle -n "__fish_coracle_using_subcommand exec" -l preserve-fds -d 'Pass this many open files from number 3 on' -r
complete -c coracle -n "__fish_coracle_using_subcommand exec" -s u -l user -d 'User and group: a name of the container\'s, or a number' -r
complete -c coracle -n "__fish_coracle_using_subcommand exec" -s w -l workdir -d 'Working directory in the container' -r
complete -c coracle -n "__fish_coracle_using_subcommand exec" -s d -l detach -d 'Run in the background'
complete -c coracle -n "__fish_coracle_using_subcommand exec" -s i -l interactive -d 'Connect stdin'
complete -c coracle -n "__fish_coracle_using_subcommand exec" -s l -l latest -d 'The container that was created last'
complete -c coracle -n "__fish_coracle_using_subcommand exec" -l privileged -d 'All capabilities of the container\'s user namespace'
complete -c coracle -n "__fish_coracle_using_subcommand exec" -s t -l tty -d 'Allocate a terminal'
complete -c coracle -n "__fish_coracle_using_subcommand exec" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand attach" -l detach-keys -d 'Keys that detach from the container; empty for none' -r
complete -c coracle -n "__fish_coracle_using_subcommand attach" -l sig-proxy -d 'Pass signals to the container (not with a terminal, where keys do it)' -r
complete -c coracle -n "__fish_coracle_using_subcommand attach" -l no-stdin -d 'Do not connect stdin'
complete -c coracle -n "__fish_coracle_using_subcommand attach" -s l -l latest -d 'The container that was created last'
complete -c coracle -n "__fish_coracle_using_subcommand attach" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand logs" -l since -d 'Only what was written after this time, or in this duration' -r
complete -c coracle -n "__fish_coracle_using_subcommand logs" -l tail -d 'Only the last N lines; -1 for all' -r
complete -c coracle -n "__fish_coracle_using_subcommand logs" -l until -d 'Only what was written before this time' -r
complete -c coracle -n "__fish_coracle_using_subcommand logs" -l color -d 'Colour what says whose line it is'
complete -c coracle -n "__fish_coracle_using_subcommand logs" -s f -l follow -d 'Go on until the container ends'
complete -c coracle -n "__fish_coracle_using_subcommand logs" -s l -l latest -d 'The container that was created last'
complete -c coracle -n "__fish_coracle_using_subcommand logs" -s n -l names -d 'With several containers, put their names before the lines instead of their ids'
complete -c coracle -n "__fish_coracle_using_subcommand logs" -s t -l timestamps -d 'Put its time before each line'
complete -c coracle -n "__fish_coracle_using_subcommand logs" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand inspect" -s f -l format -d 'json, or a Go template' -r
complete -c coracle -n "__fish_coracle_using_subcommand inspect" -s t -l type -d 'What the names are: all, container, image or volume' -r
complete -c coracle -n "__fish_coracle_using_subcommand inspect" -s l -l latest -d 'The container that was created last'
complete -c coracle -n "__fish_coracle_using_subcommand inspect" -s s -l size -d 'Also how much the container has written'
complete -c coracle -n "__fish_coracle_using_subcommand inspect" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand wait" -l condition -d 'What to wait for: created, running, paused, exited or stopped; several are alternatives' -r
complete -c coracle -n "__fish_coracle_using_subcommand wait" -s i -l interval -d 'How often to look, for conditions other than the end' -r
complete -c coracle -n "__fish_coracle_using_subcommand wait" -l ignore -d 'A container that does not exist counts as ended with -1'
complete -c coracle -n "__fish_coracle_using_subcommand wait" -s l -l latest -d 'The container that was created last'
complete -c coracle -n "__fish_coracle_using_subcommand wait" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand top" -s l -l latest -d 'The container that was created last'
complete -c coracle -n "__fish_coracle_using_subcommand top" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand cp" -s a -l archive -d 'Keep owners' -r
complete -c coracle -n "__fish_coracle_using_subcommand cp" -l root-fd -d 'Open root directories of running containers: ID=FD (from ourselves)' -r
complete -c coracle -n "__fish_coracle_using_subcommand cp" -l overwrite -d 'Let a directory replace a file, and a file a directory'
complete -c coracle -n "__fish_coracle_using_subcommand cp" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand export" -s o -l output -d 'Write to this file instead of stdout' -r
complete -c coracle -n "__fish_coracle_using_subcommand export" -l root-fd -d 'The open root directory of a running container: ID=FD (from ourselves)' -r
complete -c coracle -n "__fish_coracle_using_subcommand export" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand port" -s a -l all -d 'All containers'
complete -c coracle -n "__fish_coracle_using_subcommand port" -s l -l latest -d 'The container that was created last'
complete -c coracle -n "__fish_coracle_using_subcommand port" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand rename" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand pause" -l cidfile -d 'Read the id from a file' -r
complete -c coracle -n "__fish_coracle_using_subcommand pause" -s f -l filter -d 'Only containers that match, see ps' -r
complete -c coracle -n "__fish_coracle_using_subcommand pause" -s a -l all -d 'All containers'
complete -c coracle -n "__fish_coracle_using_subcommand pause" -s l -l latest -d 'The container that was created last'
complete -c coracle -n "__fish_coracle_using_subcommand pause" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand unpause" -l cidfile -d 'Read the id from a file' -r
complete -c coracle -n "__fish_coracle_using_subcommand unpause" -s f -l filter -d 'Only containers that match, see ps' -r
complete -c coracle -n "__fish_coracle_using_subcommand unpause" -s a -l all -d 'All containers'
complete -c coracle -n "__fish_coracle_using_subcommand unpause" -s l -l latest -d 'The container that was created last'
complete -c coracle -n "__fish_coracle_using_subcommand unpause" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand update" -s m -l memory -d 'Memory limit: a number with b, k, m or g' -r
complete -c coracle -n "__fish_coracle_using_subcommand update" -l memory-reservation -d 'Soft memory limit' -r
complete -c coracle -n "__fish_coracle_using_subcommand update" -l memory-swap -d 'Limit of memory and swap together; -1 for unlimited swap' -r
complete -c coracle -n "__fish_coracle_using_subcommand update" -l cpus -d 'Number of CPUs, for example 0.5' -r
complete -c coracle -n "__fish_coracle_using_subcommand update" -l cpu-quota -d 'CPU time in microseconds for each period' -r
complete -c coracle -n "__fish_coracle_using_subcommand update" -l cpu-period -d 'The period in microseconds' -r
complete -c coracle -n "__fish_coracle_using_subcommand update" -s c -l cpu-shares -d 'CPU share relative to other containers; 1024 is normal' -r
complete -c coracle -n "__fish_coracle_using_subcommand update" -l cpuset-cpus -d 'CPUs to run on' -r
complete -c coracle -n "__fish_coracle_using_subcommand update" -l cpuset-mems -d 'Memory nodes to use' -r
complete -c coracle -n "__fish_coracle_using_subcommand update" -l pids-limit -d 'Number of processes; -1 or 0 for unlimited' -r
complete -c coracle -n "__fish_coracle_using_subcommand update" -l blkio-weight -d 'Share of disk bandwidth, 10 to 1000' -r
complete -c coracle -n "__fish_coracle_using_subcommand update" -l device-read-bps -d 'Most bytes that are read from a disk in a second' -r
complete -c coracle -n "__fish_coracle_using_subcommand update" -l device-write-bps -d 'Most bytes that are written to a disk in a second' -r
complete -c coracle -n "__fish_coracle_using_subcommand update" -l device-read-iops -d 'Most reads from a disk in a second' -r
complete -c coracle -n "__fish_coracle_using_subcommand update" -l device-write-iops -d 'Most writes to a disk in a second' -r
complete -c coracle -n "__fish_coracle_using_subcommand update" -l cgroup-conf -d 'A file of the cgroup and what to write to it' -r
complete -c coracle -n "__fish_coracle_using_subcommand update" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand pull" -l arch -d 'Architecture of the image' -r
complete -c coracle -n "__fish_coracle_using_subcommand pull" -l authfile -d 'File with credentials' -r -F
complete -c coracle -n "__fish_coracle_using_subcommand pull" -l creds -d 'Credentials' -r
complete -c coracle -n "__fish_coracle_using_subcommand pull" -l os -d 'Operating system of the image' -r
complete -c coracle -n "__fish_coracle_using_subcommand pull" -l platform -d 'Platform of the image: os/arch[/variant]' -r
complete -c coracle -n "__fish_coracle_using_subcommand pull" -l policy -d 'When to pull: always, missing, newer or never' -r
complete -c coracle -n "__fish_coracle_using_subcommand pull" -l tls-verify -d 'Require TLS and check certificates' -r
complete -c coracle -n "__fish_coracle_using_subcommand pull" -l variant -d 'Architecture variant of the image' -r
complete -c coracle -n "__fish_coracle_using_subcommand pull" -l id-file -d 'Write the id to this file instead of stdout (`run` asks for it)' -r -F
complete -c coracle -n "__fish_coracle_using_subcommand pull" -s q -l quiet -d 'Show no progress'
complete -c coracle -n "__fish_coracle_using_subcommand pull" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand images" -s f -l filter -d 'Only images that match: reference, id, label, before, since, until, dangling, containers, digest, readonly' -r
complete -c coracle -n "__fish_coracle_using_subcommand images" -l format -d 'json, a Go template, or `table` and a template' -r
complete -c coracle -n "__fish_coracle_using_subcommand images" -l sort -d 'Order: created, id, repository, size, tag' -r
complete -c coracle -n "__fish_coracle_using_subcommand images" -s a -l all -d 'Images without a name are always listed; this is for scripts'
complete -c coracle -n "__fish_coracle_using_subcommand images" -l digests -d 'Show digests'
complete -c coracle -n "__fish_coracle_using_subcommand images" -l no-trunc -d 'Show ids in full'
complete -c coracle -n "__fish_coracle_using_subcommand images" -s n -l noheading -d 'Print no header'
complete -c coracle -n "__fish_coracle_using_subcommand images" -s q -l quiet -d 'Print only ids'
complete -c coracle -n "__fish_coracle_using_subcommand images" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand load" -s i -l input -d 'Read this file instead of stdin' -r
complete -c coracle -n "__fish_coracle_using_subcommand load" -s q -l quiet -d 'Show no progress'
complete -c coracle -n "__fish_coracle_using_subcommand load" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand history" -l format -d 'json, or a Go template' -r
complete -c coracle -n "__fish_coracle_using_subcommand history" -s H -l human -d 'Sizes and times for people; false: bytes and dates' -r
complete -c coracle -n "__fish_coracle_using_subcommand history" -l no-trunc -d 'Show everything in full'
complete -c coracle -n "__fish_coracle_using_subcommand history" -s q -l quiet -d 'Print only ids'
complete -c coracle -n "__fish_coracle_using_subcommand history" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand rmi" -s a -l all -d 'All images'
complete -c coracle -n "__fish_coracle_using_subcommand rmi" -s f -l force -d 'All names of the image, and the containers that use it'
complete -c coracle -n "__fish_coracle_using_subcommand rmi" -s i -l ignore -d 'Do not complain about images that do not exist'
complete -c coracle -n "__fish_coracle_using_subcommand rmi" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand tag" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand untag" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand login" -l authfile -d 'File with credentials' -r -F
complete -c coracle -n "__fish_coracle_using_subcommand login" -s p -l password -d 'Password; others can see it in the process list' -r
complete -c coracle -n "__fish_coracle_using_subcommand login" -l tls-verify -d 'Require TLS and check certificates' -r
complete -c coracle -n "__fish_coracle_using_subcommand login" -s u -l username -d 'User name' -r
complete -c coracle -n "__fish_coracle_using_subcommand login" -l get-login -d 'Print the user that is logged in'
complete -c coracle -n "__fish_coracle_using_subcommand login" -l password-stdin -d 'Read the password from stdin'
complete -c coracle -n "__fish_coracle_using_subcommand login" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand logout" -l authfile -d 'File with credentials' -r -F
complete -c coracle -n "__fish_coracle_using_subcommand logout" -s a -l all -d 'All registries'
complete -c coracle -n "__fish_coracle_using_subcommand logout" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand bundle" -s e -l env -d 'Set an environment variable; KEY alone or PREFIX* takes the values from the host' -r
complete -c coracle -n "__fish_coracle_using_subcommand bundle" -l env-file -d 'Read environment variables from a file, one KEY=VALUE a line' -r
complete -c coracle -n "__fish_coracle_using_subcommand bundle" -l entrypoint -d 'Replace the image\'s entrypoint: a program, or a JSON array' -r
complete -c coracle -n "__fish_coracle_using_subcommand bundle" -s w -l workdir -d 'Working directory in the container' -r
complete -c coracle -n "__fish_coracle_using_subcommand bundle" -s u -l user -d 'User and group: a name of the image\'s, or a number' -r
complete -c coracle -n "__fish_coracle_using_subcommand bundle" -s v -l volume -d 'Mount a directory or file of the machine that the container starts on' -r
complete -c coracle -n "__fish_coracle_using_subcommand bundle" -l tmpfs -d 'Mount an empty file system in memory' -r
complete -c coracle -n "__fish_coracle_using_subcommand bundle" -l network -d 'Network: host, or none' -r
complete -c coracle -n "__fish_coracle_using_subcommand bundle" -l pid -d 'Process namespace: private or host' -r
complete -c coracle -n "__fish_coracle_using_subcommand bundle" -l ipc -d 'IPC namespace and /dev/shm: host, so that the tasks of a node share memory, or private' -r
complete -c coracle -n "__fish_coracle_using_subcommand bundle" -l hostname -d 'Host name in the container; the machine\'s if not given' -r
complete -c coracle -n "__fish_coracle_using_subcommand bundle" -l pull -d 'When to pull: missing, always, newer or never' -r
complete -c coracle -n "__fish_coracle_using_subcommand bundle" -l platform -d 'Platform of the image: os/arch[/variant]' -r
complete -c coracle -n "__fish_coracle_using_subcommand bundle" -l arch -d 'Architecture of the image' -r
complete -c coracle -n "__fish_coracle_using_subcommand bundle" -l os -d 'Operating system of the image' -r
complete -c coracle -n "__fish_coracle_using_subcommand bundle" -l variant -d 'Architecture variant of the image' -r
complete -c coracle -n "__fish_coracle_using_subcommand bundle" -l authfile -d 'File with credentials for a pull' -r
complete -c coracle -n "__fish_coracle_using_subcommand bundle" -l tls-verify -d 'Require TLS and check certificates for a pull' -r
complete -c coracle -n "__fish_coracle_using_subcommand bundle" -l single-uid -d 'Map only yourself, as root of the container, and make all files yours'
complete -c coracle -n "__fish_coracle_using_subcommand bundle" -l read-only -d 'Make the root file system read-only, with /run, /tmp and /var/tmp in memory'
complete -c coracle -n "__fish_coracle_using_subcommand bundle" -s q -l quiet -d 'Show no progress of a pull'
complete -c coracle -n "__fish_coracle_using_subcommand bundle" -l files-only -d 'Only the files, into a directory that was made for them (from ourselves)'
complete -c coracle -n "__fish_coracle_using_subcommand bundle" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand info" -s f -l format -d 'json, or a Go template: {{.Host.OCIRuntime.Name}}' -r
complete -c coracle -n "__fish_coracle_using_subcommand info" -s D -l debug -d 'Also the checks of doctor'
complete -c coracle -n "__fish_coracle_using_subcommand info" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand version" -s f -l format -d 'json, or a Go template: {{.Client.Version}}' -r
complete -c coracle -n "__fish_coracle_using_subcommand version" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand doctor" -l json -d 'Print JSON'
complete -c coracle -n "__fish_coracle_using_subcommand doctor" -l fix-script -d 'Print a shell script of the fixes for the administrator'
complete -c coracle -n "__fish_coracle_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand unshare" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand host" -s e -l env -d 'Set an environment variable' -r
complete -c coracle -n "__fish_coracle_using_subcommand host" -s w -l workdir -d 'Working directory on the host' -r
complete -c coracle -n "__fish_coracle_using_subcommand host" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand completion" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand container; and not __fish_seen_subcommand_from attach cp create exec exists export inspect kill list ls ps logs pause port prune rename restart rm run start stop top unpause update wait" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand container; and not __fish_seen_subcommand_from attach cp create exec exists export inspect kill list ls ps logs pause port prune rename restart rm run start stop top unpause update wait" -f -a "attach" -d 'Connect to a running container\'s terminal or streams'
complete -c coracle -n "__fish_coracle_using_subcommand container; and not __fish_seen_subcommand_from attach cp create exec exists export inspect kill list ls ps logs pause port prune rename restart rm run start stop top unpause update wait" -f -a "cp" -d 'Copy files between the host and containers, running or not'
complete -c coracle -n "__fish_coracle_using_subcommand container; and not __fish_seen_subcommand_from attach cp create exec exists export inspect kill list ls ps logs pause port prune rename restart rm run start stop top unpause update wait" -f -a "create" -d 'Make a container without starting it, and print its id'
complete -c coracle -n "__fish_coracle_using_subcommand container; and not __fish_seen_subcommand_from attach cp create exec exists export inspect kill list ls ps logs pause port prune rename restart rm run start stop top unpause update wait" -f -a "exec" -d 'Run a command in a running container'
complete -c coracle -n "__fish_coracle_using_subcommand container; and not __fish_seen_subcommand_from attach cp create exec exists export inspect kill list ls ps logs pause port prune rename restart rm run start stop top unpause update wait" -f -a "exists" -d 'Check whether a container exists: exit code 0 or 1'
complete -c coracle -n "__fish_coracle_using_subcommand container; and not __fish_seen_subcommand_from attach cp create exec exists export inspect kill list ls ps logs pause port prune rename restart rm run start stop top unpause update wait" -f -a "export" -d 'Write the files of a container to a tar archive'
complete -c coracle -n "__fish_coracle_using_subcommand container; and not __fish_seen_subcommand_from attach cp create exec exists export inspect kill list ls ps logs pause port prune rename restart rm run start stop top unpause update wait" -f -a "inspect" -d 'Show everything about containers'
complete -c coracle -n "__fish_coracle_using_subcommand container; and not __fish_seen_subcommand_from attach cp create exec exists export inspect kill list ls ps logs pause port prune rename restart rm run start stop top unpause update wait" -f -a "kill" -d 'Send a signal to containers'
complete -c coracle -n "__fish_coracle_using_subcommand container; and not __fish_seen_subcommand_from attach cp create exec exists export inspect kill list ls ps logs pause port prune rename restart rm run start stop top unpause update wait" -f -a "list" -d 'List containers'
complete -c coracle -n "__fish_coracle_using_subcommand container; and not __fish_seen_subcommand_from attach cp create exec exists export inspect kill list ls ps logs pause port prune rename restart rm run start stop top unpause update wait" -f -a "ls" -d 'List containers'
complete -c coracle -n "__fish_coracle_using_subcommand container; and not __fish_seen_subcommand_from attach cp create exec exists export inspect kill list ls ps logs pause port prune rename restart rm run start stop top unpause update wait" -f -a "ps" -d 'List containers'
complete -c coracle -n "__fish_coracle_using_subcommand container; and not __fish_seen_subcommand_from attach cp create exec exists export inspect kill list ls ps logs pause port prune rename restart rm run start stop top unpause update wait" -f -a "logs" -d 'Show what containers wrote'
complete -c coracle -n "__fish_coracle_using_subcommand container; and not __fish_seen_subcommand_from attach cp create exec exists export inspect kill list ls ps logs pause port prune rename restart rm run start stop top unpause update wait" -f -a "pause" -d 'Freeze all processes of containers'
complete -c coracle -n "__fish_coracle_using_subcommand container; and not __fish_seen_subcommand_from attach cp create exec exists export inspect kill list ls ps logs pause port prune rename restart rm run start stop top unpause update wait" -f -a "port" -d 'Show the published ports of a container'
complete -c coracle -n "__fish_coracle_using_subcommand container; and not __fish_seen_subcommand_from attach cp create exec exists export inspect kill list ls ps logs pause port prune rename restart rm run start stop top unpause update wait" -f -a "prune" -d 'Remove all containers that are not running'
complete -c coracle -n "__fish_coracle_using_subcommand container; and not __fish_seen_subcommand_from attach cp create exec exists export inspect kill list ls ps logs pause port prune rename restart rm run start stop top unpause update wait" -f -a "rename" -d 'Give a container another name'
complete -c coracle -n "__fish_coracle_using_subcommand container; and not __fish_seen_subcommand_from attach cp create exec exists export inspect kill list ls ps logs pause port prune rename restart rm run start stop top unpause update wait" -f -a "restart" -d 'Stop containers and start them again'
complete -c coracle -n "__fish_coracle_using_subcommand container; and not __fish_seen_subcommand_from attach cp create exec exists export inspect kill list ls ps logs pause port prune rename restart rm run start stop top unpause update wait" -f -a "rm" -d 'Remove containers'
complete -c coracle -n "__fish_coracle_using_subcommand container; and not __fish_seen_subcommand_from attach cp create exec exists export inspect kill list ls ps logs pause port prune rename restart rm run start stop top unpause update wait" -f -a "run" -d 'Make a container and run a command in it'
complete -c coracle -n "__fish_coracle_using_subcommand container; and not __fish_seen_subcommand_from attach cp create exec exists export inspect kill list ls ps logs pause port prune rename restart rm run start stop top unpause update wait" -f -a "start" -d 'Start containers'
complete -c coracle -n "__fish_coracle_using_subcommand container; and not __fish_seen_subcommand_from attach cp create exec exists export inspect kill list ls ps logs pause port prune rename restart rm run start stop top unpause update wait" -f -a "stop" -d 'Stop running containers'
complete -c coracle -n "__fish_coracle_using_subcommand container; and not __fish_seen_subcommand_from attach cp create exec exists export inspect kill list ls ps logs pause port prune rename restart rm run start stop top unpause update wait" -f -a "top" -d 'Show the processes of a container'
complete -c coracle -n "__fish_coracle_using_subcommand container; and not __fish_seen_subcommand_from attach cp create exec exists export inspect kill list ls ps logs pause port prune rename restart rm run start stop top unpause update wait" -f -a "unpause" -d 'Let paused containers go on'
complete -c coracle -n "__fish_coracle_using_subcommand container; and not __fish_seen_subcommand_from attach cp create exec exists export inspect kill list ls ps logs pause port prune rename restart rm run start stop top unpause update wait" -f -a "update" -d 'Change the limits of a container, running or not'
complete -c coracle -n "__fish_coracle_using_subcommand container; and not __fish_seen_subcommand_from attach cp create exec exists export inspect kill list ls ps logs pause port prune rename restart rm run start stop top unpause update wait" -f -a "wait" -d 'Wait until containers end, and print their exit codes'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from attach" -l detach-keys -d 'Keys that detach from the container; empty for none' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from attach" -l sig-proxy -d 'Pass signals to the container (not with a terminal, where keys do it)' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from attach" -l no-stdin -d 'Do not connect stdin'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from attach" -s l -l latest -d 'The container that was created last'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from attach" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from cp" -s a -l archive -d 'Keep owners' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from cp" -l root-fd -d 'Open root directories of running containers: ID=FD (from ourselves)' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from cp" -l overwrite -d 'Let a directory replace a file, and a file a directory'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from cp" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -s e -l env -d 'Set an environment variable; KEY alone or PREFIX* takes the values from the host' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l env-file -d 'Read environment variables from a file, one KEY=VALUE a line' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l http-proxy -d 'Pass the host\'s proxy variables (http_proxy, no_proxy, …)' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l unsetenv -d 'Remove a variable of the image\'s environment' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -s w -l workdir -d 'Working directory in the container' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -s u -l user -d 'User and group: a name of the image\'s, or a number' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l group-add -d 'Additional groups: names of the image\'s, or numbers' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -s h -l hostname -d 'Host name in the container; the container\'s short id if not given' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l umask -d 'Umask in octal' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l ulimit -d 'Resource limits of setrlimit(2), or host: the caller\'s own' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l oom-score-adj -d 'How likely the kernel kills the container when memory runs out, -1000 to 1000' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l tz -d 'Time zone: a name such as Europe/Berlin, or `local`' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l sysctl -d 'Kernel parameters of the container\'s namespaces' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -s v -l volume -d 'Mount a host directory or file (a path), or a named volume' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l mount -d 'Mount by keys: type=bind|volume|tmpfs|devpts,src=…,dst=…,ro' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l tmpfs -d 'Mount an empty file system in memory' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l read-only-tmpfs -d 'With --read-only: keep /dev/shm, /run, /tmp and /var/tmp writable, in memory' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l image-volume -d 'What becomes of the image\'s volumes: bind (an anonymous volume), tmpfs or ignore' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l device -d 'Give a device of the host: its node, or its CDI name vendor.com/class=name' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l gpus -d 'Give GPUs: all, or their numbers or names, by CDI (nvidia.com/gpu, amd.com/gpu); without a spec, from the driver\'s files' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l shm-size -d 'Size of /dev/shm' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l overlay -d 'With an image in one file: keep what is written in this directory, for the next container' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -s m -l memory -d 'Memory limit: a number with b, k, m or g' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l memory-reservation -d 'Soft memory limit' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l memory-swap -d 'Limit of memory and swap together; -1 for unlimited swap' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l cpus -d 'Number of CPUs, for example 0.5' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l cpu-quota -d 'CPU time in microseconds for each period' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l cpu-period -d 'The period in microseconds' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -s c -l cpu-shares -d 'CPU share relative to other containers; 1024 is normal' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l cpuset-cpus -d 'CPUs to run on' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l cpuset-mems -d 'Memory nodes to use' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l pids-limit -d 'Number of processes; -1 or 0 for unlimited' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l blkio-weight -d 'Share of disk bandwidth, 10 to 1000' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l device-read-bps -d 'Most bytes that are read from a disk in a second' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l device-write-bps -d 'Most bytes that are written to a disk in a second' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l device-read-iops -d 'Most reads from a disk in a second' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l device-write-iops -d 'Most writes to a disk in a second' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l cgroup-conf -d 'A file of the cgroup and what to write to it' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l network -l net -d 'none, host or slirp4netns[:OPTIONS]' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -s p -l publish -d 'Publish a port of the container, or a range of them' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l expose -d 'Name a port that the container listens on' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l dns -d 'DNS servers; `none` keeps the image\'s /etc/resolv.conf' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l dns-search -d 'DNS search domains; `.` for none' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l dns-option -l dns-opt -d 'DNS options' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l add-host -d 'Add a line to /etc/hosts; the address may be host-gateway' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l cap-add -d 'Add a capability, or all' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l cap-drop -d 'Drop a capability, or all' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l security-opt -d 'seccomp=FILE|unconfined, no-new-privileges, mask=PATHS, unmask=PATHS|ALL' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l userns -d 'How users are mapped: host, keep-id[:uid=N,gid=N] or nomap' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l pid -d 'Process namespace: private or host' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l ipc -d 'IPC namespace: private or host' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l uts -d 'Host name namespace: private or host' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l cgroupns -d 'Cgroup namespace: private or host' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l hpc -d 'As on the host: your user and groups, home, /tmp, current directory, environment, network and processes, and no new privileges' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l module -d 'Add what this site\'s module of that name stands for: files, devices, variables and flags (podman-hpc\'s modules.d)' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l name -d 'Name of the container' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l entrypoint -d 'Replace the image\'s entrypoint: a program, or a JSON array' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -s l -l label -d 'Set a label' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l label-file -d 'Read labels from a file' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l annotation -d 'Set an annotation of the OCI runtime' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l restart -d 'Restart when it ends: no, always, unless-stopped, on-failure[:N]; after a reboot, coracle-restart.service does it' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l stop-signal -d 'Signal that `stop` sends first' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l stop-timeout -d 'Seconds until `stop` kills' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l timeout -d 'Kill the container after this many seconds' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l log-driver -d 'Where output goes: k8s-file, none or passthrough' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l log-opt -d 'max-size=SIZE, path=FILE' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l cgroups -d 'Cgroups of its own: enabled or disabled' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l cidfile -d 'Write the container\'s id to this file, which must not exist' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l pidfile -d 'Write the process id of the container to this file' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l systemd -d 'Prepare it for systemd as its first process: true (when the command is an init), always or false' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l pull -d 'When to pull: missing, always, newer or never' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l platform -d 'Platform of the image: os/arch[/variant]' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l arch -d 'Architecture of the image' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l os -d 'Operating system of the image' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l variant -d 'Architecture variant of the image' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l authfile -d 'File with credentials for a pull' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l tls-verify -d 'Require TLS and check certificates for a pull' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -s t -l tty -d 'Allocate a terminal for the container'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -s i -l interactive -d 'Keep stdin open'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l env-host -d 'Pass the whole environment of the host'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l unsetenv-all -d 'Remove all variables of the image\'s environment'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l init -d 'Run a small init as pid 1, which forwards signals and reaps processes'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l read-only -d 'Make the root file system read-only'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l rootfs -d 'IMAGE is a directory with a root file system'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -s P -l publish-all -d 'Publish all exposed ports to free ports of the host'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l no-hosts -d 'Keep the image\'s /etc/hosts'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l no-hostname -d 'Keep the image\'s /etc/hostname'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l privileged -d 'All capabilities of the user namespace, no seccomp filter, no masked paths; still not root of the host'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l replace -d 'Remove a container of the same name first'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l rm -d 'Remove the container and its anonymous volumes when it ends'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l no-healthcheck -d 'Health checks are not run in any case'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -s q -l quiet -d 'Show no progress of a pull'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from create" -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from exec" -l detach-keys -d 'Keys that detach from the command; empty for none' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from exec" -s e -l env -d 'Set an environment variable; KEY alone or PREFIX* takes the values from the host' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from exec" -l env-file -d 'Read environment variables from a file, one KEY=VALUE a line' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from exec" -l preserve-fds -d 'Pass this many open files from number 3 on' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from exec" -s u -l user -d 'User and group: a name of the container\'s, or a number' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from exec" -s w -l workdir -d 'Working directory in the container' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from exec" -s d -l detach -d 'Run in the background'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from exec" -s i -l interactive -d 'Connect stdin'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from exec" -s l -l latest -d 'The container that was created last'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from exec" -l privileged -d 'All capabilities of the container\'s user namespace'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from exec" -s t -l tty -d 'Allocate a terminal'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from exec" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from exists" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from export" -s o -l output -d 'Write to this file instead of stdout' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from export" -l root-fd -d 'The open root directory of a running container: ID=FD (from ourselves)' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from inspect" -s f -l format -d 'json, or a Go template' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from inspect" -s l -l latest -d 'The container that was created last'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from inspect" -s s -l size -d 'Also how much the container has written'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from inspect" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from kill" -l cidfile -d 'Read the id from a file' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from kill" -s s -l signal -d 'The signal, by name or number' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from kill" -s a -l all -d 'All running containers'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from kill" -s l -l latest -d 'The container that was created last'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from kill" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from list" -s f -l filter -d 'Only containers that match' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from list" -l format -d 'json, a Go template, or `table` and a template' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from list" -s n -l last -d 'Only the last N containers, in any state' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from list" -l sort -d 'Order: command, created, id, image, names, runningfor, size, status' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from list" -s a -l all -d 'Also containers that are not running'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from list" -s l -l latest -d 'Only the container that was created last'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from list" -l no-trunc -d 'Show ids and commands in full'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from list" -l noheading -d 'Print no header'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Print only ids'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from list" -s s -l size -d 'Show what the container has written, in bytes'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from ls" -s f -l filter -d 'Only containers that match' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from ls" -l format -d 'json, a Go template, or `table` and a template' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from ls" -s n -l last -d 'Only the last N containers, in any state' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from ls" -l sort -d 'Order: command, created, id, image, names, runningfor, size, status' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from ls" -s a -l all -d 'Also containers that are not running'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from ls" -s l -l latest -d 'Only the container that was created last'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from ls" -l no-trunc -d 'Show ids and commands in full'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from ls" -l noheading -d 'Print no header'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from ls" -s q -l quiet -d 'Print only ids'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from ls" -s s -l size -d 'Show what the container has written, in bytes'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from ls" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from ps" -s f -l filter -d 'Only containers that match' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from ps" -l format -d 'json, a Go template, or `table` and a template' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from ps" -s n -l last -d 'Only the last N containers, in any state' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from ps" -l sort -d 'Order: command, created, id, image, names, runningfor, size, status' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from ps" -s a -l all -d 'Also containers that are not running'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from ps" -s l -l latest -d 'Only the container that was created last'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from ps" -l no-trunc -d 'Show ids and commands in full'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from ps" -l noheading -d 'Print no header'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from ps" -s q -l quiet -d 'Print only ids'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from ps" -s s -l size -d 'Show what the container has written, in bytes'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from ps" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from logs" -l since -d 'Only what was written after this time, or in this duration' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from logs" -l tail -d 'Only the last N lines; -1 for all' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from logs" -l until -d 'Only what was written before this time' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from logs" -l color -d 'Colour what says whose line it is'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from logs" -s f -l follow -d 'Go on until the container ends'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from logs" -s l -l latest -d 'The container that was created last'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from logs" -s n -l names -d 'With several containers, put their names before the lines instead of their ids'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from logs" -s t -l timestamps -d 'Put its time before each line'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from logs" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from pause" -l cidfile -d 'Read the id from a file' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from pause" -s f -l filter -d 'Only containers that match, see ps' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from pause" -s a -l all -d 'All containers'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from pause" -s l -l latest -d 'The container that was created last'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from pause" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from port" -s a -l all -d 'All containers'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from port" -s l -l latest -d 'The container that was created last'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from port" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from prune" -l filter -d 'Only containers that match: label, until, name, …' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from prune" -s f -l force -d 'Do not ask'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from prune" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from rename" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from restart" -l cidfile -d 'Read the id from a file' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from restart" -s f -l filter -d 'Only containers that match, see ps' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from restart" -s t -l time -d 'Seconds before SIGKILL; negative: never' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from restart" -s a -l all -d 'All containers'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from restart" -s l -l latest -d 'The container that was created last'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from restart" -l running -d 'All running containers'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from restart" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from rm" -l cidfile -d 'Read the id from a file' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from rm" -l filter -d 'Only containers that match, see ps' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from rm" -s t -l time -d 'With --force: seconds before SIGKILL; negative: never' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from rm" -s a -l all -d 'All containers'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from rm" -s l -l latest -d 'The container that was created last'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from rm" -s f -l force -d 'Stop running containers first'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from rm" -s i -l ignore -d 'Do not complain about containers that do not exist'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from rm" -s v -l volumes -d 'Also remove their anonymous volumes'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from rm" -l quiet -d 'Print nothing for what went well (`run --replace`)'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from rm" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l preserve-fds -d 'Pass this many open files from number 3 on' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l share-ranks -d 'Share one container with the other ranks of the job step on this node (srun, mpirun)' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -s a -l attach -d 'Connect stdin, stdout or stderr; stdout and stderr go together' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l detach-keys -d 'Keys that detach from the container; empty for none' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l sig-proxy -d 'Pass signals to the container (not with a terminal, where keys do it)' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -s e -l env -d 'Set an environment variable; KEY alone or PREFIX* takes the values from the host' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l env-file -d 'Read environment variables from a file, one KEY=VALUE a line' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l http-proxy -d 'Pass the host\'s proxy variables (http_proxy, no_proxy, …)' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l unsetenv -d 'Remove a variable of the image\'s environment' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -s w -l workdir -d 'Working directory in the container' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -s u -l user -d 'User and group: a name of the image\'s, or a number' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l group-add -d 'Additional groups: names of the image\'s, or numbers' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -s h -l hostname -d 'Host name in the container; the container\'s short id if not given' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l umask -d 'Umask in octal' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l ulimit -d 'Resource limits of setrlimit(2), or host: the caller\'s own' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l oom-score-adj -d 'How likely the kernel kills the container when memory runs out, -1000 to 1000' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l tz -d 'Time zone: a name such as Europe/Berlin, or `local`' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l sysctl -d 'Kernel parameters of the container\'s namespaces' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -s v -l volume -d 'Mount a host directory or file (a path), or a named volume' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l mount -d 'Mount by keys: type=bind|volume|tmpfs|devpts,src=…,dst=…,ro' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l tmpfs -d 'Mount an empty file system in memory' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l read-only-tmpfs -d 'With --read-only: keep /dev/shm, /run, /tmp and /var/tmp writable, in memory' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l image-volume -d 'What becomes of the image\'s volumes: bind (an anonymous volume), tmpfs or ignore' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l device -d 'Give a device of the host: its node, or its CDI name vendor.com/class=name' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l gpus -d 'Give GPUs: all, or their numbers or names, by CDI (nvidia.com/gpu, amd.com/gpu); without a spec, from the driver\'s files' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l shm-size -d 'Size of /dev/shm' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l overlay -d 'With an image in one file: keep what is written in this directory, for the next container' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -s m -l memory -d 'Memory limit: a number with b, k, m or g' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l memory-reservation -d 'Soft memory limit' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l memory-swap -d 'Limit of memory and swap together; -1 for unlimited swap' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l cpus -d 'Number of CPUs, for example 0.5' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l cpu-quota -d 'CPU time in microseconds for each period' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l cpu-period -d 'The period in microseconds' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -s c -l cpu-shares -d 'CPU share relative to other containers; 1024 is normal' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l cpuset-cpus -d 'CPUs to run on' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l cpuset-mems -d 'Memory nodes to use' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l pids-limit -d 'Number of processes; -1 or 0 for unlimited' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l blkio-weight -d 'Share of disk bandwidth, 10 to 1000' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l device-read-bps -d 'Most bytes that are read from a disk in a second' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l device-write-bps -d 'Most bytes that are written to a disk in a second' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l device-read-iops -d 'Most reads from a disk in a second' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l device-write-iops -d 'Most writes to a disk in a second' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l cgroup-conf -d 'A file of the cgroup and what to write to it' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l network -l net -d 'none, host or slirp4netns[:OPTIONS]' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -s p -l publish -d 'Publish a port of the container, or a range of them' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l expose -d 'Name a port that the container listens on' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l dns -d 'DNS servers; `none` keeps the image\'s /etc/resolv.conf' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l dns-search -d 'DNS search domains; `.` for none' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l dns-option -l dns-opt -d 'DNS options' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l add-host -d 'Add a line to /etc/hosts; the address may be host-gateway' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l cap-add -d 'Add a capability, or all' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l cap-drop -d 'Drop a capability, or all' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l security-opt -d 'seccomp=FILE|unconfined, no-new-privileges, mask=PATHS, unmask=PATHS|ALL' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l userns -d 'How users are mapped: host, keep-id[:uid=N,gid=N] or nomap' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l pid -d 'Process namespace: private or host' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l ipc -d 'IPC namespace: private or host' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l uts -d 'Host name namespace: private or host' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l cgroupns -d 'Cgroup namespace: private or host' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l hpc -d 'As on the host: your user and groups, home, /tmp, current directory, environment, network and processes, and no new privileges' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l module -d 'Add what this site\'s module of that name stands for: files, devices, variables and flags (podman-hpc\'s modules.d)' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l name -d 'Name of the container' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l entrypoint -d 'Replace the image\'s entrypoint: a program, or a JSON array' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -s l -l label -d 'Set a label' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l label-file -d 'Read labels from a file' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l annotation -d 'Set an annotation of the OCI runtime' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l restart -d 'Restart when it ends: no, always, unless-stopped, on-failure[:N]; after a reboot, coracle-restart.service does it' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l stop-signal -d 'Signal that `stop` sends first' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l stop-timeout -d 'Seconds until `stop` kills' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l timeout -d 'Kill the container after this many seconds' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l log-driver -d 'Where output goes: k8s-file, none or passthrough' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l log-opt -d 'max-size=SIZE, path=FILE' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l cgroups -d 'Cgroups of its own: enabled or disabled' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l cidfile -d 'Write the container\'s id to this file, which must not exist' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l pidfile -d 'Write the process id of the container to this file' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l systemd -d 'Prepare it for systemd as its first process: true (when the command is an init), always or false' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l pull -d 'When to pull: missing, always, newer or never' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l platform -d 'Platform of the image: os/arch[/variant]' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l arch -d 'Architecture of the image' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l os -d 'Operating system of the image' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l variant -d 'Architecture variant of the image' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l authfile -d 'File with credentials for a pull' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l tls-verify -d 'Require TLS and check certificates for a pull' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -s d -l detach -d 'Run in the background and print the container\'s id'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -s t -l tty -d 'Allocate a terminal for the container'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -s i -l interactive -d 'Keep stdin open'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l env-host -d 'Pass the whole environment of the host'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l unsetenv-all -d 'Remove all variables of the image\'s environment'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l init -d 'Run a small init as pid 1, which forwards signals and reaps processes'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l read-only -d 'Make the root file system read-only'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l rootfs -d 'IMAGE is a directory with a root file system'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -s P -l publish-all -d 'Publish all exposed ports to free ports of the host'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l no-hosts -d 'Keep the image\'s /etc/hosts'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l no-hostname -d 'Keep the image\'s /etc/hostname'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l privileged -d 'All capabilities of the user namespace, no seccomp filter, no masked paths; still not root of the host'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l replace -d 'Remove a container of the same name first'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l rm -d 'Remove the container and its anonymous volumes when it ends'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l no-healthcheck -d 'Health checks are not run in any case'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -s q -l quiet -d 'Show no progress of a pull'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from run" -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from start" -l detach-keys -d 'Keys that detach from the container; empty for none' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from start" -l sig-proxy -d 'Pass signals to the container (not with a terminal, where keys do it)' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from start" -s f -l filter -d 'Only containers that match, see ps' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from start" -s a -l attach -d 'Stay connected to the container; the exit code is its own'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from start" -s i -l interactive -d 'Connect stdin too'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from start" -l all -d 'All containers that are not running'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from start" -s l -l latest -d 'The container that was created last'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from start" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from stop" -l cidfile -d 'Read the id from a file' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from stop" -s f -l filter -d 'Only containers that match, see ps' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from stop" -s t -l time -d 'Seconds before SIGKILL; negative: never' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from stop" -s a -l all -d 'All containers'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from stop" -s l -l latest -d 'The container that was created last'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from stop" -s i -l ignore -d 'Do not complain about containers that do not exist'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from stop" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from top" -s l -l latest -d 'The container that was created last'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from top" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from unpause" -l cidfile -d 'Read the id from a file' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from unpause" -s f -l filter -d 'Only containers that match, see ps' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from unpause" -s a -l all -d 'All containers'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from unpause" -s l -l latest -d 'The container that was created last'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from unpause" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from update" -s m -l memory -d 'Memory limit: a number with b, k, m or g' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from update" -l memory-reservation -d 'Soft memory limit' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from update" -l memory-swap -d 'Limit of memory and swap together; -1 for unlimited swap' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from update" -l cpus -d 'Number of CPUs, for example 0.5' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from update" -l cpu-quota -d 'CPU time in microseconds for each period' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from update" -l cpu-period -d 'The period in microseconds' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from update" -s c -l cpu-shares -d 'CPU share relative to other containers; 1024 is normal' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from update" -l cpuset-cpus -d 'CPUs to run on' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from update" -l cpuset-mems -d 'Memory nodes to use' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from update" -l pids-limit -d 'Number of processes; -1 or 0 for unlimited' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from update" -l blkio-weight -d 'Share of disk bandwidth, 10 to 1000' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from update" -l device-read-bps -d 'Most bytes that are read from a disk in a second' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from update" -l device-write-bps -d 'Most bytes that are written to a disk in a second' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from update" -l device-read-iops -d 'Most reads from a disk in a second' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from update" -l device-write-iops -d 'Most writes to a disk in a second' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from update" -l cgroup-conf -d 'A file of the cgroup and what to write to it' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from update" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from wait" -l condition -d 'What to wait for: created, running, paused, exited or stopped; several are alternatives' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from wait" -s i -l interval -d 'How often to look, for conditions other than the end' -r
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from wait" -l ignore -d 'A container that does not exist counts as ended with -1'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from wait" -s l -l latest -d 'The container that was created last'
complete -c coracle -n "__fish_coracle_using_subcommand container; and __fish_seen_subcommand_from wait" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand image; and not __fish_seen_subcommand_from exists history inspect list ls load prune pull rm squash tag untag" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand image; and not __fish_seen_subcommand_from exists history inspect list ls load prune pull rm squash tag untag" -f -a "exists" -d 'Check whether an image is in the store: exit code 0 or 1'
complete -c coracle -n "__fish_coracle_using_subcommand image; and not __fish_seen_subcommand_from exists history inspect list ls load prune pull rm squash tag untag" -f -a "history" -d 'Show the steps that an image was made of'
complete -c coracle -n "__fish_coracle_using_subcommand image; and not __fish_seen_subcommand_from exists history inspect list ls load prune pull rm squash tag untag" -f -a "inspect" -d 'Show everything about images'
complete -c coracle -n "__fish_coracle_using_subcommand image; and not __fish_seen_subcommand_from exists history inspect list ls load prune pull rm squash tag untag" -f -a "list" -d 'List images'
complete -c coracle -n "__fish_coracle_using_subcommand image; and not __fish_seen_subcommand_from exists history inspect list ls load prune pull rm squash tag untag" -f -a "ls" -d 'List images'
complete -c coracle -n "__fish_coracle_using_subcommand image; and not __fish_seen_subcommand_from exists history inspect list ls load prune pull rm squash tag untag" -f -a "load" -d 'Load images from a docker-archive or oci-archive, compressed or not'
complete -c coracle -n "__fish_coracle_using_subcommand image; and not __fish_seen_subcommand_from exists history inspect list ls load prune pull rm squash tag untag" -f -a "prune" -d 'Remove images without a name; with --all, those that no container uses'
complete -c coracle -n "__fish_coracle_using_subcommand image; and not __fish_seen_subcommand_from exists history inspect list ls load prune pull rm squash tag untag" -f -a "pull" -d 'Pull images from a registry, a directory or an archive, and print their ids'
complete -c coracle -n "__fish_coracle_using_subcommand image; and not __fish_seen_subcommand_from exists history inspect list ls load prune pull rm squash tag untag" -f -a "rm" -d 'Remove images, or names of images'
complete -c coracle -n "__fish_coracle_using_subcommand image; and not __fish_seen_subcommand_from exists history inspect list ls load prune pull rm squash tag untag" -f -a "squash" -d 'Write an image to one file, a squashfs, that `coracle run FILE` runs without unpacking it'
complete -c coracle -n "__fish_coracle_using_subcommand image; and not __fish_seen_subcommand_from exists history inspect list ls load prune pull rm squash tag untag" -f -a "tag" -d 'Give an image more names'
complete -c coracle -n "__fish_coracle_using_subcommand image; and not __fish_seen_subcommand_from exists history inspect list ls load prune pull rm squash tag untag" -f -a "untag" -d 'Take names from an image; without names, all of them'
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from exists" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from history" -l format -d 'json, or a Go template' -r
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from history" -s H -l human -d 'Sizes and times for people; false: bytes and dates' -r
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from history" -l no-trunc -d 'Show everything in full'
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from history" -s q -l quiet -d 'Print only ids'
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from history" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from inspect" -s f -l format -d 'json, or a Go template' -r
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from inspect" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from list" -s f -l filter -d 'Only images that match: reference, id, label, before, since, until, dangling, containers, digest, readonly' -r
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from list" -l format -d 'json, a Go template, or `table` and a template' -r
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from list" -l sort -d 'Order: created, id, repository, size, tag' -r
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from list" -s a -l all -d 'Images without a name are always listed; this is for scripts'
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from list" -l digests -d 'Show digests'
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from list" -l no-trunc -d 'Show ids in full'
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from list" -s n -l noheading -d 'Print no header'
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Print only ids'
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from ls" -s f -l filter -d 'Only images that match: reference, id, label, before, since, until, dangling, containers, digest, readonly' -r
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from ls" -l format -d 'json, a Go template, or `table` and a template' -r
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from ls" -l sort -d 'Order: created, id, repository, size, tag' -r
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from ls" -s a -l all -d 'Images without a name are always listed; this is for scripts'
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from ls" -l digests -d 'Show digests'
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from ls" -l no-trunc -d 'Show ids in full'
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from ls" -s n -l noheading -d 'Print no header'
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from ls" -s q -l quiet -d 'Print only ids'
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from ls" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from load" -s i -l input -d 'Read this file instead of stdin' -r
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from load" -s q -l quiet -d 'Show no progress'
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from load" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from prune" -l filter -d 'Only images that match: label, until' -r
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from prune" -s a -l all -d 'Also images with names, when no container uses them'
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from prune" -s f -l force -d 'Do not ask'
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from prune" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from pull" -l arch -d 'Architecture of the image' -r
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from pull" -l authfile -d 'File with credentials' -r -F
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from pull" -l creds -d 'Credentials' -r
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from pull" -l os -d 'Operating system of the image' -r
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from pull" -l platform -d 'Platform of the image: os/arch[/variant]' -r
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from pull" -l policy -d 'When to pull: always, missing, newer or never' -r
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from pull" -l tls-verify -d 'Require TLS and check certificates' -r
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from pull" -l variant -d 'Architecture variant of the image' -r
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from pull" -l id-file -d 'Write the id to this file instead of stdout (`run` asks for it)' -r -F
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from pull" -s q -l quiet -d 'Show no progress'
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from pull" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from rm" -s a -l all -d 'All images'
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from rm" -s f -l force -d 'All names of the image, and the containers that use it'
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from rm" -s i -l ignore -d 'Do not complain about images that do not exist'
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from rm" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from squash" -l compression-level -d 'zstd\'s compression level, 1 to 22' -r
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from squash" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from tag" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand image; and __fish_seen_subcommand_from untag" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand volume; and not __fish_seen_subcommand_from create exists inspect ls list prune rm remove" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand volume; and not __fish_seen_subcommand_from create exists inspect ls list prune rm remove" -f -a "create" -d 'Make a volume and print its name'
complete -c coracle -n "__fish_coracle_using_subcommand volume; and not __fish_seen_subcommand_from create exists inspect ls list prune rm remove" -f -a "exists" -d 'Check whether a volume exists: exit code 0 or 1'
complete -c coracle -n "__fish_coracle_using_subcommand volume; and not __fish_seen_subcommand_from create exists inspect ls list prune rm remove" -f -a "inspect" -d 'Show everything about volumes'
complete -c coracle -n "__fish_coracle_using_subcommand volume; and not __fish_seen_subcommand_from create exists inspect ls list prune rm remove" -f -a "ls" -d 'List volumes'
complete -c coracle -n "__fish_coracle_using_subcommand volume; and not __fish_seen_subcommand_from create exists inspect ls list prune rm remove" -f -a "list" -d 'List volumes'
complete -c coracle -n "__fish_coracle_using_subcommand volume; and not __fish_seen_subcommand_from create exists inspect ls list prune rm remove" -f -a "prune" -d 'Remove all volumes that no container uses'
complete -c coracle -n "__fish_coracle_using_subcommand volume; and not __fish_seen_subcommand_from create exists inspect ls list prune rm remove" -f -a "rm" -d 'Remove volumes with what is in them'
complete -c coracle -n "__fish_coracle_using_subcommand volume; and not __fish_seen_subcommand_from create exists inspect ls list prune rm remove" -f -a "remove" -d 'Remove volumes with what is in them'
complete -c coracle -n "__fish_coracle_using_subcommand volume; and __fish_seen_subcommand_from create" -s l -l label -d 'Set a label' -r
complete -c coracle -n "__fish_coracle_using_subcommand volume; and __fish_seen_subcommand_from create" -l ignore -d 'Do nothing when there is a volume of this name'
complete -c coracle -n "__fish_coracle_using_subcommand volume; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand volume; and __fish_seen_subcommand_from exists" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand volume; and __fish_seen_subcommand_from inspect" -s f -l format -d 'json, or a Go template' -r
complete -c coracle -n "__fish_coracle_using_subcommand volume; and __fish_seen_subcommand_from inspect" -s a -l all -d 'All volumes'
complete -c coracle -n "__fish_coracle_using_subcommand volume; and __fish_seen_subcommand_from inspect" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand volume; and __fish_seen_subcommand_from ls" -s f -l filter -d 'Only volumes that match: dangling, driver, label, name, scope, since, until, anonymous' -r
complete -c coracle -n "__fish_coracle_using_subcommand volume; and __fish_seen_subcommand_from ls" -l format -d 'json, a Go template, or `table` and a template' -r
complete -c coracle -n "__fish_coracle_using_subcommand volume; and __fish_seen_subcommand_from ls" -s n -l noheading -d 'Print no header'
complete -c coracle -n "__fish_coracle_using_subcommand volume; and __fish_seen_subcommand_from ls" -s q -l quiet -d 'Print only names'
complete -c coracle -n "__fish_coracle_using_subcommand volume; and __fish_seen_subcommand_from ls" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand volume; and __fish_seen_subcommand_from list" -s f -l filter -d 'Only volumes that match: dangling, driver, label, name, scope, since, until, anonymous' -r
complete -c coracle -n "__fish_coracle_using_subcommand volume; and __fish_seen_subcommand_from list" -l format -d 'json, a Go template, or `table` and a template' -r
complete -c coracle -n "__fish_coracle_using_subcommand volume; and __fish_seen_subcommand_from list" -s n -l noheading -d 'Print no header'
complete -c coracle -n "__fish_coracle_using_subcommand volume; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Print only names'
complete -c coracle -n "__fish_coracle_using_subcommand volume; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand volume; and __fish_seen_subcommand_from prune" -l filter -d 'Only volumes that match, see volume ls' -r
complete -c coracle -n "__fish_coracle_using_subcommand volume; and __fish_seen_subcommand_from prune" -s f -l force -d 'Do not ask'
complete -c coracle -n "__fish_coracle_using_subcommand volume; and __fish_seen_subcommand_from prune" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand volume; and __fish_seen_subcommand_from rm" -s t -l time -d 'With --force: seconds before SIGKILL' -r
complete -c coracle -n "__fish_coracle_using_subcommand volume; and __fish_seen_subcommand_from rm" -s a -l all -d 'All volumes'
complete -c coracle -n "__fish_coracle_using_subcommand volume; and __fish_seen_subcommand_from rm" -s f -l force -d 'Also the containers that use them, stopped first'
complete -c coracle -n "__fish_coracle_using_subcommand volume; and __fish_seen_subcommand_from rm" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand volume; and __fish_seen_subcommand_from remove" -s t -l time -d 'With --force: seconds before SIGKILL' -r
complete -c coracle -n "__fish_coracle_using_subcommand volume; and __fish_seen_subcommand_from remove" -s a -l all -d 'All volumes'
complete -c coracle -n "__fish_coracle_using_subcommand volume; and __fish_seen_subcommand_from remove" -s f -l force -d 'Also the containers that use them, stopped first'
complete -c coracle -n "__fish_coracle_using_subcommand volume; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and not __fish_seen_subcommand_from create enter run list ls stop rm rmi export diff assemble up upgrade rebase rollback home" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and not __fish_seen_subcommand_from create enter run list ls stop rm rmi export diff assemble up upgrade rebase rollback home" -f -a "create" -d 'Make a box from any image'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and not __fish_seen_subcommand_from create enter run list ls stop rm rmi export diff assemble up upgrade rebase rollback home" -f -a "enter" -d 'Enter a box: a login shell, or a command'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and not __fish_seen_subcommand_from create enter run list ls stop rm rmi export diff assemble up upgrade rebase rollback home" -f -a "run" -d 'Run a command in a box'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and not __fish_seen_subcommand_from create enter run list ls stop rm rmi export diff assemble up upgrade rebase rollback home" -f -a "list" -d 'List boxes'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and not __fish_seen_subcommand_from create enter run list ls stop rm rmi export diff assemble up upgrade rebase rollback home" -f -a "ls" -d 'List boxes'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and not __fish_seen_subcommand_from create enter run list ls stop rm rmi export diff assemble up upgrade rebase rollback home" -f -a "stop" -d 'Stop boxes; the next enter starts them again'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and not __fish_seen_subcommand_from create enter run list ls stop rm rmi export diff assemble up upgrade rebase rollback home" -f -a "rm" -d 'Remove boxes with everything in them, except what is in the host\'s home'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and not __fish_seen_subcommand_from create enter run list ls stop rm rmi export diff assemble up upgrade rebase rollback home" -f -a "rmi" -d 'Remove images of boxes'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and not __fish_seen_subcommand_from create enter run list ls stop rm rmi export diff assemble up upgrade rebase rollback home" -f -a "export" -d 'Put a box\'s applications into the host\'s menu, and its programs into ~/.local/bin'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and not __fish_seen_subcommand_from create enter run list ls stop rm rmi export diff assemble up upgrade rebase rollback home" -f -a "diff" -d 'List the packages that a box has and its image has not, those removed, and those of another version'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and not __fish_seen_subcommand_from create enter run list ls stop rm rmi export diff assemble up upgrade rebase rollback home" -f -a "assemble" -d 'Make all boxes that a file declares, or remove them'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and not __fish_seen_subcommand_from create enter run list ls stop rm rmi export diff assemble up upgrade rebase rollback home" -f -a "up" -d 'Make a project\'s box as its devcontainer.json says, start it, and run a command in it'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and not __fish_seen_subcommand_from create enter run list ls stop rm rmi export diff assemble up upgrade rebase rollback home" -f -a "upgrade" -d 'Bring the packages of boxes up to date, by their own package managers'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and not __fish_seen_subcommand_from create enter run list ls stop rm rmi export diff assemble up upgrade rebase rollback home" -f -a "rebase" -d 'Make a box anew from a newer image, with the packages that were added to it'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and not __fish_seen_subcommand_from create enter run list ls stop rm rmi export diff assemble up upgrade rebase rollback home" -f -a "rollback" -d 'Go back to the box as it was before the last rebase'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and not __fish_seen_subcommand_from create enter run list ls stop rm rmi export diff assemble up upgrade rebase rollback home" -f -a "home" -d 'Manage what a box changes above the host\'s home'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from create" -s i -l image -d 'Image: a name, an id, oci:DIR, docker-archive:FILE' -r
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from create" -s d -l distro -d 'Distribution: alpine, arch, debian, fedora, rhel, ubuntu' -r
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from create" -s r -l release -d 'Its release, as 42, 13 or 24.04' -r
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from create" -l home -d 'Whose home: host, own (a new one at the same path, removed with the box), or overlay (the host\'s, with what the box changes kept apart: see toolbox home)' -r
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from create" -l device -d 'Give a device of the host: its node, or its CDI name vendor.com/class=name' -r
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from create" -l gpus -d 'Give GPUs: all, or their numbers or names, by CDI (nvidia.com/gpu, amd.com/gpu); without a spec, from the driver\'s files' -r
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from create" -s v -l volume -d 'Mount a directory or file of the host\'s, or a named volume, as for run' -r
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from create" -l isolate -d 'For what you do not trust: no file, process, network or variable of the host\'s, and its own home'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from create" -l read-only-host -d 'Show the host\'s files read-only, except home, /tmp and /dev. Against accidents: the box\'s root can undo it'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from create" -l init -d 'Start the image\'s init (systemd) in the box, with processes, /run, /tmp and devices of its own; enter waits for it'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from create" -l host-exec -d 'Let `coracle host` in the box run commands on the host, as you; all other commands of coracle act on the host\'s containers then, and so do xdg-open and `flatpak-spawn --host` where the image has none'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from enter" -s d -l distro -d 'Distribution: alpine, arch, debian, fedora, rhel, ubuntu' -r
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from enter" -s r -l release -d 'Its release, as 42, 13 or 24.04' -r
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from enter" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from run" -s c -l container -d 'Name or id of the box' -r
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from run" -s d -l distro -d 'Distribution: alpine, arch, debian, fedora, rhel, ubuntu' -r
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from run" -s r -l release -d 'Its release, as 42, 13 or 24.04' -r
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Only names'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from ls" -s q -l quiet -d 'Only names'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from ls" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from stop" -s a -l all -d 'All boxes'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from stop" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from rm" -s a -l all -d 'All boxes'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from rm" -s f -l force -d 'Stop running boxes first'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from rm" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from rmi" -s a -l all -d 'All images that boxes are made of, and those that were prepared for toolbox'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from rmi" -s f -l force -d 'The boxes and other containers that are made of them, too'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from rmi" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from export" -l bin -d 'Programs, not applications: paths in the box, or names'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from export" -l delete -d 'Take them back'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from export" -l check -d 'Look at all that was exported; exit code 1 when something does not work any more'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from export" -l fix -d 'With --check: repair it, or remove it where its box or program is gone'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from diff" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from assemble" -l file -d 'The file, as distrobox-assemble takes it' -r
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from assemble" -s n -l name -d 'Only this box of the file' -r
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from assemble" -s R -l replace -d 'Make boxes anew that are there. The old one is removed when the new one is complete; an own home is kept'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from assemble" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from up" -l name -d 'Name of a box that is made; else that of the file, or the directory\'s' -r
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from up" -l config -d 'The file; else the usual one. Each file has a box of its own' -r
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from up" -l recreate -d 'Make the box anew, after a change of the file. The old one is removed when the new one is complete'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from up" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from upgrade" -s a -l all -d 'All boxes, but for former ones (rollback)'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from upgrade" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from rebase" -s i -l image -d 'The image; else a newer one of the same name' -r
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from rebase" -l without -d 'Leave this package out, for example one that is no more. Several times for several' -r
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from rebase" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from rollback" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from home" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from home" -f -a "diff" -d 'List what a box has changed in its view of the host\'s home'
complete -c coracle -n "__fish_coracle_using_subcommand toolbox; and __fish_seen_subcommand_from home" -f -a "commit" -d 'Make a box\'s changes of the home those of the host'
complete -c coracle -n "__fish_coracle_using_subcommand slurm; and not __fish_seen_subcommand_from oci-conf run" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand slurm; and not __fish_seen_subcommand_from oci-conf run" -f -a "oci-conf" -d 'Print the oci.conf that lets `srun --container` start containers of coracle'
complete -c coracle -n "__fish_coracle_using_subcommand slurm; and not __fish_seen_subcommand_from oci-conf run" -f -a "run" -d 'Start a task of `srun --container IMAGE`, for the oci.conf that `coracle slurm oci-conf --images` prints'
complete -c coracle -n "__fish_coracle_using_subcommand slurm; and __fish_seen_subcommand_from oci-conf" -l slurm-version -d 'Version of Slurm, such as 22.05; the installed one if not given' -r
complete -c coracle -n "__fish_coracle_using_subcommand slurm; and __fish_seen_subcommand_from oci-conf" -l images -d 'For images instead of bundles'
complete -c coracle -n "__fish_coracle_using_subcommand slurm; and __fish_seen_subcommand_from oci-conf" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand slurm; and __fish_seen_subcommand_from run" -l environment -d 'The step\'s environment: variables, with a byte 0 after each' -r -F
complete -c coracle -n "__fish_coracle_using_subcommand slurm; and __fish_seen_subcommand_from run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand config; and not __fish_seen_subcommand_from get set unset" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand config; and not __fish_seen_subcommand_from get set unset" -f -a "get" -d 'Show what was set; exit code 1 if KEY was not'
complete -c coracle -n "__fish_coracle_using_subcommand config; and not __fish_seen_subcommand_from get set unset" -f -a "set" -d 'Set something for all commands to come'
complete -c coracle -n "__fish_coracle_using_subcommand config; and not __fish_seen_subcommand_from get set unset" -f -a "unset" -d 'Take back what was set'
complete -c coracle -n "__fish_coracle_using_subcommand config; and __fish_seen_subcommand_from get" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand config; and __fish_seen_subcommand_from set" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand config; and __fish_seen_subcommand_from unset" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand system; and not __fish_seen_subcommand_from check df info migrate prune share" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand system; and not __fish_seen_subcommand_from check df info migrate prune share" -f -a "check" -d 'Check everything on disk against its record'
complete -c coracle -n "__fish_coracle_using_subcommand system; and not __fish_seen_subcommand_from check df info migrate prune share" -f -a "df" -d 'Show how much space images, containers and volumes take'
complete -c coracle -n "__fish_coracle_using_subcommand system; and not __fish_seen_subcommand_from check df info migrate prune share" -f -a "info" -d 'Show what this machine offers and where things are'
complete -c coracle -n "__fish_coracle_using_subcommand system; and not __fish_seen_subcommand_from check df info migrate prune share" -f -a "migrate" -d 'Make what an older version left ready for this one: there is nothing to do'
complete -c coracle -n "__fish_coracle_using_subcommand system; and not __fish_seen_subcommand_from check df info migrate prune share" -f -a "prune" -d 'Remove everything that nothing uses'
complete -c coracle -n "__fish_coracle_using_subcommand system; and not __fish_seen_subcommand_from check df info migrate prune share" -f -a "share" -d 'Make an empty store one that all users read'
complete -c coracle -n "__fish_coracle_using_subcommand system; and __fish_seen_subcommand_from check" -s r -l repair -d 'Remove what is damaged and can be had again, and leftovers'
complete -c coracle -n "__fish_coracle_using_subcommand system; and __fish_seen_subcommand_from check" -s v -l verbose -d 'Also say what is left over and harmless'
complete -c coracle -n "__fish_coracle_using_subcommand system; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand system; and __fish_seen_subcommand_from df" -l format -d 'json, or a Go template' -r
complete -c coracle -n "__fish_coracle_using_subcommand system; and __fish_seen_subcommand_from df" -s v -l verbose -d 'Every image, container and volume'
complete -c coracle -n "__fish_coracle_using_subcommand system; and __fish_seen_subcommand_from df" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand system; and __fish_seen_subcommand_from info" -s f -l format -d 'json, or a Go template: {{.Host.OCIRuntime.Name}}' -r
complete -c coracle -n "__fish_coracle_using_subcommand system; and __fish_seen_subcommand_from info" -s D -l debug -d 'Also the checks of doctor'
complete -c coracle -n "__fish_coracle_using_subcommand system; and __fish_seen_subcommand_from info" -s h -l help -d 'Print help'
complete -c coracle -n "__fish_coracle_using_subcommand system; and __fish_seen_subcommand_from migrate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand system; and __fish_seen_subcommand_from prune" -l filter -d 'Only what matches: label, until' -r
complete -c coracle -n "__fish_coracle_using_subcommand system; and __fish_seen_subcommand_from prune" -s a -l all -d 'Also images with names'
complete -c coracle -n "__fish_coracle_using_subcommand system; and __fish_seen_subcommand_from prune" -s f -l force -d 'Do not ask'
complete -c coracle -n "__fish_coracle_using_subcommand system; and __fish_seen_subcommand_from prune" -l volumes -d 'Also volumes'
complete -c coracle -n "__fish_coracle_using_subcommand system; and __fish_seen_subcommand_from prune" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c coracle -n "__fish_coracle_using_subcommand system; and __fish_seen_subcommand_from share" -s h -l help -d 'Print help (see more with \'--help\')'

//! Making a box: what it is as a container, and what is put into its root file system.

use super::LABEL;
use super::devices;
use super::identity::Identity;
use super::init;
use super::live::{HOST, PLACE};
use super::places::PROGRAM;
use crate::engine::options::{
    CreateOptions, DeviceOption, Extra, ImageVolumes, MountOption, NamespaceMode, NamespaceOptions,
    NetworkOptions, ProcessOptions, PullPolicy, SeccompOption, SecurityOptions, Source, Systemd, UsernsMode,
};
use crate::engine::{self, Created};
use crate::error::{Error, Result};
use crate::ondisk;
use crate::ondisk::above::{self, Above};
use crate::ondisk::container::{Driver, NetworkMode};
use crate::ondisk::seed::{self, Entry, Seed};
use crate::ondisk::toolbox::{self, Dev, Home, Toolbox, Turn};
use crate::paths::Dirs;
use crate::userns::{self, StoreMap, idmap};
use std::collections::BTreeMap;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub name: String,
    /// The name that it shows inside, for it will have it.
    pub shown: String,
    pub turn: Turn,
    /// As `coracle run` takes it.
    pub image: String,
    pub home: Home,
    /// Nothing of the host; `home` is its own.
    pub isolated: bool,
    pub read_only_host: bool,
    /// The image's init is its first process.
    pub init: bool,
    pub devices: Vec<DeviceOption>,
    /// `-v`, as text with absolute paths, and as mounts.
    pub volumes: Vec<String>,
    pub mounts: Vec<MountOption>,
    /// `coracle host` works in it.
    pub host_exec: bool,
    /// It is a project's, of whose mounts `mounts` has the last.
    pub dev: Option<Dev>,
    pub pull: PullPolicy,
    /// `--storage-driver`.
    pub driver: Option<Driver>,
    /// For `inspect`.
    pub argv: Vec<String>,
}

/// Makes it; nothing runs yet.
pub fn create(dirs: &Dirs, wanted: &Wanted, who: &Identity) -> Result<Created> {
    if let Some(owner) = engine::lookup::id_of_name(dirs, &wanted.name)? {
        return Err(Error::in_use(format_args!("the name {:?} is in use by {}", wanted.name, owner.short()))
            .hint(format_args!(
                "Enter it with `coracle toolbox enter {0}`, remove it with `coracle toolbox rm {0}`, or choose another name.",
                wanted.name
            )));
    }
    let map = userns::store_map()?;
    if wanted.init
        && let StoreMap::SingleUid { reason, .. } = &map
    {
        return Err(Error::host("a box cannot have an init here")
            .cause(format_args!("an init needs a root, and only your own user id is mapped: {reason}"))
            .hint("Leave out --init, or ask the administrator for a range: `usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $USER`."));
    }
    devices::check(dirs, &wanted.devices, !wanted.init && !wanted.isolated)?;
    let size = idmap::size(&map.maps().uids);
    // Where one id is mapped, setuid leads nowhere: it makes a user namespace (`inside`).
    let sudo_mode = if map.is_single() { 0o755 } else { 0o4755 };
    // Container root in the store's namespace, as `--userns keep-id` maps it.
    let root = |id: u32| -> Result<u32> { Ok(idmap::to_outside(&idmap::keep_id(id, size)?, 0).unwrap_or(0)) };
    let root = if map.is_single() { (0, 0) } else { (root(who.uid)?, root(who.gid)?) };
    let mut entries = seeds(who, &wanted.shown);
    if !wanted.isolated {
        entries.extend(links_to_the_host());
    }
    if wanted.host_exec {
        entries.push(Entry::File { path: super::host::MARK.into(), mode: 0o644, text: String::new() });
        entries.extend(["/usr/bin/xdg-open", "/usr/bin/flatpak-spawn"].map(of_ours));
    }
    if wanted.init {
        entries.extend(init::seeds(crate::id::ContainerId::random()?.as_str()));
    }
    let source = engine::programs::runtime_path()?.to_string_lossy().into_owned();
    entries.push(Entry::Program { path: "/usr/bin/sudo".into(), source, mode: sudo_mode });
    let seed = Seed { version: ondisk::VERSION, root, entries };
    let record = Toolbox {
        version: ondisk::VERSION,
        home: wanted.home,
        isolated: wanted.isolated,
        read_only_host: wanted.read_only_host,
        init: wanted.init,
        devices: devices::record(&wanted.devices),
        given: Vec::new(),
        device_env: Vec::new(),
        volumes: wanted.volumes.clone(),
        turn: wanted.turn,
        fetches: None,
        host_exec: wanted.host_exec,
        dev: wanted.dev.clone(),
        mounted: Vec::new(),
    };
    let encode =
        |e: serde_json::Error| Error::internal(format_args!("cannot encode the records of a box: {e}"));
    let mut extra = Extra {
        records: vec![
            (seed::NAME, serde_json::to_value(&seed).map_err(encode)?),
            (toolbox::NAME, serde_json::to_value(&record).map_err(encode)?),
        ],
        directories: vec![super::live::DIRECTORY, above::UPPER],
        program: wanted.init.then_some(init::PROGRAM),
        no_pids_limit: !wanted.isolated,
        last_mounts: Vec::new(),
    };
    if wanted.home == Home::Overlay {
        let below = Above { version: ondisk::VERSION, lower: who.home.clone(), driver: wanted.driver };
        extra.records.push((above::NAME, serde_json::to_value(&below).map_err(encode)?));
        extra.directories.extend([above::WORK, above::MERGED]);
    }
    let mut options = options(wanted, who, extra, map.is_single());
    engine::site::apply(&mut options)?;
    engine::create(dirs, &options)
}

/// What every box gets, whatever the image has.
fn seeds(who: &Identity, name: &str) -> Vec<Entry> {
    let file = |path: &str, mode, text: String| Entry::File { path: path.into(), mode, text };
    let link = |path: &str, target: String, keep| Entry::Link { path: path.into(), target, keep };
    let mut shells = vec![who.shell.clone()];
    shells.extend(["/bin/bash", "/usr/bin/bash", "/bin/sh"].map(str::to_owned));
    vec![
        Entry::Group { name: who.group.clone(), gid: who.gid },
        Entry::User {
            name: who.name.clone(),
            uid: who.uid,
            gid: who.gid,
            gecos: who.gecos.clone(),
            home: who.home.clone(),
            shells,
        },
        file("/etc/sudoers.d/coracle", 0o440, format!("#{} ALL=(ALL:ALL) NOPASSWD: ALL\n", who.uid)),
        file("/etc/profile.d/coracle.sh", 0o644, profile(name)),
        // Where the image has none.
        link("/etc/profile", "profile.d/coracle.sh".to_owned(), true),
        of_ours("/usr/bin/coracle"),
        // Package managers look there for the file system that must have room.
        link("/etc/mtab", "/proc/mounts".to_owned(), true),
        // Prompts and editors look for these.
        file("/run/.toolboxenv", 0o644, String::new()),
    ]
}

/// A name of our own program in the box, where the image has none.
fn of_ours(path: &str) -> Entry {
    Entry::Link { path: path.into(), target: PROGRAM.into(), keep: true }
}

/// What is the host's at each moment.
fn links_to_the_host() -> Vec<Entry> {
    let link = |path: &str, target: String, keep| Entry::Link { path: path.into(), target, keep };
    let mut all = vec![
        link("/etc/hosts", format!("{PLACE}/hosts"), false),
        link("/etc/resolv.conf", format!("{PLACE}/resolv.conf"), false),
        link("/etc/host.conf", format!("{PLACE}/host.conf"), false),
        link("/etc/localtime", format!("{PLACE}/localtime"), false),
    ];
    // Where the image has no certificates, the host's.
    let bundles = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];
    if let Some(real) = bundles.iter().find_map(|bundle| super::live::real(bundle)) {
        all.extend(bundles.iter().map(|bundle| link(bundle, format!("{HOST}{real}"), true)));
    }
    all
}

/// The prompt of shells that take theirs from /etc/profile. Others show the host name, which is the box's.
fn profile(name: &str) -> String {
    format!("# The prompt shows the box.\ncase $- in *i*) PS1=\"({name}) ${{PS1:-\\$ }}\" ;; esac\n")
}

fn options(wanted: &Wanted, who: &Identity, extra: Extra, single: bool) -> CreateOptions {
    // What is isolated has what `coracle run` gives.
    let shared = !wanted.isolated;
    let host = if shared { NamespaceMode::Host } else { NamespaceMode::Private };
    let command = if wanted.init {
        vec![init::PROGRAM.to_owned()]
    } else {
        [PROGRAM, "pause"].map(str::to_owned).to_vec()
    };
    // The user's other groups are not mapped; they are kept as they are.
    let groups = shared.then(|| ("run.oci.keep_original_groups".to_owned(), "1".to_owned()));
    let mut env = vec![("HOME".to_owned(), who.home.clone()), ("USER".to_owned(), who.name.clone())];
    let mut labels = BTreeMap::from([(LABEL.to_owned(), "true".to_owned())]);
    if let Some(dev) = &wanted.dev {
        env.extend(dev.env.iter().cloned());
        labels.extend(super::devcontainer::labels(&dev.folder, &dev.file));
    }
    let image = Source::Image { name: wanted.image.clone(), pull: wanted.pull, platform: None };
    CreateOptions {
        name: Some(wanted.name.clone()),
        entrypoint: Some(command),
        process: ProcessOptions {
            env,
            workdir: Some("/".to_owned()),
            user: wanted.init.then(|| "0:0".to_owned()),
            hostname: Some(hostname(&wanted.shown)),
            timezone: wanted.isolated.then(|| "local".to_owned()),
            ..ProcessOptions::default()
        },
        mounts: wanted.mounts.clone(),
        image_volumes: ImageVolumes::Ignore,
        security: SecurityOptions {
            privileged: shared,
            seccomp: match (shared, single) {
                (false, _) => SeccompOption::Default,
                (true, false) => SeccompOption::Unconfined,
                (true, true) => SeccompOption::Pretending,
            },
            ..SecurityOptions::default()
        },
        namespaces: NamespaceOptions {
            userns: UsernsMode::KeepId { uid: None, gid: None },
            pid: if wanted.init { NamespaceMode::Private } else { host.clone() },
            ipc: host,
            ..NamespaceOptions::default()
        },
        network: network(shared),
        labels,
        annotations: groups.into_iter().collect(),
        stop_signal: (!wanted.init).then_some(libc::SIGTERM),
        stop_timeout: if wanted.init { init::STOP_TIMEOUT } else { 2 },
        systemd: if wanted.init { Systemd::Always } else { Systemd::Never },
        driver: wanted.driver,
        create_command: wanted.argv.clone(),
        extra,
        ..CreateOptions::plain(image)
    }
}

/// Shared with the host, with nothing of ours in /etc: the box's files are links to what is the host's at each moment.
fn network(shared: bool) -> NetworkOptions {
    NetworkOptions {
        mode: shared.then_some(NetworkMode::Host),
        dns: shared.then(|| "none".to_owned()).into_iter().collect(),
        no_hosts: shared,
        ..NetworkOptions::default()
    }
}

/// The name as a host name: 63 bytes, letters, digits and hyphens.
fn hostname(name: &str) -> String {
    let good = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = name.chars().map(good).take(63).collect();
    name.trim_matches('-').to_owned()
}

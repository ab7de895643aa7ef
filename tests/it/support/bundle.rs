//! OCI bundles from a static busybox, and containers made from them.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::cmd::{Cmd, Output, Running};
use super::env::{Env, MARK};
use super::{need, user};

/// A directory with config.json and rootfs. `config` is written when a command is made from it.
#[derive(Debug)]
pub struct Bundle<'e> {
    env: &'e Env,
    pub id: String,
    pub dir: PathBuf,
    pub config: Value,
}

/// A created container; dropped, it is deleted by force.
#[derive(Debug)]
pub struct Ctr<'e> {
    env: &'e Env,
    pub id: String,
    files: PathBuf,
}

impl Env {
    /// A bundle that runs `args`, with all namespaces, the usual mounts and podman's default capabilities.
    pub fn bundle(&self, name: &str, args: &[&str]) -> Bundle<'_> {
        let dir = self.dir.join("bundles").join(name);
        let rootfs = dir.join("rootfs");
        std::fs::create_dir_all(&rootfs).unwrap();
        make_rootfs(&self.dir.join("busybox"), &rootfs);
        Bundle { env: self, id: format!("{}-{name}", self.tag), dir, config: config(self, args) }
    }

    /// `sh -c SCRIPT`.
    pub fn script(&self, name: &str, script: &str) -> Bundle<'_> {
        self.bundle(name, &["sh", "-c", script])
    }
}

impl<'e> Bundle<'e> {
    /// Sets the value at a JSON pointer, making objects on the way.
    pub fn set(&mut self, pointer: &str, value: Value) -> &mut Self {
        let mut at = &mut self.config;
        for key in pointer.split('/').skip(1) {
            at = match at {
                Value::Array(list) => list.get_mut(key.parse::<usize>().unwrap()).unwrap(),
                _ => at.as_object_mut().unwrap().entry(key).or_insert_with(|| json!({})),
            };
        }
        *at = value;
        self
    }

    /// Appends to the list at a JSON pointer.
    pub fn push(&mut self, pointer: &str, value: Value) -> &mut Self {
        if self.config.pointer(pointer).is_none() {
            self.set(pointer, json!([]));
        }
        self.config.pointer_mut(pointer).unwrap().as_array_mut().unwrap().push(value);
        self
    }

    pub fn remove(&mut self, pointer: &str) -> &mut Self {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        self.config.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(key);
        self
    }

    pub fn mount(&mut self, destination: &str, kind: &str, source: &Path, options: &[&str]) -> &mut Self {
        self.push(
            "/mounts",
            json!({"destination": destination, "type": kind, "source": source, "options": options}),
        )
    }

    /// Runs a function of `probe` in place of a program: this test binary is static.
    pub fn probe(&mut self, name: &str) -> &mut Self {
        let own = std::env::current_exe().unwrap();
        self.mount("/probe", "bind", &own, &["bind", "ro"]);
        self.push("/process/env", json!(format!("CORACLE_PROBE={name}")));
        self.set(
            "/process/args",
            json!(["/probe", "probe::run", "--exact", "--nocapture", "--test-threads=1"]),
        )
    }

    /// Replaces a directory or file of the rootfs by a link.
    pub fn relink(&self, name: &str, target: &Path) {
        let path = self.rootfs().join(name);
        let _ = std::fs::remove_dir(&path);
        let _ = std::fs::remove_file(&path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }

    pub fn rootfs(&self) -> PathBuf {
        self.dir.join("rootfs")
    }

    pub fn write(&self) {
        std::fs::write(self.dir.join("config.json"), serde_json::to_vec_pretty(&self.config).unwrap())
            .unwrap();
    }

    /// `run --bundle … ID`, ready to go.
    pub fn run_cmd(&self) -> Cmd {
        self.write();
        self.env.oci().args(["run", "--bundle"]).arg(&self.dir).arg(&self.id)
    }

    /// Runs it to its end; nothing may stay in the state directory.
    #[track_caller]
    pub fn run(&self) -> Output {
        let output = self.run_cmd().run();
        let stays = self.env.dir.join("state").join(&self.id);
        assert!(!stays.exists(), "run left {}: {output:#?}", stays.display());
        output
    }

    pub fn create_cmd(&self) -> Cmd {
        self.write();
        self.create_as_it_is()
    }

    /// With the config.json that is there.
    pub fn create_as_it_is(&self) -> Cmd {
        self.env.oci().args(["create", "--bundle"]).arg(&self.dir).arg(&self.id)
    }

    /// Creates it. Its output goes where `create`'s goes.
    #[track_caller]
    pub fn create(&self) -> Ctr<'e> {
        // The command takes the next number after this one's.
        let before = self.env.next_files();
        let number: u32 = before.file_name().unwrap().to_str().unwrap().parse().unwrap();
        let files = before.with_file_name((number + 1).to_string());
        self.create_cmd().ok();
        Ctr { env: self.env, id: self.id.clone(), files }
    }

    /// Creates and starts it.
    #[track_caller]
    pub fn start(&self) -> Ctr<'e> {
        let ctr = self.create();
        ctr.cmd(&["start"]).ok();
        ctr
    }
}

impl Ctr<'_> {
    /// `VERB [OPTIONS] ID`.
    pub fn cmd(&self, words: &[&str]) -> Cmd {
        self.env.oci().args(words).arg(&self.id)
    }

    /// `exec ID ARGS`.
    pub fn exec(&self, args: &[&str]) -> Cmd {
        self.cmd(&["exec"]).args(args)
    }

    #[track_caller]
    pub fn state(&self) -> Value {
        serde_json::from_str(&self.cmd(&["state"]).ok()).expect("state prints JSON")
    }

    #[track_caller]
    pub fn status(&self) -> String {
        self.state()["status"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub fn kill(&self, signal: &str) {
        self.env.oci().args(["kill", &self.id, signal]).ok();
    }

    /// Waits until the payload's process is gone.
    #[track_caller]
    pub fn wait_stopped(&self) {
        let pid = self.state()["pid"].as_i64().unwrap_or(0);
        if let Some(pid) = rustix::process::Pid::from_raw(pid as i32).filter(|_| pid > 0) {
            wait_gone(pid);
        }
        assert_eq!(self.status(), "stopped");
    }

    /// What the payload has written to stdout so far.
    pub fn stdout(&self) -> String {
        Running::written(&self.files).0
    }
}

impl Drop for Ctr<'_> {
    fn drop(&mut self) {
        self.env.oci().args(["delete", "--force", &self.id]).run();
    }
}

/// Readable is not enough: the process may still be a zombie of its reaper.
#[track_caller]
fn wait_gone(pid: rustix::process::Pid) {
    let Ok(fd) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) else { return };
    let mut fds = [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::IN)];
    let limit = rustix::event::Timespec { tv_sec: 20, tv_nsec: 0 };
    assert_eq!(rustix::event::poll(&mut fds, Some(&limit)), Ok(1), "process {pid:?} does not end");
}

fn make_rootfs(cache: &Path, rootfs: &Path) {
    let host = need::busybox().unwrap();
    if !cache.exists() {
        // Copied by another program: a fd of ours that is open for writing would live on in whatever the other tests start
        // at this moment, and the kernel does not execute a file that somebody may write (ETXTBSY).
        assert!(std::process::Command::new("cp").arg(&host).arg(cache).status().unwrap().success());
    }
    for dir in ["bin", "dev", "etc", "proc", "root", "sys", "tmp", "usr", "var"] {
        let _ = std::fs::create_dir(rootfs.join(dir));
    }
    let busybox = rootfs.join("bin/busybox");
    if busybox.exists() {
        return;
    }
    std::fs::hard_link(cache, &busybox).unwrap();
    let list = std::process::Command::new(&host).arg("--list").output().unwrap().stdout;
    for applet in String::from_utf8(list).unwrap().lines().filter(|name| *name != "busybox") {
        symlink("busybox", rootfs.join("bin").join(applet)).unwrap();
    }
    std::fs::write(rootfs.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n").unwrap();
    std::fs::write(rootfs.join("etc/group"), "root:x:0:\n").unwrap();
}

/// podman's defaults.
pub const CAPABILITIES: [&str; 11] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

fn config(env: &Env, args: &[&str]) -> Value {
    let (uid, gid) = user::ids();
    let (uids, gids) = if env.has_ids() {
        // As the store's own map is cut: the kernel wants each range inside one range of the parent's.
        let all = json!([{"containerID": 0, "hostID": 0, "size": 1}, {"containerID": 1, "hostID": 1, "size": 65535}]);
        (all.clone(), all)
    } else {
        let one = |id: u32| json!([{"containerID": 0, "hostID": id, "size": 1}]);
        (one(uid), one(gid))
    };
    let devpts: &[&str] = if env.has_ids() {
        &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]
    } else {
        &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]
    };
    let namespaces = ["pid", "network", "ipc", "uts", "mount", "user"].map(|kind| json!({"type": kind}));
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": args,
            "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", format!("{MARK}={}", env.tag)],
            "cwd": "/",
            "capabilities": {"bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES},
            "noNewPrivileges": true,
        },
        "root": {"path": "rootfs"},
        "hostname": "box",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "noexec", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": devpts},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
             "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
            {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
        ],
        "linux": {
            "namespaces": namespaces,
            "uidMappings": uids,
            "gidMappings": gids,
            "maskedPaths": ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/scsi", "/sys/firmware"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    })
}

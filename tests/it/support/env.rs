//! A test's own world: a directory with HOME and the XDG directories, the programs, and the user namespace of a store.
//!
//! Dropping it checks that nothing of the test is left: no process, no mount, no cgroup; then the directory goes.

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::cmd::Cmd;
use super::{leftovers, need, user};

/// In the environment of everything that a test starts.
pub const MARK: &str = "CORACLE_TEST_MARK";

#[derive(Debug)]
pub struct Env {
    pub dir: PathBuf,
    /// Unique; the directory's name, and the value of [`MARK`].
    pub tag: String,
    store: Option<Child>,
    commands: AtomicU32,
}

impl Env {
    /// Commands run as the user, as typed in a shell.
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        user::become_user().as_ref().expect("need!(\"userns\") comes first");
        let tag = format!("cit{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        // Short: sockets' paths end at 108 bytes.
        let base = std::env::var_os("CORACLE_TEST_TMP").map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
        let dir = base.join(&tag);
        for part in ["", "home", "data", "config", "cache", "run", "state", "out"] {
            std::fs::create_dir(dir.join(part)).unwrap();
        }
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(dir.join("run"), std::fs::Permissions::from_mode(0o700)).unwrap();
        Self { dir, tag, store: None, commands: AtomicU32::new(0) }
    }

    /// Commands run as root of a user namespace that maps the subordinate ids: what the OCI runtime sees under coracle.
    /// `need!("subid")` comes first.
    pub fn in_store() -> Self {
        let mut env = Self::new();
        let mut child = Command::new(need::find("unshare").unwrap())
            .args(["--user", "--map-root-user", "--map-auto", "--mount", "--propagation", "private"])
            .args(["sh", "-c", "echo ready; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = [0; 6];
        child.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
        env.store = Some(child);
        env
    }

    /// `coracle ARGS` with this world's directories.
    pub fn coracle(&self) -> Cmd {
        self.command(&need::program("coracle", env!("CARGO_BIN_EXE_coracle")), &[])
    }

    /// The OCI runtime under test, with a state directory of its own.
    pub fn oci(&self) -> Cmd {
        let runtime = need::runtime().unwrap();
        let cmd = self.command(&runtime, &self.enter()).arg("--root").arg(self.dir.join("state"));
        match runtime.file_name().and_then(|name| name.to_str()) {
            // Without a cgroup of the container's own crun cannot work by default.
            Some("crun") if !need_cgroup() => cmd.arg("--cgroup-manager=disabled"),
            Some("crun") => cmd.arg("--cgroup-manager=cgroupfs"),
            _ => cmd,
        }
    }

    /// The same with ARGS, where the system calls `denied` fail with `errno`. Its output begins with words of the harness.
    pub fn oci_without(&self, denied: &[i64], errno: i32, args: &[&str]) -> Cmd {
        self.runtime_without(&need::runtime().unwrap(), denied, errno, args)
    }

    /// The same with a runtime that lies elsewhere.
    pub fn runtime_without(&self, runtime: &Path, denied: &[i64], errno: i32, args: &[&str]) -> Cmd {
        let mut run: Vec<OsString> = vec![runtime.into(), "--root".into(), self.dir.join("state").into()];
        run.extend(args.iter().map(OsString::from));
        let run: Vec<_> = run.iter().map(|word| word.to_str().unwrap()).collect();
        let filter: Vec<i64> = std::iter::once(i64::from(errno)).chain(denied.iter().copied()).collect();
        self.command(&std::env::current_exe().unwrap(), &self.enter())
            .args(["probe::run", "--exact", "--nocapture", "--test-threads=1"])
            .env("CORACLE_PROBE", "deny")
            .env("CORACLE_DENY", serde_json::to_string(&filter).unwrap())
            .env("CORACLE_DENY_RUN", serde_json::to_string(&run).unwrap())
    }

    /// Any program, in the namespace that `oci` commands run in.
    pub fn tool(&self, tool: &str) -> Cmd {
        self.command(&need::find(tool).unwrap_or_else(|| panic!("no {tool}")), &self.enter())
    }

    /// Ids that containers can have: all 65536, or one.
    pub fn has_ids(&self) -> bool {
        self.store.is_some()
    }

    /// Where the next command's output goes.
    pub fn next_files(&self) -> PathBuf {
        self.dir.join("out").join(self.commands.fetch_add(1, Ordering::Relaxed).to_string())
    }

    fn enter(&self) -> Vec<OsString> {
        let Some(store) = &self.store else { return Vec::new() };
        let nsenter = need::find("nsenter").unwrap();
        let target = store.id().to_string();
        let args = ["--target", &target, "--user", "--mount", "--"];
        std::iter::once(nsenter.into_os_string()).chain(args.map(OsString::from)).collect()
    }

    fn command(&self, program: &Path, prefix: &[OsString]) -> Cmd {
        let at = |part: &str| self.dir.join(part);
        let cmd = Cmd::new(prefix, program, self.next_files())
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", at("home"))
            .env("XDG_DATA_HOME", at("data"))
            .env("XDG_CONFIG_HOME", at("config"))
            .env("XDG_CACHE_HOME", at("cache"))
            .env("XDG_RUNTIME_DIR", at("run"))
            .env("LANG", "C.UTF-8")
            .env(MARK, &self.tag);
        // The user's own manager: its address does not follow XDG_RUNTIME_DIR.
        match std::env::var("DBUS_SESSION_BUS_ADDRESS") {
            Ok(bus) => cmd.env("DBUS_SESSION_BUS_ADDRESS", bus),
            Err(_) => cmd,
        }
    }

    pub fn store_pid(&self) -> Option<u32> {
        self.store.as_ref().map(Child::id)
    }

    /// What is still there of this test's.
    pub fn leftovers(&self) -> Vec<String> {
        self.end_idle_mounts();
        leftovers::find(&self.tag, &self.dir, self.store_pid())
    }

    /// Those of image files that nobody uses go now, and not in a moment.
    pub fn end_idle_mounts(&self) {
        leftovers::end_idle(&self.tag, self.store_pid());
    }
}

impl Drop for Env {
    fn drop(&mut self) {
        let left = if std::thread::panicking() { Vec::new() } else { self.leftovers() };
        leftovers::kill(&self.tag, self.store_pid());
        // Files of subordinate ids go only from inside.
        if self.store.is_some() {
            self.tool("rm").arg("-rf").arg("--").arg(self.dir.join("home")).args(inner(&self.dir)).run();
        }
        if let Some(mut store) = self.store.take() {
            drop(store.stdin.take());
            let _ = store.wait();
        }
        if std::env::var_os("CORACLE_TEST_KEEP").is_none() {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
        assert!(left.is_empty(), "left behind by the test: {left:#?}");
    }
}

/// Everything but the directory that the removing command itself writes to.
fn inner(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| !path.ends_with("out")).collect()
}

fn need_cgroup() -> bool {
    false
}

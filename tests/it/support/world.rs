//! A user with a store: what the stories of the command line stand on.
//!
//! Its drop is an oracle of its own: every test ends with `rm --all --force`, a clean `system check`, and nothing left.

use std::ops::Deref;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::cmd::Cmd;
use super::env::Env;
use super::need;
use super::terminal::Terminal;

/// How long anything may take that will surely happen. Generous: the machine may be busy with something else.
pub const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub struct World {
    env: Env,
    /// Whether the test damages records on purpose.
    pub damaged: bool,
}

impl Deref for World {
    type Target = Env;

    fn deref(&self) -> &Env {
        &self.env
    }
}

impl World {
    /// An empty store.
    pub fn new() -> Self {
        Self { env: Env::new(), damaged: false }
    }

    /// With the `busybox` image as `bb`. `need!("subid", "registry")` comes first.
    pub fn with_busybox() -> Self {
        let world = Self::new();
        world.pull("busybox", "bb");
        world
    }

    /// The same, and `bb` as an image in one file: `home/app.sqsh`.
    pub fn with_image_file() -> (Self, PathBuf) {
        let world = Self::with_busybox();
        let file = world.dir.join("home/app.sqsh");
        world.c("image squash bb").arg(&file).ok();
        (world, file)
    }

    /// Our own processes of this story whose names begin so: their environment names its directory.
    pub fn processes(&self, name: &str) -> Vec<u32> {
        let mark = format!("XDG_RUNTIME_DIR={}", self.dir.join("run").display());
        let is = |path: &PathBuf| {
            let read = |file: &str| std::fs::read(path.join(file)).unwrap_or_default();
            read("comm").starts_with(name.as_bytes())
                && !String::from_utf8_lossy(&read("stat")).contains(") Z ")
                && read("environ").split(|byte| *byte == 0).any(|item| item == mark.as_bytes())
        };
        let all = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
        all.filter(is).filter_map(|path| path.file_name()?.to_str()?.parse().ok()).collect()
    }

    /// Pulls a fixture, and gives it a short name.
    #[track_caller]
    pub fn pull(&self, fixture: &str, name: &str) {
        let reference = Self::reference(fixture);
        self.c("pull -q").arg(&reference).ok();
        self.c("tag").arg(&reference).arg(name).ok();
    }

    /// `HOST:PORT/FIXTURE` at the test registry.
    pub fn reference(fixture: &str) -> String {
        format!("{}/{fixture}", std::env::var("CORACLE_TEST_REGISTRY").unwrap())
    }

    /// An OCI layout of the fixtures.
    pub fn layout(fixture: &str) -> String {
        format!("{}/{fixture}", std::env::var("CORACLE_TEST_IMAGES").unwrap())
    }

    /// `coracle LINE`, split at spaces.
    pub fn c(&self, line: &str) -> Cmd {
        self.coracle().args(line.split_whitespace())
    }

    /// `coracle run --rm --network none LINE`.
    pub fn run(&self, line: &str) -> Cmd {
        self.c("run --rm --network none").args(line.split_whitespace())
    }

    /// `coracle run --rm --network none LINE sh -c SCRIPT`.
    pub fn script(&self, line: &str, script: &str) -> Cmd {
        self.run(line).args(["sh", "-c", script])
    }

    /// A shell script with the program as `$C`.
    pub fn sh(&self, script: &str) -> Cmd {
        let program = need::program("coracle", env!("CARGO_BIN_EXE_coracle"));
        self.tool("bash").env("C", program).args(["-c", script])
    }

    /// `coracle LINE` on a terminal of its own.
    pub fn terminal(&self, line: &str) -> Terminal {
        Terminal::start(self.c(line))
    }

    /// `run -d --name NAME --network none LINE`.
    #[track_caller]
    pub fn start(&self, name: &str, line: &str) -> String {
        let id = self.c("run -d --network none --name").arg(name).args(line.split_whitespace()).ok();
        id.trim().to_owned()
    }

    /// `inspect` of one container.
    #[track_caller]
    pub fn inspect(&self, name: &str) -> Value {
        let mut all: Value = serde_json::from_str(&self.c("inspect").arg(name).ok()).expect("JSON");
        all.get_mut(0).expect("one object").take()
    }

    /// A value of `inspect` by its JSON pointer.
    #[track_caller]
    pub fn get(&self, name: &str, pointer: &str) -> Value {
        self.inspect(name).pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")).take()
    }

    #[track_caller]
    pub fn status(&self, name: &str) -> String {
        self.get(name, "/State/Status").as_str().unwrap().to_owned()
    }

    /// The payload's init.
    #[track_caller]
    pub fn pid(&self, name: &str) -> u32 {
        self.get(name, "/State/Pid").as_u64().unwrap() as u32
    }

    #[track_caller]
    pub fn logs(&self, name: &str) -> String {
        self.c("logs").arg(name).ok()
    }

    /// Waits until a container's log holds `text`.
    #[track_caller]
    pub fn wait_log(&self, name: &str, text: &str) {
        wait_for(&format!("{text:?} in the log of {name}"), || self.logs(name).contains(text));
    }

    #[track_caller]
    pub fn wait_status(&self, name: &str, status: &str) {
        wait_for(&format!("{name} to be {status}"), || self.status(name) == status);
    }

    /// Names of `ps --all`.
    #[track_caller]
    pub fn names(&self) -> Vec<String> {
        let text = self.c("ps -a --format {{.Names}}").ok();
        let mut names: Vec<String> = text.lines().map(str::to_owned).collect();
        names.sort();
        names
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let panicking = std::thread::panicking();
        let removed = self.c("rm --all --force --time 0").run();
        let checked = self.c("system check").run();
        self.c("unshare rm -rf").arg(self.dir.join("data")).arg(self.dir.join("home")).run();
        if !panicking && !self.damaged {
            assert_eq!(removed.code, 0, "{removed:#?}");
            assert_eq!(checked.code, 0, "{checked:#?}");
        }
    }
}

/// Asks until it is true.
#[track_caller]
pub fn wait_for(what: &str, mut is: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < until, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(Duration::from_millis(30));
    }
}

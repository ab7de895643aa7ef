//! Documents that somebody has broken: config.json of `create`, process.json of `exec`, changed at random.
//!
//! Whatever they hold, the runtime ends by itself and soon, with success or with words, and what it refused leaves nothing.
//! `create` and `exec --detach`, not `run`: their exit code is the runtime's own, never the payload's.
//!
//! A mutant depends on the seed and its number alone: CORACLE_TEST_SEED repeats a run, CORACLE_TEST_MUTANT one of it, and
//! CORACLE_TEST_MUTANTS says how many there are (else 500 in all).

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::need;
use crate::support::{Bundle, Cmd, Env, Output};

/// xorshift64*: small, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn new(seed: u64, number: u64) -> Self {
        // Never zero, and neighbours far apart.
        Self((seed ^ (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)) | 1)
    }

    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11
    }

    fn below(&mut self, end: usize) -> usize {
        (self.roll() % end.max(1) as u64) as usize
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// JSON pointers of everything in a document, and below it.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    let mut below = |key: &str, value: &Value| {
        let path = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
        found.push(path.clone());
        pointers(value, &path, found);
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| below(key, value)),
        Value::Array(list) => list.iter().enumerate().for_each(|(n, value)| below(&n.to_string(), value)),
        _ => {}
    }
}

fn strange(dice: &mut Dice) -> Value {
    let texts = [
        "",
        "/",
        ".",
        "..",
        "../../../../..",
        "/../../etc",
        "//",
        "/proc",
        "/proc/self/fd/3",
        "/proc/self/exe",
        "/proc/self/ns/user",
        "/dev/null",
        "/dev/zero",
        "/sys",
        "\u{0}",
        "a\u{0}b",
        "a=b",
        "=",
        "a,b:c",
        "-1",
        "0x10",
        "rw",
        "rbind",
        "bind",
        "rshared",
        "idmap",
        "tmpcopyup",
        "mode=7777777",
        "size=-1",
        "uid=99999",
        "lowerdir=/:/",
        "proc",
        "sysfs",
        "tmpfs",
        "overlay",
        "cgroup",
        "mqueue",
        "CAP_SYS_ADMIN",
        "CAP_",
        "SCMP_ACT_KILL",
        "SCMP_ACT_NOTIFY",
        "RLIMIT_NOFILE",
        "LINUX32",
        "SCHED_DEADLINE",
        "::",
        "a:b:c",
        "0-4294967295",
        "c 1:3 rwm",
        "1.0.2",
        "99.9.9",
        "\u{202e}\u{7f}\n\r\t\"\\",
        "é漢字🙂",
        "sha256:zz",
        "net.ipv4.ip_forward",
        "kernel.core_pattern",
        "a/../../b",
    ];
    let numbers = [
        json!(0),
        json!(-1),
        json!(1),
        json!(i32::MIN),
        json!(i32::MAX),
        json!(u32::MAX),
        json!(u32::MAX - 1),
        json!(1_u64 << 32),
        json!(i64::MIN),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(0.5),
        json!(-1e308),
        json!(1e300),
        json!(65536),
        json!(4096),
    ];
    match dice.below(10) {
        0..4 => json!(dice.one(&texts)),
        4..6 => dice.one(&numbers).clone(),
        6 => json!("x".repeat(*dice.one(&[107, 108, 255, 256, 4095, 4096, 70_000]))),
        7 => (0..dice.below(300))
            .fold(json!(1), |inner, n| if n % 2 == 0 { json!([inner]) } else { json!({"a": inner}) }),
        8 => json!({"type": "mount", "path": "/proc/self/ns/mnt"}),
        _ => dice
            .one(&[Value::Null, json!(true), json!(false), json!([]), json!({}), json!([null]), json!([""])])
            .clone(),
    }
}

/// One change; the pointer that it hit.
fn change(document: &mut Value, dice: &mut Dice) -> String {
    let mut all = Vec::new();
    pointers(document, "", &mut all);
    if all.is_empty() {
        *document = strange(dice);
        return String::new();
    }
    let at = dice.one(&all).clone();
    let (parent, key) = at.rsplit_once('/').unwrap();
    let key = key.replace("~1", "/").replace("~0", "~");
    let elsewhere: &String = dice.one(&all);
    let other = document.pointer(elsewhere).unwrap().clone();
    let how = dice.below(10);
    let new = if how < 7 { strange(dice) } else { other };
    match document.pointer_mut(parent).unwrap() {
        Value::Object(map) => match how {
            0 => drop(map.remove(&key)),
            1 => drop(map.insert(format!("{key}X"), new)),
            _ => drop(map.insert(key, new)),
        },
        Value::Array(list) => {
            let n: usize = key.parse().unwrap();
            let old = list[n].clone();
            match how {
                0 => drop(list.remove(n)),
                1 => list.insert(n, old),
                2 => list.extend(std::iter::repeat_n(old, 400)),
                3 => list.swap(0, n),
                _ => list[n] = new,
            }
        }
        _ => unreachable!("a parent is an object or a list"),
    }
    at
}

/// A broken document, and what was changed in it.
fn mutant(document: &Value, dice: &mut Dice) -> (Vec<u8>, Vec<String>) {
    let mut changed = document.clone();
    let times = 1 + dice.below(3);
    let mut hit: Vec<String> = (0..times).map(|_| change(&mut changed, dice)).collect();
    let mut bytes = serde_json::to_vec(&changed).unwrap();
    if dice.below(5) == 0 {
        hit.push("bytes".to_owned());
        for _ in 0..1 + dice.below(4) {
            let at = dice.below(bytes.len());
            match dice.below(5) {
                0 => bytes.truncate(at),
                1 if !bytes.is_empty() => bytes[at] = dice.roll() as u8,
                2 => bytes.insert(at, dice.roll() as u8),
                3 => bytes
                    .splice(
                        at..at,
                        dice.one(&["{", "}", "[[", ",", "\"", "\\u0000", "\\ud800", "1e999", "null"]).bytes(),
                    )
                    .for_each(drop),
                _ => bytes.extend_from_within(at..),
            }
        }
    }
    (bytes, hit)
}

/// What is wrong with how the runtime ended.
fn fault(output: &Output) -> Option<&'static str> {
    match output.code {
        _ if output.stderr.contains("panicked") => Some("it panicked"),
        0 => None,
        124 | 137 => Some("it hung"),
        101 | 134 => Some("it panicked"),
        1..=123 | 255 if output.stderr.trim().is_empty() => Some("an error without words"),
        1..=123 | 255 => None,
        _ => Some("it crashed"),
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().filter(|text| !text.is_empty()).map(|text| text.parse().unwrap())
}

/// Breaks `document` again and again, and counts what `try_one` says of each: whether it was taken.
fn try_all(what: &str, document: &Value, share: u64, mut try_one: impl FnMut(&[u8]) -> Result<bool, String>) {
    use std::hash::{BuildHasher, Hasher};
    let random = || std::collections::hash_map::RandomState::new().build_hasher().finish() >> 32;
    let seed = number("CORACLE_TEST_SEED").unwrap_or_else(random);
    let numbers = match number("CORACLE_TEST_MUTANT") {
        Some(only) => only..only + 1,
        None => 0..number("CORACLE_TEST_MUTANTS").unwrap_or(500) / share,
    };
    let (count, mut taken, mut hit) = (numbers.end - numbers.start, 0, BTreeSet::new());
    for number in numbers {
        let (bytes, at) = mutant(document, &mut Dice::new(seed, number));
        match try_one(&bytes) {
            Ok(was_taken) => taken += u64::from(was_taken),
            Err(problem) => panic!(
                "CORACLE_TEST_SEED={seed} CORACLE_TEST_MUTANT={number}, changed at {at:?}: {problem}\n{}",
                String::from_utf8_lossy(&bytes).chars().take(6000).collect::<String>()
            ),
        }
        hit.extend(at);
    }
    println!(
        "{what}: {count} mutants of seed {seed}, {taken} taken, {} refused, {} places hit",
        count - taken,
        hit.len()
    );
    // A mutator that breaks all of them, or none, tests nothing.
    assert!(count < 100 || (taken * 50 > count && taken * 50 < count * 49), "{taken} of {count} were taken");
    assert!(count < 100 || hit.len() > 40, "only {hit:?} were hit");
}

/// With something in every field that this machine can do for a user.
fn rich<'e>(env: &'e Env, name: &str) -> Bundle<'e> {
    let mut bundle = env.bundle(name, &["true"]);
    let source = env.dir.join("source");
    std::fs::create_dir_all(&source).unwrap();
    let hook = json!([{"path": "/bin/true", "args": ["true", "a"], "env": ["A=b"], "timeout": 5}]);
    bundle
        .set("/process/rlimits", json!([{"type": "RLIMIT_NOFILE", "soft": 256, "hard": 512}]))
        .set("/process/oomScoreAdj", json!(100))
        .set("/process/user/umask", json!(18))
        .set("/process/scheduler", json!({"policy": "SCHED_OTHER", "nice": 1, "flags": []}))
        .set("/process/ioPriority", json!({"class": "IOPRIO_CLASS_BE", "priority": 4}))
        .set("/domainname", json!("domain"))
        .set("/annotations", json!({"org.example.a": "b"}))
        .set("/hooks", json!({"prestart": hook, "createRuntime": hook, "poststart": hook, "poststop": hook}))
        .set("/root/readonly", json!(false))
        .set("/linux/rootfsPropagation", json!("rprivate"))
        .set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"}))
        .set("/linux/personality", json!({"domain": "LINUX"}))
        .set("/linux/resources", json!({"devices": [{"allow": false, "access": "rwm"}]}))
        .set(
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
                "flags": ["SECCOMP_FILTER_FLAG_LOG"],
                "syscalls": [{"names": ["ptrace", "bpf"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1,
                    "args": [{"index": 1, "value": 5, "valueTwo": 7, "op": "SCMP_CMP_MASKED_EQ"}]}]}),
        )
        .mount("/mnt", "bind", &source, &["rbind", "ro", "nosuid", "rprivate", "rnoexec"])
        .mount("/run", "tmpfs", Path::new("tmpfs"), &["mode=755", "size=1m", "tmpcopyup", "relatime"]);
    bundle
}

fn delete(env: &Env, id: &str) -> Result<(), String> {
    let output = env.oci().args(["delete", "--force", id]).run();
    if output.code != 0 {
        return Err(format!("delete --force: {output:#?}"));
    }
    let left: Vec<_> = std::fs::read_dir(env.dir.join("state")).unwrap().map(|e| e.unwrap().path()).collect();
    if left.is_empty() { Ok(()) } else { Err(format!("left: {left:?}")) }
}

/// `create` of a bundle whose config.json is `bytes`; taken, it is started as well.
fn create_one(env: &Env, bundle: &Bundle<'_>, bytes: &[u8]) -> Result<bool, String> {
    std::fs::write(bundle.dir.join("config.json"), bytes).unwrap();
    let output = bundle.create_as_it_is().run();
    if let Some(problem) = fault(&output) {
        return Err(format!("{problem}: {output:#?}"));
    }
    let taken = output.code == 0;
    if taken {
        let output = env.oci().args(["start", &bundle.id]).run();
        if let Some(problem) = fault(&output) {
            return Err(format!("start: {problem}: {output:#?}"));
        }
    } else if env.dir.join("state").join(&bundle.id).exists() {
        return Err(format!("refused, and its state was left: {output:#?}"));
    }
    delete(env, &bundle.id).map(|()| taken)
}

#[test]
fn broken_config_json() {
    need!("userns", "busybox", "coracle-oci");
    let env = Env::new();
    let bundle = rich(&env, "broken");
    let mut tries = 0;
    try_all("config.json", &bundle.config, 2, |bytes| {
        tries += 1;
        let taken = create_one(&env, &bundle, bytes)?;
        let left = if tries % 100 == 0 { env.leftovers() } else { Vec::new() };
        if left.is_empty() { Ok(taken) } else { Err(format!("left: {left:#?}")) }
    });
}

#[test]
fn broken_process_json() {
    need!("userns", "busybox", "coracle-oci");
    let env = Env::new();
    let ctr = env.bundle("execs", &["sleep", "1000"]).start();
    let process = rich(&env, "unused").config["process"].clone();
    let file = env.dir.join("process.json");
    try_all("process.json", &process, 2, |bytes| {
        std::fs::write(&file, bytes).unwrap();
        let output = ctr.cmd(&["exec", "--detach", "--process", file.to_str().unwrap()]).run();
        match fault(&output) {
            Some(problem) => Err(format!("{problem}: {output:#?}")),
            None if ctr.status() != "running" => Err("the container has ended".to_owned()),
            None => Ok(output.code == 0),
        }
    });
}

/// The oracle: what is a failure is told from what is none.
#[test]
fn failures_of_a_runtime_are_told() {
    need!("userns", "busybox", "coracle-oci");
    let env = Env::new();
    let end = |script: &str| fault(&env.tool("sh").args(["-c", script]).run());
    assert_eq!(end("exit 0"), None);
    assert_eq!(end("echo why >&2; exit 1"), None);
    for script in [
        "exit 1",
        "kill -ABRT $$",
        "kill -SEGV $$",
        "echo panicked at >&2; exit 1",
        "exit 101",
        "kill -KILL $$",
    ] {
        assert!(end(script).is_some(), "{script}");
    }
    let slow: Cmd = env.tool("timeout").args(["0.1", "sleep", "5"]);
    assert_eq!(fault(&slow.run()), Some("it hung"));
    let bundle = rich(&env, "fine");
    let bytes = serde_json::to_vec(&bundle.config).unwrap();
    assert_eq!(create_one(&env, &bundle, &bytes), Ok(true), "the document itself is taken");
    std::fs::create_dir(env.dir.join("state/left-behind")).unwrap();
    assert!(create_one(&env, &bundle, &bytes).is_err(), "what is left behind is told");
    std::fs::remove_dir(env.dir.join("state/left-behind")).unwrap();
}

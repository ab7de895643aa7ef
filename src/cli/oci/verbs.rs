//! From a cut-up command line to the operations of `runtime`, and their answers as text.

use super::flags::Parsed;
use super::log::Log;
use super::{criu, events, features, help, ps, say, template, update};
use crate::cgroup::fs::Cgroup;
use crate::error::{Error, Result};
use crate::id::RuntimeId;
use crate::runtime::{
    self, Context, CreateArgs, ExecArgs, ExecCommand, ExecWhat, RunArgs, Stages, state::StateView,
};
use std::cell::RefCell;
use std::ffi::OsString;
use std::path::PathBuf;

/// Runs the verb. Returns the exit code.
pub fn run(parsed: &Parsed, log: &Log) -> Result<u8> {
    if parsed.has("version") {
        let (version, commit) =
            (env!("CARGO_PKG_VERSION"), option_env!("CORACLE_COMMIT").unwrap_or("unknown"));
        let name = invoked_as();
        say(&format!("{name} version {version}\ncommit: {commit}\nspec: {}\n", runtime::OCI_VERSION))?;
        return Ok(0);
    }
    if parsed.has("help") && !parsed.verb.is_empty() {
        if ["checkpoint", "restore"].contains(&parsed.verb.as_str()) {
            // Callers ask in this way whether it can be done.
            crate::external::criu::CRIU.find()?;
        }
        say(&help::of_verb(&invoked_as(), &parsed.verb))?;
        return Ok(0);
    }
    if parsed.has("help") || parsed.verb.is_empty() {
        say(&help::all(&invoked_as()))?;
        return Ok(u8::from(!parsed.has("help")));
    }
    match parsed.verb.as_str() {
        "features" => say(&format!(
            "{}\n",
            serde_json::to_string_pretty(&features::document()).map_err(Error::internal)?
        ))?,
        "spec" => {
            let bundle = parsed.value("bundle").map_or_else(|| PathBuf::from("."), PathBuf::from);
            template::write(&bundle, parsed.has("rootless"))?;
        }
        "list" => list(parsed)?,
        _ => return on_container(parsed, log),
    }
    Ok(0)
}

/// The name that we were called by: callers that use us in place of runc read the first words of --version.
fn invoked_as() -> String {
    let name = std::env::args_os().next().map(PathBuf::from);
    let name =
        name.as_deref().and_then(std::path::Path::file_name).map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| "coracle-oci".to_owned())
}

fn on_container(parsed: &Parsed, log: &Log) -> Result<u8> {
    let context = Context { stages: log.stages(), ..context(parsed)? };
    let done = act(parsed, &context);
    for warning in context.warnings.take() {
        log.say("warning", &warning);
    }
    done
}

fn act(parsed: &Parsed, context: &Context) -> Result<u8> {
    if parsed.verb == "delete" && parsed.has("regex") {
        return delete_matching(parsed, context).map(|()| 0);
    }
    let id = id(parsed)?;
    match parsed.verb.as_str() {
        "create" => runtime::create::create(context, &create_args(parsed, id)?)?,
        "run" => {
            let how = RunArgs { detach: parsed.has("detach"), keep: parsed.has("keep"), server: None };
            return exit_code(runtime::run::run(context, &create_args(parsed, id)?, &how)?);
        }
        "start" => runtime::start::start(context, &id, notify_socket(parsed).as_deref())?,
        "state" => {
            let view = runtime::state::state(context, &id)?;
            say(&format!("{}\n", serde_json::to_string_pretty(&view).map_err(Error::internal)?))?;
        }
        "kill" => {
            let signal = parsed.operands.get(1).map_or("TERM", |s| s.to_str().unwrap_or_default());
            runtime::kill::kill(context, &id, runtime::kill::parse_signal(signal)?, parsed.has("all"))?;
        }
        "delete" => runtime::delete::delete(context, &id, parsed.has("force"))?,
        "exec" => return exit_code(runtime::exec::exec(context, &exec_args(parsed, id)?)?),
        "ps" => {
            let pids = processes(context, &id)?;
            let json = parsed.text("format")?.is_some_and(|format| format == "json");
            let rest = parsed.operands.get(1..).unwrap_or_default();
            say(&if json { ps::json(&pids) } else { ps::table(&pids, rest)? })?;
        }
        "checkpoint" => {
            runtime::checkpoint::checkpoint(context, &id, &criu::checkpoint_args(parsed)?)?;
        }
        "restore" => {
            let how = RunArgs { detach: parsed.has("detach"), keep: parsed.has("keep"), server: None };
            let args = create_args(parsed, id)?;
            let code = runtime::restore::restore(context, &args, &how, &criu::restore_args(parsed)?)?;
            return exit_code(code);
        }
        "events" => events::run(parsed, context, &id)?,
        "pause" => need_cgroup(context, &id)?.freeze()?,
        "resume" => need_cgroup(context, &id)?.thaw()?,
        "update" => update::run(parsed, context, &id)?,
        other => return Err(Error::internal(format_args!("the verb {other} has no action"))),
    }
    Ok(0)
}

/// `delete --regex EXPRESSION`, as crun has it: every container whose id the expression is found in.
fn delete_matching(parsed: &Parsed, context: &Context) -> Result<()> {
    let expression = text(parsed.operands.first().ok_or_else(|| {
        Error::usage("delete --regex requires a regular expression").hint("See `coracle-oci delete --help`.")
    })?)?;
    let regex = regex::Regex::new(&expression)
        .map_err(|e| Error::usage(format_args!("invalid regular expression {expression:?}")).cause(e))?;
    let ids = runtime::state::ids(context)?.into_iter().filter(|id| regex.is_match(id.as_str()));
    runtime::delete::delete_all(context, &ids.collect::<Vec<_>>(), parsed.has("force"))
}

fn exit_code(code: i32) -> Result<u8> {
    u8::try_from(code).map_err(|_| Error::internal(format_args!("exit code {code} out of range")))
}

fn context(parsed: &Parsed) -> Result<Context> {
    let given = parsed.value("root").map(PathBuf::from);
    if given.as_ref().is_some_and(|root| root.as_os_str() == "/") {
        return Err(Error::usage("invalid --root /").hint("Choose a directory of its own."));
    }
    let rootless = match parsed.text("rootless")? {
        None | Some("auto") => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(other) => {
            return Err(Error::usage(format_args!("invalid value {other:?} for flag --rootless"))
                .hint("Use true, false or auto."));
        }
    };
    let manager = parsed.text("cgroup-manager")?;
    if let Some(other) = manager.filter(|m| !["systemd", "cgroupfs", "disabled"].contains(m)) {
        return Err(Error::usage(format_args!("unknown cgroup manager {other:?}"))
            .hint("Use systemd, cgroupfs or disabled."));
    }
    let root_given = given.is_some();
    let root = given.unwrap_or_else(crate::paths::runtime_root);
    if !root_given {
        crate::paths::check_runtime_root(&root)?;
    }
    Ok(Context {
        root_given,
        root,
        systemd_cgroup: parsed.has("systemd-cgroup") || manager == Some("systemd"),
        cgroups_disabled: manager == Some("disabled"),
        rootless,
        warnings: RefCell::default(),
        stages: Stages::default(),
    })
}

fn id(parsed: &Parsed) -> Result<RuntimeId> {
    let text = parsed.operands.first().ok_or_else(|| {
        Error::usage(format_args!("{} requires a container id", parsed.verb))
            .hint("See `coracle-oci --help`.")
    })?;
    RuntimeId::parse(&text.to_string_lossy())
}

/// Sockets that a service manager has opened for the payload.
#[derive(Default)]
struct Activation {
    fds: u32,
    env: Vec<String>,
}

/// LISTEN_FDS, where it is meant for us (sd_listen_fds(3)). The payload is pid 1, as with runc and crun. coracle's own
/// containers get nothing of the service that their command runs in.
fn activation(parsed: &Parsed) -> Activation {
    let number = |name: &str| crate::paths::env(name)?.to_str()?.parse::<u32>().ok();
    let for_us = number("LISTEN_PID").is_none_or(|pid| pid == std::process::id());
    let Some(fds) = number("LISTEN_FDS").filter(|fds| *fds > 0 && *fds < 1 << 10 && for_us) else {
        return Activation::default();
    };
    if parsed.has("log-only") {
        return Activation::default();
    }
    let names = crate::paths::env("LISTEN_FDNAMES").and_then(|names| names.into_string().ok());
    let mut env = vec![format!("LISTEN_FDS={fds}"), "LISTEN_PID=1".to_owned()];
    env.extend(names.map(|names| format!("LISTEN_FDNAMES={names}")));
    Activation { fds, env }
}

/// Who waits for the payload to be ready.
fn notify_socket(parsed: &Parsed) -> Option<OsString> {
    crate::paths::env("NOTIFY_SOCKET").filter(|_| !parsed.has("log-only"))
}

fn create_args(parsed: &Parsed, id: RuntimeId) -> Result<CreateArgs> {
    let activation = activation(parsed);
    let path = |flag| parsed.value(flag).map(PathBuf::from);
    Ok(CreateArgs {
        id,
        bundle: path("bundle").unwrap_or_else(|| PathBuf::from(".")),
        config: path("config"),
        pid_file: path("pid-file"),
        console_socket: path("console-socket").filter(|p| !p.as_os_str().is_empty()),
        pidfd_socket: path("pidfd-socket").filter(|p| !p.as_os_str().is_empty()),
        preserve_fds: activation.fds + parsed.number("preserve-fds")?.unwrap_or(0),
        env: activation.env,
        notify_socket: notify_socket(parsed),
        no_pivot: parsed.has("no-pivot"),
        no_new_keyring: parsed.has("no-new-keyring"),
        dies_with_us: false,
    })
}

fn exec_args(parsed: &Parsed, id: RuntimeId) -> Result<ExecArgs> {
    let path = |flag| parsed.value(flag).map(PathBuf::from);
    let what = match path("process") {
        Some(file) => ExecWhat::Process(file),
        None => ExecWhat::Command(exec_command(parsed)?),
    };
    Ok(ExecArgs {
        id,
        what,
        detach: parsed.has("detach"),
        pid_file: path("pid-file"),
        console_socket: path("console-socket").filter(|p| !p.as_os_str().is_empty()),
        pidfd_socket: path("pidfd-socket").filter(|p| !p.as_os_str().is_empty()),
        preserve_fds: parsed.number("preserve-fds")?.unwrap_or(0),
        dies_with_us: false,
        ignore_paused: parsed.has("ignore-paused"),
        cgroup: parsed.values("cgroup").map(text).collect::<Result<_>>()?,
    })
}

fn text(word: &OsString) -> Result<String> {
    word.to_str().map(str::to_owned).ok_or_else(|| Error::usage("an argument is not UTF-8"))
}

fn exec_command(parsed: &Parsed) -> Result<ExecCommand> {
    let args = parsed.operands.iter().skip(1).map(text).collect::<Result<Vec<_>>>()?;
    if args.is_empty() {
        return Err(Error::usage("exec requires a command")
            .hint("Give it after the container's id, or a process document with --process."));
    }
    let gid = |word: &OsString| {
        text(word)?.parse::<u32>().map_err(|_| Error::usage(format_args!("invalid group {}", word.display())))
    };
    Ok(ExecCommand {
        args,
        tty: parsed.has("tty"),
        cwd: parsed.text("cwd")?.map(str::to_owned),
        env: parsed.values("env").map(text).collect::<Result<_>>()?,
        user: parsed.text("user")?.map(parse_user).transpose()?,
        additional_gids: parsed.values("additional-gids").map(gid).collect::<Result<_>>()?,
        caps: parsed.values("cap").map(text).collect::<Result<_>>()?,
        no_new_privs: parsed.has("no-new-privs"),
        process_label: parsed.text("process-label")?.map(str::to_owned),
        apparmor: parsed.text("apparmor")?.map(str::to_owned),
    })
}

/// `UID[:GID]`, digits only: a sign or an overflow never becomes 0 (CVE-2026-30892).
fn parse_user(text: &str) -> Result<(u32, Option<u32>)> {
    let number = |part: &str| {
        let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        part.parse::<u32>().ok().filter(|id| digits && *id < u32::MAX - 1).ok_or_else(|| {
            Error::usage(format_args!("invalid user {text:?}"))
                .cause(format_args!("{part:?} is not a number from 0 to 4294967293"))
        })
    };
    match text.split_once(':') {
        Some((uid, gid)) => Ok((number(uid)?, Some(number(gid)?))),
        None => Ok((number(text)?, None)),
    }
}

fn cgroup(context: &Context, id: &RuntimeId) -> Result<Option<Cgroup>> {
    match runtime::state::cgroup_of(context, id)? {
        Some(path) => Cgroup::open(&path),
        None => Ok(None),
    }
}

pub fn need_cgroup(context: &Context, id: &RuntimeId) -> Result<Cgroup> {
    cgroup(context, id)?.ok_or_else(|| {
        Error::host(format_args!("container {id} has no cgroup"))
            .cause("it was created without one, or has ended")
            .hint("Pausing and limits need a delegated cgroup v2 directory: see `coracle doctor`.")
    })
}

/// From the cgroup; without one, only init is known.
fn processes(context: &Context, id: &RuntimeId) -> Result<Vec<i32>> {
    match cgroup(context, id)? {
        Some(cgroup) => cgroup.processes(),
        None => {
            Ok(Some(runtime::state::state(context, id)?.pid).filter(|pid| *pid > 0).into_iter().collect())
        }
    }
}

fn list(parsed: &Parsed) -> Result<()> {
    let views = runtime::state::list(&context(parsed)?)?;
    if parsed.has("quiet") {
        return say(&views.iter().map(|view| format!("{}\n", view.id)).collect::<String>());
    }
    match parsed.text("format")? {
        None | Some("table") => say(&table(&views)),
        Some("json") => say(&format!("{}\n", serde_json::to_string(&views).map_err(Error::internal)?)),
        Some(other) => {
            Err(Error::usage(format_args!("invalid format option {other:?}")).hint("Use table or json."))
        }
    }
}

fn table(views: &[StateView]) -> String {
    let row = |view: &StateView| {
        let (pid, status) = (view.pid.to_string(), view.status.clone());
        [view.id.clone(), pid, status, view.bundle.clone(), view.created.clone(), view.owner.clone()]
    };
    let header = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(str::to_owned);
    let rows: Vec<[String; 6]> = std::iter::once(header).chain(views.iter().map(row)).collect();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0).max(8)
    };
    let widths: Vec<usize> = (0..6).map(width).collect();
    let line = |row: &[String; 6]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}    "));
        format!("{}\n", cells.collect::<String>().trim_end())
    };
    rows.iter().map(line).collect()
}

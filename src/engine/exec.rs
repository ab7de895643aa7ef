//! The process of `exec`: the payload's own as config.json has it, with what the command line changes.

use super::peek::peek;
use super::users;
use super::view::View;
use crate::error::{Error, Result};
use crate::ondisk::container::Container;
use crate::paths::Dirs;
use serde_json::{Value, json};

/// What `exec` was told.
#[derive(Debug, Clone, Default)]
pub struct ExecOptions {
    pub command: Vec<String>,
    pub env: Vec<(String, String)>,
    /// Below what the container has.
    pub host_env: Vec<(String, String)>,
    pub workdir: Option<String>,
    pub user: Option<String>,
    pub tty: bool,
    pub privileged: bool,
}

/// The OCI process. The container runs.
pub fn process(dirs: &Dirs, c: &Container, options: &ExecOptions) -> Result<Value> {
    let config = super::inspect::runtime_config(dirs, c);
    let mut process = config.get("process").cloned().ok_or_else(|| {
        Error::corrupt(format_args!("cannot read config.json of container {}", c.name))
            .hint("See `coracle system check`.")
    })?;
    if let Some(spec) = &options.user {
        let found = peek(dirs, c, |root| {
            let user = users::resolve(&View::of(root), spec, &[])?;
            serde_json::to_value(user).map_err(|e| Error::internal(format_args!("cannot encode a user: {e}")))
        })?;
        let mut user: users::User = serde_json::from_value(found)
            .map_err(|e| Error::internal(format_args!("cannot decode a user: {e}")))?;
        // Where one group is mapped, groups cannot be set (user_namespaces(7)).
        if config.pointer("/linux/gidMappings/0/size") == Some(&json!(1))
            && config.pointer("/linux/gidMappings/1").is_none()
        {
            user.groups.clear();
        }
        set_user(&mut process, &user);
    }
    if options.privileged {
        let all = json!(crate::caps::NAMES.as_slice());
        process["capabilities"] =
            json!({"bounding": all, "effective": all, "permitted": all, "inheritable": [], "ambient": []});
    }
    if let Some(dir) = &options.workdir {
        process["cwd"] = json!(dir);
    }
    process["args"] = json!(options.command);
    process["terminal"] = json!(options.tty);
    process["env"] = json!(environment(&process, options));
    Ok(process)
}

/// Another user than the payload's: its groups, its home, and no more capabilities than it may have.
pub fn set_user(process: &mut Value, user: &users::User) {
    process["user"]["uid"] = json!(user.uid);
    process["user"]["gid"] = json!(user.gid);
    process["user"]["additionalGids"] = json!(user.groups);
    if let Some(capabilities) = process.get_mut("capabilities").filter(|c| c.is_object()) {
        let effective = if user.uid == 0 { capabilities["bounding"].clone() } else { json!([]) };
        capabilities["effective"] = effective.clone();
        capabilities["permitted"] = effective;
        capabilities["inheritable"] = json!([]);
        capabilities["ambient"] = json!([]);
    }
    set_env(process, "HOME", &user.home);
}

fn set_env(process: &mut Value, name: &str, value: &str) {
    let mut env = strings(process);
    env.retain(|e| e.split_once('=').is_none_or(|(n, _)| n != name));
    env.push(format!("{name}={value}"));
    process["env"] = json!(env);
}

fn strings(process: &Value) -> Vec<String> {
    let env = process.get("env").and_then(Value::as_array);
    env.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn environment(process: &Value, options: &ExecOptions) -> Vec<String> {
    let mut env = strings(process);
    let mut set = |name: &str, value: &str, over: bool| {
        let at = env.iter().position(|e| e.split_once('=').is_some_and(|(n, _)| n == name));
        match at {
            Some(_) if !over => {}
            Some(at) => env.splice(at..=at, [format!("{name}={value}")]).for_each(drop),
            None => env.push(format!("{name}={value}")),
        }
    };
    if options.tty {
        set("TERM", "xterm", false);
    }
    for (name, value) in &options.host_env {
        set(name, value, false);
    }
    for (name, value) in &options.env {
        set(name, value, true);
    }
    env
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_replaces_what_is_there() {
        let mut process = json!({"env": ["PATH=/bin", "HOME=/"], "user": {"uid": 0},
            "capabilities": {"bounding": ["CAP_KILL"], "effective": ["CAP_KILL"]}});
        let user = users::User { uid: 5, gid: 6, groups: vec![7], home: "/home/x".into(), name: None };
        set_user(&mut process, &user);
        assert_eq!(process["capabilities"]["effective"], json!([]));
        assert_eq!(process["user"]["additionalGids"], json!([7]));
        let options =
            ExecOptions { env: vec![("PATH".into(), "/x".into())], tty: true, ..ExecOptions::default() };
        assert_eq!(environment(&process, &options), ["PATH=/x", "HOME=/home/x", "TERM=xterm"]);
        let host_env = vec![("HOME".into(), "/h".into()), ("X".into(), "1".into())];
        let options = ExecOptions { host_env, ..ExecOptions::default() };
        assert_eq!(environment(&process, &options), ["PATH=/bin", "HOME=/home/x", "X=1"]);
    }
}

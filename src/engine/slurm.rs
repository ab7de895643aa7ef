//! The `oci.conf` of a site: how Slurm starts bundles by `coracle-oci`, or images by `coracle run`.
//!
//! What Slurm does with it differs from what its manual says, and between versions; this is what 22.05 was seen to do:
//! - `RunTimeRun` and `RunTimeCreate`/`RunTimeStart` exclude each other. With the latter Slurm waits for the end of a pipe
//!   that the container holds; so it is `run`.
//! - Each line is run by `/bin/sh -c`, with slurmd's environment: HOME is root's, and nothing is known of the job.
//! - What is run at a step's end, query, kill and delete, is run **as root**, on state that the user can write. It becomes
//!   the user first: hooks in that state are programs.
//! - A step with `--container` has one task.
//!
//! Images want a later one: 22.05 reads `config.json` of what `--container` names before it starts anything. This is what
//! 24.11 was seen to do, told to ignore that file:
//! - The line has slurmd's environment, in the directory where srun was called. The step's is in the file `%e`.
//! - `%b` is what `--container` says, as it was typed. `%@` is the command, each word in single quotes: one that has such a
//!   quote in it is an error of the shell.
//! - srun puts the path of a program of its own machine in place of the command's name, where there is one.
//! - Each task is a line of its own, and Slurm itself signals and ends its processes: it neither asks, kills nor deletes.
//!
//! A value stands in double quotes and can hold none, so words of a line are never quoted by them.

use super::programs;
use crate::error::{Context, Error, Result};
use crate::external::slurm::Version;
use crate::sys::CallContext;

/// From here on Slurm knows exclusions from the environment.
const KNOWS_EXCLUSIONS: Version = (23, 2);

/// From here on it can be told that a container is no bundle.
const KNOWS_IMAGES: Version = (23, 2);

/// The file's text, for bundles.
pub fn oci_conf(version: Version) -> Result<String> {
    Ok(text(version, "", &bundles(&plain(&programs::runtime_path()?)?)))
}

/// The file's text, for images.
pub fn oci_conf_of_images(version: Version) -> Result<String> {
    let (year, month) = version;
    if version < KNOWS_IMAGES {
        let (since, in_month) = KNOWS_IMAGES;
        return Err(Error::usage(format_args!("Slurm {year}.{month:02} cannot start images by srun --container"))
            .cause(format_args!(
                "before {since}.{in_month:02} it reads config.json of a bundle, whatever its oci.conf says"
            ))
            .hint("Start them without it, `srun coracle run app.sqsh`, or make bundles of them with `coracle bundle`, and leave out --images."));
    }
    let program = std::env::current_exe().call(|| "readlink(\"/proc/self/exe\")")?;
    Ok(text(version, " --images", &images(&plain(&program)?)))
}

/// A path that is one word of a shell.
fn plain(path: &std::path::Path) -> Result<String> {
    let text = path.to_string_lossy().into_owned();
    let good = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@".contains(c);
    if text.chars().all(good) {
        return Ok(text);
    }
    Err(Error::usage("the path of a program does not fit into oci.conf").cause(format_args!("{text:?}")))
        .hint(|| "Install coracle in a directory without spaces and quotes, such as /usr/local/bin.")
}

fn text(version: Version, flag: &str, lines: &str) -> String {
    let (year, month) = version;
    let mut text = format!(
        "# oci.conf for Slurm {year}.{month:02}, by `coracle slurm oci-conf{flag}`: put it beside slurm.conf on every node.\n"
    );
    if version >= KNOWS_EXCLUSIONS {
        text += "EnvExclude=\"^(SLURM_CONF|SLURM_CONF_SERVER)=\"\nRunTimeEnvExclude=\"^(SLURM_CONF|SLURM_CONF_SERVER)=\"\n";
    }
    text + lines
}

fn images(coracle: &str) -> String {
    let run = format!("exec {coracle} slurm run --environment '%e' -- '%b' %@");
    format!(
        "# For `srun --container IMAGE`: a file app.sqsh, or the name of an image. Slurm ends the processes of a step itself.\n\
         IgnoreFileConfigJson=true\nCreateEnvFile=null\n\
         RunTimeRun=\"{run}\"\nRunTimeKill=\"true\"\nRunTimeDelete=\"true\"\n"
    )
}

fn bundles(runtime: &str) -> String {
    // The state of the user's containers is in /tmp/coracle-oci-UID, whatever the environment.
    let runtime = format!("env -u XDG_RUNTIME_DIR -u NOTIFY_SOCKET {runtime} --rootless=true");
    let id = "%n.%u.%j.%s.%t";
    let as_user = |verb: &str| {
        format!("set -- {runtime} {verb}; test $(id -u) != 0 || set -- runuser -u %u -- $@; exec $@")
    };
    format!(
        "# For `srun --container DIR`, where `coracle bundle IMAGE DIR` made DIR. Root becomes the user before it asks.\n\
         RunTimeQuery=\"{}\"\nRunTimeKill=\"{}\"\nRunTimeDelete=\"{}\"\nRunTimeRun=\"exec {runtime} run {id} -b %b\"\n",
        as_user(&format!("state {id}")),
        as_user(&format!("kill -a {id}")),
        as_user(&format!("delete --force {id}")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_holds_no_double_quote_and_older_versions_get_no_newer_words() {
        let bundles = bundles("/b/coracle-oci");
        for (version, lines) in [((22, 5), &bundles), ((24, 11), &bundles), ((24, 11), &images("/b/coracle"))]
        {
            let text = text(version, "", lines);
            for line in text.lines().filter(|line| !line.starts_with('#')) {
                let (name, value) = line.split_once('=').unwrap();
                assert!(name.bytes().all(|b| b.is_ascii_alphabetic()), "{line}");
                assert!([0, 2].contains(&value.matches('"').count()) && !value.contains('#'), "{line}");
            }
            let newer = ["EnvExclude", "%p", "%U"];
            assert!(version > (23, 0) || !newer.iter().any(|word| text.contains(word)), "{text}");
        }
        // What is shipped is this, for the usual place.
        let shipped = include_str!("../../packaging/slurm/oci.conf");
        assert_eq!(shipped, text((22, 5), "", &super::bundles("/usr/local/bin/coracle-oci")));
        let shipped = include_str!("../../packaging/slurm/oci.conf.images");
        assert_eq!(shipped, text((24, 11), " --images", &images("/usr/local/bin/coracle")));
        assert!(plain(std::path::Path::new("/a b/coracle")).is_err());
    }
}

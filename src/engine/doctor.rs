//! `coracle doctor`: the probes of `host` as a report for people, for programs, and as a script for the administrator.

use crate::host::{self, Abilities, Probe, Status};
use crate::paths::Dirs;
use serde::Serialize;
use std::fmt::Write as _;

/// What doctor found. Serialised as it is for `--json`.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub checks: Vec<Probe>,
    pub abilities: Abilities,
    /// One sentence: what can be run here.
    pub verdict: String,
}

/// Tries everything, in well under a second.
pub fn doctor(dirs: &Dirs) -> Report {
    let host::Report { probes, abilities } = host::probes(dirs);
    let verdict = verdict(&abilities);
    Report { checks: probes, abilities, verdict }
}

impl Report {
    /// 0: all pass; 1: something fails; 2: only warnings.
    pub fn exit_code(&self) -> u8 {
        match self.checks.iter().map(|check| check.status).max() {
            Some(Status::Fail) => 1,
            Some(Status::Warn) => 2,
            _ => 0,
        }
    }

    /// One line a check; cause, fix and fallback below those that did not pass; the verdict last.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for check in &self.checks {
            let word = match check.status {
                Status::Pass => "PASS",
                Status::Warn => "WARN",
                Status::Fail => "FAIL",
            };
            let _ = writeln!(text, "{word}  {}: {}", check.name, check.fact);
            if let Some(fix) = &check.fix {
                let who = if check.fix_needs_root { "fix (as root)" } else { "fix" };
                let _ = writeln!(text, "      {who}: {fix}");
            }
            if let Some(meanwhile) = &check.meanwhile {
                let _ = writeln!(text, "      meanwhile: {meanwhile}");
            }
        }
        text.push_str(&self.verdict);
        text.push('\n');
        text
    }

    /// A shell script with every fix that needs root, for the administrator to read and run.
    pub fn fix_script(&self) -> String {
        let mut script =
            "#!/bin/sh\n# What `coracle doctor` asks of the administrator. Run as root.\nset -e\n".to_owned();
        let wanted = self.checks.iter().filter(|check| check.fix_needs_root && check.status != Status::Pass);
        let mut seen: Vec<&str> = Vec::new();
        for check in wanted {
            let Some(fix) = check.fix.as_deref().filter(|fix| !seen.contains(fix)) else { continue };
            seen.push(fix);
            let is_command = COMMANDS.iter().any(|command| fix.starts_with(command));
            let comment = if is_command { "" } else { "# " };
            let _ = writeln!(script, "\n# {}: {}\n{comment}{fix}", check.name, check.fact.replace('\n', " "));
        }
        script
    }
}

/// How a fix begins that a shell can run; others are advice.
const COMMANDS: [&str; 14] = [
    "apt ",
    "dnf ",
    "zypper ",
    "pacman ",
    "apk ",
    "usermod ",
    "sysctl ",
    "echo ",
    "printf ",
    "mkdir ",
    "modprobe ",
    "mount ",
    "chown ",
    "timedatectl ",
];

fn verdict(abilities: &Abilities) -> String {
    if !abilities.containers {
        return "You can run: nothing yet. The first FAIL above is what stands in the way.".to_owned();
    }
    let ids = match abilities.ids {
        0 | 1 => "single-uid".to_owned(),
        many => format!("{many} uids"),
    };
    let driver = abilities.drivers.first().copied().unwrap_or("vfs");
    let limits = match abilities.controllers.as_slice() {
        [] => "no limits".to_owned(),
        some => format!("limits {}", some.join("+")),
    };
    let network = match abilities.networks.first() {
        Some(name) => format!("network {name}, ports >= {}", abilities.first_port),
        None => "network host or none only".to_owned(),
    };
    let gpu = if abilities.gpu { "yes" } else { "no" };
    format!("You can run: containers ({ids}), storage {driver}, {limits}, {network}, GPU {gpu}.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(name: &'static str, status: Status, fix: Option<&str>, root: bool) -> Probe {
        Probe {
            name,
            status,
            fact: "a fact".to_owned(),
            fix: fix.map(str::to_owned),
            fix_needs_root: root,
            meanwhile: fix.map(|_| "it goes on".to_owned()),
        }
    }

    fn report(checks: Vec<Probe>) -> Report {
        let abilities = Abilities { containers: true, ids: 65_537, first_port: 1024, ..Abilities::default() };
        let verdict = verdict(&abilities);
        Report { checks, abilities, verdict }
    }

    #[test]
    fn a_failure_has_its_fix_below_and_the_verdict_is_last() {
        let checks = vec![
            probe("kernel", Status::Pass, None, false),
            probe("newuidmap", Status::Fail, Some("apt install uidmap"), true),
        ];
        let report = report(checks);
        assert_eq!(
            report.text(),
            "PASS  kernel: a fact\n\
             FAIL  newuidmap: a fact\n      fix (as root): apt install uidmap\n      meanwhile: it goes on\n\
             You can run: containers (65537 uids), storage vfs, no limits, network host or none only, GPU no.\n"
        );
        assert_eq!(report.exit_code(), 1);
    }

    #[test]
    fn the_exit_code_tells_warnings_from_failures() {
        assert_eq!(report(vec![probe("a", Status::Pass, None, false)]).exit_code(), 0);
        assert_eq!(report(vec![probe("a", Status::Warn, None, false)]).exit_code(), 2);
    }

    #[test]
    fn the_script_has_roots_commands_once_and_advice_as_comments() {
        let script = report(vec![
            probe("a", Status::Fail, Some("apt install uidmap"), true),
            probe("b", Status::Fail, Some("apt install uidmap"), true),
            probe("c", Status::Warn, Some("loginctl enable-linger ada"), false),
            probe("d", Status::Warn, Some("boot with x=1"), true),
        ])
        .fix_script();
        assert_eq!(script.matches("\napt install uidmap\n").count(), 1, "{script}");
        assert!(script.contains("\n# boot with x=1\n"), "{script}");
        assert!(!script.contains("linger"), "{script}");
    }
}

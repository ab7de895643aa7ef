//! Which devices a container may use: the rules of `linux.resources.devices`, as writes of cgroup v1 and as a program of
//! cgroup v2. Pure.
//!
//! Rules hold in their order, the last word wins. Nothing is allowed to begin with, and behind the configuration's rules
//! stand those of the devices that the specification promises every container.

use crate::sys::bpf::Instruction;
use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};

/// One rule. None matches every number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    pub allow: bool,
    pub kind: Kind,
    pub major: Option<u32>,
    pub minor: Option<u32>,
    /// ACCESS_* bits.
    pub access: u32,
}

/// Which kind of node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    All,
    Block,
    Char,
}

// linux/bpf.h: BPF_DEVCG_ACC_*, BPF_DEVCG_DEV_*.
const ACCESS_MKNOD: u32 = 1;
const ACCESS_READ: u32 = 2;
const ACCESS_WRITE: u32 = 4;
const ACCESS_ALL: u32 = ACCESS_MKNOD | ACCESS_READ | ACCESS_WRITE;
const DEV_BLOCK: i32 = 1;
const DEV_CHAR: i32 = 2;

/// Every node may be made (which gives no access to what is behind it); null, zero, full, random, urandom, tty, console,
/// ptmx and terminals may be used.
const PROMISED: [(Kind, Option<u32>, Option<u32>, u32); 10] = [
    (Kind::Char, None, None, ACCESS_MKNOD),
    (Kind::Block, None, None, ACCESS_MKNOD),
    (Kind::Char, Some(1), Some(3), ACCESS_ALL),
    (Kind::Char, Some(1), Some(5), ACCESS_ALL),
    (Kind::Char, Some(1), Some(7), ACCESS_ALL),
    (Kind::Char, Some(1), Some(8), ACCESS_ALL),
    (Kind::Char, Some(1), Some(9), ACCESS_ALL),
    (Kind::Char, Some(5), Some(0), ACCESS_ALL),
    (Kind::Char, Some(5), Some(2), ACCESS_ALL),
    (Kind::Char, Some(136), None, ACCESS_ALL),
];

/// The rules of a configuration, and those of the promised devices.
pub fn rules(asked: &[LinuxDeviceCgroup]) -> Vec<Rule> {
    let promised =
        PROMISED.iter().map(|&(kind, major, minor, access)| Rule { allow: true, kind, major, minor, access });
    asked.iter().map(rule).chain(promised).collect()
}

fn rule(asked: &LinuxDeviceCgroup) -> Rule {
    let number = |n: Option<i64>| n.and_then(|n| u32::try_from(n).ok());
    let kind = match asked.typ() {
        Some(LinuxDeviceType::B) => Kind::Block,
        Some(LinuxDeviceType::C | LinuxDeviceType::U) => Kind::Char,
        _ => Kind::All,
    };
    let bit = |letter| match letter {
        'r' => ACCESS_READ,
        'w' => ACCESS_WRITE,
        'm' => ACCESS_MKNOD,
        _ => 0,
    };
    let access = asked.access().as_deref().unwrap_or("rwm").chars().fold(0, |all, c| all | bit(c));
    // A rule for all kinds is a rule for everything, as in cgroup v1.
    match kind {
        Kind::All => Rule { allow: asked.allow(), kind, major: None, minor: None, access: ACCESS_ALL },
        kind => Rule {
            allow: asked.allow(),
            kind,
            major: number(asked.major()),
            minor: number(asked.minor()),
            access,
        },
    }
}

/// Whether the rules allow everything, so that nothing needs to be set.
pub fn allow_everything(rules: &[Rule]) -> bool {
    let all = rules.iter().rposition(|rule| rule.kind == Kind::All && rule.allow);
    all.is_some_and(|at| rules.iter().skip(at).all(|rule| rule.allow))
}

/// Files and values of cgroup v1, from nothing allowed on.
pub fn v1_writes(rules: &[Rule]) -> Vec<(&'static str, String)> {
    let number = |n: Option<u32>| n.map_or_else(|| "*".to_owned(), |n| n.to_string());
    let write = |rule: &Rule| {
        let file = if rule.allow { "devices.allow" } else { "devices.deny" };
        let letter = match rule.kind {
            Kind::All => return (file, "a".to_owned()),
            Kind::Block => 'b',
            Kind::Char => 'c',
        };
        let access: String = [('r', ACCESS_READ), ('w', ACCESS_WRITE), ('m', ACCESS_MKNOD)]
            .iter()
            .filter(|(_, bit)| rule.access & bit != 0)
            .map(|(letter, _)| *letter)
            .collect();
        (file, format!("{letter} {}:{} {access}", number(rule.major), number(rule.minor)))
    };
    let start = Rule { allow: false, kind: Kind::All, major: None, minor: None, access: ACCESS_ALL };
    std::iter::once(&start).chain(rules.iter().filter(|rule| rule.access != 0)).map(write).collect()
}

// Registers of the program: the kind of node, the access that no rule has allowed yet, major, minor, scratch.
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const LEFT: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
const SCRATCH: u8 = 6;

/// The program of cgroup v2: from the last rule to the first, each takes its part of the access off or denies it.
pub fn program(rules: &[Rule]) -> Vec<Instruction> {
    let mut code = vec![
        Instruction::load_word(KIND, CONTEXT, 0),
        Instruction::copy(LEFT, KIND),
        Instruction::and(KIND, 0xffff),
        Instruction::shift_right(LEFT, 16),
        Instruction::load_word(MAJOR, CONTEXT, 4),
        Instruction::load_word(MINOR, CONTEXT, 8),
    ];
    for rule in rules.iter().rev().filter(|rule| rule.access != 0) {
        let mut body = verdict(rule);
        let conditions = [
            (
                KIND,
                match rule.kind {
                    Kind::All => None,
                    Kind::Block => Some(DEV_BLOCK),
                    Kind::Char => Some(DEV_CHAR),
                },
            ),
            (MAJOR, rule.major.map(|n| n as i32)),
            (MINOR, rule.minor.map(|n| n as i32)),
        ];
        for (register, wanted) in conditions.into_iter().rev() {
            if let Some(wanted) = wanted {
                body.insert(0, Instruction::skip_unless_equal(register, wanted, body.len() as i16));
            }
        }
        code.append(&mut body);
    }
    code.extend([Instruction::set(0, 0), Instruction::exit()]);
    code
}

fn verdict(rule: &Rule) -> Vec<Instruction> {
    if rule.allow {
        return vec![
            Instruction::and(LEFT, (!rule.access) as i32),
            Instruction::skip_unless_equal(LEFT, 0, 2),
            Instruction::set(0, 1),
            Instruction::exit(),
        ];
    }
    vec![
        Instruction::copy(SCRATCH, LEFT),
        Instruction::and(SCRATCH, rule.access as i32),
        Instruction::skip_if_equal(SCRATCH, 0, 2),
        Instruction::set(0, 0),
        Instruction::exit(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Vec<Rule> {
        rules(&serde_json::from_str::<Vec<LinuxDeviceCgroup>>(json).unwrap())
    }

    /// Runs the program as the kernel would.
    fn allowed(code: &[Instruction], kind: i32, major: u32, minor: u32, access: u32) -> bool {
        let context = [(access << 16) | kind as u32, major, minor];
        let (mut registers, mut at) = ([0u32; 8], 0);
        loop {
            let instruction = code.get(at).unwrap();
            at += 1;
            if let Some(jump) = instruction.run(&context, &mut registers) {
                match jump {
                    None => return registers[0] == 1,
                    Some(distance) => at += distance as usize,
                }
            }
        }
    }

    #[test]
    fn the_last_rule_wins_bit_by_bit() {
        let json = r#"[{"allow":false,"access":"rwm"},{"allow":true,"type":"c","major":10,"minor":200,"access":"r"},
            {"allow":true,"type":"c","major":10,"access":"w"},{"allow":false,"type":"c","major":10,"minor":7,"access":"w"}]"#;
        let code = program(&of(json));
        let tun = |access| allowed(&code, DEV_CHAR, 10, 200, access);
        assert!(tun(ACCESS_READ) && tun(ACCESS_READ | ACCESS_WRITE) && tun(ACCESS_MKNOD));
        assert!(!allowed(&code, DEV_CHAR, 10, 7, ACCESS_WRITE));
        assert!(!allowed(&code, DEV_CHAR, 10, 8, ACCESS_READ));
        assert!(!allowed(&code, DEV_BLOCK, 10, 200, ACCESS_READ));
        assert!(allowed(&code, DEV_CHAR, 1, 3, ACCESS_ALL) && allowed(&code, DEV_CHAR, 136, 9, ACCESS_READ));
        assert!(allowed(&program(&of(r#"[{"allow":true,"access":"rwm"}]"#)), DEV_BLOCK, 8, 0, ACCESS_ALL));
    }

    #[test]
    fn rules_of_v1_begin_with_nothing() {
        let writes = v1_writes(&of(r#"[{"allow":true,"type":"b","major":8,"access":"rw"}]"#));
        let [first, second, ..] = writes.as_slice() else { panic!() };
        assert_eq!(first, &("devices.deny", "a".to_owned()));
        assert_eq!(second, &("devices.allow", "b 8:* rw".to_owned()));
        assert!(allow_everything(&of(r#"[{"allow":false},{"allow":true}]"#)));
        assert!(!allow_everything(&of(r#"[{"allow":true},{"allow":false,"type":"c","access":"r"}]"#)));
    }
}

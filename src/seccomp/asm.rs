//! A classic-BPF assembler that writes backwards: a jump is written after its targets, so every offset is known.
//!
//! Conditional jumps reach 255 instructions. Past that, the target gets a stepping stone right behind the jump: an
//! unconditional jump, or for a `ret` simply another `ret`.

use std::collections::BTreeMap;

use super::SockFilter;

const LD_W_ABS: u16 = 0x20;
const ALU_AND_K: u16 = 0x54;
const JMP_JA: u16 = 0x05;
const RET_K: u16 = 0x06;

/// What a conditional jump compares the accumulator with its constant for.
#[derive(Debug, Clone, Copy)]
#[repr(u16)]
pub enum Test {
    Equal = 0x15,
    Greater = 0x25,
    GreaterOrEqual = 0x35,
}

/// Where control goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The program ends with this action.
    Return(u32),
    /// An instruction already written.
    At(Label),
}

/// An instruction's place, counted from the end of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label(usize);

#[derive(Debug, Default)]
pub struct Assembler {
    reversed: Vec<SockFilter>,
    /// The latest `ret` of each action: the nearest for whatever comes next.
    returns: BTreeMap<u32, Label>,
}

impl Assembler {
    /// `A = seccomp_data[offset]`, then `next`.
    pub fn load(&mut self, offset: u32, next: Target) -> Target {
        self.fall_into(next);
        self.write(LD_W_ABS, 0, 0, offset)
    }

    /// `A &= mask`, then `next`.
    pub fn and(&mut self, mask: u32, next: Target) -> Target {
        self.fall_into(next);
        self.write(ALU_AND_K, 0, 0, mask)
    }

    /// `if A <test> k { yes } else { no }`
    pub fn branch(&mut self, test: Test, k: u32, yes: Target, no: Target) -> Target {
        if yes == no {
            return yes;
        }
        // `no` may put one more stepping stone between this jump and `yes`.
        let yes = self.near(yes, 254);
        let no = self.near(no, 255);
        let (jt, jf) = (self.distance(yes), self.distance(no));
        // `near` keeps both below 256.
        self.write(test as u16, jt as u8, jf as u8, k)
    }

    /// The program from its first instruction on, beginning at `start`.
    pub fn finish(mut self, start: Target) -> Vec<SockFilter> {
        self.fall_into(start);
        self.reversed.reverse();
        self.reversed
    }

    fn distance(&self, label: Label) -> usize {
        self.reversed.len() - label.0
    }

    /// Makes `target` the next instruction.
    fn fall_into(&mut self, target: Target) {
        match target {
            Target::At(label) if self.distance(label) == 0 => {}
            target => {
                self.stepping_stone(target);
            }
        }
    }

    /// A label for `target` at most `limit` instructions behind the one that is written next.
    fn near(&mut self, target: Target, limit: usize) -> Label {
        let known = match target {
            Target::At(label) => Some(label),
            Target::Return(action) => self.returns.get(&action).copied(),
        };
        match known {
            Some(label) if self.distance(label) <= limit => label,
            _ => self.stepping_stone(target),
        }
    }

    fn stepping_stone(&mut self, target: Target) -> Label {
        match target {
            Target::At(label) => {
                // A program is shorter than 2^32 by far.
                let far = self.distance(label) as u32;
                self.write(JMP_JA, 0, 0, far);
            }
            Target::Return(action) => {
                self.write(RET_K, 0, 0, action);
                self.returns.insert(action, Label(self.reversed.len()));
            }
        }
        Label(self.reversed.len())
    }

    fn write(&mut self, code: u16, jt: u8, jf: u8, k: u32) -> Target {
        self.reversed.push(SockFilter { code, jt, jf, k });
        Target::At(Label(self.reversed.len()))
    }
}

//! Whether system calls of a container can be answered by a process of ours (seccomp_unotify(2)).

use crate::sys::seccomp::{FLAG_NEW_LISTENER, FLAG_WAIT_KILLABLE_RECV, Instruction, install};

/// BPF_RET with the constant SECCOMP_RET_ALLOW.
const ALLOW: Instruction = Instruction { code: 0x06, jump_true: 0, jump_false: 0, k: 0x7fff_0000 };

/// Tried by a thread that ends with its filter. Refused below another such filter (a container of this kind around us),
/// and by kernels before 5.5, which cannot be told to go on with a call.
pub fn can_answer_calls() -> bool {
    goes_on(&rustix::system::uname().release().to_string_lossy()) && installs(FLAG_NEW_LISTENER)
}

/// Whether no signal but a deadly one cuts a call short that is being answered: kernels from 5.19 on.
pub fn answers_are_waited_for() -> bool {
    installs(FLAG_NEW_LISTENER | FLAG_WAIT_KILLABLE_RECV)
}

fn installs(flags: u32) -> bool {
    let thread = std::thread::Builder::new().spawn(move || {
        rustix::thread::set_no_new_privs(true).is_ok() && matches!(install(&[ALLOW], flags), Ok(Some(_)))
    });
    thread.is_ok_and(|thread| thread.join().unwrap_or(false))
}

/// By the kernel's number: there is no way to ask without a call that waits.
fn goes_on(release: &str) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(5), Some(5))
}

#[cfg(test)]
mod tests {
    use super::goes_on;

    #[test]
    fn kernels_from_5_5_on() {
        let releases = ["4.18.0-553.el8_10.x86_64", "5.4.0-1", "5.5", "5.14.0-362.el9", "6.18.44-fc", "odd"];
        assert_eq!(releases.map(goes_on), [false, false, true, true, true, false]);
    }
}

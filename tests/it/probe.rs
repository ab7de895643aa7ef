//! The inside half of tests: this binary, run in a container in place of a program (`Bundle::probe`).
//!
//! Raw system calls, because a libc would look at the arguments first.

#![allow(unsafe_code, reason = "system calls with arguments that no library would make")]

#[test]
fn run() {
    match std::env::var("CORACLE_PROBE").as_deref() {
        Ok("refused") => refused(),
        // On a line of its own: the harness has begun one.
        Ok("euid") => println!("\nprobe euid {}", nix::unistd::geteuid()),
        Ok("deny") => deny(),
        Ok("notify") => notify(),
        Ok("push") => push(),
        Ok(other) => panic!("no probe {other}"),
        Err(_) => {}
    }
}

/// A service: says how it is, then that it is ready, and works on.
fn notify() {
    let path = std::env::var("NOTIFY_SOCKET").unwrap();
    let socket = std::os::unix::net::UnixDatagram::unbound().unwrap();
    for said in ["STATUS=warming up", "STATUS=warm\nREADY=1"] {
        socket.send_to(said.as_bytes(), &path).unwrap();
    }
    std::thread::sleep(std::time::Duration::from_secs(1000));
}

/// Tries each call that the default profile refuses; prints `name errno` (0: it went through).
fn refused() {
    use libc::*;
    const HIGH: c_long = 1 << 32;
    const NEWUSER: c_long = 0x1000_0000;
    let page = [0_u64; 512];
    let page = page.as_ptr() as c_long;
    let calls: &[(&str, c_long, [c_long; 5])] = &[
        ("socket(AF_ALG)", SYS_socket, [38, 5, 0, 0, 0]),
        ("socket(AF_ALG|high)", SYS_socket, [38 | HIGH, 5, 0, 0, 0]),
        ("socket(AF_VSOCK)", SYS_socket, [40, 1, 0, 0, 0]),
        ("socket(AF_VSOCK|high)", SYS_socket, [40 | HIGH, 1, 0, 0, 0]),
        ("ioctl(TIOCSTI)", SYS_ioctl, [0, 0x5412, page, 0, 0]),
        ("ioctl(TIOCSTI|high)", SYS_ioctl, [0, 0x5412 | HIGH, page, 0, 0]),
        ("ioctl(TIOCLINUX)", SYS_ioctl, [0, 0x541c, page, 0, 0]),
        ("ioctl(TIOCLINUX|high)", SYS_ioctl, [0, 0x541c | HIGH, page, 0, 0]),
        ("clone(NEWUSER)", SYS_clone, [NEWUSER | 17, 0, 0, 0, 0]),
        ("clone(NEWUSER|high)", SYS_clone, [NEWUSER | 17 | HIGH, 0, 0, 0, 0]),
        ("clone3", SYS_clone3, [page, 88, 0, 0, 0]),
        ("unshare(NEWUSER)", SYS_unshare, [NEWUSER, 0, 0, 0, 0]),
        ("unshare(NEWNS)", SYS_unshare, [0x2_0000, 0, 0, 0, 0]),
        ("unshare(NEWTIME)", SYS_unshare, [0x80, 0, 0, 0, 0]),
        ("setns", SYS_setns, [0, 0, 0, 0, 0]),
        ("io_uring_setup", SYS_io_uring_setup, [1, page, 0, 0, 0]),
        ("io_uring_enter", SYS_io_uring_enter, [0, 0, 0, 0, 0]),
        ("io_uring_register", SYS_io_uring_register, [0, 0, 0, 0, 0]),
        ("keyctl", SYS_keyctl, [0, -3, 0, 0, 0]),
        ("add_key", SYS_add_key, [page, page, page, 1, -2]),
        ("request_key", SYS_request_key, [page, page, 0, -2, 0]),
        ("userfaultfd", SYS_userfaultfd, [1, 0, 0, 0, 0]),
        ("bpf", SYS_bpf, [0, page, 64, 0, 0]),
        ("perf_event_open", SYS_perf_event_open, [page, 0, -1, -1, 0]),
        ("mount", SYS_mount, [page, page, page, 0, 0]),
        ("umount2", SYS_umount2, [page, 0, 0, 0, 0]),
        ("pivot_root", SYS_pivot_root, [page, page, 0, 0, 0]),
        ("fsopen", SYS_fsopen, [page, 0, 0, 0, 0]),
        ("fsconfig", SYS_fsconfig, [0, 0, 0, 0, 0]),
        ("fsmount", SYS_fsmount, [0, 0, 0, 0, 0]),
        ("fspick", SYS_fspick, [0, page, 0, 0, 0]),
        ("open_tree(CLONE)", SYS_open_tree, [-100, page, 1, 0, 0]),
        ("move_mount", SYS_move_mount, [0, page, 0, page, 0]),
        ("mount_setattr", SYS_mount_setattr, [0, page, 0, page, 32]),
        ("open_by_handle_at", SYS_open_by_handle_at, [0, page, 0, 0, 0]),
        ("fanotify_init", SYS_fanotify_init, [0, 0, 0, 0, 0]),
        ("quotactl", SYS_quotactl, [0, 0, 0, 0, 0]),
        ("quotactl_fd", SYS_quotactl_fd, [0, 0, 0, 0, 0]),
        ("init_module", SYS_init_module, [page, 0, page, 0, 0]),
        ("finit_module", SYS_finit_module, [0, page, 0, 0, 0]),
        ("delete_module", SYS_delete_module, [page, 0, 0, 0, 0]),
        ("kexec_load", SYS_kexec_load, [0, 0, 0, 0, 0]),
        ("kexec_file_load", SYS_kexec_file_load, [0, 0, 0, 0, 0]),
        ("acct", SYS_acct, [0, 0, 0, 0, 0]),
        ("kcmp", SYS_kcmp, [1, 1, 0, 0, 0]),
        ("process_madvise", SYS_process_madvise, [0, 0, 0, 0, 0]),
        ("swapon", SYS_swapon, [page, 0, 0, 0, 0]),
        ("swapoff", SYS_swapoff, [page, 0, 0, 0, 0]),
        ("settimeofday", SYS_settimeofday, [0, 0, 0, 0, 0]),
        ("clock_settime", SYS_clock_settime, [0, page, 0, 0, 0]),
        ("sethostname", SYS_sethostname, [page, 1, 0, 0, 0]),
        ("setdomainname", SYS_setdomainname, [page, 1, 0, 0, 0]),
        ("vhangup", SYS_vhangup, [0, 0, 0, 0, 0]),
        ("migrate_pages", SYS_migrate_pages, [0, 0, 0, 0, 0]),
        ("move_pages", SYS_move_pages, [0, 0, 0, 0, 0]),
        ("vmsplice", SYS_vmsplice, [0, 0, 0, 0, 0]),
        ("ustat", 136, [0, page, 0, 0, 0]),
        ("sysfs", 139, [3, 0, 0, 0, 0]),
        ("lookup_dcookie", 212, [0, page, 0, 0, 0]),
        ("iopl", 172, [0, 0, 0, 0, 0]),
        ("ioperm", 173, [0, 0, 0, 0, 0]),
    ];
    println!(); // the harness has begun a line
    for (name, number, [a, b, c, d, e]) in calls {
        // SAFETY: pointers are null or to a live zeroed page that is longer than what these calls read or write; the
        // test is that the kernel refuses each call before it looks.
        let result = unsafe { syscall(*number, *a, *b, *c, *d, *e) };
        let errno = if result < 0 { std::io::Error::last_os_error().raw_os_error().unwrap_or(-1) } else { 0 };
        println!("probe {name} {errno}");
    }
}

/// Pushes a line into whatever terminal can be had, as if it had been typed there; prints `push WHICH errno` for each way.
fn push() {
    use std::os::fd::AsRawFd;
    println!();
    let tty = std::fs::File::options().read(true).write(true).open("/dev/tty");
    let console = std::fs::File::options().read(true).write(true).open("/dev/console");
    let fds = [("stdin", Some(0)), ("stdout", Some(1)), ("stderr", Some(2))];
    let opened = [("/dev/tty", &tty), ("/dev/console", &console)];
    let opened = opened.map(|(name, file)| (name, file.as_ref().ok().map(AsRawFd::as_raw_fd)));
    for (name, fd) in fds.into_iter().chain(opened) {
        let Some(fd) = fd else {
            println!("push {name} none");
            continue;
        };
        let mut errno = 0;
        for byte in b"echo PUSHED\n" {
            // SAFETY: TIOCSTI reads one byte at the address.
            if unsafe { libc::ioctl(fd, libc::TIOCSTI as libc::Ioctl, std::ptr::from_ref(byte)) } != 0 {
                errno = std::io::Error::last_os_error().raw_os_error().unwrap_or(-1);
            }
        }
        // TIOCL_SETSEL and TIOCL_PASTESEL of a virtual console: linux/tiocl.h.
        let paste = [3_u8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        // SAFETY: TIOCLINUX reads a byte of the array that says what, and a few after it.
        let linux = unsafe { libc::ioctl(fd, 0x541c as libc::Ioctl, paste.as_ptr()) };
        println!("push {name} {errno} {linux}");
    }
}

/// Becomes the program of CORACLE_DENY_RUN (a JSON list), for which the system calls of CORACLE_DENY (`[errno, number…]`)
/// fail: an old kernel, or the filter of a container engine around us.
fn deny() {
    use std::os::unix::process::CommandExt;
    let list = |name: &str| std::env::var(name).unwrap();
    let denied: Vec<u32> = serde_json::from_str(&list("CORACLE_DENY")).unwrap();
    let run: Vec<String> = serde_json::from_str(&list("CORACLE_DENY_RUN")).unwrap();
    let (errno, calls) = denied.split_first().unwrap();
    let step = |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter { code: code as u16, jt, jf, k };
    // struct seccomp_data: the number comes first.
    let mut filter = vec![step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0)];
    for call in calls {
        filter.push(step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, *call));
        filter.push(step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | errno));
    }
    filter.push(step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW));
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: plain numbers, and a program that lives across the call.
    unsafe {
        // Root of a namespace needs none, and setuid programs must go on to work there.
        if !nix::unistd::geteuid().is_root() {
            assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        }
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program), 0);
    }
    let mut command = std::process::Command::new(&run[0]);
    panic!("{}", command.args(&run[1..]).env_remove("CORACLE_PROBE").exec());
}

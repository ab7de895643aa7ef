"""seccomp filters as data: the one of libseccomp for a profile, and what a filter costs a system call.

The cost is also counted in BPF instructions because the kernel spares a call the filter altogether when it is allowed
whatever its arguments are (a bitmap, since Linux 5.11): the time of such a call does not show the filter.
"""
import ctypes
import ctypes.util
import json
import os
import pathlib
import struct

from measure import Failed, output

X86_64 = 0xC000003E
GETPPID = 110
ACTIONS = {"SCMP_ACT_ALLOW": 0x7FFF0000, "SCMP_ACT_LOG": 0x7FFC0000, "SCMP_ACT_KILL_PROCESS": 0x80000000, "SCMP_ACT_KILL": 0,
           "SCMP_ACT_KILL_THREAD": 0, "SCMP_ACT_TRAP": 0x00030000}
COMPARISONS = {name: number for number, name in enumerate(
    ("SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ"), 1)}
OPTIMIZE, TREE = 8, 2       # SCMP_FLTATR_CTL_OPTIMIZE


def default_profile(coracle):
    """linux.seccomp of a container that coracle made."""
    import engines
    output([coracle, "create", "--name", "bench-seccomp", "--network", "none", engines.IMAGE, "true"])
    files = list((pathlib.Path(os.environ["HOME"]) / ".local/share/coracle").rglob("config.json"))
    profiles = [json.loads(file.read_text()).get("linux", {}).get("seccomp") for file in files]
    output([coracle, "rm", "--force", "bench-seccomp"])
    for profile in filter(None, profiles):
        return profile
    raise Failed("no config.json with a seccomp profile")


class Comparison(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def action(name, errno):
    return 0x00050000 | (1 if errno is None else errno) if name == "SCMP_ACT_ERRNO" else ACTIONS[name]


def by_libseccomp(profile, file):
    """Compiles the profile with libseccomp's best: a binary tree over the numbers."""
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    default = action(profile["defaultAction"], profile.get("defaultErrnoRet"))
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(default)))
    try:
        if library.seccomp_attr_set(context, OPTIMIZE, ctypes.c_uint32(TREE)) != 0:
            raise Failed("this libseccomp makes no binary tree")
        for name in profile.get("architectures", []):
            token = library.seccomp_arch_resolve_name(name.removeprefix("SCMP_ARCH_").lower().encode())
            library.seccomp_arch_add(context, ctypes.c_uint32(token & 0xFFFFFFFF))
        for group in profile["syscalls"]:
            verdict = action(group["action"], group.get("errnoRet"))
            # Tests of one argument twice are alternatives, as runc and crun read them.
            tests = [Comparison(a["index"], COMPARISONS[a["op"]], a["value"], a.get("valueTwo", 0)) for a in group.get("args") or []]
            several = len({test.arg for test in tests}) != len(tests)
            for name in group["names"]:
                number = library.seccomp_syscall_resolve_name(name.encode())
                if number == -1 or verdict == default:
                    continue
                for chosen in [[test] for test in tests] if several else [tests]:
                    array = (Comparison * len(chosen))(*chosen)
                    library.seccomp_rule_add_array(context, ctypes.c_uint32(verdict), number, len(chosen), array)
        with open(file, "wb") as out:
            if library.seccomp_export_bpf(context, out.fileno()) != 0:
                raise Failed("seccomp_export_bpf")
    finally:
        library.seccomp_release(context)


def steps(file, number, arch=X86_64):
    """How many BPF instructions a call with this number and arguments of zero takes."""
    code = list(struct.iter_unpack("HBBI", pathlib.Path(file).read_bytes()))
    data = struct.pack("IIQ6Q", number, arch, 0, *[0] * 6)
    accumulator = at = taken = 0
    while True:
        kind, yes, no, k = code[at]
        taken, at = taken + 1, at + 1
        if kind & 7 == 6:                                  # BPF_RET
            return taken
        if kind == 0x20:                                   # BPF_LD | BPF_W | BPF_ABS
            accumulator = struct.unpack_from("I", data, k)[0]
        elif kind == 0x05:                                 # BPF_JMP | BPF_JA
            at += k
        elif kind & 7 == 5:
            holds = {0x10: accumulator == k, 0x20: accumulator > k, 0x30: accumulator >= k, 0x40: accumulator & k != 0}[kind & 0xF0]
            at += yes if holds else no
        elif kind == 0x54:                                 # BPF_ALU | BPF_AND | BPF_K
            accumulator &= k
        else:
            raise Failed(f"a BPF instruction {kind:#x}")


def mean_steps(file):
    return sum(steps(file, number) for number in range(463)) / 463

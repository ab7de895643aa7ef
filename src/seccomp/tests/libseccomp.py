"""Reads {"profiles": [LinuxSeccomp, ...], "names": [...]} on stdin.

Writes one line with the names that this libseccomp does not know, then a line for each profile: the BPF of x86_64 and
of every architecture listed, in hex, each compiled alone.

Drives libseccomp.so.2 as crun and runc do: no rule whose action is the default, conditions on one argument twice become
rules of their own, names that an architecture lacks are skipped.
"""
import ctypes
import errno
import json
import os
import sys
import tempfile

ARCHES = {"SCMP_ARCH_X86_64": 0xC000003E, "SCMP_ARCH_X86": 0x40000003, "SCMP_ARCH_X32": 0x4000003E,
          "SCMP_ARCH_AARCH64": 0xC00000B7, "SCMP_ARCH_ARM": 0x40000028}
NATIVE = "SCMP_ARCH_X86_64"
ACTIONS = {"SCMP_ACT_KILL": 0, "SCMP_ACT_KILL_THREAD": 0, "SCMP_ACT_KILL_PROCESS": 0x80000000, "SCMP_ACT_TRAP": 0x30000,
           "SCMP_ACT_ERRNO": 0x50000, "SCMP_ACT_TRACE": 0x7FF00000, "SCMP_ACT_LOG": 0x7FFC0000,
           "SCMP_ACT_ALLOW": 0x7FFF0000, "SCMP_ACT_NOTIFY": 0x7FC00000}
OPERATORS = ["", "SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT",
             "SCMP_CMP_MASKED_EQ"]


class Argument(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


lib = ctypes.CDLL("libseccomp.so.2")
lib.seccomp_init.restype = ctypes.c_void_p


def action(name, errno_ret):
    value = ACTIONS[name]
    if name in ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"):
        value |= 1 if errno_ret is None else errno_ret
    return value


def add(context, act, number, args):
    array = (Argument * max(1, len(args)))(*[
        Argument(a["index"], OPERATORS.index(a["op"]), a["value"], a.get("valueTwo") or 0) for a in args])
    rc = lib.seccomp_rule_add_array(context, ctypes.c_uint32(act), number, len(args), array)
    if rc < 0 and -rc not in (errno.EEXIST, errno.EINVAL, errno.EDOM):
        sys.exit(f"rule_add {number}: {rc}")


def compile(profile, arch):
    default = action(profile["defaultAction"], profile.get("defaultErrnoRet"))
    context = ctypes.c_void_p(lib.seccomp_init(ctypes.c_uint32(default)))
    if arch != NATIVE:
        lib.seccomp_arch_add(context, ctypes.c_uint32(ARCHES[arch]))
        lib.seccomp_arch_remove(context, ctypes.c_uint32(ARCHES[NATIVE]))
    for entry in profile.get("syscalls") or []:
        act = action(entry["action"], entry.get("errnoRet"))
        if act == default:
            continue
        args = entry.get("args") or []
        repeated = len({a["index"] for a in args}) < len(args)
        for name in entry["names"]:
            number = lib.seccomp_syscall_resolve_name(name.encode())
            if number == -1:
                continue
            for rule in ([[a] for a in args] if repeated else [args]):
                add(context, act, number, rule)
    with tempfile.TemporaryFile() as file:
        rc = lib.seccomp_export_bpf(context, file.fileno())
        if rc < 0:
            sys.exit(f"export_bpf: {rc}")
        file.seek(0)
        code = file.read()
    lib.seccomp_release(context)
    return code


request = json.load(sys.stdin)
print(" ".join(n for n in request["names"] if lib.seccomp_syscall_resolve_name(n.encode()) == -1))
for profile in request["profiles"]:
    arches = [NATIVE] + [a for a in profile.get("architectures") or [] if a != NATIVE]
    print(" ".join(compile(profile, arch).hex() for arch in arches))

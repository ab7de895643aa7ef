"""Layer archives from lists of entries, and what such layers come to when they are merged.

`fixture()` is the `layers` image below /fix. `expected()` merges it the way the OCI image specification says
(layer.md, "Applying Changesets"), without any container tool, so that a test compares two independent opinions.
"""
import dataclasses
import hashlib
import io
import tarfile

TIME = 1735689600       # 2025-01-01, for every entry that does not say otherwise
KINDS = {tarfile.REGTYPE: "file", tarfile.DIRTYPE: "dir", tarfile.SYMTYPE: "symlink", tarfile.FIFOTYPE: "fifo", tarfile.LNKTYPE: "hardlink"}


@dataclasses.dataclass
class Entry:
    path: str
    kind: bytes
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    content: bytes = b""
    target: str = ""
    time: int = TIME
    xattrs: dict = dataclasses.field(default_factory=dict)


def file(path, content, **more):
    return Entry(path, tarfile.REGTYPE, content=content, **more)


def folder(path, mode=0o755, **more):
    return Entry(path, tarfile.DIRTYPE, mode=mode, **more)


def symlink(path, target, **more):
    return Entry(path, tarfile.SYMTYPE, mode=0o777, target=target, **more)


def hardlink(path, target, **same):
    """As tar writes them: the second name repeats the owner and mode of the first."""
    return Entry(path, tarfile.LNKTYPE, target=target, **same)


def tar(entries):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for entry in entries:
            info = tarfile.TarInfo(entry.path)
            info.type, info.mode, info.uid, info.gid, info.mtime = entry.kind, entry.mode, entry.uid, entry.gid, entry.time
            info.linkname, info.size = entry.target, len(entry.content)
            info.pax_headers = {f"SCHILY.xattr.{name}": value for name, value in entry.xattrs.items()}
            archive.addfile(info, io.BytesIO(entry.content))
    return buffer.getvalue()


def fixture():
    # cap_net_bind_service=ep, as the kernel stores it (vfs_cap_data, revision 2)
    capability = "\x01\x00\x00\x02\x00\x04" + "\x00" * 14
    first = [
        folder("fix"),
        file("fix/plain", b"plain\n"),
        file("fix/old", b"old\n", time=315532800),
        file("fix/empty", b""),
        file("fix/setuid", b"#!/bin/sh\n", mode=0o4755),
        file("fix/setgid", b"#!/bin/sh\n", mode=0o2755, gid=10),
        file("fix/secret", b"secret\n", mode=0o000),
        folder("fix/sticky", mode=0o1777),
        file("fix/of-user", b"", uid=1000, gid=1000),
        file("fix/of-nobody", b"", uid=65534, gid=65534),
        file("fix/of-two", b"", uid=1000, gid=5),
        file("fix/setuid-of-user", b"#!/bin/sh\n", mode=0o4711, uid=1000, gid=1000),
        symlink("fix/symlink-of-user", "nowhere", uid=1000, gid=1000),
        file("fix/hard-a", b"one inode\n", mode=0o600, uid=1000),
        hardlink("fix/hard-b", "fix/hard-a", mode=0o600, uid=1000),
        file("fix/xattr", b"", xattrs={"user.fixture": "value", "user.second": "two\nlines"}),
        file("fix/capable", b"#!/bin/sh\n", mode=0o755, xattrs={"security.capability": capability}),
        Entry("fix/fifo", tarfile.FIFOTYPE, mode=0o620),
        symlink("fix/relative", "plain"),
        symlink("fix/absolute", "/fix/plain"),
        symlink("fix/above", "../../../etc/passwd"),
        file("fix/" + "long-name-" * 20, b"200 characters\n"),
        file("fix/" + "quite-deep-folder/" * 15 + "leaf", b"far down\n"),
        file("fix/with space and \u00fcn\u00ef", b""),
        file("fix/gone", b"hidden by the second layer\n"),
        folder("fix/gone-dir"), file("fix/gone-dir/inner", b""),
        file("fix/back", b"first\n"),
        folder("fix/opaque"), file("fix/opaque/below", b""), folder("fix/opaque/dir"), file("fix/opaque/dir/below", b""),
        folder("fix/dir-to-file"), file("fix/dir-to-file/inner", b""),
        file("fix/file-to-dir", b""),
        symlink("fix/link-to-dir", "sticky"),
        folder("fix/remoded", mode=0o755), file("fix/remoded/kept", b"kept\n"),
        # a folder that claims to hide what is below it, in overlayfs's own words: an unpacker must drop the claim
        folder("fix/merged"), file("fix/merged/below", b"still here\n"),
    ]
    second = [
        file("fix/.wh.gone", b""), file("fix/.wh.gone-dir", b""), file("fix/.wh.back", b""),
        folder("fix/opaque", mode=0o750), file("fix/opaque/.wh..wh..opq", b""), file("fix/opaque/fresh", b"fresh\n"),
        file("fix/dir-to-file", b"a file now\n"),
        folder("fix/file-to-dir"), file("fix/file-to-dir/inner", b""),
        folder("fix/link-to-dir"), file("fix/link-to-dir/inner", b""),
        folder("fix/remoded", mode=0o711, uid=1000, gid=1000),
        folder("fix/merged", xattrs={"user.overlay.opaque": "y", "trusted.overlay.opaque": "y"}), file("fix/merged/above", b"above\n"),
    ]
    third = [
        file("fix/back", b"third\n"),
        file("fix/opaque/.wh.fresh", b""), file("fix/opaque/last", b"last\n"),
        file("fix/plain", b"changed\n", mode=0o640, uid=1000, gid=1000, time=TIME + 1),
        folder("fix/trio"), file("fix/trio/a", b"three names\n"), hardlink("fix/trio/b", "fix/trio/a"), hardlink("fix/trio/c", "fix/trio/a"),
    ]
    return [first, second, third]


def apply(merged, entries):
    """One changeset onto {path: entry}. Whiteouts act on what lower layers brought, so they go first."""
    def drop(path, itself):
        for other in [p for p in merged if p.startswith(path + "/") or (itself and p == path)]:
            del merged[other]

    for entry in entries:
        parent, _, name = entry.path.rpartition("/")
        if name == ".wh..wh..opq":
            drop(parent, itself=False)
        elif name.startswith(".wh."):
            drop(f"{parent}/{name[4:]}", itself=True)
    for entry in entries:
        if "/.wh." in entry.path:
            continue
        parts = entry.path.split("/")
        for length in range(1, len(parts)):
            merged.setdefault("/".join(parts[:length]), folder("/".join(parts[:length])))
        there = merged.get(entry.path)
        if there and not (there.kind == entry.kind == tarfile.DIRTYPE):
            drop(entry.path, itself=True)
        merged[entry.path] = merged[entry.target] if entry.kind == tarfile.LNKTYPE else entry


def expected(layers):
    """A line per path, sorted: path TAB kind TAB mode TAB uid:gid TAB links TAB mtime TAB content (sha256, target or -).

    Links and times of folders are the file system's affair and stand as `-`, like the mode and time of symbolic links,
    and the times of folders that no layer named.
    """
    merged = {}
    for entries in layers:
        apply(merged, entries)
    lines = []
    for path, entry in sorted(merged.items()):
        kind = KINDS[entry.kind]
        links = "-" if kind == "dir" else str(sum(other is entry for other in merged.values()))
        time = str(entry.time) if kind in ("file", "fifo") else "-"
        mode = "-" if kind == "symlink" else f"{entry.mode:o}"
        content = {"file": hashlib.sha256(entry.content).hexdigest(), "symlink": entry.target}.get(kind, "-")
        lines.append("\t".join([path, kind, mode, f"{entry.uid}:{entry.gid}", links, time, content]))
    return "\n".join(lines) + "\n"

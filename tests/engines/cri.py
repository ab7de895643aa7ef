#!/usr/bin/python3
"""cri.py SOCKET CALL [ARG ...]: what a kubelet asks of containerd, one call at a time.  cri.py pause LAYOUT FILE: an image.

Debian has no crictl. The messages are few and small, so they are written out here by field number
(k8s.io/cri-api, runtime/v1/api.proto) and need no generated code (python3-grpcio, for Debian's own Python).

    sandbox HANDLER NAME          prints its id; on the network of whoever runs containerd
    create SANDBOX NAME IMAGE MEMORY COMMAND ...    prints its id; MEMORY in bytes
    start ID | stop ID | remove ID | stop-sandbox ID | remove-sandbox ID
    status ID                     prints running, exited N, created or unknown
    exec ID COMMAND ...           prints its output, ends with its exit code
    memory ID BYTES               another limit
    stats ID                      prints the bytes of its working set

CRI_CGROUP_PARENT is the pod's parent cgroup: a path, or the name of a slice where the handler uses systemd.
"""
import hashlib
import io
import json
import os
import sys
import tarfile


def number(field, value):
    return varint(field << 3) + varint(value)


def data(field, value):
    value = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(value)) + value


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def fields(message):
    """Field number -> its last value. Only the two wire types that these answers have."""
    found, at = {}, 0

    def read():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        tag = read()
        value = read()
        if tag & 7 == 2:
            value, at = message[at:at + value], at + value
        found[tag >> 3] = value
    return found


def call(socket, method, request):
    import grpc
    with grpc.insecure_channel(f"unix://{socket}", options=[("grpc.default_authority", "localhost")]) as channel:
        try:
            return fields(channel.unary_unary(f"/runtime.v1.RuntimeService/{method}")(request, timeout=60))
        except grpc.RpcError as error:
            sys.exit(f"{method}: {error.details()}")


def pod(name):
    host_network = data(2, data(1, number(1, 2)))
    parent = data(1, os.environ.get("CRI_CGROUP_PARENT", ""))
    metadata = data(1, name) + data(2, name) + data(3, "default")
    return data(1, metadata) + data(8, parent + host_network)


def memory_limit(size):
    return number(4, int(size))


def run(socket, what, *args):
    if what == "sandbox":
        handler, name = args
        print(call(socket, "RunPodSandbox", data(1, pod(name)) + data(2, handler))[1].decode())
    elif what == "create":
        sandbox, name, image, memory, *command = args
        config = data(1, data(1, name)) + data(2, data(1, image)) + b"".join(data(3, word) for word in command)
        config += data(15, data(1, memory_limit(memory)))
        # The sandbox's configuration again, as it was given: its name is the sandbox's own.
        print(call(socket, "CreateContainer", data(1, sandbox) + data(2, config) + data(3, pod(name)))[1].decode())
    elif what in ("start", "stop", "remove"):
        call(socket, what.capitalize() + "Container", data(1, args[0]))
    elif what in ("stop-sandbox", "remove-sandbox"):
        call(socket, what.split("-")[0].capitalize() + "PodSandbox", data(1, args[0]))
    elif what == "status":
        status = fields(call(socket, "ContainerStatus", data(1, args[0]))[1])
        print(["created", "running", f"exited {status.get(7, 0)}", "unknown"][status.get(3, 0)])
    elif what == "exec":
        answer = call(socket, "ExecSync", data(1, args[0]) + b"".join(data(2, word) for word in args[1:]))
        print(answer.get(1, b"").decode(), end="")
        sys.exit(answer.get(3, 0))
    elif what == "memory":
        call(socket, "UpdateContainerResources", data(1, args[0]) + data(2, memory_limit(args[1])))
    elif what == "stats":
        stats = fields(call(socket, "ContainerStats", data(1, args[0]))[1])
        print(fields(fields(stats[3])[2])[1])
    else:
        sys.exit(__doc__)


def pause(layout, target):
    """An archive with the image of LAYOUT, whose command only waits: what keeps a sandbox."""
    def blob(descriptor):
        with open(f"{layout}/blobs/{descriptor['digest'].replace(':', '/')}", "rb") as file:
            return file.read()

    with open(f"{layout}/index.json", encoding="utf-8") as file:
        index = json.load(file)
    descriptor = index["manifests"][0]
    while "manifests" in (manifest := json.loads(blob(descriptor))):
        descriptor = manifest["manifests"][0]
    config = json.loads(blob(manifest["config"]))
    config["config"] = {"Entrypoint": ["sleep", "100000"], "Env": ["PATH=/bin"]}
    files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}

    def add(descriptor, content):
        digest = hashlib.sha256(content).hexdigest()
        files[f"blobs/sha256/{digest}"] = content
        return {**descriptor, "digest": f"sha256:{digest}", "size": len(content)}

    manifest["layers"] = [add(layer, blob(layer)) for layer in manifest["layers"]]
    manifest["config"] = add(manifest["config"], json.dumps(config).encode())
    descriptor = add(descriptor, json.dumps(manifest).encode())
    descriptor["annotations"] = {"io.containerd.image.name": "docker.io/local/pause:latest"}
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [descriptor]}).encode()
    with tarfile.open(target, "w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    if sys.argv[1] == "pause":
        pause(*sys.argv[2:])
    else:
        run(*sys.argv[1:])

"""Writes OCI image layouts (image-layout.md of the OCI image specification): blobs by digest, one index.json."""
import gzip as gzip_module
import hashlib
import json
import pathlib
import subprocess

CREATED = "2025-01-01T00:00:00Z"
TYPE = "application/vnd.oci.image."


class Layer:
    """A compressed layer and the digest of what it unpacks to."""

    def __init__(self, archive, blob, media_type):
        self.diff_id = digest(archive)
        self.blob = blob
        self.media_type = media_type


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def gzip(archive):
    return Layer(archive, gzip_module.compress(archive, 6, mtime=0), TYPE + "layer.v1.tar+gzip")


def zstd(archive):
    blob = subprocess.run(["zstd", "-q", "-c"], input=archive, check=True, capture_output=True).stdout
    return Layer(archive, blob, TYPE + "layer.v1.tar+zstd")


class Layout:
    def __init__(self, path):
        self.path = pathlib.Path(path)
        (self.path / "blobs/sha256").mkdir(parents=True)
        (self.path / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')

    def blob(self, data, media_type):
        name = digest(data)
        (self.path / "blobs" / name.replace(":", "/")).write_bytes(data)
        return {"mediaType": media_type, "digest": name, "size": len(data)}

    def json(self, document, media_type):
        return self.blob(json.dumps(document, separators=(",", ":")).encode(), media_type)

    def manifest(self, layers, config, architecture):
        """Writes one platform's image and returns its descriptor."""
        descriptors, diff_ids = [], []
        for layer in layers:
            descriptors.append(self.blob(layer.blob, layer.media_type))
            diff_ids.append(layer.diff_id)
        image = {"created": CREATED, "architecture": architecture, "os": "linux", "config": config,
                 "rootfs": {"type": "layers", "diff_ids": diff_ids},
                 "history": [{"created": CREATED, "created_by": "tests/images/make"} for _ in diff_ids]}
        manifest = {"schemaVersion": 2, "mediaType": TYPE + "manifest.v1+json",
                    "config": self.json(image, TYPE + "config.v1+json"), "layers": descriptors}
        descriptor = self.json(manifest, TYPE + "manifest.v1+json")
        return {**descriptor, "platform": {"architecture": architecture, "os": "linux"}}

    def tag(self, descriptor, tags):
        manifests = [{**descriptor, "annotations": {"org.opencontainers.image.ref.name": tag}} for tag in tags]
        (self.path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": manifests}))

    def image(self, layers, config, architecture, tags=("latest",)):
        self.tag(self.manifest(layers, config, architecture), tags)

    def index(self, manifests):
        """A manifest list under the one tag."""
        self.tag(self.json({"schemaVersion": 2, "mediaType": TYPE + "index.v1+json", "manifests": manifests}, TYPE + "index.v1+json"),
                 ["latest"])

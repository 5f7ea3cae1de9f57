#!/usr/bin/env python3
"""Packs the module for delivery.

    image.py pack  MODULE LAYOUT      an OCI layout, a checksum and an SBOM beside the module
    image.py push  LAYOUT REFERENCE   pushes it (needs `oras`, the Python package)

The layout has three manifests. Istio and Envoy Gateway load the first two alike:
  VERSION            an image whose only layer has the file `plugin.wasm`
  VERSION-artifact   an artifact of exactly two layers, the module and its (empty) configuration
  VERSION-sbom       the SBOM (CycloneDX), which refers to the first

The same commit gives the same bytes: times are those of SOURCE_DATE_EPOCH, else of the commit.
"""
import datetime
import gzip
import hashlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tarfile

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
SBOM = "application/vnd.cyclonedx+json"
FILTER, TARGET = "portcullis-filter", "wasm32-wasip1"


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def of_git(*arguments):
    """What git says, where this is a repository."""
    try:
        return run("git", *arguments)
    except (OSError, subprocess.CalledProcessError):
        return ""


def package():
    metadata = json.loads(run("cargo", "metadata", "--format-version", "1", "--no-deps", "--locked"))
    return next(package for package in metadata["packages"] if package["name"] == FILTER)


def components():
    """The crates that are compiled into the module, as cargo itself lists them."""
    tree = ("cargo", "tree", "--locked", "-p", FILTER, "--target", TARGET, "-e", "normal,no-proc-macro", "--prefix", "none")
    lines = {line for line in run(*tree, "--no-dedupe", "-f", "{p}\t{l}").splitlines()}
    for line in sorted(lines):
        described, licence = line.split("\t")
        name, version = described.split()[:2]
        version = version.removeprefix("v")
        if name == FILTER:
            continue
        component = {"type": "library", "name": name, "version": version}
        if "(" not in described:  # not of this workspace
            component["purl"] = f"pkg:cargo/{name}@{version}"
        if licence:
            component["licenses"] = [{"expression": licence.replace("/", " OR ")}]
        yield component


def sbom(module, about, created):
    digest = {"alg": "SHA-256", "content": hashlib.sha256(module).hexdigest()}
    subject = {
        "type": "application", "name": "portcullis", "version": about["version"],
        "licenses": [{"expression": about["license"]}], "hashes": [digest],
    }
    return {
        "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "metadata": {"timestamp": created, "component": subject}, "components": list(components()),
    }


def layer_of(module, epoch):
    """A tar with one file, and its compressed form."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        entry = tarfile.TarInfo("plugin.wasm")
        entry.size, entry.mode, entry.mtime = len(module), 0o644, epoch
        tar.addfile(entry, io.BytesIO(module))
    return buffer.getvalue(), gzip.compress(buffer.getvalue(), 9, mtime=0)


class Layout:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.manifests = []

    def blob(self, media_type, data):
        digest = hashlib.sha256(data).hexdigest()
        file = self.folder / "blobs" / "sha256" / digest
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    def manifest(self, tag, config, layers, annotations, **more):
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, **more, "config": config, "layers": layers, "annotations": annotations}
        described = self.blob(MANIFEST, json.dumps(manifest).encode())
        self.manifests.append({**described, "annotations": {"org.opencontainers.image.ref.name": tag}})
        return described

    def close(self):
        index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": self.manifests}
        (self.folder / "index.json").write_text(json.dumps(index))
        (self.folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


def pack(module_file, folder):
    file = pathlib.Path(module_file)
    module, about = file.read_bytes(), package()
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH") or of_git("log", "-1", "--format=%ct") or 0)
    created = datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    labels = {
        "org.opencontainers.image.title": "portcullis",
        "org.opencontainers.image.description": about["description"],
        "org.opencontainers.image.version": about["version"],
        "org.opencontainers.image.licenses": about["license"],
        "org.opencontainers.image.created": created,
    }
    if revision := of_git("rev-parse", "HEAD"):
        labels["org.opencontainers.image.revision"] = revision

    file.with_name(file.name + ".sha256").write_text(f"{hashlib.sha256(module).hexdigest()}  {file.name}\n")
    bill = json.dumps(sbom(module, about, created), indent=2).encode() + b"\n"
    file.with_suffix(".cdx.json").write_bytes(bill)

    layout = Layout(folder)
    tar, layer = layer_of(module, epoch)
    config = {
        "created": created, "architecture": "wasm", "os": "wasip1", "config": {"Labels": labels},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(tar).hexdigest()]},
    }
    image = layout.manifest(
        about["version"],
        layout.blob("application/vnd.oci.image.config.v1+json", json.dumps(config).encode()),
        [layout.blob("application/vnd.oci.image.layer.v1.tar+gzip", layer)],
        labels,
    )
    empty = b"{}"
    layout.manifest(
        about["version"] + "-artifact",
        layout.blob("application/vnd.module.wasm.config.v1+json", empty),
        [
            {**layout.blob("application/vnd.module.wasm.content.layer.v1+wasm", module),
             "annotations": {"org.opencontainers.image.title": "plugin.wasm"}},
            {**layout.blob("application/vnd.module.wasm.config.v1+json", empty),
             "annotations": {"org.opencontainers.image.title": "runtime-config.json"}},
        ],
        labels,
    )
    layout.manifest(
        about["version"] + "-sbom",
        layout.blob("application/vnd.oci.empty.v1+json", empty),
        [{**layout.blob(SBOM, bill), "annotations": {"org.opencontainers.image.title": "portcullis.cdx.json"}}],
        labels,
        artifactType=SBOM,
        subject=image,
    )
    layout.close()
    print(f"{folder}: {', '.join(m['annotations']['org.opencontainers.image.ref.name'] for m in layout.manifests)}")


def push(folder, reference):
    import oras.client  # only here: packing needs nothing but Python

    folder = pathlib.Path(folder)
    repository, colon, tag = reference.rpartition(":")
    if not colon or "/" in tag or "/" not in repository:
        sys.exit(f"{reference} is not REGISTRY/NAME:TAG")
    host = repository.split("/")[0]
    local = host.rsplit(":", 1)[0] in ("localhost", "127.0.0.1", "[::1]")
    client = oras.client.OrasClient(insecure=local)

    def blob(described):
        return folder / "blobs" / "sha256" / described["digest"].removeprefix("sha256:")

    for described in json.loads((folder / "index.json").read_text())["manifests"]:
        _, dash, form = described["annotations"]["org.opencontainers.image.ref.name"].partition("-")
        target = client.get_container(f"{repository}:{tag}{dash}{form}")
        client.auth.load_configs(target)
        manifest = json.loads(blob(described).read_text())
        for part in [*manifest["layers"], manifest["config"]]:
            check(client.upload_blob(str(blob(part)), target, part), target)
        answer = check(client.upload_manifest(manifest, target), target)
        if answer.headers.get("docker-content-digest") != described["digest"]:
            sys.exit(f"{target}: the registry says {answer.headers.get('docker-content-digest')}, not {described['digest']}")
        print(f"{target}@{described['digest']}")


def check(answer, target):
    if answer.status_code not in (200, 201, 202):
        sys.exit(f"{target}: the registry answered {answer.status_code} {answer.text}")
    return answer


if __name__ == "__main__":
    command, *arguments = sys.argv[1:] or [""]
    if command == "pack" and len(arguments) == 2:
        pack(*arguments)
    elif command == "push" and len(arguments) == 2:
        push(*arguments)
    else:
        sys.exit(__doc__)

#!/usr/bin/env python3
"""Builds the module a second time elsewhere, pushes the image to a registry, and pulls it back.

Needs `docker-registry` (Debian has it) and `oras`, the Python package; `make test-image` has both.
"""
import hashlib
import io
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request

import oras.client

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODULE = ROOT / "target" / "portcullis.wasm"


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def another_build(folder):
    """The module, built from a copy of the sources in another folder, with nothing made before."""
    copy = pathlib.Path(folder) / "elsewhere"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    environment = {k: v for k, v in os.environ.items() if k not in ("CARGO_TARGET_DIR", "MAKEFLAGS", "MFLAGS", "CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS")}
    subprocess.run(["make", "wasm"], cwd=copy, check=True, env=environment)
    return (copy / "target" / "portcullis.wasm").read_bytes()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Registry:
    def __init__(self, folder):
        self.address = f"127.0.0.1:{free_port()}"
        config = pathlib.Path(folder) / "registry.yaml"
        config.write_text(json.dumps({
            "version": 0.1, "storage": {"filesystem": {"rootdirectory": f"{folder}/registry"}},
            "http": {"addr": self.address}, "log": {"level": "error"},
        }))
        self.process = subprocess.Popen(["docker-registry", "serve", str(config)], stdout=subprocess.DEVNULL)

    def __enter__(self):
        deadline = time.monotonic() + 20
        while True:
            try:
                urllib.request.urlopen(f"http://{self.address}/v2/").close()
                return self
            except OSError:
                assert time.monotonic() < deadline and self.process.poll() is None, "the registry does not start"
                time.sleep(0.05)

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def pulled_back(client, target, folder):
    manifest = client.get_manifest(target)
    files = [pathlib.Path(file).read_bytes() for file in client.pull(target=target, outdir=folder)]
    return manifest, files


def test_image(registry, module, version):
    name = f"{registry.address}/guards/portcullis"
    packed = subprocess.run(
        [sys.executable, ROOT / "filters" / "image.py", "push", ROOT / "target" / "image", f"{name}:1.2.3"],
        check=True, cwd=ROOT, capture_output=True, text=True,
    ).stdout
    assert packed.count("@sha256:") == 3, packed
    client = oras.client.OrasClient(insecure=True)
    assert sorted(client.get_tags(name)) == ["1.2.3", "1.2.3-artifact", "1.2.3-sbom"]

    # As Istio and Envoy Gateway read an image: `plugin.wasm` in the last layer, a compressed tar.
    manifest = client.get_manifest(f"{name}:1.2.3")
    layer = manifest["layers"][-1]
    assert layer["mediaType"] == "application/vnd.oci.image.layer.v1.tar+gzip", layer
    content = client.get_blob(f"{name}:1.2.3", layer["digest"]).content
    assert f"sha256:{sha256(content)}" == layer["digest"]
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as tar:
        assert tar.getnames() == ["plugin.wasm"]
        assert tar.extractfile("plugin.wasm").read() == module
        assert tar.getmember("plugin.wasm").mode == 0o644
    config = client.get_blob(f"{name}:1.2.3", manifest["config"]["digest"]).json()
    for labels in (manifest["annotations"], config["config"]["Labels"]):
        assert labels["org.opencontainers.image.version"] == version, labels
        assert len(labels["org.opencontainers.image.revision"]) == 40, labels
        assert labels["org.opencontainers.image.licenses"] == "Apache-2.0", labels

    # And an artifact: exactly two layers, one of them the module as it is.
    with tempfile.TemporaryDirectory() as folder:
        manifest, files = pulled_back(client, f"{name}:1.2.3-artifact", folder)
    kinds = [layer["mediaType"] for layer in manifest["layers"]]
    assert kinds == ["application/vnd.module.wasm.content.layer.v1+wasm", "application/vnd.module.wasm.config.v1+json"], kinds
    assert files[0] == module

    with tempfile.TemporaryDirectory() as folder:
        manifest, files = pulled_back(client, f"{name}:1.2.3-sbom", folder)
    bill = json.loads(files[0])
    image = client.get_container(f"{name}:1.2.3")
    with urllib.request.urlopen(urllib.request.Request(
        f"http://{image.manifest_url()}", headers={"Accept": "application/vnd.oci.image.manifest.v1+json"}
    )) as answer:
        assert manifest["subject"]["digest"] == f"sha256:{sha256(answer.read())}"
    assert bill["metadata"]["component"]["version"] == version
    assert bill["metadata"]["component"]["hashes"] == [{"alg": "SHA-256", "content": sha256(module)}]
    names = {component["name"] for component in bill["components"]}
    assert {"portcullis", "proxy-wasm", "rsa", "serde_json"} <= names and "clap" not in names, names


def main():
    if not shutil.which("docker-registry"):
        sys.exit("docker-registry is missing: apt-get install docker-registry")
    module = MODULE.read_bytes()
    said = MODULE.with_name("portcullis.wasm.sha256").read_text()
    assert said == f"{sha256(module)}  portcullis.wasm\n", said
    for trace in (f"{ROOT}/", os.path.expanduser("~/")):
        assert trace.encode() not in module, f"the module names {trace}"
    version = json.loads((ROOT / "target" / "image" / "index.json").read_text())["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"]
    with tempfile.TemporaryDirectory() as folder:
        with Registry(folder) as registry:
            test_image(registry, module, version)
            print("pushed to a registry and pulled back: the same module")
        assert another_build(folder) == module, "two builds differ"
        print(f"two builds, one checksum: {sha256(module)}")


if __name__ == "__main__":
    main()

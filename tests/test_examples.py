"""The examples are what they say: the manifests are valid and agree with each other, and the probe in them asks a real server."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.conftest import Serve
from tests.live.fronts import find, missing

CONTAINERS = Path(__file__).resolve().parent.parent / "examples/containers"
COMPOSE: dict[str, Any] = yaml.safe_load((CONTAINERS / "compose.yaml").read_text())
MANIFESTS: list[dict[str, Any]] = list(yaml.safe_load_all((CONTAINERS / "kubernetes.yaml").read_text()))
KUBERNETES = "1.32"


def manifest(kind: str) -> dict[str, Any]:
    return next(each for each in MANIFESTS if each["kind"] == kind)


def pod() -> dict[str, Any]:
    found: dict[str, Any] = manifest("Deployment")["spec"]["template"]["spec"]
    return found


@pytest.mark.parametrize("kind", ["ConfigMap", "Deployment", "Service"])
def test_a_manifest_is_what_kubernetes_takes(kind: str) -> None:
    assert KUBERNETES == kubernetes_validate.validate(manifest(kind), KUBERNETES, strict=True)


def test_both_containers_of_the_pod_mount_the_directory_and_the_front_cannot_write_to_it() -> None:
    mounts = [
        next(mount for mount in container["volumeMounts"] if mount["name"] == "sockets")
        for container in (pod()["initContainers"][0], pod()["containers"][0])
    ]
    assert [("/run/shop", False), ("/run/shop", True)] == [
        (mount["mountPath"], mount.get("readOnly", False)) for mount in mounts
    ]


def test_every_volume_that_is_mounted_is_there() -> None:
    there = {volume["name"] for volume in pod()["volumes"]}
    for container in pod()["initContainers"] + pod()["containers"]:
        assert {mount["name"] for mount in container["volumeMounts"]} <= there
    assert manifest("ConfigMap")["metadata"]["name"] in {
        volume.get("configMap", {}).get("name") for volume in pod()["volumes"]
    }


def test_the_application_is_there_before_the_front_and_after_it() -> None:
    assert "Always" == pod()["initContainers"][0]["restartPolicy"]
    assert "startupProbe" in pod()["initContainers"][0]
    assert "service_healthy" == COMPOSE["services"]["front"]["depends_on"]["app"]["condition"]


def test_the_service_leads_to_the_front() -> None:
    service = manifest("Service")["spec"]
    labels = manifest("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert service["selector"].items() <= labels.items()
    assert service["ports"][0]["targetPort"] in {port["name"] for port in pod()["containers"][0]["ports"]}


def test_between_the_services_of_compose_there_is_only_a_directory() -> None:
    services = COMPOSE["services"]
    assert "none" == services["app"]["network_mode"]
    assert "sockets:/run/shop" in services["app"]["volumes"]
    assert "sockets:/run/shop:ro" in services["front"]["volumes"]
    assert {"sockets"} == set(COMPOSE["volumes"])


def test_nginx_is_configured_alike_in_both() -> None:
    file = (CONTAINERS / "nginx.conf").read_text().partition("\n")[2]
    assert file == manifest("ConfigMap")["data"]["default.conf"]


def test_nginx_takes_its_configuration(short_directory: Path) -> None:
    if missing("nginx"):
        pytest.skip("nginx is not installed")
    whole = short_directory / "nginx.conf"
    whole.write_text(
        f"pid {short_directory}/pid; events {{}} http {{ access_log off; include {CONTAINERS}/nginx.conf; }}\n"
    )
    words = [str(find("nginx")), "-t", "-p", str(short_directory), "-c", str(whole), "-e", "stderr"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert "syntax is ok" in done.stderr, done.stderr


def probes() -> dict[str, list[str]]:
    """The commands that ask the application whether it is well."""
    return {
        "compose": COMPOSE["services"]["app"]["healthcheck"]["test"][1:],
        "startup": pod()["initContainers"][0]["startupProbe"]["exec"]["command"],
        "liveness": pod()["initContainers"][0]["livenessProbe"]["exec"]["command"],
    }


@pytest.mark.parametrize("which", ["compose", "startup", "liveness"])
def test_a_probe_tells_a_server_that_is_well_from_one_that_is_not_there(
    serve: Serve, short_directory: Path, which: str
) -> None:
    python, option, code = probes()[which]
    assert ("/venv/bin/python", "-c") == (python, option)
    there = short_directory / "s"
    assert code.count("/run/shop/shop.sock") == 1
    words = [sys.executable, "-c", code.replace("/run/shop/shop.sock", str(there))]
    assert 0 != subprocess.run(words, capture_output=True).returncode
    server = serve("shop:application", bind=[f"unix:{there}"], cwd=CONTAINERS)
    assert 0 == subprocess.run(words, capture_output=True).returncode
    server.stop()
    assert 0 != subprocess.run(words, capture_output=True).returncode


def test_the_image_starts_what_the_others_expect() -> None:
    text = (CONTAINERS / "Dockerfile").read_text()
    command = re.search(r"^CMD \[(.*)\]$", text, re.MULTILINE)
    assert command is not None
    assert "unix:/run/shop/shop.sock" in command[1]
    user = pod()["initContainers"][0]["securityContext"]["runAsUser"]
    assert f"--uid {user} " in text
    if shutil.which("docker"):  # checks the file's form, builds nothing
        done = subprocess.run(["docker", "build", "--check", str(CONTAINERS)], capture_output=True, text=True)
        assert "unknown flag" in done.stderr or done.returncode == 0 or "daemon" in done.stderr, done.stderr

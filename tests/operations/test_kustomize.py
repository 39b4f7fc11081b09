"""The Kubernetes manifests as `kubectl kustomize` renders them (needs kubectl)."""

import re
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from support.process import execute
from support.rendering import EVERYTHING, Bake, Project

from .test_deployment import MANIFESTS

Manifest = dict[str, Any]


@pytest.fixture(scope="module")
def project(bake: Bake) -> Project:
    return bake(**EVERYTHING)


@pytest.fixture(scope="module")
def rendered(project: Project) -> list[Manifest]:
    return render(project)


def render(project: Project) -> list[Manifest]:
    """Return the objects of the example overlay; kubectl warns of fields that will be dropped."""
    done = execute(["kubectl", "kustomize", "deploy/overlays/example"], project.path)
    assert (done.returncode, done.stderr) == (0, "")
    return list(yaml.safe_load_all(done.stdout))


def only(rendered: list[Manifest], kind: str) -> Manifest:
    (manifest,) = [each for each in rendered if each["kind"] == kind]
    return manifest


@pytest.mark.parametrize("version", ["1.30", kubernetes_validate.latest_version()])
def test_all_that_is_applied_fits_its_schema(rendered: list[Manifest], version: str) -> None:
    """Every rendered object fits its schema."""
    for manifest in rendered:
        kubernetes_validate.validate(manifest, version, strict=True)

    assert {each["kind"] for each in rendered} == {*MANIFESTS.values(), "ConfigMap", "Namespace"}


def test_features_change_no_object(bake: Bake) -> None:
    """The same objects run a service with every feature and one without any."""
    every = bake(**EVERYTHING | {"features": "retry, circuit_breaker, rate_limit, workers"})
    none = bake(**EVERYTHING | {"features": ""})

    assert render(every) == render(none)


def test_all_is_in_a_namespace_of_the_restricted_profile(rendered: list[Manifest]) -> None:
    """Every object is in a namespace that enforces the restricted profile."""
    (namespace,) = [each["metadata"] for each in rendered if each["kind"] == "Namespace"]
    others = {each["metadata"]["namespace"] for each in rendered if each["kind"] != "Namespace"}

    assert namespace["labels"] == {"pod-security.kubernetes.io/enforce": "restricted"}
    assert others == {namespace["name"]}


def test_a_changed_setting_rolls_the_pods(rendered: list[Manifest]) -> None:
    """The ConfigMap's name changes with its contents, and the Deployment refers to that name."""
    config = only(rendered, "ConfigMap")
    (container,) = only(rendered, "Deployment")["spec"]["template"]["spec"]["containers"]

    assert config["data"] == {
        "APP_HTTP__MAX_CONNECTIONS": "50",
        "APP_SHUTDOWN_GRACE_S": "35",
        "APP_UPSTREAMS__HTTPBIN__BASE_URL": "https://httpbin.org",
    }
    assert config["metadata"]["name"].startswith("my-service-")
    assert {"configMapRef": {"name": config["metadata"]["name"]}} in container["envFrom"]
    assert {"secretRef": {"name": "my-service", "optional": True}} in container["envFrom"]


def test_the_overlay_decides_image_and_size(rendered: list[Manifest]) -> None:
    """The overlay sets the image and the sizes of the objects."""
    (container,) = only(rendered, "Deployment")["spec"]["template"]["spec"]["containers"]

    assert container["image"] == "registry.example.com/my-service:1.0.0"
    assert only(rendered, "HorizontalPodAutoscaler")["spec"]["maxReplicas"] == 4


def test_the_overlay_can_mount_a_certificate(bake: Bake) -> None:
    """The patch for a client certificate, uncommented, mounts the Secret in the container."""
    project = bake(**EVERYTHING)
    overlay = project.path / "deploy/overlays/example/kustomization.yaml"
    text = overlay.read_text()
    overlay.write_text(re.sub(r"(?m)^  # (?=- target|  )", "  ", text))
    pod = only(render(project), "Deployment")["spec"]["template"]["spec"]
    (mount,) = pod["containers"][0]["volumeMounts"]

    assert mount == {"name": "certificates", "mountPath": "/certificates", "readOnly": True}
    assert pod["volumes"] == [{"name": "certificates", "secret": {"secretName": "my-service-tls"}}]

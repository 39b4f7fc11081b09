"""The files of `deployment`: an image and manifests, checked by the usual tools.

These tests need no container runtime: what the image installs and runs is run outside of one.
"""

import json
import re
import shlex
import shutil
import sys
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from support.process import clean_environment, run, succeed
from support.rendering import EVERYTHING, Bake, Project
from support.service import Service

CONTAINER = {".dockerignore", "Dockerfile", "compose.yaml"}
BASE = "deploy/base"
OVERLAY = "deploy/overlays/example"
MANIFESTS = {
    "deployment": "Deployment",
    "horizontal-pod-autoscaler": "HorizontalPodAutoscaler",
    "network-policy": "NetworkPolicy",
    "pod-disruption-budget": "PodDisruptionBudget",
    "service": "Service",
    "service-account": "ServiceAccount",
}
KUBERNETES = {
    *(f"{BASE}/{name}.yaml" for name in [*MANIFESTS, "kustomization"]),
    *(f"{OVERLAY}/{name}.yaml" for name in ("kustomization", "namespace")),
}
# The oldest that knows everything used, such as preStop's sleep, and the newest.
KUBERNETES_VERSIONS = ["1.30", kubernetes_validate.latest_version()]

Manifest = dict[str, Any]


def rendered(bake: Bake, features: str) -> Project:
    return bake(**EVERYTHING | {"features": features})


@pytest.fixture(scope="module")
def project(bake: Bake) -> Project:
    return rendered(bake, "retry, circuit_breaker")


with_features = pytest.mark.parametrize(
    "features",
    ["", "retry, circuit_breaker", "retry, circuit_breaker, rate_limit, workers"],
    ids=["none", "default", "all"],
)


def manifest(project: Project, name: str) -> Manifest:
    loaded: Manifest = yaml.safe_load(project.read(f"{BASE}/{name}.yaml"))
    return loaded


def instructions(project: Project) -> list[tuple[str, str]]:
    """Return the Dockerfile as (instruction, argument), continuation lines joined."""
    text = re.sub(r"(?m)^#.*\n", "", project.read("Dockerfile")).replace("\\\n", " ")
    return [(word, rest) for word, rest in re.findall(r"(?m)^([A-Z]+) +(.*)$", text)]


def last(project: Project, instruction: str) -> str:
    """Return the argument of an instruction's last use, which is the final image's."""
    return [rest for word, rest in instructions(project) if word == instruction][-1]


def exec_form(argument: str) -> list[str]:
    """Return the command of an instruction, a JSON list because no shell runs it."""
    command: list[str] = json.loads(argument[argument.index("[") :])
    return command


def variables(argument: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in shlex.split(argument))


def seconds(duration: str) -> int:
    return int(duration.removesuffix("s"))


def default(project: Project, setting: str) -> float:
    """Return a setting's default from .env.example."""
    (value,) = re.findall(rf"(?m)^#? ?{setting}=(\S+)$", project.read(".env.example"))
    return float(value)


# --- Files ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("deployment", "expected"),
    [("none", set()), ("docker", CONTAINER), ("kubernetes", CONTAINER | KUBERNETES)],
    ids=["none", "docker", "kubernetes"],
)
def test_only_the_chosen_files_are_written(bake: Bake, deployment: str, expected: set[str]) -> None:
    """A project has only the files and directories of its own deployment."""
    project = bake(deployment=deployment, ci="none")
    written = {path.relative_to(project.path).as_posix() for path in project.path.rglob("*")}
    manifests = {path for path in written if path.startswith("deploy/") and path.endswith(".yaml")}

    assert (CONTAINER & written) | manifests == expected
    assert (deployment == "kubernetes") == ("deploy" in written)
    assert ".github" not in written


def test_free_text_stays_out(bake: Bake) -> None:
    """Deployment files contain no free text, which could become a command, a key or a tag."""
    text = "$(id) `id` ${HOME} ' \" \\ # : { }} [ * & ! | > %"
    free = dict.fromkeys(("project_name", "description", "author_name"), text)
    plain = bake(deployment="kubernetes")
    wild = bake(deployment="kubernetes", project_slug="my-service", **free)

    assert plain.files() >= (CONTAINER | KUBERNETES)
    assert [name for name in CONTAINER | KUBERNETES if plain.read(name) != wild.read(name)] == []


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_no_file_names_an_absent_feature(bake: Bake, ci: str) -> None:
    """Without features, no file for operations has a word of one."""
    words = "retr[iy]|breaker|circuit|half-open|rate.?limit|redis|shared.state|oauth|worker"
    line = rf"(?i).*(?:{words}).*"
    operations = ("deploy/", "monitoring/", ".git", ".pre-commit", "renovate", *CONTAINER)
    project = bake(**EVERYTHING | {"features": "", "ci": ci})
    files = sorted(name for name in project.files() if name.startswith(operations))

    assert len(files) >= len(CONTAINER | KUBERNETES) + 2
    assert [found for name in files for found in re.findall(line, project.read(name))] == []


# --- Container ------------------------------------------------------------------------------


@pytest.mark.parametrize("python", ["3.11", "3.14"])
@with_features
def test_the_dockerfile_passes_its_linter(bake: Bake, features: str, python: str) -> None:
    """hadolint finds nothing, not even in matters of style."""
    project = bake(python_version=python, features=features)
    done = run(project.path, "hadolint", "--failure-threshold=style", "Dockerfile")
    images = [rest.split()[0] for word, rest in instructions(project) if word == "FROM"]

    assert done.returncode == 0, done.stdout
    assert {image for image in images if "python" in image} == {f"python:{python}-slim"}


def test_the_image_is_ready_for_a_strict_cluster(project: Project) -> None:
    """The image runs as a numeric user other than root, without a shell around its commands."""
    user, group = last(project, "USER").split(":")
    environment = variables(last(project, "ENV"))

    assert int(user) >= 10000
    assert int(group) >= 10000
    assert exec_form(last(project, "CMD")) == ["my-service"]
    assert exec_form(last(project, "HEALTHCHECK"))[0] == "python"
    assert environment["APP_HOST"] == "0.0.0.0"  # noqa: S104
    assert environment["APP_PORT"] == last(project, "EXPOSE")


@with_features
def test_the_image_has_the_extras_of_features(bake: Bake, features: str) -> None:
    """With rate_limit, the image has Redis' client, so that APP_SHARED_STATE_URL needs no other."""
    syncs = [rest for word, rest in instructions(rendered(bake, features)) if "uv sync" in rest]

    assert len(syncs) == 2
    assert {"--all-extras" in sync.split() for sync in syncs} == {"rate_limit" in features}


def test_the_context_is_what_the_build_needs(project: Project) -> None:
    """The build context contains only the listed files."""
    lines = project.read(".dockerignore").splitlines()
    patterns = [line for line in lines if not line.startswith("#")]
    allowed = {pattern[1:] for pattern in patterns if pattern.startswith("!")}

    assert patterns[0] == "*"
    assert {name for name in allowed if not (project.path / name).exists()} == {"uv.lock"}
    assert allowed == {"LICENSE", "README.md", "pyproject.toml", "src", "uv.lock"}


def test_compose_fits_its_schema(project: Project) -> None:
    """compose.yaml fits the schema of Docker Compose."""
    project.run("check_jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml")


def test_compose_runs_the_image_as_production_would(project: Project) -> None:
    """Compose runs the image without privileges or a writable disk, like a strict cluster."""
    (service,) = yaml.safe_load(project.read("compose.yaml"))["services"].values()
    image = variables(last(project, "ENV"))

    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["environment"] == {name: image[name] for name in ("APP_HOST", "APP_PORT")}
    assert service["ports"] == [f"127.0.0.1:8000:{image['APP_PORT']}"]
    assert seconds(service["stop_grace_period"]) > default(project, "APP_SHUTDOWN_GRACE_S")


def test_the_steps_of_the_image_give_a_healthy_service(project: Project, tmp_path: Path) -> None:
    """The installed image serves from a read-only disk, and its health check notices if it ends."""
    environment = install(project, tmp_path)
    (packages,) = tmp_path.glob(".venv/lib/*/site-packages")
    read_only = tmp_path / "read-only"
    read_only.mkdir()
    (read_only / "sitecustomize.py").write_text(READ_ONLY)
    environment |= {"PYTHONPATH": str(read_only), "HTTP_PROXY": "http://127.0.0.1:9"}
    start = exec_form(last(project, "CMD"))
    check = exec_form(last(project, "HEALTHCHECK"))

    binaries = tmp_path / ".venv" / "bin"
    with Service([binaries / start[0], *start[1:]], tmp_path, **environment) as service:
        environment |= {"APP_PORT": str(service.port)}
        running = run(tmp_path, str(binaries / check[0]), *check[1:], **environment)
        service.stop()
    stopped = run(tmp_path, str(binaries / check[0]), *check[1:], **environment)

    assert (running.returncode, running.stdout) == (0, "")
    assert stopped.returncode == 1
    assert service.finished
    # Python compiles a few of its own modules at each start and cannot keep the bytecode.
    assert [line for line in service.err if f"write {tmp_path / 'bytecode'}/" not in line] == []
    assert len(service.err) < 10 < len(list(tmp_path.glob("bytecode/**/asyncio/*.pyc")))
    sources, compiled = (
        packages.glob("uvicorn/**/*.py"),
        tmp_path.glob("bytecode/**/uvicorn/**/*.pyc"),
    )
    assert len(list(sources)) == len(list(compiled))
    assert (packages / "my_service" / "app.py").exists()
    assert not (packages / "pytest").exists()


# A file system that is read-only, as far as Python asks for it.
READ_ONLY = """
import errno, os, sys

def refuse(event, args):
    opened = event == "open" and isinstance(args[0], str) and args[0] != os.devnull
    writes = opened and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if writes or event in ("os.mkdir", "os.remove", "os.rename"):
        print("would write", args[0], file=sys.stderr)
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

sys.addaudithook(refuse)
"""


def test_an_image_without_certificates_is_not_built(project: Project, tmp_path: Path) -> None:
    """The build fails where CA certificates are missing, because no call over TLS would succeed."""
    nowhere = {"SSL_CERT_FILE": str(tmp_path / "none.pem"), "SSL_CERT_DIR": str(tmp_path)}
    command = [sys.executable, *exec_form(last(project, "RUN"))[1:]]
    here, without = (
        run(project.path, *command, PYTHONPATH="src", **where).returncode for where in ({}, nowhere)
    )

    assert (here, without) == (0, 1)


def install(project: Project, app: Path) -> dict[str, str]:
    """Install a project as the image does, from its build context; return the environment."""
    succeed(project.path, "uv", "lock", "--quiet")
    for name in re.findall(r"(?m)^!(.*)", project.read(".dockerignore")):
        source = project.path / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, app / name)
    # Where this machine's Python finds no bytecode of its own, as in the image.
    environment = {"PYTHONPYCACHEPREFIX": str(app / "bytecode"), "PYTHONDONTWRITEBYTECODE": ""}
    (sync,) = re.findall(r"uv sync .*--no-editable", project.read("Dockerfile"))
    build = {"UV_COMPILE_BYTECODE": "1", "UV_LINK_MODE": "copy", "UV_PYTHON_DOWNLOADS": "never"}
    succeed(app, *sync.split(), **environment, **build)
    environment["PATH"] = f"{app / '.venv/bin'}:{clean_environment()['PATH']}"
    succeed(app, *exec_form(last(project, "RUN")), **environment)
    return environment


# --- Kubernetes -----------------------------------------------------------------------------


@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
@pytest.mark.parametrize(("name", "kind"), MANIFESTS.items(), ids=MANIFESTS.keys())
def test_the_manifest_fits_its_schema(project: Project, name: str, kind: str, version: str) -> None:
    """Each manifest fits the schemas of the oldest supported Kubernetes and the newest."""
    loaded = manifest(project, name)

    kubernetes_validate.validate(loaded, version, strict=True)
    assert loaded["kind"] == kind


def test_the_base_holds_every_manifest(project: Project) -> None:
    """kustomization.yaml names every manifest, or it would never be applied."""
    named = manifest(project, "kustomization")["resources"]

    assert sorted(f"{name}.yaml" for name in MANIFESTS) == named


def test_everything_selects_the_same_pods(project: Project) -> None:
    """Every selector matches the pods' labels, since a wrong one fails silently."""
    deployment = manifest(project, "deployment")["spec"]
    pods = deployment["template"]["metadata"]["labels"]
    spread = deployment["template"]["spec"]["topologySpreadConstraints"]

    assert deployment["selector"]["matchLabels"] == pods
    assert [each["labelSelector"]["matchLabels"] for each in spread] == [pods, pods]
    assert manifest(project, "service")["spec"]["selector"] == pods
    assert manifest(project, "network-policy")["spec"]["podSelector"]["matchLabels"] == pods
    assert manifest(project, "pod-disruption-budget")["spec"]["selector"]["matchLabels"] == pods


def test_a_stopping_pod_has_time_for_its_calls(project: Project) -> None:
    """Each period fits into the next: total timeout, grace period, preStop and grace, the pod's."""
    pod = manifest(project, "deployment")["spec"]["template"]["spec"]
    (config,) = manifest(project, "kustomization")["configMapGenerator"]
    grace = float(variables(" ".join(config["literals"]))["APP_SHUTDOWN_GRACE_S"])
    wait = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]

    assert default(project, "APP_HTTP__TOTAL_TIMEOUT_S") < grace
    assert grace == default(project, "APP_SHUTDOWN_GRACE_S")
    assert wait >= 5
    assert wait + grace < pod["terminationGracePeriodSeconds"]


def test_pods_keep_to_the_restricted_profile(project: Project) -> None:
    """Pods meet the restricted Pod Security Standard and have a read-only disk."""
    pod = manifest(project, "deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC", "volumes"} & pod.keys()
    assert all("hostPort" not in port for port in container["ports"])


def test_pods_have_no_key_to_the_cluster(project: Project) -> None:
    """Pods have no token, because the service never calls the Kubernetes API."""
    pod = manifest(project, "deployment")["spec"]["template"]["spec"]
    account = manifest(project, "service-account")

    assert pod["serviceAccountName"] == account["metadata"]["name"]
    assert (
        pod["automountServiceAccountToken"],
        account["automountServiceAccountToken"],
    ) == (False, False)


def test_probes_and_traffic_find_the_service(project: Project) -> None:
    """Ports share one name and the image's number, and probes call existing paths."""
    (container,) = manifest(project, "deployment")["spec"]["template"]["spec"]["containers"]
    (port,) = container["ports"]
    (service,) = manifest(project, "service")["spec"]["ports"]
    (ingress,) = manifest(project, "network-policy")["spec"]["ingress"]
    probes = {
        name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")
    }

    assert str(port["containerPort"]) == variables(last(project, "ENV"))["APP_PORT"]
    assert ingress["ports"][0]["port"] == service["targetPort"] == port["name"] == "http"
    assert {probe["port"] for probe in probes.values()} == {"http"}
    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startup": "/livez",
        "liveness": "/livez",
        "readiness": "/readyz",
    }


def test_the_autoscaler_owns_the_number_of_pods(project: Project) -> None:
    """Only the autoscaler sets the number of pods, and it is at least two."""
    deployment = manifest(project, "deployment")
    scaler = manifest(project, "horizontal-pod-autoscaler")["spec"]

    assert "replicas" not in deployment["spec"]
    assert scaler["scaleTargetRef"] == {
        "apiVersion": deployment["apiVersion"],
        "kind": deployment["kind"],
        "name": deployment["metadata"]["name"],
    }
    assert 2 <= scaler["minReplicas"] < scaler["maxReplicas"]
    assert "cpu" in deployment["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]


def test_credentials_of_the_cloud_are_out_of_reach(project: Project) -> None:
    """Pods cannot reach the cloud's metadata service."""
    policy = manifest(project, "network-policy")["spec"]
    rules = [
        rule for rule in policy["egress"] if {"port": 53, "protocol": "UDP"} not in rule["ports"]
    ]
    blocks = [peer["ipBlock"] for rule in rules for peer in rule["to"] if "ipBlock" in peer]

    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    assert {block["cidr"] for block in blocks} == {"0.0.0.0/0", "::/0"}
    for address in ("169.254.169.254", "169.254.170.2", "fd00:ec2::254", "fe80::a9fe:a9fe"):
        assert not any(is_allowed(address, block) for block in blocks), address
    assert all(any(is_allowed(each, block) for block in blocks) for each in ("1.1.1.1", "2606::1"))


def is_allowed(address: str, block: dict[str, Any]) -> bool:
    ip = ip_address(address)
    return ip in ip_network(block["cidr"]) and not any(
        ip in ip_network(except_) for except_ in block["except"]
    )


@with_features
def test_the_documented_sizes_are_those_in_the_files(bake: Bake, features: str) -> None:
    """docs/operations.md and the autoscaler's comment calculate with the numbers in the files."""
    project = rendered(bake, features)
    deployment = manifest(project, "deployment")["spec"]
    (container,) = deployment["template"]["spec"]["containers"]
    most = manifest(project, "horizontal-pod-autoscaler")["spec"]["maxReplicas"]
    pods = most + deployment["strategy"]["rollingUpdate"]["maxSurge"]
    calls = int(default(project, "APP_HTTP__MAX_CONNECTIONS"))
    mebibytes = calls * default(project, "APP_HTTP__MAX_RESPONSE_BYTES") / 2**20
    leaving = container["lifecycle"]["preStop"]["sleep"]["seconds"] + default(
        project, "APP_SHUTDOWN_GRACE_S"
    )
    overlay = yaml.safe_load(project.read(f"{OVERLAY}/kustomization.yaml"))
    (patch,) = yaml.safe_load(overlay["patches"][0]["patch"])
    settings = variables(" ".join(overlay["configMapGenerator"][0]["literals"]))
    pods_there, calls_there = patch["value"], int(settings["APP_HTTP__MAX_CONNECTIONS"])
    # A factor of the products, where there are workers.
    workers = f" x {default(project, 'APP_WORKERS'):.0f}" if "workers" in features else ""
    documented = words(project.read("docs/operations.md"))
    docker = words(bake(features=features).read("docs/operations.md"))

    for text in (
        f"{most}{workers} x {calls} = {most * calls} ```",
        f"one more pod, which makes {pods * calls}.",
        f"finish their calls, in {leaving:.0f} s at most.",
        f"In the example overlay it is {pods_there}{workers} x {calls_there} = "
        f"{pods_there * calls_there}.",
        f"| 200 concurrent calls | `APP_UPSTREAMS__<NAME>__MAX_CONNECTIONS={200 // pods}` "
        f"(200 / {pods} pods) |",
        f"by default {mebibytes:.0f} MiB",
        f"The memory limit is {container['resources']['limits']['memory']};",
    ):
        assert text in documented
    assert f"concurrent calls: {most}{workers} x {calls} = {most * calls}." in project.read(
        f"{BASE}/horizontal-pod-autoscaler.yaml"
    )
    assert f"1{workers} x {calls} = {calls} ```" in docker


def words(text: str) -> str:
    """Join lines, and replace the multiplication sign by a letter."""
    return " ".join(text.replace("\u00d7", "x").split())


def test_no_secret_is_in_the_files(project: Project) -> None:
    """Manifests contain no secret; tokens come from a Secret in the cluster."""
    (container,) = manifest(project, "deployment")["spec"]["template"]["spec"]["containers"]
    secrets = [source["secretRef"] for source in container["envFrom"] if "secretRef" in source]

    assert secrets == [{"name": "my-service", "optional": True}]
    assert not any(
        re.search(r"(?m)kind: Secret|secretGenerator|BEARER_TOKEN=", project.read(name))
        for name in KUBERNETES
    )


def test_every_variable_is_a_setting(project: Project) -> None:
    """Each variable in the files is a setting that .env.example lists."""
    settings = set(re.findall(r"(?m)^#? ?(APP_\w+)=", project.read(".env.example")))
    text = "".join(map(project.read, CONTAINER | KUBERNETES))
    named = set(re.findall(r"\b(APP_\w+)(?:=|: )", text))

    assert named == {
        *("APP_HOST", "APP_PORT", "APP_SHUTDOWN_GRACE_S"),
        *("APP_HTTP__MAX_CONNECTIONS", "APP_UPSTREAMS__HTTPBIN__BASE_URL"),
    }
    assert named - settings == set()

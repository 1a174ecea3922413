"""terraform/ is well formed, tests itself, and makes what the engine's code expects to find."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.catalogue import ROOT, read_catalogue
from infra.emulators.topology import ACK_SECONDS, MAX_ATTEMPTS
from infra.permissions import README, bindings, read_permissions, table, with_table
from shared.config import PlatformName, Settings, load_settings
from shared.platform.executions import RETRIES_VARIABLE
from shared.platform.gcp.project import Project
from shared.platform.gcp.schedules import job_name
from shared.platform.names import secret_variable
from shared.platform.topics import DEAD_LETTERS, TOPICS, gives_up
from tests.terraform.conftest import ENVIRONMENTS, PROJECT, SECONDS, Plan, Terraform, Values

FOLDER = ROOT / "terraform"
CATALOGUE = read_catalogue()
PERMISSIONS = read_permissions()
TESTED = [FOLDER, *sorted(path.parent for path in (FOLDER / "modules").glob("*/tests"))]
SERVER = {"FUNCTION_USE_ASGI", RETRIES_VARIABLE}
"""What is set for the process and isn't a setting of the engine."""


def test_the_files_are_formatted(terraform: Terraform) -> None:
    terraform("fmt", "-check", "-recursive", "-diff")


def test_the_configuration_is_valid(terraform: Terraform) -> None:
    terraform("validate")


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 20)
@pytest.mark.parametrize("folder", TESTED, ids=lambda path: path.name)
def test_its_own_tests_pass(terraform: Terraform, folder: Path) -> None:
    place = terraform.root / folder.relative_to(FOLDER)
    if place != terraform.root:
        terraform("init", "-input=false", folder=place)
    assert re.search(r"[1-9]\d* passed, 0 failed", terraform("test", folder=place))


def test_every_module_has_its_files_and_its_tests() -> None:
    for module in (FOLDER / "modules").iterdir():
        present = {path.name for path in module.iterdir()}
        wanted = {"main.tf", "variables.tf", "outputs.tf", "versions.tf", "README.md", "tests"}
        assert wanted <= present, module.name
        assert list((module / "tests").glob("*.tftest.hcl")), module.name


def test_all_ask_for_the_same_provider() -> None:
    pins = {
        re.search(r'version = "(~> [\d.]+)"', path.read_text()).group(1)  # type: ignore[union-attr]  # each has one
        for path in FOLDER.rglob("versions.tf")
        if ".terraform" not in path.parts
    }
    assert pins == {"~> 7.46"}


@pytest.mark.parametrize("kind", ["variable", "output"])
def test_what_goes_in_and_out_is_described(kind: str) -> None:
    for file, name, body in blocks(kind):
        where = f"{file.relative_to(ROOT)}: {name}"
        assert re.search(r'^  description\s+= ("[^\n]*\."$|<<-)', body, re.MULTILINE), (
            f"{where} has no description"
        )
        assert kind == "output" or re.search(r"^  type\s+= ", body, re.MULTILINE), f"{where} has no type"


def blocks(kind: str) -> Iterator[tuple[Path, str, str]]:
    """File, name and text of each block of that kind."""
    for file in sorted(FOLDER.rglob("*.tf")):
        if ".terraform" not in file.parts:
            block = re.compile(rf'^{kind} "(\w+)" \{{\n(.*?)^\}}', re.MULTILINE | re.DOTALL)
            for name, body in block.findall(file.read_text()):
                yield file, name, body


def test_the_table_of_permissions_is_current() -> None:
    text = README.read_text()
    assert text == with_table(text, table(CATALOGUE, PERMISSIONS)), "Run 'make permissions'."


def test_everything_is_new_in_a_plan(plan: Plan) -> None:
    assert {tuple(one["change"]["actions"]) for one in plan.document["resource_changes"]} == {("create",)}


def test_what_the_catalogue_lists_is_made(plan: Plan) -> None:
    made = {one["name"]: one for one in plan.of("google_cloudfunctions2_function").values()}
    assert set(made) == {platform_name(name) for name in CATALOGUE.functions}
    for name, entry in CATALOGUE.functions.items():
        (service,) = made[platform_name(name)]["service_config"]
        assert service["available_memory"] == f"{entry.memory_mb}Mi"
        assert float(service["available_cpu"]) == entry.cpu
        assert service["max_instance_request_concurrency"] == entry.concurrency
        assert service["timeout_seconds"] == entry.timeout_seconds
        assert service["min_instance_count"] == entry.min_instances
        assert service["max_instance_count"] == entry.max_instances
        takes_calls = service["ingress_settings"] == "ALLOW_ALL"
        assert takes_calls is bool(entry.routes), name


def test_each_job_is_where_the_engine_starts_it(plan: Plan) -> None:
    made = {one["name"]: one for one in plan.of("google_cloud_run_v2_job").values()}
    assert set(made) == {platform_name(name) for name in CATALOGUE.jobs}
    for name, job in CATALOGUE.jobs.items():
        task = made[platform_name(name)]["template"][0]["template"][0]
        (container,) = task["containers"]
        assert container["command"] == ["python", "-m", f"shared.jobs.{name}"]
        assert task["max_retries"] == job.retries
        assert {one["name"]: one["value"] for one in container["env"]}[RETRIES_VARIABLE] == str(job.retries)


def test_each_schedule_is_where_the_engine_finds_it(plan: Plan) -> None:
    made = {one["name"]: one for one in plan.of("google_cloud_scheduler_job").values()}
    project = Project.of(settings_of(next(iter(plan.of("google_cloudfunctions2_function").values()))))
    assert {job_name(project, name).rpartition("/")[2] for name in CATALOGUE.schedules} == set(made)
    for one in made.values():
        assert one["paused"] is (plan.environment == "development")


def test_topics_and_subscriptions_are_those_of_the_engine(plan: Plan) -> None:
    assert {one["name"] for one in plan.of("google_pubsub_topic").values()} == set(TOPICS)
    pushing = {
        one["name"]: (address, one)
        for address, one in plan.of("google_pubsub_subscription").items()
        if one["push_config"]
    }
    assert set(pushing) == {name for takers in TOPICS.values() for name in takers}
    for name, (address, one) in pushing.items():
        topic = next(topic for topic, takers in TOPICS.items() if name in takers)
        module = "module.dead_letters" if topic == DEAD_LETTERS else f'module.topic["{topic}"]'
        assert address == f'{module}.google_pubsub_subscription.push["{name}"]'
        assert one["ack_deadline_seconds"] == ACK_SECONDS
        attempts = [policy["max_delivery_attempts"] for policy in one["dead_letter_policy"]]
        assert attempts == ([MAX_ATTEMPTS] if gives_up(TOPICS, name) else [])


def test_the_settings_are_those_that_a_workload_reads(plan: Plan) -> None:
    known = {field.upper() for field in Settings.model_fields}
    for name, entry in CATALOGUE.functions.items():
        function = plan.resources[f'module.function["{name}"].google_cloudfunctions2_function.this']
        given = set(environment_of(function)) - SERVER
        assert given <= known
        assert not given & (known_to_others(set(entry.settings))), name
        read = settings_of(function)
        assert read.env == plan.environment
        assert read.platform is PlatformName.GCP
        assert read.google_cloud_project == PROJECT


def test_the_names_are_those_that_the_code_makes(plan: Plan) -> None:
    project = Project.of(settings_of(next(iter(plan.of("google_cloudfunctions2_function").values()))))
    assert project.bucket in {one["name"] for one in plan.of("google_storage_bucket").values()}
    assert f"{PROJECT}-mlengine" == project.bucket
    assert {project.database} == {one["name"] for one in plan.of("google_firestore_database").values()}
    secrets = {one["secret_id"] for one in plan.of("google_secret_manager_secret").values()}
    wanted = {secret for workload in CATALOGUE.workloads.values() for secret in workload.secrets}
    assert wanted <= {secret_variable(name) for name in secrets}


def test_the_indexes_are_those_of_the_file(plan: Plan) -> None:
    listed = json.loads((ROOT / "infra" / "firestore.indexes.json").read_text())
    made = [
        (one["collection"], [(field["field_path"], field["order"]) for field in one["fields"]])
        for one in plan.of("google_firestore_index").values()
    ]
    assert sorted(made) == sorted(
        (one["collectionGroup"], [(field["fieldPath"], field["order"]) for field in one["fields"]])
        for one in listed["indexes"]
    )
    overridden = {
        (one["collection"], one["field"]): bool(one["ttl_config"])
        for one in plan.of("google_firestore_field").values()
    }
    assert overridden == {
        (one["collectionGroup"], one["fieldPath"]): one.get("ttl", False) for one in listed["fieldOverrides"]
    }


def test_workloads_may_do_what_the_table_says_and_nothing_else(plan: Plan) -> None:
    accounts = {
        f"serviceAccount:mlengine-{kind}-{name.replace('_', '-')}@{PROJECT}.iam.gserviceaccount.com": who
        for who in CATALOGUE.workloads
        for word, _, name in [who.partition(" ")]
        for kind in [{"function": "fn", "job": "job"}[word]]
    }
    granted = {
        (accounts[one["member"]], one["role"].rpartition("/roles/")[2], where(one))
        for one in plan.resources.values()
        if one.get("member") in accounts
    }
    assert granted == {(one.who, one.role, one.what) for one in bindings(CATALOGUE, PERMISSIONS)}


def where(binding: Values) -> str:
    """What a binding is on, in the words of the table."""
    match binding["kind"]:
        case "google_pubsub_topic_iam_member":
            return f"topic `{binding['topic']}`"
        case "google_secret_manager_secret_iam_member":
            return f"secret `{binding['secret_id']}`"
        case "google_cloud_run_v2_job_iam_member":
            return f"job `{binding['name'].removeprefix('mlengine-')}`"
        case "google_storage_bucket_iam_member":
            (condition,) = binding["condition"]
            (folder,) = set(re.findall(r'(?:objects/|startsWith\(")(\w+)/"\)', condition["expression"]))
            return f"folder `{folder}`"
        case "google_service_account_iam_member":
            own = binding["member"].removeprefix("serviceAccount:")
            assert binding["service_account_id"] == f"projects/{PROJECT}/serviceAccounts/{own}"
            return "itself"
        case "google_project_iam_member":
            return "database" if "/databases/" in str(binding["condition"]) else "project"
    raise AssertionError(f"nothing in the table is on a {binding['kind']}")


def test_nobody_calls_functions_but_pubsub_unless_a_variable_says_so(plan: Plan) -> None:
    callers = {one["member"] for one in plan.of("google_cloud_run_v2_service_iam_member").values()}
    assert callers == {f"serviceAccount:mlengine-push@{PROJECT}.iam.gserviceaccount.com"}
    assert "allUsers" not in json.dumps(plan.document["planned_values"])


def test_there_is_a_file_for_each_environment() -> None:
    assert {path.stem for path in (FOLDER / "environments").glob("*.tfvars")} == set(ENVIRONMENTS)


def platform_name(name: str) -> str:
    return f"mlengine-{name.replace('_', '-')}"


def environment_of(function: Values) -> dict[str, str]:
    found: dict[str, str] = function["service_config"][0]["environment_variables"]
    return found


def settings_of(function: Values) -> Settings:
    """The settings that the function will read."""
    given = {name.lower(): value for name, value in environment_of(function).items() if name not in SERVER}
    return load_settings(**given, admin_api_key="a key of some length", _env_file=None)


def known_to_others(own: set[str]) -> set[str]:
    """The settings that the catalogue lists, but not for this one."""
    listed = {name for workload in CATALOGUE.workloads.values() for name in workload.settings}
    return listed - own

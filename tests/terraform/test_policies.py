"""What no environment may lack, and none may have: rules that are checked on the plans."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import pytest

from infra.catalogue import ROOT, Workload, read_catalogue
from infra.local.gateway import Gateway
from infra.topic_schemas import payload_schema
from shared.config import Settings, load_settings
from shared.errors import InvalidInput
from shared.platform.collections import COLLECTIONS
from shared.platform.gcp.values import EXPIRY_FIELD
from shared.platform.names import secret_variable
from shared.platform.topics import DEAD_LETTERS, EXPORTS, TOPICS
from shared.registry.versions import check_name
from shared.web.routing import API_PREFIX, bare
from tests.terraform.conftest import PROJECT, Plan, Values
from tests.terraform.url_map import backend_of

CATALOGUE = read_catalogue()
DOMAIN: Final = "engine.example.com"
EVERYBODY: Final = {"allUsers", "allAuthenticatedUsers"}

DEFAULTED: Final[Mapping[str, str]] = {
    "MLENGINE_HOME": "the twin's: nothing is kept on an instance",
    "HOST": "the twin's: the platform chooses the address",
    "PORT": "the platform sets it",
    "FIRESTORE_EMULATOR_HOST": "no emulator beside the real services",
    "PUBSUB_EMULATOR_HOST": "no emulator beside the real services",
    "STORAGE_EMULATOR_HOST": "no emulator beside the real services",
    "RUN_EMULATOR_HOST": "no emulator beside the real services",
    "SCHEDULER_EMULATOR_HOST": "no emulator beside the real services",
    "SECRETS_EMULATOR_HOST": "no emulator beside the real services",
    "REPLAY": "the twin's: history is played on its own clock, never in the cloud",
}
"""Settings that are left to their defaults in the cloud, and why."""

PROJECT_WIDE: Final[Mapping[str, str]] = {
    "roles/datastore.viewer": "Firestore has bindings on the project alone; a condition names the database",
    "roles/datastore.user": "the same",
    "roles/logging.logWriter": "builds write their logs, and logs have bindings on the project alone",
    "roles/storage.objectViewer": "builds read a bucket that isn't ours; a condition names it",
    f"projects/{PROJECT}/roles/mlengineScheduleOperator": "Cloud Scheduler grants no single job",
    f"projects/{PROJECT}/roles/mlengineScheduleMaker": "the same",
}
"""Roles that may be granted on the whole project, and why nothing smaller would do."""

CONDITIONED: Final = {"roles/datastore.viewer", "roles/datastore.user", "roles/storage.objectViewer"}
"""Those of them that only a condition makes small."""

OPTIONAL: Final = {
    secret for workload in CATALOGUE.workloads.values() for secret in workload.optional_secrets
}
"""The secrets that need not be there. The plan behind a domain has all of them, the others none."""

SOME_VALUE: Final[Mapping[str, str]] = {"REDIS_URL": "redis://10.0.0.3:6379/0"}
"""Of secrets that can't be any text."""

UNPROTECTED: Final[Mapping[str, str]] = {
    "module.warehouse.google_bigquery_table.view": "a view holds nothing",
}
"""What may be deleted in production, and why."""


@pytest.fixture(scope="module")
def production(plan_of: Callable[..., Plan]) -> Plan:
    return plan_of("production")


@pytest.fixture(scope="module")
def behind_a_domain(plan_of: Callable[..., Plan]) -> Plan:
    return plan_of(
        "production",
        domain=DOMAIN,
        public="true",
        optional_secrets=json.dumps(sorted(OPTIONAL)),
        billing_account="012345-6789AB-CDEF01",
        alert_emails='["oncall@example.com"]',
        warehouse_readers='["group:analysts@example.com"]',
    )


@pytest.fixture(scope="module", params=["development", "staging", "production", "behind_a_domain"])
def any_plan(request: pytest.FixtureRequest, plan_of: Callable[..., Plan]) -> Plan:
    if request.param == "behind_a_domain":
        found: Plan = request.getfixturevalue("behind_a_domain")
        return found
    return plan_of(request.param)


def only(plan: Plan, kind: str) -> Values:
    (one,) = plan.of(kind).values()
    return one


def values_of(plan: Plan, kind: str, name: str) -> set[str]:
    return {one[name] for one in plan.of(kind).values()}


def texts(value: Any) -> Iterator[str]:
    """The texts in nested values."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)


# The front door.


@pytest.fixture(scope="module")
def url_map(behind_a_domain: Plan) -> Values:
    (found,) = (one for one in behind_a_domain.of("google_compute_url_map").values() if one["path_matcher"])
    return found


@pytest.fixture(scope="module")
def gateway() -> Gateway:
    return Gateway(CATALOGUE)


def served_by(url_map: Values, path: str) -> str:
    """The function that the load balancer gives a path to."""
    return backend_of(url_map, DOMAIN, path).removeprefix("mlengine-").replace("-", "_")


ROUTES: Final = [(route, name) for name, entry in CATALOGUE.functions.items() for route in entry.routes]


@pytest.mark.parametrize(("route", "name"), ROUTES, ids=[route for route, _ in ROUTES])
def test_a_route_leads_to_its_function(url_map: Values, route: str, name: str) -> None:
    path = re.sub(r"\{\w+\}", "market-signal-v7.x_y~%20", route.partition(" ")[2])
    for prefix in ("", API_PREFIX):
        for end in ("", "/"):
            assert served_by(url_map, f"{prefix}{path.rstrip('/')}{end}" or "/") == name


def near_misses() -> Iterator[str]:
    """Paths that are like a route's, and paths that are nobody's."""
    for route, _ in ROUTES:
        path = re.sub(r"\{\w+\}", "x", route.partition(" ")[2]).rstrip("/")
        yield from (f"{path}x", f"{path}/x", f"{path}/x/y", f"/x{path}", path.upper(), f"/api/v2{path}")
        yield from (f"/api{path}", path.rpartition("/")[0] or "/")
    yield from ("/health", "/nowhere", "/api", "/api/v1", "/api/v1/", "/predictions", "/admin", "/.env")


def test_every_path_goes_where_the_twin_sends_it(url_map: Values, gateway: Gateway) -> None:
    paths = sorted(set(near_misses()))
    astray = {
        path: (found, wanted)
        for path in paths
        if (found := served_by(url_map, path)) != (wanted := gateway._function_of(bare(path)))
    }
    assert not astray, "path: (the load balancer's, the twin's)"
    assert len({gateway._function_of(bare(path)) for path in paths}) > 5


NO_MODELS: Final = {"activate", "uploads"}
"""Words in the place of a model's name, where paths overlap. No model may be called so."""


def test_no_path_is_of_two_functions() -> None:
    """Where templates overlap, which one comes first would decide; Terraform has the functions by name."""
    for name in NO_MODELS:
        with pytest.raises(InvalidInput):
            check_name(name)
    templates = {
        (re.sub(r"\{\w+\}[^/]*", "*", route.partition(" ")[2]), name)
        for route, name in ROUTES
        if "{" in route
    }
    clashes = [
        (one, other)
        for one, its in templates
        for other, others in templates
        if its != others
        and not ("*" in one.split("/")[2:3] and other.split("/")[2] in NO_MODELS)
        and not ("*" in other.split("/")[2:3] and one.split("/")[2] in NO_MODELS)
        and len(one.split("/")) == len(other.split("/"))
        and all(a == b or "*" in (a, b) for a, b in zip(one.split("/"), other.split("/"), strict=True))
    ]
    assert not clashes


def test_only_functions_with_routes_are_behind_the_door(behind_a_domain: Plan) -> None:
    groups = behind_a_domain.of("google_compute_region_network_endpoint_group").values()
    reached = {one["cloud_run"][0]["service"] for one in groups}
    assert reached == {platform_name(name) for name, entry in CATALOGUE.functions.items() if entry.routes}


def test_without_a_domain_there_is_no_front_door(production: Plan) -> None:
    assert not [address for address in production.resources if "front_door" in address]
    assert not [address for address in production.resources if "google_compute" in address]


def test_attacks_and_floods_are_refused_at_the_door(behind_a_domain: Plan) -> None:
    rules = sorted(
        only(behind_a_domain, "google_compute_security_policy")["rule"],
        key=lambda rule: int(rule["priority"]),
    )
    assert [rule["action"] for rule in rules[-2:]] == ["throttle", "allow"]
    assert {rule["action"] for rule in rules[:-2]} == {"deny(403)"}
    assert not any(rule.get("preview") for rule in rules)


# Who may do what.


def test_everybody_comes_in_only_where_a_variable_says_so(plan: Plan) -> None:
    found = {address for address, one in plan.resources.items() if EVERYBODY & set(texts(one))}
    assert not found


def test_public_opens_the_functions_with_routes_and_nothing_else(behind_a_domain: Plan) -> None:
    opened = {
        (one["kind"], one.get("name"), one["member"])
        for one in behind_a_domain.resources.values()
        if EVERYBODY & set(texts(one))
    }
    assert opened == {
        ("google_cloud_run_v2_service_iam_member", platform_name(name), "allUsers")
        for name, entry in CATALOGUE.functions.items()
        if entry.routes
    }


def test_invokers_are_bound_to_services_not_to_functions(any_plan: Plan) -> None:
    kinds = {one["kind"] for one in any_plan.resources.values()}
    assert not [
        kind
        for kind in kinds
        if kind.startswith(("google_cloudfunctions_", "google_cloudfunctions2_function_iam"))
    ]
    bindings = any_plan.of("google_cloud_run_v2_service_iam_member").values()
    assert {one["role"] for one in bindings} == {"roles/run.invoker"}
    functions = values_of(any_plan, "google_cloudfunctions2_function", "name")
    assert {one["name"] for one in bindings} <= functions
    push = f"serviceAccount:mlengine-push@{PROJECT}.iam.gserviceaccount.com"
    pushed_to = {one["name"] for one in bindings if one["member"] == push}
    assert pushed_to == {platform_name(name) for name, entry in CATALOGUE.functions.items() if entry.topic}


def test_a_secret_is_read_by_its_users_and_nobody_else(any_plan: Plan) -> None:
    granted = {
        (secret_variable(one["secret_id"]), one["member"])
        for one in any_plan.of("google_secret_manager_secret_iam_member").values()
    }
    assert granted == {
        (secret, f"serviceAccount:{account_of(who)}@{PROJECT}.iam.gserviceaccount.com")
        for who, workload in CATALOGUE.workloads.items()
        for secret in secrets_of(workload, any_plan)
    }
    wider = [one for one in any_plan.resources.values() if "secretmanager" in str(one.get("role"))]
    assert {one["kind"] for one in wider} == {"google_secret_manager_secret_iam_member"}


def secrets_of(workload: Workload, plan: Plan) -> set[str]:
    """Those that a plan attaches to it."""
    chosen = set(json.loads(plan.variables.get("optional_secrets", "[]")))
    return {*workload.secrets, *(chosen & set(workload.optional_secrets))}


def test_a_secret_is_referred_to_only_where_it_is(any_plan: Plan) -> None:
    """A function that refers to one without a value can't be deployed: the optional ones are asked for."""
    names = values_of(any_plan, "google_secret_manager_secret", "secret_id")
    made = {secret_variable(name) for name in names}
    attached = {who: names for who, names, _ in environments(any_plan)}
    assert set(attached) == set(CATALOGUE.workloads)
    for who, workload in CATALOGUE.workloads.items():
        assert attached[who] == secrets_of(workload, any_plan), who
    assert made == {name for names in attached.values() for name in names}


def environments(plan: Plan) -> Iterator[tuple[str, set[str], Mapping[str, str]]]:
    """What runs, with the names of its secrets, and its settings."""
    for name in CATALOGUE.functions:
        one = plan.resources[f'module.function["{name}"].google_cloudfunctions2_function.this']
        (config,) = one["service_config"]
        secrets = {entry["key"] for entry in config["secret_environment_variables"]}
        yield f"function {name}", secrets, config["environment_variables"]
    for name in CATALOGUE.jobs:
        one = plan.resources[f'module.job["{name}"].google_cloud_run_v2_job.this']
        entries = one["template"][0]["template"][0]["containers"][0]["env"]
        secrets = {entry["name"] for entry in entries if entry["value_source"]}
        yield f"job {name}", secrets, {entry["name"]: entry["value"] for entry in entries if entry["value"]}


def test_no_value_of_a_secret_is_in_the_state(any_plan: Plan) -> None:
    assert not any_plan.of("google_secret_manager_secret_version")


def test_each_workload_has_an_account_of_its_own(any_plan: Plan) -> None:
    functions = any_plan.of("google_cloudfunctions2_function").values()
    jobs = any_plan.of("google_cloud_run_v2_job").values()
    used = Counter(one["service_config"][0]["service_account_email"] for one in functions)
    used.update(one["template"][0]["template"][0]["service_account"] for one in jobs)
    wanted = {f"{account_of(who)}@{PROJECT}.iam.gserviceaccount.com" for who in CATALOGUE.workloads}
    assert set(used) == wanted
    assert set(used.values()) == {1}
    assert not any_plan.of("google_service_account_key")


def test_no_role_gives_more_than_it_has_a_reason_for(any_plan: Plan) -> None:
    roles = {one["role"] for one in any_plan.resources.values() if "role" in one}
    basic = [
        role for role in roles if role in ("roles/owner", "roles/editor", "roles/viewer", "roles/browser")
    ]
    broad = [role for role in roles if re.search(r"[aA]dmin$|\.agent$|[sS]erviceAgent$", role)]
    assert not basic
    assert not broad
    for address, one in any_plan.of("google_project_iam_member").items():
        assert one["role"] in PROJECT_WIDE, address
        assert bool(one["condition"]) is (one["role"] in CONDITIONED), address


def test_no_grant_takes_away_what_others_were_granted(any_plan: Plan) -> None:
    """A policy or a binding owns a role; a member adds to it."""
    owning = [
        one["kind"]
        for one in any_plan.resources.values()
        if one["kind"].endswith(("_iam_policy", "_iam_binding"))
    ]
    assert not owning


# Settings.


def test_every_setting_is_set_or_left_alone_for_a_reason(any_plan: Plan) -> None:
    given = {name for _, _, settings in environments(any_plan) for name in settings}
    secret = {name for workload in CATALOGUE.workloads.values() for name in workload.secrets} | OPTIONAL
    listed = {name for workload in CATALOGUE.workloads.values() for name in workload.settings}
    known = {field.upper() for field in Settings.model_fields}
    forgotten = known - given - secret - listed - set(DEFAULTED)
    assert not forgotten, (
        "List them for who reads them in functions/catalogue.yaml, or in DEFAULTED with a reason."
    )
    assert not set(DEFAULTED) & (given | listed | secret), "These are set, and need no reason for not being."
    assert set(DEFAULTED) <= known


def test_everything_starts_with_what_it_is_given(any_plan: Plan) -> None:
    """Its settings are read as it will read them, with some text for each secret."""
    for who, secrets, given in environments(any_plan):
        assert "ADMIN_API_KEY" in secrets, "production starts nothing without it"
        assert not secrets & set(given), who
        texts_of = {name: SOME_VALUE.get(name, "text of some length") for name in secrets}
        known = {field.upper() for field in Settings.model_fields}
        values = {name.lower(): value for name, value in {**given, **texts_of}.items() if name in known}
        found = load_settings(**values, _env_file=None)
        assert found.env == any_plan.environment, who


def test_who_calls_is_told_by_the_last_that_can_be_believed(any_plan: Plan) -> None:
    """Cloud Run's own front end adds one entry to X-Forwarded-For, the load balancer before it another."""
    behind = bool(any_plan.of("google_compute_global_address"))
    for who, _, given in environments(any_plan):
        if who.startswith("function"):
            assert given["TRUSTED_PROXIES"] == ("2" if behind else "1"), who
    for one in any_plan.of("google_cloudfunctions2_function").values():
        assert one["service_config"][0]["ingress_settings"] != "ALLOW_ALL" or not behind, "a way around it"


# Events.


def test_every_subscription_tries_again_and_gives_up_to_somebody(any_plan: Plan) -> None:
    (wanted,) = {name for takers in EXPORTS.values() for name in takers}
    subscriptions = {one["name"]: one for one in any_plan.of("google_pubsub_subscription").values()}
    assert set(subscriptions) == {name for takers in TOPICS.values() for name in takers} | {wanted}
    for name, one in subscriptions.items():
        (retry,) = one["retry_policy"]
        assert retry["minimum_backoff"] == "10s"
        assert retry["maximum_backoff"] == "600s"
        assert one["expiration_policy"] == [{"ttl": ""}], name
        assert bool(one["dead_letter_policy"]) is (name not in TOPICS[DEAD_LETTERS]), name
        assert len(one["push_config"]) + len(one["bigquery_config"]) == 1, name
        for push in one["push_config"]:
            (token,) = push["oidc_token"]
            assert token["service_account_email"] == f"mlengine-push@{PROJECT}.iam.gserviceaccount.com"


def test_pubsub_may_give_up_where_it_has_to(any_plan: Plan) -> None:
    """It takes the event off the subscription, and publishes it, as its own account."""
    giving_up = {
        one["name"] for one in any_plan.of("google_pubsub_subscription").values() if one["dead_letter_policy"]
    }
    granted = any_plan.of("google_pubsub_subscription_iam_member").values()
    assert {one["subscription"] for one in granted} == giving_up
    agents = {one["member"] for one in granted}
    publishing = {
        one["member"]
        for one in any_plan.of("google_pubsub_topic_iam_member").values()
        if one["topic"] == DEAD_LETTERS
    }
    assert len(agents) == 1
    assert agents <= publishing
    assert all("gcp-sa-pubsub" in agent for agent in agents)


def test_each_topic_has_its_schema_and_no_other(any_plan: Plan) -> None:
    files = {file.stem: file.read_text() for file in (ROOT / "terraform" / "schemas").glob("*.avsc")}
    made = {one["name"]: one["definition"] for one in any_plan.of("google_pubsub_schema").values()}
    assert {name: json.loads(text) for name, text in made.items()} == {
        name: json.loads(text) for name, text in files.items()
    }
    checked = {one["name"] for one in any_plan.of("google_pubsub_topic").values() if one["schema_settings"]}
    assert checked == set(files) > {"predictions.made"}


def test_who_is_not_the_engine_publishes_where_no_schema_is(any_plan: Plan) -> None:
    """Cloud Monitoring's incidents have members of their own, and a refused one is told to nobody."""
    checked = {one["name"] for one in any_plan.of("google_pubsub_topic").values() if one["schema_settings"]}
    channels = any_plan.of("google_monitoring_notification_channel").values()
    told = {one["labels"]["topic"].rpartition("/")[2] for one in channels if one["type"] == "pubsub"}
    assert told
    assert not told & checked


def test_what_schedules_publish_fits_its_topics_schema(any_plan: Plan) -> None:
    for one in any_plan.of("google_cloud_scheduler_job").values():
        (target,) = one["pubsub_target"]
        data = json.loads(base64.b64decode(target["data"]))
        topic = CATALOGUE.schedules[one["name"].removeprefix("mlengine-")].topic
        assert set(payload_schema(topic)["required"]) <= set(data), one["name"]


def test_the_warehouse_takes_predictions(any_plan: Plan) -> None:
    (topic,) = EXPORTS
    (subscription,) = (
        one for one in any_plan.of("google_pubsub_subscription").values() if one["bigquery_config"]
    )
    assert subscription["topic"] == f"projects/{PROJECT}/topics/{topic}"
    (config,) = subscription["bigquery_config"]
    assert config["table"] == f"{PROJECT}.mlengine.predictions_made"
    rows = any_plan.resources["module.warehouse.google_bigquery_table.rows"]
    files = ROOT / "shared" / "monitoring" / "warehouse"
    assert json.loads(rows["schema"]) == json.loads((files / "predictions.schema.json").read_text())


# Data.


def test_what_expires_is_deleted_by_firestore(any_plan: Plan) -> None:
    expiring = {
        (one["collection"], one["field"])
        for one in any_plan.of("google_firestore_field").values()
        if one["ttl_config"]
    }
    assert expiring == {(name, EXPIRY_FIELD) for name, known in COLLECTIONS.items() if known.expires_field}


def test_production_is_protected_from_deletion(production: Plan) -> None:
    database = only(production, "google_firestore_database")
    assert database["delete_protection_state"] == "DELETE_PROTECTION_ENABLED"
    assert database["point_in_time_recovery_enablement"] == "POINT_IN_TIME_RECOVERY_ENABLED"
    assert production.of("google_firestore_backup_schedule")
    protectable = {
        address: one["deletion_protection"]
        for address, one in production.resources.items()
        if "deletion_protection" in one
    }
    kinds = {production.resources[address]["kind"] for address in protectable}
    assert kinds >= {"google_bigquery_table", "google_cloud_run_v2_job", "google_secret_manager_secret"}
    assert {address for address, protected in protectable.items() if not protected} == set(UNPROTECTED)
    assert not only(production, "google_bigquery_dataset")["delete_contents_on_destroy"]
    blobs = production.resources["module.blobs.google_storage_bucket.this"]
    assert not blobs["force_destroy"]
    assert blobs["versioning"][0]["enabled"]


def test_nothing_is_left_to_chance(any_plan: Plan) -> None:
    """The same names every time, and no provider but Google's."""
    assert {one["kind"].partition("_")[0] for one in any_plan.resources.values()} == {"google"}


def test_everything_that_can_be_labelled_is(any_plan: Plan) -> None:
    labelled = [one for one in any_plan.resources.values() if one.get("effective_labels")]
    assert len(labelled) > len(CATALOGUE.functions)
    for one in labelled:
        assert one["effective_labels"]["app"] == "mlengine"
        assert one["effective_labels"]["environment"] == any_plan.environment


def platform_name(name: str) -> str:
    return f"mlengine-{name.replace('_', '-')}"


def account_of(who: str) -> str:
    """'function batch_predict' or 'job train' -> its account's id."""
    kind, _, name = who.partition(" ")
    return f"mlengine-{ {'function': 'fn', 'job': 'job'}[kind] }-{name.replace('_', '-')}"

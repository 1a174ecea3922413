"""The cost model: what it must never do, and examples worked out by hand."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.catalogue import ROOT, Catalogue, Entry, Job, Schedule, read_catalogue
from infra.cost.__main__ import main
from infra.cost.figures import Measurements, read_measurements, write_measurements
from infra.cost.firestore import Indexes, document_bytes, field_bytes, index_bytes, name_bytes
from infra.cost.idle import firings, idle_uses
from infra.cost.parameters import Assumptions, Design, Traffic
from infra.cost.prices import PRICES_FILE, Price, Use, bill, read_prices
from infra.cost.report import CHOICES, Model, report
from infra.cost.traffic import audit_bytes, traffic_uses
from shared.errors import InvalidInput
from shared.monitoring.warehouse.table import TABLE

REGION = "europe-west1"
DEAREST = Design(front_door=True, warm_predicts=1, alerts_charged=True)
DESIGNS = [
    Design(),
    DEAREST,
    Design(audit_documents=False, logged_share=0.1),
    Design(every_field_indexed=True),
]


@pytest.fixture
def model() -> Model:
    return _model()


def price(dollars: float, *, per: float = 1, free: float = 0, **fields: Any) -> Price:
    known = {"service": "Any", "unit": "units", "basis": "vendor", "source": "https://example.com"}
    return Price(**known, read=date(2026, 11, 21), dollars=dollars, per=per, free=free, **fields)


def entry(**fields: Any) -> Entry:
    known: dict[str, Any] = {"purpose": "Any.", "memory_mb": 512, "cpu": 1, "concurrency": 80}
    known |= {"timeout_seconds": 60, "max_instances": 5, "may": (), "settings": (), "secrets": ()}
    return Entry(**(known | fields))


def quantity(uses: Sequence[Use], price: str, what: str = "") -> float:
    return sum(use.quantity for use in uses if use.price == price and what in use.what)


amounts = st.floats(0, 1e9, allow_subnormal=False)
uses = st.lists(st.builds(Use, st.sampled_from(["a", "b"]), amounts, st.sampled_from(["x", "y", "z"])))
PRICES = {"a": price(0.4, per=1e6, free=2e6), "b": price(0.03, per=1e5, free=5e4, free_each="day")}


class TestBill:
    @given(uses, uses)
    def test_what_is_free_makes_nothing_negative_and_nothing_dearer(
        self, first: list[Use], then: list[Use]
    ) -> None:
        for item in bill(PRICES, then, after=first).items:
            assert 0 <= item.dollars <= item.list_dollars * (1 + 1e-12)

    @given(uses)
    def test_it_is_what_is_beyond_the_free_amount(self, wanted: list[Use]) -> None:
        paid = 0.0
        for name, one in PRICES.items():
            paid += max(quantity(wanted, name) - one.free_a_month, 0) * one.each
        assert bill(PRICES, wanted).dollars == pytest.approx(paid, abs=1e-6)

    @given(uses, uses)
    def test_two_bills_one_after_the_other_are_the_bill_of_both(
        self, first: list[Use], then: list[Use]
    ) -> None:
        apart = bill(PRICES, first).dollars + bill(PRICES, then, after=first).dollars
        assert apart == pytest.approx(bill(PRICES, [*first, *then]).dollars, abs=1e-6)

    def test_uses_of_the_same_are_one_item_and_those_of_nothing_none(self) -> None:
        found = bill(PRICES, [Use("a", 3e6, "x"), Use("a", 1e6, "x"), Use("a", 0, "y")])
        assert [(item.what, item.quantity) for item in found.items] == [("x", 4e6)]
        assert found.dollars == pytest.approx(0.8)
        assert found.list_dollars == pytest.approx(1.6)


class TestByHand:
    def test_ten_million_predictions(self) -> None:
        """In 100 hours: 27.78 a second, each billed for the 100 ms of the least step.

        Some request is there in 1 - exp(-2.7778) = 0.937823 of 360,000 s: 337,616 vCPU-s, of which 180,000
        are free: 157,616 x 0.000024 = 3.7828. The 168,808 GiB-s are free. 8 million requests: 3.20. Answers
        of 1,000 bytes are 9.3132 GiB: x 0.12 = 1.1176. The events are 9.3132 GiB, of which 10 are free. All
        documents read are fewer than what is free. 10,000,000 lines of 1,000 bytes are 9.3132 GiB: free.
        """
        prices = {
            "cloud_run_requests": price(0.40, per=1e6, free=2e6),
            "cloud_run_cpu": price(0.000024, free=180_000),
            "cloud_run_memory": price(0.0000025, free=360_000),
            "pubsub_throughput": price(40, per=1024, free=10),
            "firestore_reads": price(0.03, per=1e5, free=5e4, free_each="day"),
            "storage_reads": price(0.0004, per=1e3),
            "secret_reads": price(0.03, per=1e4, free=1e4),
            "logging": price(0.5, free=50),
            "internet": price(0.12),
        }
        catalogue = Catalogue(functions={"predict": entry()})
        sizes = dict.fromkeys(["answer_bytes", "event_bytes", "row_bytes"], 1_000.0)
        counts = dict.fromkeys(["candles_reads", "pointer_reads", "model_reads"], 1.0)
        idle = dict.fromkeys(["predict_cpu_ms", "predict_miss_cpu_ms", "start_seconds", "model_blobs"], 0.0)
        measured = _measured(**sizes, **counts, **idle, predict_log_bytes=500.0)
        assumed = Assumptions(
            publish_seconds=0.03, read_seconds=0, upstream_seconds=0, container_seconds=0,
            upstream_request_bytes=0, log_entry_bytes=500,
        )  # fmt: skip
        design = Design(audit_documents=False, audit_rows=False, request_logs=False)
        traffic = Traffic(predictions=10_000_000, hours=100, symbols=1)
        found = bill(prices, traffic_uses(catalogue, measured, traffic, design, assumed))
        by_price: dict[str, float] = {}
        for item in found.items:
            by_price[item.price] = round(by_price.get(item.price, 0) + item.dollars, 4)
        assert by_price == {
            "cloud_run_requests": 3.2,
            "cloud_run_cpu": 3.7828,
            "cloud_run_memory": 0,
            "logging": 0,
            "firestore_reads": 0,
            "internet": 1.1176,
            "pubsub_throughput": 0,
        }
        assert f"{found.dollars:.2f}" == "8.10"

    def test_a_month_without_predictions(self) -> None:
        """Weekdays are 21.75 a month. As many requests of 4 s: 87 GiB-s and vCPU-s: 0.0023.

        The schedule: 0.10. Packages of 1 GiB, five times, and 0.5 GiB below them are 5.5 GiB, of which 0.5
        are free: 0.50.
        """
        prices = {
            "cloud_run_requests": price(0.40, per=1e6),
            "cloud_run_cpu": price(0.000024),
            "cloud_run_memory": price(0.0000025),
            "pubsub_throughput": price(40, per=1024),
            "firestore_reads": price(0.03, per=1e5),
            "firestore_writes": price(0.09, per=1e5),
            "firestore_storage": price(0.15, free=1),
            "storage": price(0.02),
            "logging": price(0.5, free=50),
            "scheduler_jobs": price(0.1),
            "artifacts": price(0.1, free=0.5),
        }
        schedule = Schedule(
            purpose="Any.", cron="30 22 * * 1-5", timezone="Etc/UTC", topic="alerts.raised", data={}
        )
        taker = entry(memory_mb=1_024, topic="alerts.raised")
        catalogue = Catalogue(functions={"taker": taker}, schedules={"weekdays": schedule})
        measured = _measured(
            function_image_bytes=2.0**30, candle_bytes=0, package_bytes=0, tail_bytes=0, audit_log_bytes=0,
            start_seconds=1,
        )  # fmt: skip
        assumed = Assumptions(
            container_seconds=1, slower_processor=1, event_seconds=2, event_operations=0, entry_bytes=0,
            kept_function_images=5, base_image_bytes=2.0**29,
        )  # fmt: skip
        design = Design(recovery=False, backup_days=0)
        found = bill(prices, idle_uses(catalogue, measured, Traffic(), design, assumed))
        dollars = {item.price: item.dollars for item in found.items}
        assert dollars["scheduler_jobs"] == pytest.approx(0.1)
        assert dollars["artifacts"] == pytest.approx(0.5)
        assert dollars["cloud_run_cpu"] + dollars["cloud_run_memory"] == pytest.approx(87 * 0.0000265)
        assert f"{found.dollars:.2f}" == "0.60"

    def test_schedules_fire_so_often_a_month(self) -> None:
        def times(cron: str) -> float:
            return firings(
                Schedule(purpose="", cron=cron, timezone="Etc/UTC", topic="alerts.raised", data={})
            )

        assert times("30 22 * * 1-5") == pytest.approx(261 / 12)
        assert times("0 2 * * 0") == pytest.approx(52 / 12)
        assert times("0 0 1 * *") == 1

    def test_documents_and_entries_are_as_large_as_firestore_says(self) -> None:
        """The document is the example of its documentation; the entries are worked out by its rules."""
        fields = {
            "type": field_bytes("type", {"stringValue": "Personal"}),
            "done": field_bytes("done", {"booleanValue": False}),
            "priority": field_bytes("priority", {"integerValue": "1"}),
            "description": field_bytes("description", {"stringValue": "Learn Cloud Firestore"}),
        }
        assert document_bytes(44, fields) == 147
        assert name_bytes("tasks", "my_task_id") == 6 + 11 + 16
        single = 2 * (44 + 16 + 32 + 6)
        composite = 44 + 16 + 32 + 1 + 8
        assert (
            index_bytes(44, fields, ["done"], [("done", "priority"), ("done", "missing")])
            == single + composite
        )

    def test_nested_values_have_the_size_of_what_is_in_them(self) -> None:
        numbers = {"arrayValue": {"values": [{"doubleValue": 1.5}, {"nullValue": None}]}}
        assert field_bytes("a", numbers) == 2 + 8 + 1
        assert field_bytes("m", {"mapValue": {"fields": {"b": {"booleanValue": True}}}}) == 2 + 32 + 2 + 1


class TestTraffic:
    @settings(deadline=None)
    @given(
        first=st.floats(1, 1e9),
        second=st.floats(1, 1e9),
        design=st.sampled_from(DESIGNS),
        hours=st.floats(1, 730),
        symbols=st.integers(1, 5_000),
        instances=st.integers(1, 20),
    )
    def test_more_predictions_never_cost_less(
        self, first: float, second: float, design: Design, hours: float, symbols: int, instances: int
    ) -> None:
        model = _model()
        bills = [
            model.bills(
                Traffic(predictions=predictions, hours=hours, symbols=symbols, instances=instances), design
            )
            for predictions in sorted((first, second))
        ]
        (idle, less), (idle_again, more) = bills
        assert idle.dollars == idle_again.dollars
        assert less.dollars <= more.dollars * (1 + 1e-9)
        before, after = ({(i.price, i.what): i.quantity for i in one.items} for one in (less, more))
        assert before.keys() <= after.keys()
        assert all(before[key] <= after[key] * (1 + 1e-9) for key in before)

    def test_an_instance_is_never_billed_for_longer_than_there_is(self, model: Model) -> None:
        for predictions in (1e6, 1e9):
            traffic = Traffic(predictions=predictions, hours=10)
            found = traffic_uses(model.catalogue, model.measured, traffic, Design(), model.assumed)
            seconds = quantity(found, "cloud_run_cpu", "audit") - quantity(
                found, "cloud_run_cpu", "audit, starts"
            )
            cpu_seconds = (
                predictions * model.measured["audit_cpu_ms"] / 1_000 * model.assumed.slower_processor
            )
            count = max(1, math.ceil(cpu_seconds / (traffic.seconds * model.assumed.used_processor)))
            assert cpu_seconds < seconds <= count * traffic.seconds

    def test_caches_save_reads_and_time(self, model: Model) -> None:
        def reads(**fields: Any) -> float:
            traffic = Traffic(predictions=1e6, **fields)
            found = traffic_uses(model.catalogue, model.measured, traffic, Design(), model.assumed)
            return quantity(found, "firestore_reads", "candles")

        assert reads(candle_cache_seconds=0) == 1e6
        assert reads(candle_cache_seconds=3_600) < reads(candle_cache_seconds=30) < 1e6
        assert reads(symbols=10) < reads(symbols=500)
        assert reads(instances=10) > reads(instances=1)

    def test_each_choice_changes_what_it_is_about(self, model: Model) -> None:
        def found(**fields: Any) -> list[Use]:
            design = Design(**fields)
            return traffic_uses(model.catalogue, model.measured, Traffic(), design, model.assumed)

        all_in = found()
        rows_only = found(audit_documents=False)
        assert quantity(rows_only, "firestore_writes", "audit") == 0
        assert quantity(rows_only, "cloud_run_requests", "audit") == 0
        assert quantity(all_in, "cloud_run_requests", "audit") == Traffic().predictions
        assert quantity(rows_only, "bigquery_storage") == quantity(all_in, "bigquery_storage") > 0
        assert quantity(found(audit_rows=False), "pubsub_bigquery") == 0
        assert quantity(found(logged_share=0), "logging", "its lines") == 0
        assert quantity(found(request_logs=False), "logging", "Cloud Run") == 0
        assert quantity(found(warm_predicts=1), "cloud_run_cpu", "predict, starts") == 0
        assert quantity(found(front_door=True), "armor_requests") == Traffic().predictions
        lean, full = (audit_bytes(model.measured, every_field=every) for every in (False, True))
        assert lean[0] == full[0]
        assert lean[1] < full[1]

    def test_another_taker_of_predictions_is_counted(self, model: Model) -> None:
        more = _with(model.catalogue, functions={"copier": entry(topic="predictions.made")})
        before, after = (
            traffic_uses(catalogue, model.measured, Traffic(), Design(), model.assumed)
            for catalogue in (model.catalogue, more)
        )
        assert quantity(before, "cloud_run_requests", "copier") == 0
        assert quantity(after, "cloud_run_requests", "copier") == Traffic().predictions
        assert quantity(after, "pubsub_throughput", "copier") > 0
        assert quantity(after, "cloud_run_cpu", "copier") > 0

    def test_what_instances_measure_is_told_once_a_minute_at_most(self, model: Model) -> None:
        def told(predictions: float, **fields: Any) -> float:
            traffic = Traffic(predictions=predictions, **fields)
            found = traffic_uses(model.catalogue, model.measured, traffic, Design(), model.assumed)
            return quantity(found, "cloud_run_requests", "monitoring")

        minutes = 730 * 60
        assert told(10) == pytest.approx(20, rel=1e-3), "predict's and the audit's"
        assert told(5e6) == pytest.approx(2 * minutes, rel=0.01)
        assert told(1e6, hours=73) <= 2 * minutes / 10
        found = traffic_uses(model.catalogue, model.measured, Traffic(), Design(), model.assumed)
        events = quantity(found, "cloud_run_requests", "monitoring")
        assert quantity(found, "firestore_writes", "measurements") == events * 2
        assert quantity(found, "pubsub_throughput", "measurements") == pytest.approx(events * 2_000 / 2**30)


class TestIdle:
    @settings(deadline=None)
    @given(
        predictions=st.floats(1, 1e9),
        hours=st.floats(1, 730),
        instances=st.integers(1, 100),
        cache=st.floats(0, 1e5),
        design=st.sampled_from(DESIGNS),
    )
    def test_nothing_idle_grows_with_the_traffic(
        self, predictions: float, hours: float, instances: int, cache: float, design: Design
    ) -> None:
        model = _model()
        traffic = Traffic(
            predictions=predictions, hours=hours, instances=instances, candle_cache_seconds=cache
        )
        found, usual = (
            idle_uses(model.catalogue, model.measured, one, design, model.assumed)
            for one in (traffic, Traffic())
        )
        assert found == usual

    def test_new_functions_schedules_and_jobs_are_counted(self, model: Model) -> None:
        job = Job(
            purpose="Any.", memory_mb=1_024, cpu=4, may=(), settings=(), secrets=(), retries=0,
            timeout_seconds=60,
        )  # fmt: skip
        starter = entry(topic="alerts.raised", may=("jobs.run",), runs=("newjob",), secrets=("NEW_SECRET",))
        hourly = Schedule(
            purpose="Any.", cron="0 * * * *", timezone="Etc/UTC", topic="alerts.raised", data={}
        )
        more = _with(
            model.catalogue,
            functions={"newcomer": starter},
            jobs={"newjob": job},
            schedules={"hourly": hourly},
        )
        before, after = (
            idle_uses(catalogue, model.measured, Traffic(), Design(), model.assumed)
            for catalogue in (model.catalogue, more)
        )
        times = 24 * 365 / 12
        assert quantity(after, "artifacts") > quantity(before, "artifacts")
        assert quantity(after, "secret_versions") == quantity(before, "secret_versions") + 1
        assert quantity(after, "scheduler_jobs") == quantity(before, "scheduler_jobs") + 1
        hourly_takers = len(more.subscriptions["alerts.raised"])
        measuring = sum(
            "measurements.made" in more.functions[one].publishes
            for one in more.subscriptions["alerts.raised"]
        )
        assert quantity(after, "cloud_run_requests", "hourly") == times * (hourly_takers + measuring)
        assert quantity(after, "cloud_run_job_cpu", "newjob") == times * 4 * model.assumed.job_seconds
        sent = 1 + hourly_takers + 2 * measuring
        assert quantity(after, "pubsub_throughput", "hourly") == pytest.approx(times * sent * 1_000 / 2**30)

    def test_what_follows_a_schedule_is_counted(self, model: Model) -> None:
        found = idle_uses(model.catalogue, model.measured, Traffic(), Design(), model.assumed)
        times = {name: firings(schedule) for name, schedule in model.catalogue.schedules.items()}
        takers = {one for schedule in model.catalogue.schedules.values() for one in (schedule.topic,)}
        assert takers <= model.catalogue.subscriptions.keys()
        followed = times["ingest"]  # its candles settle outcomes
        started = sum(times.values()) + followed
        assert quantity(found, "cloud_run_requests", "measurements") == pytest.approx(started)
        assert quantity(found, "cloud_run_requests") == pytest.approx(2 * started)
        assert quantity(found, "cloud_run_requests", "schedule ingest, candles.updated") == 2 * followed
        assert quantity(found, "firestore_reads", "schedule watch") > times["watch"] * Traffic().symbols

    def test_warm_instances_are_the_catalogues_and_the_designs(self, model: Model) -> None:
        kept = _with(model.catalogue, functions={"kept": entry(min_instances=2)})
        found = idle_uses(kept, model.measured, Traffic(), Design(warm_predicts=1), model.assumed)
        assert quantity(found, "cloud_run_idle_cpu", "kept,") == 2 * 730 * 3_600
        assert quantity(found, "cloud_run_idle_cpu", "predict,") == 730 * 3_600

    def test_the_front_door_costs_without_requests(self, model: Model) -> None:
        found = idle_uses(model.catalogue, model.measured, Traffic(), Design(front_door=True), model.assumed)
        assert bill(model.prices, found).dollars > 18


class TestTables:
    @pytest.mark.parametrize("region", ["europe-west1", "us-central1"])
    def test_every_region_has_a_price_for_all_that_is_used(self, region: str, model: Model) -> None:
        prices = read_prices(region)
        arguments = (model.catalogue, model.measured, Traffic(), DEAREST, model.assumed)
        used = {use.price for use in (*idle_uses(*arguments), *traffic_uses(*arguments))}
        assert used <= prices.keys()
        assert {"firestore_writes", "cloud_run_idle_cpu", "armor_rules", "alert_points"} <= used
        assert prices.keys() == used

    def test_a_region_without_prices_is_refused_with_those_that_have_some(self) -> None:
        with pytest.raises(InvalidInput) as refusal:
            read_prices("asia-east1")
        assert "europe-west1, us-central1" in refusal.value.detail

    def test_prices_say_where_and_when_they_were_read(self, tmp_path: Path) -> None:
        table = yaml.safe_load(PRICES_FILE.read_text())
        del table["everywhere"]["logging"]["source"]
        file = tmp_path / "prices.yaml"
        file.write_text(yaml.safe_dump(table))
        with pytest.raises(ValueError, match="source"):
            read_prices(REGION, file)

    def test_the_measured_document_is_the_one_that_is_kept_today(self, model: Model) -> None:
        """Where this fails the event has changed: python -m tests.benchmarks.bench_cost --write."""
        of_rows = {"label", "probabilities"}
        assert {column.name for column in TABLE.columns} - of_rows <= model.measured.audit_fields.keys()

    def test_measurements_survive_being_written(self, tmp_path: Path, model: Model) -> None:
        file = tmp_path / "measurements.yaml"
        write_measurements(model.measured, file)
        assert read_measurements(file) == model.measured

    def test_fields_that_terraform_exempts_have_no_entries(self, tmp_path: Path) -> None:
        file = tmp_path / "indexes.json"
        fields = [{"fieldPath": "b", "order": "ASCENDING"}, {"fieldPath": "c", "order": "DESCENDING"}]
        overrides = [
            {"collectionGroup": "some", "fieldPath": "a", "indexes": []},
            {"collectionGroup": "none", "fieldPath": "*", "indexes": []},
            {"collectionGroup": "none", "fieldPath": "b", "indexes": [{"order": "ASCENDING"}]},
        ]
        indexes = [{"collectionGroup": "some", "fields": fields}]
        file.write_text(json.dumps({"indexes": indexes, "fieldOverrides": overrides}))
        assert Indexes("some", file).single({"a": 1, "b": 1}) == ["b"]
        assert Indexes("none", file).single({"a": 1, "b": 1}) == ["b"]
        assert Indexes("some", file).composite == [("b", "c")]
        assert Indexes("other", file).composite == []


class TestReport:
    def test_items_and_totals_agree(self, model: Model) -> None:
        document = report(model, REGION, Traffic(predictions=2_000_000))
        for part in (document["idle"], document["million"]):
            for name in ("dollars", "list_dollars"):
                assert sum(item[name] for item in part["items"]) == pytest.approx(part[name])
            assert sum(item["share"] for item in part["items"]) == pytest.approx(1)
        month = document["idle"]["dollars"] + 2 * document["million"]["dollars"]
        assert document["month"]["dollars"] == pytest.approx(month)
        assert [choice["name"] for choice in document["choices"]] == list(CHOICES)
        assert document["choices"][0]["million_dollars"] == pytest.approx(document["million"]["dollars"])

    def test_goals_are_judged_by_what_was_found(self, model: Model) -> None:
        document = report(model, REGION, Traffic())
        found = [
            document["idle"]["dollars"],
            document["million"]["dollars"],
            document["million"]["list_dollars"],
        ]
        assert [goal["dollars"] for goal in document["goals"]] == pytest.approx(found)
        assert all(goal["is_met"] is (goal["dollars"] < goal["below_dollars"]) for goal in document["goals"])

    def test_the_idle_goal_is_met(self, model: Model) -> None:
        idle, *_ = report(model, REGION, Traffic())["goals"]
        assert idle["is_met"]

    def test_the_readme_tells_the_same(self, model: Model) -> None:
        readme = " ".join((ROOT / "README.md").read_text().split())
        choices = {one["name"]: one for one in report(model, REGION, Traffic())["choices"]}

        def told(choice: str) -> tuple[str, str]:
            one = choices[choice]
            return f"${one['million_dollars']:.2f}", f"${one['million_list_dollars']:.2f}"

        free, listed = told("as designed")
        assert f"Idle it is {100 * choices['as designed']['idle_dollars']:.0f} cents a month" in readme
        assert f"are {free} after what Google gives for nothing and {listed} at list prices" in readme
        assert f"the audit in BigQuery only {' and '.join(told('audit in BigQuery only'))}" in readme
        assert f"`CANDLE_CACHE_SECONDS=3600` {' and '.join(told('CANDLE_CACHE_SECONDS=3600'))}" in readme

    def test_it_says_which_prices_are_unconfirmed(self, model: Model) -> None:
        document = report(model, REGION, Traffic())
        marked = {item["price"] for item in document["million"]["items"] if item["basis"] == "unconfirmed"}
        assert marked <= set(document["unconfirmed"])
        assert "firestore_writes" in document["unconfirmed"]


class TestCommand:
    def test_it_prints_one_document(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["--json", "--predictions=5e6", "--region=us-central1", "--candle-cache-seconds=60"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert document["region"] == "us-central1"
        assert document["traffic"]["predictions"] == 5e6
        assert document["traffic"]["candle_cache_seconds"] == 60
        assert document["traffic"]["symbols"] == Traffic().symbols

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [(["--region=mars"], "not 'mars'"), (["--hours=731"], "hours"), (["--predictions=0"], "predictions")],
    )
    def test_it_refuses_what_cant_be_priced(
        self, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["--json", *arguments]) == 2
        assert words in capsys.readouterr().err


@functools.cache
def _model() -> Model:
    return Model(read_catalogue(), read_prices(REGION), read_measurements(), Assumptions())


def _measured(**values: float) -> Measurements:
    how = {"unit": "any", "when": date(2026, 11, 21), "how": "made up", "command": "none"}
    figures = {name: {"value": value, **how} for name, value in values.items()}
    return Measurements.model_validate({"figures": figures, "audit_fields": {}})


def _with(catalogue: Catalogue, **more: Any) -> Catalogue:
    """The catalogue with more functions, jobs and schedules, checked."""
    return Catalogue(
        functions={**catalogue.functions, **more.get("functions", {})},
        jobs={**catalogue.jobs, **more.get("jobs", {})},
        schedules={**catalogue.schedules, **more.get("schedules", {})},
    )

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console
from scipy.stats import t

from agent.bench.compare import compare, compared_table
from agent.bench.records import Answer, Record, RunError
from agent.bench.report import NOT_COMPARABLE, best_known, plain_table, summarise, table
from agent.bench.stats import wilson
from policy.tasks import SINGLE, Ask, Group, Item, Published
from tests.bench import sample_run
from tests.bench.sample_run import SampleTask

TASK = SampleTask()


def item(
    id: str, kind: str = "Expression", *, answer: str = "B", media: str = "", asks: int = 1, problem: str = ""
) -> Item:
    found = tuple(Ask(id=f"{id}{n}", question="Which?", pattern=SINGLE, answer=answer) for n in range(asks))
    return Item(id=id, task_type=kind, media=media or id, asks=found, problem=problem)


def record(of: Item, *raws: str | None, error: str = "", repeat: int = 0, **more: Any) -> Record:
    answers = tuple(
        Answer(ask=ask.id, raw=raw, answer_s=1.0, error="" if raw is not None else "late")
        for ask, raw in zip(of.asks, raws, strict=False)
    )
    return Record(id=of.id, task_type=of.task_type, media=of.media, answers=answers, error=error, repeat=repeat, **more)


def told(renderable: Any, width: int = 80) -> str:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(renderable)
    return out.getvalue()


def test_strict_counts_what_was_not_answered_and_reference_leaves_it_out() -> None:
    right, late, failed, missing, unclear = (item(id) for id in "abcde")
    broken = item("f", asks=0, problem="it has no answer")
    found = [right, late, failed, missing, unclear, broken]
    records = [record(right, "B"), record(late, None), record(failed, "B", error="no picture"), record(unclear, "b-")]
    summary = summarise(TASK, found, records, {})
    assert (summary["strict"]["all"]["total"], summary["strict"]["all"]["correct"]) == (6, 1)
    assert (summary["reference"]["all"]["total"], summary["reference"]["all"]["correct"]) == (2, 2)
    assert summary["coverage"]["all"] == {"selected": 6, "answered": 2, "coverage": 2 / 6}
    assert summary["errors"]["counts"] == {
        "malformed": 1,
        "missing": 1,
        "item_failed": 1,
        "answer_failed": 1,
        "not_understood": 1,
    }
    assert summary["errors"]["malformed"] == [{"id": "f", "task_type": "Expression", "problem": "it has no answer"}]
    assert [m["message"] for m in summary["errors"]["messages"]] == ["late", "no picture"]


def test_an_answer_of_blanks_or_none_at_all_is_none() -> None:
    blank, silent = item("a"), item("b")
    summary = summarise(TASK, [blank, silent], [record(blank, " \n"), record(silent)], {})
    assert summary["errors"]["counts"] == {"no_answer": 2}
    assert summary["coverage"]["all"]["answered"] == 0
    assert summary["latency"]["answer_s"] == {"median": None, "p95": None, "n": 0}


def test_half_a_credit_counts_but_is_not_exact() -> None:
    ask = Ask(id="x", question="Which?", pattern="multi", answer="BD", options=("A. a", "B. b", "C. c", "D. d"))
    one = Item(id="x", task_type="Gesture", media="x", asks=(ask,))
    strict = summarise(TASK, [one], [record(one, "B")], {})["strict"]
    assert strict["all"]["accuracy"] == 0.5
    assert strict["exact"]["accuracy"] == 0


def test_errors_are_clustered_by_medium() -> None:
    apart = [item(f"{n}", media=f"m{n}") for n in range(8)]
    together = [replace(i, media=f"m{int(i.id) // 4}") for i in apart]
    raws = ["B"] * 4 + ["C"] * 4

    def se(found: Sequence[Item]) -> float:
        records = [record(i, raw) for i, raw in zip(found, raws, strict=True)]
        return float(summarise(TASK, found, records, {})["strict"]["all"]["se"])

    assert se(apart) == pytest.approx((0.25 / 7) ** 0.5)
    assert se(together) == pytest.approx(0.5)
    cell = summarise(TASK, apart, [record(i, raw) for i, raw in zip(apart, raws, strict=True)], {})["strict"]["all"]
    assert (cell["low"], cell["high"]) == pytest.approx(wilson(0.5, 8)), "of eight media the spread says little"
    many = [item(f"{n}", media=f"m{n}") for n in range(40)]
    cell = summarise(TASK, many, [record(i, "BC"[n % 2]) for n, i in enumerate(many)], {})["strict"]["all"]
    assert cell["high"] - cell["accuracy"] == pytest.approx(t.ppf(0.975, 39) * cell["se"])


def test_all_right_of_few_is_not_sure() -> None:
    few = [item(f"{n}", media=f"m{n}") for n in range(6)]
    summary = summarise(TASK, few, [record(i, "B") for i in few], {"comparable": False})
    assert summary["strict"]["all"]["low"] == pytest.approx(0.61, abs=0.005)
    assert "100 [61-100]" in told(table(summary))


def test_the_built_in_set_is_called_what_it_is() -> None:
    few = [item("1")]
    assert summarise(TASK, few, [record(few[0], "B")], {"comparable": False})["title"] == "Built-in set"
    assert summarise(TASK, few, [record(few[0], "B")], {})["title"] == TASK.name
    shown = told(table(summarise(TASK, few, [record(few[0], "B")], {"comparable": False})))
    assert shown.startswith("Built-in set: 1 question about 1 medium")
    assert TASK.name not in shown


def test_counts_are_not_shown_in_seconds() -> None:
    few = [item("1")]
    kept = replace(record(few[0], "B"), stages={"policy": 0.2, "reader_depth": 2.0, "dropped_count": 3.0})
    assert set(summarise(TASK, few, [kept], {})["latency"]) == {"answer_s", "policy"}


def test_groups_levels_and_means_over_tasks() -> None:
    found = [
        item("a"),
        item("b", "Gesture"),
        item("c", "Gesture"),
        item("d", "Fraud"),
        item("e", "Unheard_Of"),
        item("f", "ES"),
    ]
    records = [record(found[0], "B"), record(found[1], "B"), record(found[2], "C"), record(found[3], "B")]
    summary = summarise(TASK, found, records, {})
    strict = summary["strict"]
    assert list(strict["per_group"]) == ["EX", "HG", "HC", "WT", "LD", "FR", "ES", "Unheard_Of", "ES (other)"]
    assert strict["per_group"]["HG"]["accuracy"] == 0.5
    assert strict["per_group"]["HC"]["accuracy"] is None
    assert strict["per_task"]["Unheard_Of"]["total"] == 1
    assert strict["per_level"]["1"]["accuracy"] == pytest.approx(2 / 3), "over questions"
    assert strict["per_level"]["1"]["macro"]["accuracy"] == 0.75, "over tasks"
    macro13, macro15 = strict["macro13"], strict["macro15"]
    assert (macro13["accuracy"], macro13["groups"], macro13["of"]) == (0.75, 2, 6)
    assert macro13["missing"] == ["HC", "WT", "LD", "ES"]
    assert (macro15["accuracy"], macro15["groups"], macro15["of"]) == (pytest.approx(2.5 / 3), 3, 7)
    known = {group["code"]: group["known"] for group in summary["groups"]}
    assert known["ES"]
    assert not known["ES (other)"]


def test_published_rows_are_averaged_over_the_tasks_of_the_run() -> None:
    found = [item("a"), item("b", "Lie"), item("c", "Fraud")]
    summary = summarise(TASK, found, [], {})
    rows = {row["model"]: row for row in summary["published"]}
    assert rows["Baseline-7B"]["macro13"] == pytest.approx((0.513 + 0.55) / 2)
    assert rows["Baseline-7B"]["macro15"] == pytest.approx((0.513 + 0.55 + 0.74) / 3)
    assert rows["Small-3B"]["macro15"] is None, "it was never tried on fraud"
    assert rows["Small-3B"]["levels"] == {"1": 0.4, "2": None, "3": None, "4": None}
    assert [row["model"] for row in best_known(summary)] == ["Baseline-7B", "Human level"]
    assert summary["note"].startswith("A part of the benchmark: 3 of 420 questions.")


def test_a_smoke_test_is_beside_no_published_number() -> None:
    summary = summarise(TASK, [item("a")], [], {"comparable": False})
    assert summary["published"] == []
    assert summary["note"] == NOT_COMPARABLE == "A smoke test of the loop; not comparable with published results."
    text = told(table(summary))
    assert NOT_COMPARABLE in text
    assert "Human" not in text


def test_only_what_was_selected_counts() -> None:
    found = [item(id) for id in "abc"]
    records = [record(i, "B") for i in found]
    summary = summarise(TASK, found, records, {"selected": ["c", "a"]})
    assert summary["selected"] == ["a", "c"]
    assert (summary["asks"], summary["records"]) == (2, 2)
    with pytest.raises(RunError, match="does not hold 1 of the 2 items of the run, such as 'z'"):
        summarise(TASK, found, records, {"selected": ["a", "z"]})


def test_repetitions_are_averaged_and_their_agreement_told() -> None:
    steady, wavering = item("a"), item("b")
    records = [record(steady, "B", repeat=n) for n in range(3)]
    records += [record(wavering, raw, repeat=n) for n, raw in enumerate("BCB")]
    summary = summarise(TASK, [steady, wavering], records, {})
    assert summary["strict"]["all"]["correct"] == pytest.approx(1 + 2 / 3)
    assert summary["strict"]["all"]["total"] == 2
    assert summary["repeats"] == {"count": 3, "asks": 2, "consistency": 0.5}
    unfinished = summarise(TASK, [steady, wavering], records, {"repeat": 4})
    assert unfinished["strict"]["all"]["correct"] == pytest.approx(3 / 4 + 2 / 4)
    assert unfinished["errors"]["counts"] == {"missing": 2}
    assert summarise(TASK, [steady], records[:1], {})["repeats"]["consistency"] is None


def test_crashes_of_the_published_scorer_are_counted() -> None:
    found = sample_run.items()
    number = next(i for i in found if i.task_type == "Counting")
    summary = summarise(TASK, [number], [record(number, "two")], {})
    assert summary["reference"]["crashes"] == 1
    assert summary["reference"]["all"]["total"] == 0, "a scorer that has crashed counts nothing"
    assert summary["reference"]["crash_reasons"] == {"int() of no digit": 1}
    assert "would have crashed (int() of no digit)" in " ".join(told(table(summary)).split())


def test_plain_figures() -> None:
    rows: list[tuple[str, dict[str, Any]]] = [
        ("Counting", {"total": 1200, "correct": 600.5, "accuracy": 0.5004}),
        ("all", {"total": 0, "correct": 0, "accuracy": None}),
    ]
    text = told(plain_table("strict rules", rows, 3))
    assert "1,200    600.5      50.0" in text
    assert text.splitlines()[0].startswith("strict rules")
    assert "crashed on 3 answers" in text


def test_times_budget_and_condition() -> None:
    found = [item(id) for id in "abc"]
    stages = {"policy": 0.5, "vad_dropped_count": 2.0}
    records = [record(i, "B", stages=stages, media_s=6.0, took_s=2.0, heard_s=5.0) for i in found]
    run = {"condition": {"feed": "percepts", "measured": False}, "policy": "compact", "hash": "abc"}
    summary = summarise(TASK, found, records, run)
    assert summary["latency"] == {
        "answer_s": {"median": 1.0, "p95": 1.0, "n": 3},
        "policy": {"median": 0.5, "p95": 0.5, "n": 3},
    }
    assert summary["budget"]["dropped"] == {"vad_dropped_count": 6}
    assert (summary["media_s"], summary["took_s"]) == (18.0, 6.0)
    assert summary["condition"] == {"feed": "percepts", "measured": False, "policy": "compact"}
    assert "fixed costs" in told(table(summary))


def test_the_same_run_gives_the_same_json_in_any_order_of_records() -> None:
    found = sample_run.items()
    records = sample_run.records(found, repeats=2)
    run = sample_run.run(found)
    one = json.dumps(summarise(TASK, found, records, run), allow_nan=False)
    assert one == json.dumps(summarise(TASK, found, tuple(reversed(records)), run), allow_nan=False)
    assert one == json.dumps(json.loads(one))


def test_without_any_item_there_is_a_report_that_says_so() -> None:
    summary = summarise(TASK, [], [], {})
    assert summary["strict"]["all"]["accuracy"] is None
    assert summary["coverage"]["all"]["coverage"] is None
    assert "0 questions" in told(table(summary))


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_fits_its_terminal(width: int) -> None:
    groups = tuple(replace(g, name="Human Counting with ReID") if g.code == "HC" else g for g in sample_run.GROUPS)
    best = Published(model="Qwen2.5-Omni-7B", subset="full", average=0.9, cells=sample_run.PUBLISHED[1].cells)
    task = SampleTask(groups=groups, published=(best, *sample_run.PUBLISHED))
    found = sample_run.items()
    text = told(table(summarise(task, found, sample_run.records(found), sample_run.run(found))), width)
    assert max(len(line) for line in text.splitlines()) <= width
    line = next(line for line in text.splitlines() if line.startswith("HC"))
    assert "Human Counting with ReID" in line
    assert "…" not in text
    for part in (
        "Qwen2.5-",
        "Omni-7B",
        "Strict [95 %]",
        "Level 4",
        "Mean of 6 tasks",
        "Mean of 7 tasks",
        "All questions",
    ):
        assert part in text
    for part in ("the data set's entry cannot be used", "broken-0: it names no medium", "question to answer", "policy"):
        assert part in text


def test_names_from_a_data_set_are_no_markup_in_the_terminal() -> None:
    odd = item("a", "[bold red]Odd[/]")
    text = told(table(summarise(TASK, [odd], [record(odd, None)], {})), 120)
    assert "[bold red]Odd[/]" in text


def test_two_runs_are_compared_on_the_same_questions() -> None:
    found = [item(f"{n}") for n in range(6)] + [item("f", "Fraud")]
    a = [record(i, raw) for i, raw in zip(found, ["B", "C", "C", "B", "C", "B", "B"], strict=True)]
    b = [record(i, raw) for i, raw in zip(found[1:], ["B", "B", "B", None, "C", "B"], strict=True)]
    compared = compare(TASK, found, a, b, names=("old", "new"))
    whole = compared["all"]
    assert (whole["n"], whole["only_a"], whole["only_b"]) == (6, 1, 2)
    assert whole["difference"] == pytest.approx(1 / 6)
    assert whole["low"] < whole["difference"] < whole["high"]
    assert 0 < whole["p"] < 1
    assert list(compared["per_group"]) == ["EX", "FR"]
    assert compared["per_group"]["FR"]["se"] is None
    assert (compared["only_in_a"], compared["only_in_b"]) == (1, 0)
    json.dumps(compared, allow_nan=False)
    text = told(compared_table(compared))
    assert "EX  Expression Naming" in text
    assert "Left out: 1 items only in A, 0 only in B." in text
    assert max(len(line) for line in text.splitlines()) <= 80
    late = compare(TASK, found, a, b, rules="reference")
    assert late["all"]["n"] == 5, "what one did not answer is in neither by the reference rules"


def test_repetitions_are_averaged_before_they_are_compared() -> None:
    found = [item("a"), item("b")]
    a = [record(i, raw, repeat=n) for i in found for n, raw in enumerate("BC")]
    b = [record(i, "B") for i in found]
    assert compare(TASK, found, a, b)["all"]["difference"] == 0.5


def test_runs_without_a_common_question_are_told_apart() -> None:
    found = [item("a"), item("b")]
    with pytest.raises(RunError, match="old and new have no question in common"):
        compare(TASK, found, [record(found[0], "B")], [record(found[1], "B")], names=("old", "new"))
    with pytest.raises(ValueError, match="choose strict or reference"):
        compare(TASK, found, [], [], rules="kind")


def test_a_benchmark_without_levels_or_published_rows() -> None:
    task = SampleTask(groups=(Group(code="EX", name="Faces", task_types=("Expression",)),), published=())
    one = item("a")
    summary = summarise(task, [one], [record(one, "B")], {})
    assert summary["strict"]["per_level"] == {}
    assert summary["note"] == ""
    assert "Mean of 1 task" in told(table(summary))

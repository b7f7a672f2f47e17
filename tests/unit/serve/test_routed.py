"""Requests on their way: rules, labels, fallbacks, each with a plan of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from chunking.document import Document
from chunking.errors import (
    CollectionNotFound,
    ContextLengthExceeded,
    ModelNotFound,
    TemplateRefused,
)
from chunking.sensitivity import Sensitivity
from chunking.tokens import Message, Tool, ToolCall
from serve.answer import Answer
from serve.backends.scripted import ScriptedBackend
from serve.breaker import CircuitLimits
from serve.call_record import Origin
from serve.context.route import Passed
from serve.errors import (
    ModelUnapproved,
    PolicyNoRoute,
    UpstreamRateLimited,
    UpstreamSilentTruncation,
    UpstreamTimeout,
)
from serve.ledger import FILE_NAME, CallRow, Ledger, read_ledger
from serve.plan import Ask, Mode, Plan
from serve.review import PENDING
from serve.routed import answer_routed, plan_routed, stream_routed
from serve.runtime import Runtime
from tests.pair_counter import PairCounter
from tests.routes import ASK, PROFILES, labelled, routed_runtime, script
from tests.serving import BOLIVIA, CHAD, PERU, mistral

EITHER: Mapping[str, object] = {"name": "either", "target": "local", "fallback": ["cloud"]}
OUT: Mapping[str, object] = {"name": "out", "target": "cloud", "fallback": ["local"]}
AUTO = replace(ASK, route="auto")


def failing(error: Exception, count: int = 9) -> ScriptedBackend:
    return ScriptedBackend([error] * count)  # type: ignore[list-item]


def answered(runtime: Runtime, ask: Ask = AUTO) -> Answer:
    return asyncio.run(answer_routed(ask, runtime))


def streamed(runtime: Runtime, ask: Ask = AUTO) -> list[Plan | str | Answer]:
    async def scenario() -> list[Plan | str | Answer]:
        return [item async for item in stream_routed(ask, runtime)]

    return asyncio.run(scenario())


class TestRules:
    def test_a_rule_sends_a_request_to_its_target_and_the_receipt_says_why(self) -> None:
        rule = {"name": "code out", "tasks": ["code"], "target": "cloud"}
        runtime = routed_runtime(rules=[rule])

        report = answered(runtime, replace(AUTO, question="Write a function for Peru.")).report

        assert report.model == "far"
        route = report.route
        assert (route.target, route.rule, route.reason) == ("cloud", "code out", "task=code")
        assert (route.requested, route.fallback_used, route.passed) == ("auto", False, ())
        assert route.inputs is not None
        assert route.inputs.context_sensitivity is Sensitivity.INTERNAL
        assert route.inputs.window_needed is not None
        assert "far" in route.inputs.cost_usd

    def test_without_a_rule_that_holds_the_default_answers(self) -> None:
        report = answered(routed_runtime()).report

        assert (report.model, report.route.rule) == ("near", "default")

    def test_a_restricted_document_keeps_the_request_here(self) -> None:
        runtime = routed_runtime(rules=[OUT], documents=labelled("restricted", PERU, CHAD))

        report = answered(runtime).report

        assert (report.route.target, report.route.fallback_used) == ("local", True)
        assert Passed("far", "sensitivity") in report.route.passed
        assert script(runtime, "far").requests == script(runtime, "farther").requests == []

    def test_the_label_of_the_request_counts_like_that_of_a_document(self) -> None:
        runtime = routed_runtime(rules=[OUT])

        given = answered(runtime, replace(AUTO, sensitivity=Sensitivity.RESTRICTED))

        assert given.report.route.target == "local"

    @pytest.mark.parametrize(
        ("limit", "target"), [("internal", "local"), ("confidential", "cloud")]
    )
    def test_the_limit_of_clouds_is_a_setting(self, limit: str, target: str) -> None:
        runtime = routed_runtime(
            rules=[OUT], documents=labelled("confidential", PERU), cloud_limit=limit
        )

        assert answered(runtime).report.route.target == target

    def test_a_chunk_that_only_the_longer_window_holds_raises_the_label(self) -> None:
        # The small window of the survey holds Peru alone; the cloud's would hold Bolivia, too.
        tiny = {**PROFILES, "near": replace(PROFILES["near"], window=440, output_limit=256)}
        documents = (PERU, *labelled("restricted", BOLIVIA))
        runtime = routed_runtime(rules=[OUT], documents=documents, profiles=tiny)
        kept = runtime.plan(replace(ASK, max_output_tokens=256)).context.chunks
        assert {chunk.document for chunk in kept} == {"peru"}

        report = answered(runtime, replace(AUTO, max_output_tokens=256)).report

        assert report.route.target == "local"
        assert script(runtime, "far").requests == []

    def test_personal_data_in_the_question_is_told_by_the_names_of_detectors(self) -> None:
        rule = {"name": "ours", "personal_data": True, "target": "nearer"}
        runtime = routed_runtime(rules=[rule, OUT])

        report = answered(
            runtime, replace(AUTO, question="Who in Peru has the mail maria@example.com?")
        ).report

        assert (report.model, report.route.rule) == ("nearer", "ours")
        assert report.route.inputs is not None
        assert report.route.inputs.personal_data
        assert "maria" not in str(report.route)

    def test_a_document_that_the_window_of_the_rule_cannot_hold_goes_on(self) -> None:
        rule = {"name": "long", "window_above": 600, "target": "farther"}
        runtime = routed_runtime(rules=[rule])

        assert answered(runtime, replace(AUTO, mode="full")).report.model == "farther"

    def test_a_call_that_may_cost_more_than_the_rule_allows_is_not_made(self) -> None:
        rule = {**OUT, "cost_limit_usd": "0.000001", "fallback": []}
        runtime = routed_runtime(rules=[rule])

        assert answered(runtime).report.route.rule == "default"
        assert script(runtime, "far").requests == []

    def test_a_rule_may_refuse(self) -> None:
        runtime = routed_runtime(rules=[{"name": "no", "target": "refuse"}])

        with pytest.raises(PolicyNoRoute, match="rule 'no' leads to no model"):
            answered(runtime)


class TestNamedModels:
    def test_a_named_model_answers_and_nothing_else(self) -> None:
        runtime = routed_runtime(rules=[OUT])

        report = answered(runtime, ASK).report

        assert report.model == "near"
        assert (report.route.reason, report.route.rule) == ("model=near", None)

    def test_a_named_cloud_is_refused_restricted_text(self) -> None:
        runtime = routed_runtime(documents=labelled("restricted", PERU))

        with pytest.raises(PolicyNoRoute, match="restricted text may not go to a cloud") as caught:
            answered(runtime, replace(ASK, model="far"))

        assert caught.value.code == "policy_no_route"
        assert script(runtime, "far").requests == []

    def test_a_named_model_that_fails_is_followed_by_none(self) -> None:
        runtime = routed_runtime({"near": failing(UpstreamTimeout("slow"))}, rules=[EITHER])

        with pytest.raises(UpstreamTimeout, match="slow") as caught:
            answered(runtime, ASK)
        assert caught.value.__cause__ is not caught.value

    def test_an_unknown_model_is_refused(self) -> None:
        with pytest.raises(ModelNotFound):
            answered(routed_runtime(), replace(ASK, route="nonesuch"))

    def test_an_unapproved_model_is_refused_by_name_and_passed_over_by_place(self) -> None:
        profiles = {**PROFILES, "far": replace(PROFILES["far"], review=PENDING)}
        runtime = routed_runtime(profiles=profiles)

        with pytest.raises(ModelUnapproved):
            answered(runtime, replace(ASK, model="far"))
        report = answered(runtime, replace(ASK, route="cloud")).report
        assert (report.model, report.route.fallback_used) == ("farther", False)

    @pytest.mark.parametrize("ask", [replace(ASK, route="cloud"), AUTO])
    def test_where_no_cloud_is_approved_the_hint_names_the_command_that_allows_one(
        self, ask: Ask
    ) -> None:
        profiles = {
            name: replace(one, review=PENDING) if one.place == "cloud" else one
            for name, one in PROFILES.items()
        }
        runtime = routed_runtime(profiles=profiles, rules=[{"name": "out", "target": "cloud"}])

        with pytest.raises(PolicyNoRoute, match="no approved model of the place cloud") as caught:
            answered(runtime, ask)

        assert "windowfit models review NAME" in caught.value.hint
        assert caught.value.hint.endswith("far, farther")

    def test_a_fault_of_the_request_is_no_reason_to_ask_another_model(self) -> None:
        with pytest.raises(CollectionNotFound):
            answered(routed_runtime(rules=[EITHER]), replace(AUTO, collection="nonesuch"))


class TestCounters:
    """A model whose template or counter cannot take the request is passed, not the request."""

    ALL_OUT: Mapping[str, object] = {"name": "all out", "target": "far"}
    SILENT = (Message("user", "Hello."), Message("assistant", ""))
    """Turns that Mistral's template has no form for."""

    def test_what_the_default_models_template_refuses_another_may_take(self) -> None:
        ask = replace(AUTO, history=self.SILENT)
        profiles = {
            name: replace(one, tokenizer="pairs") if one.place == "cloud" else one
            for name, one in PROFILES.items()
        }
        runtime = routed_runtime(rules=[self.ALL_OUT], profiles=profiles)
        runtime._counters["pairs"] = PairCounter()

        assert answered(runtime, ask).report.model == "far"
        with pytest.raises(TemplateRefused, match="no form for this conversation"):
            answered(runtime, replace(ask, route="near"))

    def test_what_every_template_refuses_is_a_fault_of_the_request(self) -> None:
        with pytest.raises(TemplateRefused, match="no form for this conversation"):
            answered(routed_runtime(rules=[self.ALL_OUT]), replace(AUTO, history=self.SILENT))


class TestFallback:
    @pytest.mark.parametrize(
        "error",
        [
            UpstreamTimeout("slow"),
            UpstreamRateLimited("busy"),
            UpstreamSilentTruncation("cut"),
            ContextLengthExceeded("long"),
        ],
    )
    def test_a_failed_model_is_followed_by_the_next(self, error: Exception) -> None:
        runtime = routed_runtime({"near": failing(error)}, rules=[EITHER])

        report = answered(runtime).report

        assert (report.model, report.route.fallback_used) == ("nearer", True)
        assert report.route.passed == (Passed("near", error.code),)  # type: ignore[attr-defined]

    def test_the_fallback_is_planned_anew_for_the_window_of_its_model(self) -> None:
        profiles = {**PROFILES, "near": replace(PROFILES["near"], window=460, output_limit=256)}
        down = failing(UpstreamTimeout("slow"))
        runtime = routed_runtime({"near": down, "nearer": down}, rules=[EITHER], profiles=profiles)

        given = answered(runtime, replace(AUTO, max_output_tokens=256))

        (first,) = script(runtime, "near").requests[:1]
        (last,) = script(runtime, "far").requests
        assert given.report.window == PROFILES["far"].window
        assert first.messages != last.messages
        assert len(last.sources) > len(first.sources)
        assert mistral().count_messages(last.messages) == given.report.prompt_tokens

    def test_local_models_down_and_restricted_text_is_no_route(self) -> None:
        down = failing(UpstreamTimeout("slow"))
        runtime = routed_runtime(
            {"near": down, "nearer": down}, rules=[EITHER], documents=labelled("restricted", PERU)
        )

        with pytest.raises(PolicyNoRoute, match="near: upstream_timeout") as caught:
            answered(runtime)

        assert isinstance(caught.value.__cause__, UpstreamTimeout)
        assert script(runtime, "far").requests == script(runtime, "farther").requests == []

    def test_all_models_down_is_the_failure_of_the_first(self) -> None:
        down = {name: failing(UpstreamTimeout(f"{name} is slow")) for name in PROFILES}

        with pytest.raises(UpstreamTimeout, match="near is slow"):
            answered(routed_runtime(down, rules=[EITHER]))

    def test_a_window_too_small_is_passed_without_a_call(self) -> None:
        runtime = routed_runtime(rules=[EITHER])

        report = answered(runtime, replace(AUTO, question="Peru? " * 400)).report

        assert report.route.passed[0] == Passed("near", "context_length_exceeded")
        assert script(runtime, "near").requests == []


class TestStreams:
    def test_a_stream_falls_back_before_its_first_piece(self) -> None:
        runtime = routed_runtime({"near": failing(UpstreamTimeout("slow"))}, rules=[EITHER])

        items = streamed(runtime)

        plans = [item.profile.name for item in items if isinstance(item, Plan)]
        assert plans == ["near", "nearer"]
        assert isinstance(items[-1], Answer)
        assert items[-1].report.route.fallback_used
        assert "".join(item for item in items if isinstance(item, str)) == items[-1].text

    def test_a_stream_that_was_begun_ends_with_its_error(self) -> None:
        cut = ScriptedBackend([["Lima is ", UpstreamTimeout("cut")]])
        runtime = routed_runtime({"near": cut}, rules=[EITHER])

        with pytest.raises(UpstreamTimeout, match="cut"):
            streamed(runtime)
        assert script(runtime, "nearer").requests == []


class TestConversations:
    def test_an_answer_keeps_its_label_when_it_comes_back_as_history(self) -> None:
        runtime = routed_runtime(
            {"near": ScriptedBackend(["The seat is Lima [1]."])},
            documents=(*labelled("restricted", PERU), CHAD),
        )
        first = answered(runtime, ASK)
        history = (Message("user", ASK.question), Message("assistant", first.text))
        about_chad = Ask("What is the capital of Chad?", "small", "far", where={"title": ("Chad",)})

        assert answered(runtime, about_chad).report.model == "far"
        with pytest.raises(PolicyNoRoute):
            answered(runtime, replace(about_chad, history=history))


def test_a_preview_shows_the_route_and_calls_nobody() -> None:
    runtime = routed_runtime(rules=[OUT])

    plan = asyncio.run(plan_routed(AUTO, runtime))

    assert plan.report.route.rule == "out"
    assert plan.ask.model == plan.profile.name == "far"
    assert all(script(runtime, name).requests == [] for name in PROFILES)


def test_servers_that_are_down_from_the_start_are_left_alone_and_rules_learn_it() -> None:
    away = {"local_available": False, "name": "while local is away", "target": "far"}
    down = UpstreamTimeout("away")
    profiles = {
        name: replace(one, base_url="http://127.0.0.1:9/v1") if one.place == "local" else one
        for name, one in PROFILES.items()
    }
    runtime = routed_runtime(
        {name: ScriptedBackend([], facts=down) for name in ("near", "nearer")},
        rules=[away, {"name": "the rest", "target": "local"}],
        profiles=profiles,
    )

    async def scenario() -> Answer:
        # The last failure that it takes is noticed by the request that has it, too.
        for _ in range(CircuitLimits().failures - 1):
            with pytest.raises(UpstreamTimeout):
                await answer_routed(AUTO, runtime)
        return await answer_routed(AUTO, runtime)

    report = asyncio.run(scenario()).report

    assert (report.model, report.route.rule) == ("far", "while local is away")
    assert runtime.unavailable() == ("near", "nearer")
    assert len(script(runtime, "near").probes) == CircuitLimits().failures


def test_rules_learn_how_long_answers_take() -> None:
    slow = ScriptedBackend(["Lima [1]."] * 2, delay_seconds=0.05)
    rule = {"name": "fast", "target": "near", "latency_limit_seconds": 0.01, "fallback": ["nearer"]}
    runtime = routed_runtime({"near": slow}, rules=[rule])

    first, second = answered(runtime), answered(runtime)

    assert (first.report.route.rule, second.report.route.rule) == ("fast", "default")


class TestEscalation:
    UP: Mapping[str, object] = {"name": "up", "target": "near", "escalate": "cloud"}

    def test_an_answer_that_stands_nowhere_in_its_context_is_asked_of_a_better_model(self) -> None:
        guessing = ScriptedBackend(["It is Arequipa, with 977,431 people, says Ricardo Palma [1]."])
        runtime = routed_runtime({"near": guessing}, rules=[self.UP])

        given = answered(runtime)

        assert given.text == "far [1]."
        escalation = given.report.route.escalation
        assert escalation is not None
        assert (escalation.reason, escalation.first) == ("ungrounded", "near")
        assert escalation.answered
        assert given.report.window == PROFILES["far"].window
        assert not given.report.route.fallback_used

    def test_a_good_answer_stays(self) -> None:
        runtime = routed_runtime({"near": ScriptedBackend(["It is Lima [1]."])}, rules=[self.UP])

        report = answered(runtime).report

        assert (report.model, report.route.escalation) == ("near", None)
        assert script(runtime, "far").requests == []

    def test_restricted_text_is_not_escalated_and_the_first_answer_stands(self) -> None:
        guessing = ScriptedBackend(["It is Arequipa, with 977,431 people [1]."])
        runtime = routed_runtime(
            {"near": guessing}, rules=[self.UP], documents=labelled("restricted", PERU)
        )

        report = answered(runtime).report

        assert report.model == "near"
        assert script(runtime, "far").requests == script(runtime, "farther").requests == []

    def test_the_first_answer_stands_where_the_better_models_are_down(self) -> None:
        guessing = ScriptedBackend(["It is Arequipa, with 977,431 people [1]."])
        down = failing(UpstreamTimeout("slow"))
        runtime = routed_runtime({"near": guessing, "far": down, "farther": down}, rules=[self.UP])

        given = answered(runtime)

        assert given.text.startswith("It is Arequipa")
        assert given.report.route.escalation is not None
        assert not given.report.route.escalation.answered

    def test_what_the_search_hardly_supports_goes_on_at_once_where_the_settings_say_so(
        self,
    ) -> None:
        runtime = routed_runtime(rules=[self.UP])
        runtime.policy = replace(
            runtime.policy, thresholds=replace(runtime.policy.thresholds, support=1.0)
        )
        ask = replace(AUTO, question="How many moons has Neptune?")

        items = streamed(runtime, ask)

        assert isinstance(items[-1], Answer)
        assert items[-1].report.model == "far"
        assert script(runtime, "near").requests == []

    @staticmethod
    def unsupporting(runtime: Runtime) -> Runtime:
        thresholds = replace(runtime.policy.thresholds, support=1.01)
        runtime.policy = replace(runtime.policy, thresholds=thresholds)
        return runtime

    def test_a_question_without_support_is_answered_here_where_the_better_models_are_down(
        self,
    ) -> None:
        down = failing(UpstreamTimeout("slow"))
        runtime = self.unsupporting(routed_runtime({"far": down, "farther": down}, rules=[self.UP]))

        report = answered(runtime).report

        assert report.model == "near"
        escalation = report.route.escalation
        assert escalation is not None
        assert (escalation.reason, escalation.answered) == ("unsupported", False)
        assert len(script(runtime, "near").requests) == 1

    def test_a_question_without_support_stays_here_where_more_context_is_restricted(self) -> None:
        # The small window holds Peru alone; the cloud's would hold Bolivia, too.
        tiny = {**PROFILES, "near": replace(PROFILES["near"], window=440, output_limit=256)}
        documents = (PERU, *labelled("restricted", BOLIVIA))
        runtime = routed_runtime(rules=[self.UP], documents=documents, profiles=tiny)

        items = streamed(self.unsupporting(runtime), replace(AUTO, max_output_tokens=256))

        assert isinstance(items[-1], Answer)
        assert items[-1].report.model == "near"
        assert script(runtime, "far").requests == script(runtime, "farther").requests == []

    def test_a_question_without_support_that_no_model_answers_names_their_failures(self) -> None:
        down = {name: failing(UpstreamTimeout(f"{name} is slow")) for name in PROFILES}

        with pytest.raises(UpstreamTimeout, match="near is slow"):
            answered(self.unsupporting(routed_runtime(down, rules=[self.UP])))

    def test_after_the_deadline_the_first_answer_stands(self) -> None:
        guessing = ScriptedBackend(["It is Arequipa, with 977,431 people [1]."], delay_seconds=0.03)
        runtime = routed_runtime({"near": guessing}, rules=[self.UP])
        runtime.policy = replace(runtime.policy, deadline_seconds=0.02)

        report = answered(runtime).report

        assert report.model == "near"
        escalation = report.route.escalation
        assert escalation is not None
        assert (escalation.reason, escalation.answered) == ("ungrounded", False)
        assert script(runtime, "far").requests == script(runtime, "farther").requests == []


def test_after_the_deadline_no_further_model_is_asked() -> None:
    slow = ScriptedBackend([UpstreamTimeout("slow")] * 9, delay_seconds=0.03)
    runtime = routed_runtime({"near": slow}, rules=[EITHER])
    runtime.policy = replace(runtime.policy, deadline_seconds=0.02)

    with pytest.raises(UpstreamTimeout, match="slow"):
        answered(runtime)
    assert script(runtime, "nearer").requests == []


class TestLedger:
    @staticmethod
    def rows(folder: Path, runtime: Runtime, ask: Ask) -> list[CallRow]:
        runtime.ledger = Ledger(folder / FILE_NAME)
        with suppress(PolicyNoRoute):
            asyncio.run(answer_routed(ask, runtime, origin=Origin("r1")))
        return list(read_ledger(folder / FILE_NAME))

    def test_every_call_of_a_request_has_a_row_with_its_rule(self, tmp_path: Path) -> None:
        runtime = routed_runtime({"near": failing(UpstreamTimeout("slow"))}, rules=[EITHER])

        first, second = self.rows(tmp_path, runtime, AUTO)

        assert (first.model, first.outcome) == ("near", "failed")
        assert (second.model, second.outcome) == ("nearer", "answered")
        assert first.rule == second.rule == "either"
        assert first.request_id == second.request_id == "r1"

    def test_a_refusal_of_policy_has_a_row_and_nothing_was_sent(self, tmp_path: Path) -> None:
        runtime = routed_runtime(rules=[], documents=labelled("restricted", PERU))

        (row,) = self.rows(tmp_path, runtime, replace(ASK, model="far"))

        assert (row.model, row.error_code, row.sent) == ("far", "policy_no_route", False)

    def test_the_label_of_a_row_is_that_of_all_that_was_sent(self, tmp_path: Path) -> None:
        runtime = routed_runtime(rules=[])

        (row,) = self.rows(tmp_path, runtime, replace(ASK, sensitivity=Sensitivity.RESTRICTED))

        assert row.sensitivity == "restricted"


class TestPersonalData:
    RULES: tuple[Mapping[str, object], ...] = (
        {"name": "stays", "personal_data": True, "target": "near"},
        {"name": "out", "target": "far"},
    )

    @pytest.mark.parametrize(
        "field",
        [
            {"tools": (Tool("mail", "Write to maria@example.com"),)},
            {"tools": (Tool("mail", parameters={"default": "maria@example.com"}),)},
            {"response_format": {"json_schema": {"name": "maria@example.com"}}},
            {"sampling": {"stop": ["maria@example.com"]}},
            {"system": "Answer maria@example.com."},
        ],
    )
    def test_personal_data_is_looked_for_in_all_that_is_sent(
        self, field: Mapping[str, object]
    ) -> None:
        runtime = routed_runtime(rules=self.RULES)

        given = answered(runtime, replace(AUTO, **field))  # type: ignore[arg-type]

        assert given.report.model == "near"

    def test_personal_data_in_the_arguments_of_a_call_of_a_tool_counts(self) -> None:
        call = ToolCall("callabc12", "mail", '{"to": "maria@example.com"}')
        after = (
            Message("assistant", "", (call,)),
            Message("tool", "sent", tool_call_id=call.id),
        )
        runtime = routed_runtime(rules=self.RULES)

        given = answered(runtime, replace(AUTO, after=after, tools=(Tool("mail"),)))

        assert given.report.model == "near"

    def test_personal_data_in_the_title_of_a_document_counts(self) -> None:
        letter = replace(PERU, title="Letter to maria@example.com")
        runtime = routed_runtime(rules=self.RULES, documents=(letter,))

        assert answered(runtime).report.model == "near"


class TestOneTextUnderTwoLabels:
    SAME = (
        replace(PERU, digest="d1"),
        replace(PERU, id="zperu", digest="d1", sensitivity=Sensitivity.RESTRICTED),
    )
    NEARLY = (
        PERU,
        replace(PERU, id="zperu", title="Peru", sensitivity=Sensitivity.RESTRICTED),
    )

    @pytest.mark.parametrize("mode", ["retrieve", "full", "exhaustive"])
    @pytest.mark.parametrize("documents", [SAME, SAME[::-1], NEARLY])
    def test_it_stays_whichever_copy_is_shown(
        self, documents: tuple[Document, ...], mode: Mode
    ) -> None:
        runtime = routed_runtime(rules=[OUT], documents=(*documents, CHAD))

        assert answered(runtime, replace(AUTO, mode=mode)).report.model == "near"
        assert script(runtime, "far").requests == []

    @pytest.mark.parametrize("mode", ["retrieve", "full"])
    def test_a_copy_that_the_filter_leaves_out_counts_too(self, mode: Mode) -> None:
        runtime = routed_runtime(rules=[OUT], documents=(*self.SAME, CHAD))
        ask = replace(AUTO, mode=mode, where={"document": (PERU.id,)})

        assert answered(runtime, ask).report.model == "near"

    def test_other_documents_leave(self) -> None:
        runtime = routed_runtime(rules=[OUT], documents=(*self.SAME, CHAD))

        about_chad = replace(AUTO, where={"document": (CHAD.id,)})
        assert answered(runtime, about_chad).report.model == "far"


@pytest.mark.parametrize(
    ("answer", "field"),
    [
        (
            "As Ricardo Palma asked: Lima [1].",
            {"history": (Message("user", "I am Ricardo Palma."), Message("assistant", "Hello."))},
        ),
        ("Ricardo Palma: Lima [1].", {"system": "Address Ricardo Palma."}),
        ('{"Capital City": "Lima"}', {"response_format": {"type": "json_object"}}),
    ],
)
def test_what_the_caller_said_and_the_form_he_gave_escalate_nothing(
    answer: str, field: Mapping[str, object]
) -> None:
    rule = {"name": "up", "target": "near", "escalate": "cloud"}
    runtime = routed_runtime({"near": ScriptedBackend([answer])}, rules=[rule])

    report = answered(runtime, replace(AUTO, **field)).report  # type: ignore[arg-type]

    assert (report.model, report.route.escalation) == ("near", None)

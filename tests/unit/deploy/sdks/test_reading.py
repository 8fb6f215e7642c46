"""What the clients have is read out of the document; where names do not fit it, that is said."""

from __future__ import annotations

import pytest

from deploy.sdks.types import Kind, Type, read_type
from tests.unit.deploy.sdks.documents import document, names, operation, query_parameter, reader


def test_a_method_asks_what_its_rpc_takes_and_answers_with_an_item_where_there_are_pages() -> None:
    jobs, state = reader().surface().nouns
    submit, listing = jobs.methods
    assert [(each.name, each.required) for each in submit.arguments] == [("upstream", True)]
    assert (submit.call.verb, submit.call.path, submit.call.repeat) == ("POST", "/jobs", "KEYED")
    assert [each.name for each in listing.arguments] == ["pageSize"]
    assert (listing.items, listing.answer) == ("jobs", Type(kind=Kind.MESSAGE, name="Job"))
    assert listing.call.query_names == ["pageSize", "pageToken"]
    assert (jobs.class_name, jobs.by_hand["wait"].path) == ("JobCalls", "/jobs/{jobId}:wait")
    # A model has the noun's name.
    assert state.class_name == "StateCalls"


def test_models_have_what_is_answered_and_no_more() -> None:
    surface = reader().surface()
    assert [each.schema for each in surface.models] == ["Job", "State"]
    assert [each.schema for each in surface.choices] == ["Job.State"]
    told = {each.name: (each.type.kind, each.optional, each.secret) for each in surface.models[0].fields}
    assert told == {
        "id": (Kind.TEXT, False, False),
        "secret": (Kind.TEXT, False, True),
        "revision": (Kind.INT64, True, False),
        "state": (Kind.ENUM, False, False),
    }


def test_a_reason_that_calls_and_jobs_have_makes_two_errors() -> None:
    told = {each.name: each for each in reader().surface().reasons}
    assert (told["QUEUE_FULL"].of_calls, told["QUEUE_FULL"].of_jobs) == (True, False)
    assert (told["UPSTREAM_STATUS"].of_jobs, told["UPSTREAM_STATUS"].job_class) == (True, "UpstreamStatus")
    both = told["CONNECTION_NOT_FOUND"]
    assert (both.call_class, both.job_class) == ("ConnectionNotFound", "JobConnectionNotFound")


def test_a_method_tells_what_few_calls_are_refused_for() -> None:
    of, called = document(), names()
    for number in range(4):
        of["paths"][f"/{number}"] = {"get": operation(f"JobService.Get{number}")}
        called["nouns"]["jobs"][f"get_{number}"] = f"JobService.Get{number}"
    submit = reader(of, called).surface().nouns[0].methods[0]
    assert submit.reasons == ["QUEUE_FULL"]


def test_an_rpc_without_a_name_is_told() -> None:
    of = document()
    of["paths"]["/new"] = {"get": operation("JobService.GetNews")}
    with pytest.raises(ValueError, match=r"no name for JobService\.GetNews"):
        reader(of).surface()


def test_a_name_without_an_rpc_is_told() -> None:
    called = names()
    called["nouns"]["jobs"]["old"] = "JobService.GetOld"
    with pytest.raises(ValueError, match=r"names JobService\.GetOld, which the document does not have"):
        reader(called=called).surface()
    called = names() | {"left_out": {"JobService.GetOld": "it is gone"}}
    with pytest.raises(ValueError, match=r"leaves out JobService\.GetOld"):
        reader(called=called).surface()


def test_two_names_of_one_rpc_are_told() -> None:
    called = names()
    called["nouns"]["jobs"]["again"] = "JobService.SubmitJob"
    with pytest.raises(ValueError, match=r"names JobService\.SubmitJob twice"):
        reader(called=called).surface()


@pytest.mark.parametrize("entry", ["JobService.Do", {"rpc": "JobService.Do", "repeat": "SOMETIMES"}])
def test_an_rpc_that_changes_something_says_how_it_is_repeated(entry: object) -> None:
    of, called = document(), names()
    of["paths"]["/do"] = {"post": operation("JobService.Do")}
    called["nouns"]["jobs"]["do"] = entry
    with pytest.raises(ValueError, match=r"JobService\.Do takes repeat: ALWAYS or REFUSED_ONLY"):
        reader(of, called).surface()


def test_one_whose_repeating_is_known_takes_no_word_on_it() -> None:
    called = names()
    called["nouns"]["jobs"]["submit"] = {"rpc": "JobService.SubmitJob", "repeat": "ALWAYS"}
    with pytest.raises(ValueError, match=r"JobService\.SubmitJob takes no repeat, for it is KEYED"):
        reader(called=called).surface()


def test_a_field_that_is_called_as_an_option_is_told() -> None:
    of = document()
    of["paths"]["/jobs"]["get"]["parameters"].append(query_parameter("signal"))
    with pytest.raises(ValueError, match=r"JobService\.ListJobs: its field signal is called as an option"):
        reader(of).surface()


def test_what_does_not_answer_with_json_is_written_by_hand() -> None:
    of = document()
    of["paths"]["/jobs"]["get"]["responses"]["200"]["content"] = {"text/event-stream": {}}
    with pytest.raises(ValueError, match=r"JobService\.ListJobs does not answer with JSON; write its method by hand"):
        reader(of).surface()


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ({"type": "string", "pattern": r"^-?\d+(\.\d+)?s$"}, Kind.DURATION),
        ({"type": "string", "contentEncoding": "base64"}, Kind.BYTES),
        ({"type": "string", "format": "date-time"}, Kind.TIME),
        ({"type": "object"}, Kind.OBJECT),
        ({"type": "number", "format": "double"}, Kind.NUMBER),
        ({"type": "object", "additionalProperties": {"type": "boolean"}}, Kind.MAP),
        ({"allOf": [{"$ref": "#/components/schemas/Job"}], "properties": {}}, Kind.MESSAGE),
    ],
)
def test_a_schema_is_of_a_kind(schema: dict[str, object], kind: Kind) -> None:
    assert read_type(schema, document()["components"]["schemas"]).kind is kind


def test_a_schema_of_no_kind_is_told() -> None:
    with pytest.raises(ValueError, match="no kind that deploy/sdks knows"):
        read_type({"type": "string", "format": "ipv4"}, {})

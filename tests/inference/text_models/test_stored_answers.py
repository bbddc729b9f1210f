"""What a model has answered is stored, and not asked again."""

from __future__ import annotations

from pathlib import Path

import pytest

from crystext.errors import ModelError, RunError
from crystext.inference.text_models.base import ChatDecoding
from crystext.inference.text_models.open import open_text_model
from crystext.inference.text_models.stored_answers import StoringTextModel
from crystext.tasks.chat_prompt import ChatPrompt
from tests.chat_models import write_chat_model
from tests.chat_server import Reply, serving

PROMPTS = [ChatPrompt.of_question(f"What is {i} + 2?") for i in range(12)]
GREEDY = ChatDecoding(max_new_tokens=4, batch_size=1)
SAMPLED = ChatDecoding(1.0, max_new_tokens=4, batch_size=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chat_model(tmp_path_factory.mktemp("stored") / "model", context=200)


@pytest.mark.parametrize("decoding", [GREEDY, SAMPLED])
def test_a_run_that_was_stopped_gives_the_answers_of_one_that_was_not(
    folder: Path, tmp_path: Path, decoding: ChatDecoding
) -> None:
    plain = open_text_model(str(folder), decoding)
    whole = StoringTextModel(plain, tmp_path / "whole.jsonl").answer(PROMPTS)
    lines = (tmp_path / "whole.jsonl").read_text().splitlines(keepends=True)
    # Killed in the second part, within a line.
    path = tmp_path / "stopped.jsonl"
    path.write_text("".join(lines[:6]) + lines[6][:9])
    assert StoringTextModel(plain, path).answer(PROMPTS) == whole
    assert len(path.read_text().splitlines()) == len(set(lines))


def test_only_what_is_missing_is_sent_also_after_a_service_failed(
    folder: Path, tmp_path: Path
) -> None:
    path, steps = tmp_path / "answers.jsonl", []
    with serving(folder) as server:
        service = open_text_model(f"{server.source}#tiny", GREEDY)
        model = StoringTextModel(service, path, lambda *step: steps.append(step))
        first = model.answer(PROMPTS[:5])
        assert model.answer(PROMPTS[2:7])[:3] == first[2:]
        assert len(server.requests) == 7
        assert len(model.answer(PROMPTS[:9])) == 9
        assert len(server.requests) == 9
        # Another decoding is another answer; a service that refuses loses nothing.
        other = StoringTextModel(
            open_text_model(f"{server.source}#tiny", ChatDecoding(max_new_tokens=5, batch_size=1)),
            path,
        )
        other.answer(PROMPTS[:8])
        server.scripted = [Reply(400, "no")]
        with pytest.raises(ModelError, match="refuses the request"):
            other.answer(PROMPTS)
        server.requests.clear()
        other.answer(PROMPTS[:9])
        assert len(server.requests) == 1
    assert steps == [("tiny", 5, 5), ("tiny", 5, 5), ("tiny", 8, 9), ("tiny", 9, 9)]


def test_why_there_is_no_answer_is_stored(folder: Path, tmp_path: Path) -> None:
    long = [ChatPrompt.of_question("x" * 300)]
    model = StoringTextModel(open_text_model(str(folder), GREEDY), tmp_path / "answers.jsonl")
    assert model.answer(long) == model.answer(long)
    assert "the limit is 200" in model.answer(long)[0][1]


def test_a_file_of_something_else_is_left_alone(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not to be cut")
    with pytest.raises(RunError, match="no stored answers"):
        StoringTextModel(open_text_model(str(folder), GREEDY), path).answer(PROMPTS)
    assert path.read_text() == "not to be cut"
    damaged = tmp_path / "damaged.jsonl"
    damaged.write_text('{"id": "a"}\n')
    with pytest.raises(RunError, match="line 1 is damaged"):
        StoringTextModel(open_text_model(str(folder), GREEDY), damaged).answer(PROMPTS)
    with pytest.raises(RunError, match="cannot be written"):
        StoringTextModel(open_text_model(str(folder), GREEDY), tmp_path).answer(PROMPTS[:1])

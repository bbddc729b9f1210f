"""A model behind a service that speaks the protocol of OpenAI (`POST /v1/chat/completions`).

vLLM, llama.cpp, TGI and `transformers serve` speak it. A source is the address up to `/v1`, and
perhaps the model's name after `#`, which a service with several models needs:

    http://localhost:8000/v1
    https://HOST/v1#OWNER/NAME

Conversations go to `/chat/completions`, where the service applies the chat template of its model;
a text with control tokens goes to `/completions`. Only settings that differ from the protocol's
defaults are sent. Two are not part of it: `top_k`, which vLLM and llama.cpp know, and `seed`, which
not all use. `transformers serve` samples only where the model's generation_config.json says so,
and makes a repetition penalty of the frequency penalty.

The key is read from the environment variable OPENAI_API_KEY when a request is made; it is sent to
this address alone, and never written, printed or put into an error. Redirects are not followed.

Requests that fail by overload or by the connection are repeated, after waits that double. A service
that stays away is a `ModelError`, so that a run stops and can be resumed; a prompt that the service
calls too long is a failure of that prompt.
"""

from __future__ import annotations

import json
import os
import random
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from crystext.errors import ModelError, SettingError, describe_error
from crystext.inference.text_models.base import ChatDecoding, TextModel
from crystext.runtime.wording import format_count
from crystext.tasks.chat_prompt import ChatPrompt

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

KEY_VARIABLE = "OPENAI_API_KEY"

_BATCHES_AT_ONCE = 8
_CONNECT_TIMEOUT_S = 10.0
_MAX_WAIT_S = 60.0
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers after which the same request may succeed later."""
_TOO_LONG = re.compile(r"context|too long|tokens|maximum.{0,20}length", re.IGNORECASE)
_BAD_FIELD = re.compile(r"unexpected|unknown|unsupported|unrecognized", re.IGNORECASE)
"""What services say about a setting that they do not take; its name may be max_tokens."""
_MAX_QUOTED = 300


def is_endpoint(source: str) -> bool:
    """Return whether a source is the address of a service."""
    return source.lower().startswith(("http://", "https://"))


class EndpointTextModel(TextModel):
    """A model behind a service."""

    def __init__(
        self,
        source: str,
        decoding: ChatDecoding,
        *,
        seed: int = 0,
        read_timeout_s: float = 600.0,
        max_attempts: int = 6,
        first_wait_s: float = 1.0,
    ) -> None:
        """Describe the model; nothing is sent yet.

        Args:
            source: the address, perhaps with `#MODEL`.
            decoding: how it writes; `batch_size` requests run at the same time.
            seed: of sampling, sent with every request.
            read_timeout_s: how long to wait for an answer, in seconds.
            max_attempts: how often a request is made before the service counts as unreachable.
            first_wait_s: seconds before the second attempt; each further wait is twice as long.

        Raises:
            SettingError: the address is invalid, or holds a password.
        """
        self.address, self._model_name = _parse_address(source)
        self.decoding, self.seed = decoding, seed
        self.read_timeout_s, self.max_attempts = read_timeout_s, max_attempts
        self.first_wait_s, self._has_answered = first_wait_s, False
        self.name = self._model_name or self.address.split("://", 1)[1]
        self.prompts_at_once = _BATCHES_AT_ONCE * decoding.batch_size

    def identity(self) -> Any:
        """Return the address, the model's name, how it decodes and the seed.

        What a service runs under a name cannot be seen from here.
        """
        settings = asdict(self.decoding)
        del settings["batch_size"]
        return [self.address, self._model_name, settings, self.seed]

    def answer(self, prompts: Sequence[ChatPrompt]) -> list[tuple[str, str]]:
        """Return an answer or a reason for each prompt; see `TextModel.answer`."""
        if not prompts:
            return []
        _ = self._served_name  # Looked up once, not by each thread.
        with ThreadPoolExecutor(self.decoding.batch_size) as pool:
            return list(pool.map(self._answer, prompts))

    @cached_property
    def _served_name(self) -> str:
        """The model's name: the given one, or that of the service's only model.

        Empty if the service does not say: then requests name none, as `transformers serve MODEL`
        accepts it.

        Raises:
            ModelError: the service has several models.
        """
        import requests

        if self._model_name:
            return self._model_name
        try:
            response = self._send("GET", "/models")
            models = response.json()["data"] if response.status_code == 200 else []
            names = [str(model["id"]) for model in models]
        except (requests.RequestException, ValueError, LookupError, TypeError):
            return ""
        if len(names) > 1:
            raise ModelError(
                f"{self.address} has several models: {', '.join(names[:10])}; name the one to ask, "
                f"as {self.address}#MODEL"
            )
        return names[0] if names else ""

    def _answer(self, prompt: ChatPrompt) -> tuple[str, str]:
        decoding = self.decoding
        body: dict[str, Any] = {
            **({"model": self._served_name} if self._served_name else {}),
            **prompt.as_json(),
            "max_tokens": decoding.max_new_tokens,
            "temperature": decoding.temperature,
        }
        if decoding.temperature > 0:
            body["seed"] = self.seed
        for name in ("top_k", "top_p", "frequency_penalty"):
            if value := getattr(decoding, name):
                body[name] = value
        path = "/chat/completions" if prompt.messages else "/completions"
        response = self._post(path, body)
        if response.status_code in (400, 413, 422):
            said = _quoted(response)
            if _TOO_LONG.search(said) and not _BAD_FIELD.search(said):
                return "", f"the service refuses the prompt: {said}"
        return self._text(self._reply(response), prompt), ""

    def _text(self, reply: Any, prompt: ChatPrompt) -> str:
        try:
            choice = reply["choices"][0]
            text = choice["message"]["content"] if prompt.messages else choice["text"]
        except (LookupError, TypeError):
            raise self._unexpected("an answer under choices", reply) from None
        if not isinstance(text, str | None):
            raise self._unexpected("an answer in words", reply)
        return (text or "").strip()

    def _send(self, method: str, path: str, body: Any = None) -> Response:
        """Make a request once.

        Raises:
            RequestException: there is no response.
        """
        import requests

        response = requests.request(
            method,
            self.address + path,
            json=body,
            auth=_authorization(),
            timeout=(_CONNECT_TIMEOUT_S, self.read_timeout_s),
            allow_redirects=False,
        )
        self._has_answered = True
        return response

    def _post(self, path: str, body: Any) -> Response:
        """Return the response to a request, which may be an error that repeating cannot help.

        Raises:
            ModelError: no attempt succeeded.
        """
        import requests

        reason, attempt = "", 0
        while attempt < self.max_attempts:
            attempt += 1
            retry_after = None
            try:
                response = self._send("POST", path, body)
            except requests.RequestException as error:
                reason = _connection_problem(error)
                # Where nothing ever answered, the address is more likely wrong than busy.
                if not self._has_answered and attempt > 1:
                    break
            else:
                if response.status_code not in _BUSY:
                    return response
                reason = f"it answers {response.status_code} ({_quoted(response)})"
                retry_after = response.headers.get("Retry-After")
            if attempt < self.max_attempts:
                time.sleep(self._wait_s(attempt, retry_after))
        raise ModelError(
            f"{self.address} cannot be used: {reason}, after {format_count(attempt, 'attempt')}; "
            "start the service, or check the address"
        )

    def _wait_s(self, attempt: int, retry_after: str | None) -> float:
        """Return how long to wait: as the service says, or twice as long each time."""
        if retry_after is not None and retry_after.strip().isdecimal():
            return min(float(retry_after), _MAX_WAIT_S)
        longest = min(self.first_wait_s * 2.0 ** (attempt - 1), _MAX_WAIT_S)
        return longest * (0.5 + 0.5 * random.random())  # noqa: S311  # spreads out requests

    def _reply(self, response: Response) -> Any:
        """Return the JSON of a successful response.

        Raises:
            ModelError: it is an error, or no JSON.
        """
        status, said = response.status_code, _quoted(response)
        if status in (401, 403):
            has_key = "is not accepted" if os.environ.get(KEY_VARIABLE) else "is not set"
            raise ModelError(
                f"{self.address} refuses access ({status}): the key in {KEY_VARIABLE} {has_key}"
            )
        if 300 <= status < 400:
            target = response.headers.get("Location", "elsewhere")
            raise ModelError(f"{self.address} has moved to {target}; give that address")
        if status == 404:
            raise ModelError(
                f"{self.address} does not have the address or the model {self._model_name!r} "
                f"({said}); expected an address that ends in /v1, and perhaps #MODEL"
            )
        if status != 200:
            raise ModelError(f"{self.address} refuses the request ({status}): {said}")
        try:
            return response.json()
        except ValueError:
            raise self._unexpected("JSON", said) from None

    def _unexpected(self, expected: str, reply: Any) -> ModelError:
        shown = reply if isinstance(reply, str) else json.dumps(reply)
        return ModelError(
            f"{self.address} answers {shown[:_MAX_QUOTED]!r}; expected {expected}, as the protocol "
            "of OpenAI has it"
        )


def _parse_address(source: str) -> tuple[str, str]:
    """Return address and model name of a source."""
    address, _, name = source.partition("#")
    try:
        parts = urlsplit(address)
        has_password = "@" in parts.netloc
        is_valid = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_valid, has_password, parts = False, False, urlsplit("")
    if has_password:
        raise SettingError(
            f"the address of a service holds no name or password; set the key as {KEY_VARIABLE}"
        )
    if not is_valid or parts.query:
        raise SettingError(
            f"{address.partition('?')[0]} is not the address of a service; expected one such as "
            "http://localhost:8000/v1, or http://localhost:8000/v1#MODEL"
        )
    return address.rstrip("/").removesuffix("/chat/completions"), name


def _authorization() -> Callable[[PreparedRequest], PreparedRequest]:
    """Return what adds the key to a request.

    requests would otherwise send a name and password of a .netrc file in its place.

    Raises:
        SettingError: the key has characters that no header can hold; it is not shown.
    """
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if not re.fullmatch(r"[!-~]*", key):
        raise SettingError(f"{KEY_VARIABLE} is not a key: expected ASCII without spaces")

    def add(request: PreparedRequest) -> PreparedRequest:
        if key:
            request.headers["Authorization"] = f"Bearer {key}"
        return request

    return add


def _quoted(response: Response) -> str:
    """Return what a service says about an error, in one short line without the key."""
    try:
        said = response.json()
        for name in ("error", "detail", "message"):
            if isinstance(said, dict) and said.get(name):
                said = said[name]
    except ValueError:
        said = response.text
    text = " ".join((said if isinstance(said, str) else json.dumps(said)).split())
    if key := os.environ.get(KEY_VARIABLE, "").strip():
        text = text.replace(key, f"${KEY_VARIABLE}")
    return text[:_MAX_QUOTED] or response.reason


def _connection_problem(error: Exception) -> str:
    import requests

    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not accepted"
    if isinstance(error, requests.ConnectTimeout):
        return f"it does not answer within {_CONNECT_TIMEOUT_S:g} s"
    if isinstance(error, requests.Timeout):
        return "its answer takes too long"
    if isinstance(error, requests.ConnectionError):
        return "nothing answers there"
    return describe_error(error, "the connection fails")

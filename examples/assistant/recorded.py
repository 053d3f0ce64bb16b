"""A model of Pydantic AI each answer of which is recorded in the step, so that it is asked, and paid for, once."""

from __future__ import annotations

from typing import Any

from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ModelMessage, ModelMessagesTypeAdapter, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from handoffs import Context, Transient

_BUSY = (429, 503, 529)
_LATER = 30.0  # seconds, where the API does not say when to come back


class RecordedModel(WrapperModel):
    """Asks ``model`` within a step. Make one for each attempt: its requests are known by their order.

    A request whose answer an earlier attempt got is not sent again: what was paid for, a killed worker included, is there. Where the
    API is busy the step comes back when it says, which is no attempt. Tokens are counted for the run.
    """

    def __init__(self, model: Model, context: Context) -> None:
        super().__init__(model)
        self._context = context
        self._number = 0

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """What the model answered to this request, now or in an earlier attempt. Raises :class:`~handoffs.Transient` where it is busy."""
        self._number += 1
        number = self._number

        async def ask() -> Any:
            self._context.progress(f"request {number}")
            try:
                answer = await self.wrapped.request(messages, model_settings, model_request_parameters)
            except ModelHTTPError as error:
                if error.status_code not in _BUSY:
                    raise
                raise Transient(str(error), retry_after=_wait(error)) from error
            await self._context.ausage(tokens=answer.usage.total_tokens)
            return ModelMessagesTypeAdapter.dump_python([answer], mode="json")

        [response] = ModelMessagesTypeAdapter.validate_python(
            await self._context.aonce(f"request {number}", ask)
        )
        assert isinstance(response, ModelResponse)
        return response


def _wait(error: ModelHTTPError) -> float:
    """How many seconds the API wants to be left alone."""
    try:
        return float((error.headers or {}).get("retry-after", _LATER))
    except ValueError:  # a date: rare, and seldom right
        return _LATER

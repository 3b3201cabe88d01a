"""Instructions for a picture: one request, which attack, purifier and model all read."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from purifier.attacks import Attack
from purifier.vlm.interface import EMBEDDED

MAX_STEPS = 5  # of the purifier
Stage = Literal["network", "guided_step", "quantisation", "lora_encoder"]


class Request(BaseModel):
    """A request of the page, the command line or a program.

    Attributes:
        question: "" asks for captions alone.
        steps: of the purifier, 1 to 5.
        always: whether to purify what the attack detector takes for clean, too.
        without: stages of the purifier that are off. Without "lora_encoder", the model does not
            see a purified picture by the LoRA encoder either.
        attack: None takes the picture as it is.
        objective, target: of the attack, see `attacks.goals`. target: what shall be said instead;
            None is anything else.
        stop_early: whether the attack ends once it has worked, before all of its steps, see
            `scenario.run`.
        vlm: which model answers: "embedded" or "other".
    """

    model_config = ConfigDict(frozen=True)

    question: str = ""
    steps: int = Field(default=1, ge=1, le=MAX_STEPS)
    always: bool = False
    without: tuple[Stage, ...] = ()
    attack: Attack | None = None
    objective: str = "answer"
    target: str | None = None
    stop_early: bool = False
    vlm: Literal["embedded", "other"] = EMBEDDED

    @field_validator("question")
    @classmethod
    def _strip(cls, text: str) -> str:
        return text.strip()

    @field_validator("target")
    @classmethod
    def _strip_or_none(cls, text: str | None) -> str | None:
        return (text or "").strip() or None

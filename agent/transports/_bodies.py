"""What a caller sends to signalling, as Pipecat's SmallWebRTC has it, in both its spellings."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from agent.token import LONGEST

PcId = Annotated[str, Field(max_length=64)]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Offer(_Body):
    """The body of ``POST /api/offer``."""

    sdp: str
    type: Literal["offer"]
    pc_id: PcId | None = Field(default=None, validation_alias=AliasChoices("pc_id", "pcId"))
    restart_pc: bool | None = Field(default=None, validation_alias=AliasChoices("restart_pc", "restartPc"))
    token: str | None = Field(default=None, max_length=LONGEST, repr=False)
    resume: str | None = Field(default=None, max_length=64, repr=False)


class Candidate(_Body):
    """One trickled address of the client."""

    candidate: str = Field(max_length=512)
    sdp_mid: str | None = Field(default=None, max_length=64, validation_alias=AliasChoices("sdp_mid", "sdpMid"))
    sdp_mline_index: int | None = Field(
        default=None, ge=0, le=16, validation_alias=AliasChoices("sdp_mline_index", "sdpMLineIndex")
    )


class Trickle(_Body):
    """The body of ``PATCH /api/offer``."""

    pc_id: PcId = Field(validation_alias=AliasChoices("pc_id", "pcId"))
    candidates: list[Candidate] = Field(max_length=64)


class Bye(_Body):
    """The body of ``POST /api/bye``, sent by a page that goes away; one that is only reloaded may return."""

    pc_id: PcId = Field(validation_alias=AliasChoices("pc_id", "pcId"))
    may_return: bool = False

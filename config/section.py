"""What the tables of the settings have in common."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A table of the settings: frozen, without unknown keys; a value that is wrong is not shown by itself."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True)

"""Show the section Example of a docstring as code: griffe knows Examples alone."""

from typing import Any

import griffe


class Examples(griffe.Extension):
    """Rename the section of each object that is read."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Give ``Example:`` the name that is known."""
        if obj.docstring:
            obj.docstring.value = obj.docstring.value.replace("\nExample:\n", "\nExamples:\n")

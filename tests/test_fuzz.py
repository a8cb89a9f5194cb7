"""A thousand bad inputs for every reader; ``make fuzz`` gives twenty thousand."""

from __future__ import annotations

import pytest

from tests import fuzz


@pytest.mark.parametrize("target", fuzz.TARGETS)
def test_a_thousand_bad_inputs_are_read_or_refused(target: str) -> None:
    fuzz.run(target, 1000)

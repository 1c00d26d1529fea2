from __future__ import annotations

import pytest
from made_up_report import make_content

from pictokg.report.content import Content


@pytest.fixture
def content() -> Content:
    return make_content()

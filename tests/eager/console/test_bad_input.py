"""Bad input: whatever is sent to any address of the HTTP API is answered as its description says, and nothing fails."""

from __future__ import annotations

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import checks

from tests.eager.console.pages import SECRET

"""Tests with real parts that we did not write: Redis, Chromium, SMSCs, promtool.

`tests.parts.need` finds a part, or names the one that is missing: a skip on a developer's machine, a failure in CI.
"""

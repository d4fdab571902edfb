"""Tests with real parts that we did not write: Redis, Chromium, SMSCs, promtool. `need` finds them or names what lacks."""

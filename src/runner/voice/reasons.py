"""Why a backend was left when no service said so; `runner.reach.reasons` has the other words."""

from runner.catalog import breaker

NO_KEY, UNBUILDABLE = "no_key", "unbuildable"
#: No server was asked.
UNBUILT = frozenset({NO_KEY, UNBUILDABLE})
#: Nothing was heard in time; nothing was answered at all; it never took the call.
SILENT, EMPTY, NOT_ENTERED = "silent", "empty", "not_entered"
#: Somebody wanted to hear what happens then.
BROKEN = "broken_on_purpose"

#: What says nothing about the backend: later calls learn nothing from it.
UNLEARNT = UNBUILT | {BROKEN}

#: Trying again within the call does not help.
LASTING = breaker.LASTING | UNBUILT

"""The store's scripts on the embedded Redis, and what holds whatever workers do."""

from tests.store_suite import (
    TestClaim,
    TestCompensating,
    TestEdits,
    TestJoin,
    TestLater,
    TestLettingGo,
    TestLooking,
    TestOutstanding,
    TestPark,
    TestPoison,
    TestServer,
    TestSettle,
    TestSignals,
    TestStart,
    TestTicked,
    TestTimeToLive,
)

__all__ = [
    "TestClaim",
    "TestCompensating",
    "TestEdits",
    "TestJoin",
    "TestLater",
    "TestLettingGo",
    "TestLooking",
    "TestOutstanding",
    "TestPark",
    "TestPoison",
    "TestServer",
    "TestSettle",
    "TestSignals",
    "TestStart",
    "TestTicked",
    "TestTimeToLive",
]

"""The hostile values of tests/hostile, without servers: each is refused, or read, in a moment."""

import json
import time
from random import Random

import pytest

from handoffs.contracts.envelope import Envelope
from handoffs.contracts.errors import InvalidInput
from tests.hostile.case import Fate, Publication
from tests.hostile.generators.values import generate
from tests.hostile.house import Parcel


@pytest.mark.parametrize("seed", range(8))
def test_each_has_its_fate(seed: int) -> None:
    """What is to be a letter is refused when its envelope or its data is read, with a line that shows nothing of it; what is good is
    read and written as it came."""
    random = Random(seed)
    for _ in range(40):
        case = generate(random)
        assert isinstance(case.what, Publication)
        begin = time.process_time()
        refused = refusal(case.what)
        assert (refused is None) is (case.fate is Fate.DONE), f"{case.name}: {refused}"
        assert (refused or "").isprintable()
        assert time.process_time() - begin < 4, case.name


def refusal(publication: Publication) -> str | None:
    """Why the data of a message is refused; None where it is read, written, read again and compared."""
    try:
        [[envelope], *_] = json.loads(publication.body)
        parcel = Parcel.from_data(Envelope.decode(envelope).data)
        Parcel.from_data(parcel.to_data()).to_comparable()
    except InvalidInput as error:
        return str(error)
    return None

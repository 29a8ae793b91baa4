"""When a capture is saved on the way."""

from itertools import pairwise

from replay.capture.saves import Saves

BYTES = 1000


class Reading:
    """A reading at an even speed, by a clock of its own."""

    def __init__(self, lasts_s: float, saving_s: float, total: int = BYTES) -> None:
        self.now = 0.0
        self.saved: list[float] = []  # seconds of reading, without those of saving
        saves = Saves(lambda: self.now)
        for done in range(1, BYTES + 1):
            self.now += lasts_s / BYTES
            saves.read(done, total)
            if saves.is_due():
                with saves.timed():
                    self.saved.append(lasts_s * done / BYTES)
                    self.now += saving_s


def test_short_readings_are_not_saved_on_the_way() -> None:
    assert not Reading(lasts_s=5.0, saving_s=0.5).saved


def test_a_long_reading_is_saved_early() -> None:
    assert 1.0 <= Reading(lasts_s=60.0, saving_s=0.5).saved[0] < 1.1
    assert 3.0 <= Reading(lasts_s=8.0, saving_s=0.5).saved[0] < 3.1


def test_saving_takes_a_small_share_of_the_time() -> None:
    reading = Reading(lasts_s=1000.0, saving_s=2.0)
    assert len(reading.saved) > 20
    assert 2.0 * len(reading.saved) <= 0.051 * 1000.0
    assert max(later - earlier for earlier, later in pairwise(reading.saved)) < 42.0


def test_no_save_shortly_before_the_end() -> None:
    assert len(Reading(lasts_s=25.0, saving_s=1.0).saved) == 1  # the next was due after 21 s
    assert len(Reading(lasts_s=45.0, saving_s=1.0).saved) == 2


def test_where_nobody_knows_how_much_is_to_come_it_is_saved_all_the_same() -> None:
    assert len(Reading(lasts_s=25.0, saving_s=1.0, total=0).saved) == 2

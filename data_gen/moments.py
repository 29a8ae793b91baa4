"""The moment that generated data takes for now, in the numbers that profiles speak."""

from datetime import UTC, datetime, timedelta

from data_gen.profile import SchemaProfile

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def epoch_us(moment: datetime) -> int:
    """µs since 1970 of an aware moment."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def shift_us(profile: SchemaProfile, base_time: datetime | None) -> int:
    """What timestamps move by, so that the profile's moment becomes `base_time`."""
    if base_time is None or not profile.taken_at_us:
        return 0
    return epoch_us(base_time) - profile.taken_at_us

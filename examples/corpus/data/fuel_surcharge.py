"""Fuel surcharge of Brackwater Logistics, as agreed with customers from 1 January 2024."""

BASE_PENCE_PER_LITRE = 128.0
STEP_PENCE = 2.5
PERCENT_PER_STEP = 0.6
CAP_PERCENT = 12.0


def surcharge_percent(pence_per_litre: float) -> float:
    """Percent added to the freight rate: 0.6 for each full 2.5 pence above the base, at most 12."""
    steps = max(0, int((pence_per_litre - BASE_PENCE_PER_LITRE) // STEP_PENCE))
    return min(CAP_PERCENT, round(steps * PERCENT_PER_STEP, 1))

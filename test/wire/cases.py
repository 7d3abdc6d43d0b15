# SPDX-License-Identifier: MIT
"""The list of cases: functions of a world, named by sentences."""

CASES = {}  # name: (function, needs_wire)


class Skipped(Exception):
    """This machine does not let us do that; says why."""


def case(function=None, *, needs_wire=True):
    """Registers a case."""
    if function is None:
        return lambda later: case(later, needs_wire=needs_wire)
    CASES['wire: ' + function.__name__.replace('_', ' ')] = function, needs_wire
    return function

# SPDX-License-Identifier: MIT
"""What bench/run is made of. bench/README.md says what the figures mean."""


class Failed(Exception):
    """Work was not done, or not as it was promised: the run fails."""

    def __init__(self, message, entry=None):
        super().__init__(message)
        self.entry = entry  # whose fault it is, if it is a contestant's

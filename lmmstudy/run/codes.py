"""What a run can come to, as exit codes for schedulers. The gravest that applies is the one returned."""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of `lmm run`; `lmm check` and `lmm verify` use the same numbers."""

    SAME = 0
    CRASH = 1
    MOVED = 10
    CONCLUSION = 11
    FAILED = 20
    CONFIG = 30
    LOCKED = 31
    UNEXPLAINED = 40


MEANING = {
    Exit.SAME: "nothing moved",
    Exit.CRASH: "the run itself broke off",
    Exit.MOVED: "estimates moved",
    Exit.CONCLUSION: "a conclusion changed",
    Exit.FAILED: "some datasets failed, the others are done",
    Exit.CONFIG: "the configuration is invalid",
    Exit.LOCKED: "another run holds the lock",
    Exit.UNEXPLAINED: "numbers moved though nothing changed",
}
GRAVITY = (Exit.CRASH, Exit.UNEXPLAINED, Exit.FAILED, Exit.CONCLUSION, Exit.MOVED, Exit.SAME)
"""From grave to harmless, among what several datasets can bring about together."""


def gravest(codes: set[Exit]) -> Exit:
    """The code that stands for all of `codes`; `SAME` when there is none."""
    return next((code for code in GRAVITY if code in codes), Exit.SAME)

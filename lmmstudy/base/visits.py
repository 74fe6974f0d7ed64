"""Which visit a time belongs to, by the rule that the audit and the report share."""

import numpy as np

NEAR, WIDE = 0.25, 0.5


def visit_numbers(subject: np.ndarray, time: np.ndarray) -> np.ndarray | None:
    """(n,) number of the visit that each row belongs to, from 0; None where the times make no visits.

    subject : (n,) a number for each subject; time : (n,); rows sorted by subject, then time. Times of all
    subjects that lie near each other are one visit: the next one begins after a gap of more than NEAR of the
    median distance in time between two successive rows of a subject. Times that lie near each other and that
    one subject has all of are planned, and visits of their own. Where a visit would be wider than WIDE of
    that distance there are no common visits.
    """
    own = np.diff(subject) == 0
    steps = np.diff(time)[own]
    distinct, place = np.unique(time, return_inverse=True)
    if not (steps > 0).any():
        return place
    step = float(np.median(steps[steps > 0]))
    first = np.concatenate([[True], np.diff(distinct) > NEAR * step])
    number = np.cumsum(first) - 1
    both = np.flatnonzero(own & (number[place[1:]] == number[place[:-1]]) & (place[1:] > place[:-1]))
    if both.size:  # a subject has two times of one visit
        at, runs = number[place], np.append(0, np.cumsum(np.diff(subject) != 0))
        pairs = np.unique(np.stack([runs[both], at[both]]), axis=1, return_counts=True)
        planned = np.zeros(number[-1] + 1, dtype=bool)
        sizes = np.bincount(number)
        planned[pairs[0][1][pairs[1] + 1 == sizes[pairs[0][1]]]] = True
        first |= planned[number]
        number = np.cumsum(first) - 1
    starts = distinct[first]
    ends = distinct[np.append(np.flatnonzero(first)[1:] - 1, distinct.size - 1)]
    return None if (ends - starts).max() > WIDE * step else number[place]

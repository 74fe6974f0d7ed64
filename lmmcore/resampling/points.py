"""Where many searches stand: a theta for each replicate, in a pivot order of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmcore.resampling.layers import Layers


@dataclass(frozen=True)
class Points:
    """theta : (m, R), each in the pivot order of orders[which], which : (R,)."""

    orders: list[Layers]
    which: np.ndarray
    theta: np.ndarray

    @property
    def units(self) -> np.ndarray:
        """(m, q, q, R) coefficient of each parameter in Lambda; the last axis is 1 if all are the same."""
        if len(self.orders) == 1:
            return self.orders[0].units[..., None]
        return np.stack([layers.units for layers in self.orders], axis=-1)[..., self.which]

    @property
    def psi(self) -> np.ndarray:
        """(q, q, R)."""
        factor = np.einsum("kr,kabr->abr", self.theta, self.units)
        return np.einsum("acr,bcr->abr", factor, factor)

    def take(self, chosen: np.ndarray) -> Points:
        """Some of the points."""
        return Points(self.orders, self.which[chosen], self.theta[:, chosen])

    def put(self, places: np.ndarray, others: Points, chosen: np.ndarray) -> None:
        """Overwrite the points at places by those chosen of others."""
        self.which[places] = others.which[chosen]
        self.theta[:, places] = others.theta[:, chosen]

    def repivoted(self) -> Points:
        """The same Psi with the pivots of every point in order; new orders are added to the list."""
        psi = self.psi
        flipped = np.zeros(len(self.which), dtype=bool)
        for number, layers in enumerate(self.orders):
            flipped |= layers.flipped(psi) & (self.which == number)
        if not flipped.any():
            return self
        which, theta = self.which.copy(), self.theta.copy()
        for place in np.flatnonzero(flipped):
            new = self.orders[which[place]].repivoted(psi[..., place])
            if new not in self.orders:
                self.orders.append(new)
            which[place] = self.orders.index(new)
            theta[:, place] = new.parameters(new.parts(psi[..., place]))
        return Points(self.orders, which, theta)

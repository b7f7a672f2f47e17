"""Bounds what calls may cost together: the worst case is put aside before a call is made."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from chunking.errors import CallLimitExceeded


class Purse:
    """Money that calls draw on, also at the same time; never more than the limit is spent.

    That holds as long as no call costs more than was put aside for it.

    Attributes:
        spent: what settled calls have cost, what was spent before included.
        reserved: what is put aside for calls that run.
    """

    def __init__(self, limit: Decimal | None, *, spent: Decimal = Decimal(0)) -> None:
        """Open the purse; None is no limit."""
        self.limit = limit
        self.spent = spent
        self.reserved = Decimal(0)
        self._settled = asyncio.Condition()

    async def reserve(self, usd_at_most: Decimal) -> None:
        """Put the worst case of a call aside, when calls that run have left enough.

        Raises:
            CallLimitExceeded: what is left is too little even when all of them have ended.
        """
        async with self._settled:
            while not self._has(usd_at_most):
                if not self.reserved:
                    raise CallLimitExceeded(
                        f"the next call may cost {usd_at_most:f} USD, and {self.spent:f} of "
                        f"{self.limit:f} USD are spent",
                        hint="raise --max-usd and run the same command again: it goes on from here",
                        param="max_usd",
                    )
                await self._settled.wait()
            self.reserved += usd_at_most

    async def settle(self, reserved: Decimal, *, usd: Decimal) -> None:
        """Put back what was put aside for a call, and take what it did cost."""
        async with self._settled:
            self.reserved -= reserved
            self.spent += usd
            self._settled.notify_all()

    def _has(self, usd: Decimal) -> bool:
        # A call that costs nothing is made even when more than the limit is gone already.
        return self.limit is None or not usd or self.spent + self.reserved + usd <= self.limit

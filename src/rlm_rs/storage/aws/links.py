"""Presigned URLs of objects in S3 (Signature Version 4), made here without asking AWS."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import cast

import obstore
from obstore.store import ObjectStore, S3Store


class S3Links:
    """`core.ports.Links` in S3. `place`: the store of an object and its key there, from its URI.

    A link ends with the credentials that signed it, if that is sooner.
    """

    def __init__(self, place: Callable[[str], tuple[ObjectStore, str]]) -> None:
        self._place = place

    async def links(self, uris: Sequence[str], seconds: float) -> Sequence[str]:
        """As `core.ports.Links`."""
        places, good_for = [self._place(uri) for uri in uris], timedelta(seconds=seconds)
        return [await obstore.sign_async(cast(S3Store, store), "GET", key, good_for) for store, key in places]

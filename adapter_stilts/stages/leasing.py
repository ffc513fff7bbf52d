"""Who works on a stage, between machines that share an address alone.

<address>/leases/<stage>/<number>     JSON: whose it is, how often it was renewed, or that it is free

A lease is taken by creating the file of the next number, which one machine alone succeeds in where the file system
creates exclusively (S3's conditional writes). Its holder renews it every `RENEW_SECONDS`. Who waits for it takes the
next number once it is free, or has not changed for `EXPIRE_SECONDS` by the clock of who waits: clocks of two machines
are never compared. The files go once the stage is finished.

A holder that was cut off for so long may work on beside its successor. No harm comes of that but lost time: what is
published first stays (`remote.py`). A machine takes over from itself at once: who holds the mirror's lock of a stage
knows that no other process of that mirror works on it.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
import time

from adapter_stilts.errors import StoreError
from adapter_stilts.stages.locking import Lock
from adapter_stilts.stages.remote import Remote

RENEW_SECONDS = 20.0
EXPIRE_SECONDS = 300.0
LOOK_SECONDS = 3.0
"""Between two looks at a lease that another machine holds."""


class Lease(Lock):
    """A lease together with the lock of the mirror; both go with `release`.

    Args:
        stage: its name.
        number: of the lease.
        mirror: whose it is.
    """

    def __init__(self, lock: Lock, remote: Remote, stage: str, number: int, mirror: str) -> None:
        self._lock, self._remote = lock, remote
        self._stage, self._name = stage, f"leases/{stage}/{number}"
        self._told = {"mirror": mirror, "token": secrets.token_hex(8), "report": ""}
        self._renewed = 0
        self._ended = threading.Event()
        self._renewing = threading.Thread(target=self._keep, daemon=True)

    def begin(self) -> bool:
        """Take it, by this number; False where another machine was first."""
        content = self._content()
        # Where an answer was lost, the second try meets what the first wrote.
        if not self._remote.create(self._name, content) and self._remote.read(self._name) != content:
            return False
        self._renewing.start()
        return True

    def write(self, text: str) -> None:
        """Say what its holder does: at once on this machine, with the next renewal to others."""
        self._lock.write(text)
        self._told["report"] = text

    def release(self) -> None:
        """Let go of both. Where the address cannot be reached, the lease expires."""
        try:
            if not self._ended.is_set():
                self._ended.set()
                self._renewing.join()
                with contextlib.suppress(StoreError):
                    if self._remote.exists(f"finished/{self._stage}.json"):
                        self._remote.remove(self._name)
                    else:
                        # Never removed before the stage is finished: its number must not be given again.
                        self._remote.write(self._name, json.dumps({"free": True}).encode())
        finally:
            self._lock.release()

    def _content(self) -> bytes:
        return json.dumps({**self._told, "renewed": self._renewed}).encode()

    def renew(self) -> None:
        """Show that its holder lives. Where the address cannot be reached, the next renewal may get through."""
        self._renewed += 1
        with contextlib.suppress(StoreError):
            self._remote.write(self._name, self._content())

    def _keep(self) -> None:
        while not self._ended.wait(RENEW_SECONDS):
            self.renew()


class Leases:
    """The leases of an address, as one process sees them.

    Args:
        remote: the address.
        mirror: what no other mirror of it is called.
    """

    def __init__(self, remote: Remote, mirror: str) -> None:
        self._remote, self._mirror = remote, mirror
        self._seen: dict[str, tuple[bytes, float]] = {}
        self._looked: dict[str, float] = {}

    def take(self, stage: str, lock: Lock) -> Lease | None:
        """The lease of a stage, or None while another machine holds it.

        Args:
            lock: of the mirror, which is the caller's to release where there is no lease.

        Raises:
            StoreError: the address cannot be reached.
        """
        now = time.monotonic()
        if now - self._looked.get(stage, -LOOK_SECONDS) < LOOK_SECONDS:
            return None
        folder = f"leases/{stage}"
        last = max((int(name) for name in self._remote.list(folder) if name.isdecimal()), default=0)
        if last and not self._is_over(f"{folder}/{last}", now):
            self._looked[stage] = now
            return None
        self._looked.pop(stage, None)
        lease = Lease(lock, self._remote, stage, last + 1, self._mirror)
        if not lease.begin():
            self._looked[stage] = now
            return None
        for number in range(1, last + 1):
            self._remote.remove(f"{folder}/{number}")
        return lease

    def _is_over(self, name: str, now: float) -> bool:
        """Whether a lease is free, or has not been renewed for long."""
        content = self._remote.read(name)
        if content is None:
            return False  # removed since it was listed: somebody has a later one
        with contextlib.suppress(ValueError, AttributeError):
            told = json.loads(content)
            if told.get("free") or told.get("mirror") == self._mirror:
                return True
        known, since = self._seen.get(name, (b"", now))
        if known != content:
            self._seen[name] = (content, now)
            return False
        return now - since > EXPIRE_SECONDS

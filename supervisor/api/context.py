"""What the routes share: one object, given to each of them."""

from dataclasses import dataclass, field

from supervisor.api.body import Bodies
from supervisor.api.configured import Configured
from supervisor.api.database import Database
from supervisor.api.feed import Feed
from supervisor.api.following import Followers
from supervisor.api.reference import Reference
from supervisor.api.threads import Threads
from supervisor.clock import Clock, SystemClock
from supervisor.settings import Locations

READERS, WRITERS = 6, 2
"""Threads. Readers do not wait for the database's lock; writers get it one after the other anyway."""


@dataclass
class Context:
    """Of one application."""

    locations: Locations
    database: Database
    types: Configured
    feed: Feed
    reference: Reference
    followers: Followers = field(default_factory=Followers)
    clock: Clock = field(default_factory=SystemClock)
    bodies: Bodies = field(default_factory=Bodies)
    readers: Threads = field(default_factory=lambda: Threads("read", READERS))
    writers: Threads = field(default_factory=lambda: Threads("write", WRITERS))

    @property
    def busy(self) -> bool:
        """Whether a thread is at work that nobody can stop."""
        threads = (self.readers, self.writers, self.feed.threads, self.followers.threads)
        return any(each.busy for each in threads)

    def close(self) -> None:
        """The server stops: every stream ends."""
        self.feed.close()
        self.followers.close()

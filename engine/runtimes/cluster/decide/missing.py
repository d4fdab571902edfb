"""Frames that a partition still needs and Kafka has deleted: reported loudly, and never folded over in silence.

Retention deletes frames by age, whether or not their effects stand in `pages`. A worker keeps ahead of it (`Owned`
sweeps by time too), but a partition that nobody owned for longer than `log.log_hours_max` loses the frames that nobody
had folded. A fold that goes on from there does not know what was sent meanwhile, so a cap could let a second message
through. The choice is the operator's, `cluster.missing_frames`:

    hold    the partition stays undecided, on whatever worker; all others go on. What it has is kept as it is
    skip    it goes on with what there is; features and caps do not know what was deleted. The active book is activated
            anew after the gap, for its activation may have been in it; pauses are to be said again
"""

import logging
from typing import Literal

log = logging.getLogger("opportune.cluster")

Policy = Literal["hold", "skip"]


class MissingError(Exception):
    """A partition needs frames that are deleted; the text names topic, partition, what is needed and what is there."""

    def __init__(self, topic: str, partition: int, needed: int, first: int) -> None:
        super().__init__(
            f"partition {partition} needs {topic} from position {needed} on, the first that Kafka still has is "
            f"{first}: {first - needed} positions are deleted. Bring back the topic `pages` or `{topic}` from a copy, "
            'or set cluster.missing_frames = "skip" and restart the worker: features and caps then do not know what '
            "was deleted"
        )
        self.frames = first - needed


class Missing:
    """What is missing in one partition, and what is done about it."""

    def __init__(self, topic: str, partition: int, policy: Policy) -> None:
        self._topic = topic
        self._partition = partition
        self._policy = policy
        self.frames = 0

    def between(self, needed: int, first: int) -> None:
        """Record that `needed` is read next where `first` is the oldest there is.

        Raises MissingError when something lies between them, unless the operator has said to go on.
        """
        if first <= needed:
            return
        fault = MissingError(self._topic, self._partition, needed, first)
        if self._policy == "hold":
            raise fault
        self.frames += fault.frames
        log.error("%s; going on without them, as cluster.missing_frames says", fault)

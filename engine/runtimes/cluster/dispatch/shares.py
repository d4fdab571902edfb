"""How much of a quota, a rate and a bound belongs to one partition.

Quotas are split by partition: each gets its P-th part, the first ones one more until the sum is exact. So no two
dispatchers need to agree on a counter, and a takeover takes its count along in the outbox. The price: a partition whose
subscribers are decided more often than others' reaches its share first, and leaves what others have left unused. A
quota below the number of partitions leaves some partitions none.

Rates are split by process: each has as large a part as it has of the partitions, and whoever in it sends first takes.
The parts of all processes never sum to more than what is configured: a partition without an owner sends nothing.
"""

from dataclasses import replace

from engine.dispatch import ChannelPolicy, Policy
from engine.dispatch.rates import Rates

QUEUE_MIN = 100


def share_of(whole: int, number: int, partitions: int) -> int:
    """Return what partition `number` has of `whole`; the shares of all partitions sum to it."""
    return whole // partitions + (number < whole % partitions)


def partition_policy(policy: Policy, number: int, partitions: int, owned: int) -> Policy:
    """Return how one partition is sent, in a process that owns `owned` of them.

    Quotas are the partition's share of all there is; memory and sends in flight are its part of this process.
    """

    def channel(one: ChannelPolicy) -> ChannelPolicy:
        if one.quota_per_day is None:
            return one
        return replace(one, quota_per_day=share_of(one.quota_per_day, number, partitions))

    return replace(
        policy,
        channels={name: channel(one) for name, one in policy.channels.items()},
        campaign_quotas={name: share_of(one, number, partitions) for name, one in policy.campaign_quotas.items()},
        queue_max=max(QUEUE_MIN, policy.queue_max // owned),
        in_flight_max=max(1, policy.in_flight_max // owned),
        awaited_max=max(1, policy.awaited_max // owned),
    )


def process_rates(policy: Policy, partitions: int, owned: int) -> Rates:
    """Return the buckets of a process that owns `owned` partitions."""
    return Rates(policy.gateway_rates, policy.channel_rates, owned / partitions)

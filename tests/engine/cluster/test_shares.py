"""How quotas and rates are split: what all have together is what was configured."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from engine.dispatch import ChannelPolicy, Policy
from engine.dispatch.quotas import Quotas
from engine.runtimes.cluster.dispatch.shares import partition_policy, process_rates, share_of

partitions = st.integers(1, 256)


@given(st.integers(0, 10_000_000), partitions)
def test_the_shares_of_a_quota_sum_to_it_and_differ_by_one_at_most(quota: int, count: int) -> None:
    shares = [share_of(quota, number, count) for number in range(count)]
    assert sum(shares) == quota
    assert max(shares) - min(shares) <= 1


@given(st.lists(st.integers(0, 8), min_size=1, max_size=12), st.integers(0, 30), st.integers(0, 30))
def test_no_more_than_the_quota_goes_whatever_the_partitions_decide(
    offered: list[int], channel_quota: int, campaign_quota: int
) -> None:
    policy = Policy(
        {"sms": ChannelPolicy((), quota_per_day=channel_quota), "free": ChannelPolicy(())},
        campaign_quotas={"care": campaign_quota},
    )
    sent = free = 0
    for number, count in enumerate(offered):
        part = partition_policy(policy, number, len(offered), 1)
        quotas = Quotas({name: one.quota_per_day for name, one in part.channels.items()}, part.campaign_quotas)
        for _ in range(count):
            free += quotas.left(5, "free", "other")
            if quotas.left(5, "sms", "care"):
                quotas.take(5, "sms", "care", 1)
                sent += 1
    assert sent <= min(channel_quota, campaign_quota)
    assert free == sum(offered), "what has no quota is not held"
    if min(offered) >= 8 and channel_quota <= campaign_quota:
        assert sent == min(channel_quota, sum(offered))


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(1, 10_000))
def test_the_rates_of_all_processes_sum_to_what_is_configured(owned: list[int], rate: int) -> None:
    policy = Policy({"sms": ChannelPolicy((), rate_per_s=rate)}, gateway_rates={"smsc": rate})
    rates = [process_rates(policy, sum(owned), some) for some in owned]
    for buckets in (one.channels["sms"] for one in rates), (one.gateways["smsc"] for one in rates):
        assert abs(sum((Fraction(one.rate_per_s) for one in buckets), Fraction(0)) - rate) < Fraction(1, 1_000_000)

"""The steps of a world, by what they touch: each method `_name` is the step `name` of the scheduler in `world`.

feeds        lines that come in
flow         workers, the commit thread, pages
faults       time, power, the disk
sending      dispatch, gateways, receipts
operations   books, switches, opt-outs
"""

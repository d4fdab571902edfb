"""A seeded world around the real engine: one seed, one history of events, faults, crashes and answers.

    machine   a computer that can lose power at every durable step: disk and store
    books     a rule book in many versions, and what its plain rules ask, in plain Python
    traffic   lines as networks send them: late, doubled, broken; from files and from a client that repeats
    network   gateways and their receipts, and the truth of what reached the network
    life      the real parts, put together for one life between two crashes
    flow      the real pipeline in it: workers and the commit thread, whose steps the world takes
    sending   the real dispatcher in it, whose turns the world takes
    judges    the invariants: what must hold after every step, known independently of the code under test
    world     the seeded scheduler that drives all of it in one thread, without a clock
    steps     what it may do next
    reach     rare states that must have been seen
    plants    bugs on purpose, to prove that the judges can find one
    run       worlds by number: `opportune simulate`
    cluster   the same for several workers over brokers in memory
    recorded  worlds written to files by one tree, held against the code of another

Nothing here is imported by the product; `opportune simulate` loads `run` from a checkout.
"""

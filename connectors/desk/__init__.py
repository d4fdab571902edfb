"""The front desk: a customer stands at a counter, and the clerk sees at most three cards worth saying.

Read in this order: `model` (what a panel is), `changes` (all that can become of it, pure), `queue` and `store` (kept by
this process, and on its disk), `redis`, `scripts`, `follow` (or by a Redis server, for several processes), `desk` (the
face the engine sees) with `panels` (changes by compare-and-set), `reporter` (what the log must learn) and `sweep` (what
runs out), `routes`, `session`, `stream`, `view` (HTTP and the page's event stream), `page.html`, `page.js`, `page.css`
(what the clerk sees).

Nothing is decided here: cards arrive decided, answers leave for the log.
"""

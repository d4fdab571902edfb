"""The questions: rule books, from TOML to decisions.

Start with `rules.load` (files to a `Book`), `rules.model` (what a book is), `rules.expressions` (conditions) and
`rules.gates` (what may stop a decision). Nothing here reads events, clocks or networks.

# The grammar of a book

A book is all `*.toml` files of one folder, and the `*.csv` files that its tables name (sub-folders and hidden files are
not read). Examples of every construct stand in `rules/README.md`. Every section may stand in every
file; a name is declared once in the whole book. Unknown keys are faults, and so are numbers where texts belong.

Words used below:

    NAME        a letter, then letters, digits, `_`; at most 64. What expressions use: events, fields, attributes,
                features, values.
    ID          letters (of any language), digits, `_` `.` `-`; at most 64. Rules, campaigns, channels, lists, offers,
                areas, tables.
    DURATION    a whole number and a unit: ms s m h d w. "30s" "10m" "12h" "30d"
    CAP         "N per DURATION" (rolling, to the millisecond), "N per day", "N per week" (from Monday), "N per month"
                (the operator's calendar). N 0 to 1000, duration 1s to 366d. One text, or an array of them.
    PERCENT     "2.5%", 0% to 100%, four decimals at most
    EXPRESSION  see `rules.expressions.check`; its functions: `rules/FUNCTIONS.md`
    TEXT        a text with gaps `{name}` or `{name:format}`, see `rules.templates`

## Of the file

    campaign = ID           The campaign of the file's rules; need not be declared. Default: the file's name without
                            `.toml`.

## [book]                   once in a book

    zone = "Asia/Shanghai"  The operator's time zone: days, weeks, months, `hour()`, times in texts. Default "UTC".
    cap = CAP               Over all commercial contacts of a subscriber. Default: none.
    decisions_per_event = 1 Commercial decisions one event may yield, 1 to 16. Default 1.
    holdout = PERCENT       Subscribers who get nothing commercial. Default "0%". Control groups are drawn last: their
                            members take their places in arbitration and under every cap, as if the message had gone.
                            Who is among them is the same for every book: a larger share adds to them, a smaller one
                            takes some out, so a control group of everything survives years of books.
    declined_hides = DURATION
                            Default for offers. Default "30d".
    max_age = DURATION      Default for rules. Default "1h".
    shelf_life = DURATION   Default for rules. Default "1d".
    quiet = { from = "NAME", to = "NAME", zone = "Asia/Shanghai" }
                            Two attributes with the subscriber's own quiet hours: minutes of the day ("int") or texts
                            such as "22:00"; from 22:00 to 07:00 they span midnight. A text that would go in them waits
                            for their end, within its shelf life; cards and alerts do not. A subscriber of whom either
                            is unknown has none. Default of `zone`: the operator's. Default: none.

## [events.NAME]            what the network reports; at most 245 types

    NAME                    None of `due`, `goal`, `ask`: the first is a deadline that has come, the others will be
                            built in.
    fields = { NAME = "string", ... }
                            Kinds: "int" "float" "bool" "string" "time"; with `!` after it the field is required.
                            At most 62.
    decisions_max = 1       As `decisions_per_event`, for this type. Default: the book's; for `visit` at least 3.

Built-in types, always there; of them only `decisions_max` can be set: `profile` (fields: the attributes), `list`
(list, member, until, for_ms), `outcome` (partition, position, row, rule, state, gateway, error), `visit` (terminal,
visit, open, cause), `answer` (partition, position, row, rule, card, answer, note), `reply` (text, number, decision),
`owner` (erased). No attribute or feature may take a field's name.

An event `reply` is a text that a subscriber sent to one of our numbers and that is no opt-out word: `text`, the
`number` that it was sent to, and the id of the `decision` that it most likely answers, the latest that reached the
subscriber from that number within seven days; unknown where there is none.

An event `owner` says that the number has passed to another customer: at that row the state of the old one ends, with
history, attributes, lists, opt-out and contacts, and what waits for it is withdrawn (gate "owner"). The row itself is
the first of the new one. With `erased` true it is the same customer, forgotten by `opportune customer erase`: the lists
that exclude stay, so an opt-out holds.

## [attributes]             what is known of a subscriber, from `profile` events; at most 62

    NAME = "string"         Kinds as for fields.
    NAME = { set = ["12593", "mms"] }
                            Any of these members at a time. A set counts as one attribute more for each 62 members
                            after the first 62 that it has had over the life of the book, because a member keeps its
                            bit forever. `holds('x')` asks the set named `services`.

## [lists.ID]               named lists of subscribers, changed by `list` events; at most 10,000 over the book's life

    title = ""
    excludes = ""           "commercial": no commercial rule for those on the list; "all": no rule at all, but for
                            rules of alert channels alone, as an alert is told to somebody else; "": only where a rule
                            says so.

    The list `optout` is in every book, declared or not, and excludes at least commercial rules: replies like TD, the
    desk and `opportune lists add optout` put subscribers on it. `[lists."optout.NAME"]` is the opt-out of one service:
    it excludes the commercial rules of the offer, the campaign, or of the one channel NAME; a reply "TD NAME" puts its
    subscriber there.

    A `list` event may say when its membership ends: at the time `until`, or `for_ms` milliseconds after the log's time
    of the event; where it says both, `until` holds. It holds for events that the log has before that time, and no
    longer at it. The latest event says what holds: one without an end is for ever, one whose end has passed takes off
    the list. A subscriber takes four bytes for each of the first 62 lists, 16 for each 62 more, and once memberships
    end, eight for each list, of those 62 among which one does.

## [channels.ID]

    kind = "sms"            "sms", "desk" or "alert". Default: the channel's own name, where it is one of these.
    title = ID
    class = "commercial"    Default class of rules that name this channel first. Default: none; "service" for alerts.
    cap = CAP               Over this channel.
    per_event_max = 1       Decisions of one event on this channel, 1 to 16; as many again for service messages. Default
                            1; desk 3; alert 16.

## [campaigns.ID]

    title = ID
    cap = CAP               Over all rules of the campaign.
    holdout = PERCENT       Subscribers who get nothing of this campaign. Default "0%".
    arms = { model = "40%", random = "40%", control = "20%" }
                            2 to 16 arms, in which its commercial rules treat subscribers in different ways; the shares
                            are the whole. The arm `control` gets nothing. See below. Default: none.

## [categories.ID]          what commercial rules of any campaigns have in common

    title = ID
    cap = CAP               Over all commercial rules of the category.

## [offers.ID]

    title = ID              What a clerk or a text calls it: `{offer.title}`.
    script = ""             What a clerk may say: `{offer.script}`.
    link = ""               `{offer.link}`
    requires = ["gprs"]     Members of the attribute `services`; a subscriber without one is not eligible.
    unless_holds = ["12593"]
                            Who holds one is not eligible. An unknown set holds nothing.
    repeat = DURATION       After one contact with it, by any rule and channel, the next one only after this. Default:
                            none; once an event, and not while one waits or is on screen, always.
    declined_hides = DURATION
                            After it was declined, on every channel, only after this. At most 366d, like `repeat`.
                            Default: the book's. Rules of class "service" heed none of these.

## [areas.ID]

    title = ""
    cells = ["460-00-9871-30561", ...]
                            1 to 50,000. Used as `cell in areas.ID`, or `in_area(cell, 'ID')`; `areas.trade-fair` is
                            one name.
    table = ID              In place of `cells`: all keys of a table, which are texts.
    only = { COLUMN = value }
                            Those keys of which this column of the table says so. Default: all.
    seen = ["move.cell", ...]
                            Who is followed: the fields that say where a subscriber is, one of an event type, at most
                            8. Default: nobody.
    leave_after = "2m"      A stay ends when sightings are outside for so long. Default "2m".

A stay in an area begins with a sighting inside, and ends when one outside is followed by none inside for `leave_after`,
rounded up to the second. `inside('ID')` says whether one is going on, `stayed('ID')` for how long, `came_into('ID')`
whether it begins with this event, by someone who was seen outside before. Sightings count in the order of their times:
one that is older than the newest changes nothing. A subscriber takes 24 bytes for each area that is followed; what is
known of it stays as long as the area has its ID, whatever its cells.

## [features.NAME]          what is kept per subscriber; at most 4,096 with the attributes

    KIND = "EVENT"          or "EVENT.FIELD". Exactly one; each kind is a file of `state/features/kinds`, which begins
                            with what it counts or keeps, and of what: count, sum, last, since ...
    where = EXPRESSION      Only events for which this is true. Sees the event's fields and the attributes. Default:
                            all events.
    over = "ever"           DURATION from 1m to 366d (rolling), "today", "this month", or "ever". Default "ever".
    panes = 12              Parts of a rolling window, 1 to 32; the window's far edge is exact to one part.
    as = EXPRESSION         What is taken of the event in place of the field: a number, a time, true or false. Sees what
                            `where` does; an event of which it is unknown is not counted. Default: the field.
    sightings = 3           Of the kinds `settled` and `replaced`, which have no window: a value counts when it was seen
                            so often with no other in between, 1 to 1,000. Default 3.
    held_for = DURATION     Or when it is seen again so long after it was first seen. Default: only `sightings` count.
    since = DURATION        The learning period, beside another kind: the value is unknown until the history was kept
                            for this long by the log's clock, up to 366d; or a date, "2026-03-01": until that day.
                            Default: none. A rule "first ever" needs one: on the first day every call is a first.

An event is folded into the features before rules see it, so the first call makes `count` 1. Count, sum and distinct
begin at 0, most others are unknown until first seen. A feature keeps its history from book to book as long as it means
the same, whatever its name, and however the parts of its `where` are ordered (`a and b`, `10 < x`); the log, `check`
and `status` say which ones start anew.

Some functions bring a feature along that nobody declares, which is kept for each call of another meaning:
`contacted('NAME', '30d')` and `answered('NAME', 'accept', '30d')` tell what became of the decisions of a rule, a
campaign or an offer, `'rule:NAME'` where two of these have the name. `changed(x)` and
`entered(x, VALUE)` tell what an event changes of a field, an attribute or a `last` feature. They stand in `when`,
`still` and values, not in a `where`. See `rules.told` and `rules.changes`.

## [sequences.NAME]          steps that follow each other; at most 500

    within = DURATION       From the first step's event to the last one's, 1s to 366d. Required.
    steps = [{ event = NAME, name = NAME, where = EXPRESSION }, ...]
                            2 to 8 of them. `where` sees the event's fields, the attributes, and fields of earlier steps
                            by the step's `name`: these stand in comparisons with a field of the event, of one kind,
                            joined by `and`. At most 8 such fields. Required.
    runs_max = 4            Runs that a subscriber may have open, 1 to 16; only where fields are compared.

`step('NAME')` is how many steps were taken, `completed('NAME')` whether this event takes the last. See
`state.features.kinds.sequence` for what is skipped.

## [values.NAME]             what rules ask by name; at most 1,000

    is = EXPRESSION         Of any kind but a set. Sees the attributes, `lists`, the features, other values, and fields:
                            it may be asked on the rows of every event type that has all that it names. Required.
    bands = [10, 50, 100]   The value is the number of rising edges that a number has reached; durations beside a span.
                            Default: none.

A value is worked out once a row for all rules that read it, and shown where a text names it. At most 16 stand one upon
the other.

## [tables.ID]               what `lookup` asks; at most 200,000 rows

    title = ""
    columns = { NAME = "string", ... }
                            Kinds: "string" "int" "float" "bool" "date". The first is the key: a text, a whole
                            number or a date. Required.
    file = "handsets.csv"   A CSV file in the book's folder, whose first line names its columns; others than `columns`
                            are not read, and an empty cell says nothing.
    rows = [{ NAME = value, ... }, ...]
                            In place of a file; at most 10,000.

A date is looked up by its `day_number()`. `holiday()` asks the table `holidays`.

## [[rule]]

    id = ID                 Once in the book. Required.
    on = NAME               The event type that asks the question. Required, but for a rule with a deadline, that is
                            `after`, `stays` or `leaves`.
    when = EXPRESSION       Sees the event's fields, the attributes, `lists`, the features and the values. Default
                            "true".
    after = NAME            In place of `on` and `when`: an event that arms a deadline, at which the question is asked;
                            or `{ event = NAME, where = EXPRESSION }`, where it arms only if that is true, which sees
                            the event's fields and the attributes. See below.
    within = DURATION       What must come in this time after it, or the rule asks: `unless` says what.
    for = DURATION          Silence: each event `after` begins this time anew. With `stays`: how long.
    delay = DURATION        So long after the event. One of the three, 1s to 366d.
    stays = ID              In place of `after`: asked when a stay in the area lasted `for` a time, though nothing is
                            reported then; not where it has ended by that time. Once a stay.
    leaves = ID             In place of `after`: asked when a stay in the area has ended.
    unless = NAME           An event that ends the deadline, or a table as for `after`. Not with `delay`.
    key = NAME              A field, "string" or "int", of both events: each value has a deadline of its own.
    keys_max = 4            Deadlines that a subscriber may have open, 1 to 16; only with `key`. Default 4. While all
                            are open a further key is not watched; `opportune_deadlines_refused` counts them.
    still = EXPRESSION      Asked at the deadline; sees the key by its name, when it was `armed`, the attributes,
                            `lists` and the features as they are then. Default: it is asked nothing.
    channels = [ID, ...]    In order of preference. Required.
    offer = ID              Default: none.
    campaign = ID           Default: the file's.
    category = ID           Default: none.
    class = "commercial"    or "service": not held by the caps of channels and of the book. Default: the first class
                            that one of its channels has, else "commercial".
    priority = 50           0 to 1000; the highest first, then by id. Or the name of a number, as a value: its fraction
                            is dropped, what is beyond the bounds is the bound, unknown is 0.
    cap = CAP               Over this rule.
    max_age = DURATION      An event that is logged later than this after it happened is not acted upon. Default: the
                            book's.
    shelf_life = DURATION   What is not sent after this is dropped. Default: the book's.
    exclude = [ID, ...]     Lists whose members never get this.
    holdout = PERCENT       Subscribers who never get this. Default "0%".
    arm = ID                The arm of its campaign that it is for; `control` is asked too, and held out. Default: all.
    arms = { ID = PERCENT, ... }
                            Arms of its own, as of a campaign, in place of the campaign's. In place of a share stands
                            `{ share = PERCENT, text = { CHANNEL = TEXT } }` where the arm has texts of its own; without
                            `share` an arm of the campaign gets texts. Default: none.
    shadow = false          true: it is asked and recorded, on which channel too, and sends nothing. Rules in shadow see
                            what each other would have sent; no other rule does.
    keep = { list = ID, for = DURATION }
                            The audience: whoever it fires for is on the list for so long, at most 366d, held out,
                            capped and outranked alike. See below. Default: none.
    reason = TEXT           Why, for the clerk and for `why`. Default: the rule's id.
    text.CHANNEL = TEXT     What the channel says. Required for every SMS channel of the rule. An SMS with a gap that
                            nothing is known for is not sent, unless the gap has words for that: `{name|customer}`.
    enabled = true          false: checked, never asked.

A rule keeps each event on which `when` holds, unless the rule is paused, the event is too old, or the subscriber is in
another arm or not eligible for the offer (gates "paused", "stale", "arm", "eligibility"); what stops it after that
does not matter, but a rule in shadow keeps nobody. The subscriber is on the list from the next event of the log on,
until `for` after the log's time of this one; who is on it longer already, or for ever, stays so long. Other rules ask
with `member('ID')`, `exclude` it, or the list excludes by itself; then what waits for the subscriber is withdrawn,
except what the keeping rule itself decided. A `list` event that comes later decides alone. Not the list `optout` or
`optout.NAME`: what a customer said is no audience. A feature's `where` cannot ask for a list that rules keep.

Who is in which arm is drawn by a hash of the subscriber and of the campaign's name, or the rule's: the same after
every reload, and independent of every other draw. All candidates of a rule are recorded with their arm and its
probability. What the text of one arm needs to be known must be known in all of them.

A deadline is the time of the event that armed it and the span, rounded up to the second. It is judged by the times of
events: one that ends it must lie before it, in the log before the deadline's own row, which waits `data.lateness_s` for
what comes late. What lies at or after it neither ends it nor begins it anew. With `within` and `delay` an event `after`
changes nothing while a deadline of its key is open. An event that is `after` and `unless` at the same time, or of the
same time, ends. What a late event would have armed is not armed where another has answered it: each subscriber keeps
the last of them beside what is open, four places in all, or `keys_max`. The events' own `max_age` counts from the
deadline. A rule that is renamed forgets what it armed; one whose span is changed moves it.

## [[goal]]                 what contacts are made for; read by `opportune report`, never by a decision

    name = ID               Once in the book. Required.
    on = NAME               The event type that reaches it. Required.
    when = EXPRESSION       Sees the event's fields alone, so that it can be asked of events from before the goal was
                            written. Default "true".
    within = DURATION       How long after a contact it counts, up to 366d. Required.
    value = 1               What reaching it is worth: a number, or a field of the event that is one. Default 1.
    campaign = ID           Whose contacts it is about. Default: the file's.
    rule = ID               Or those of one rule, in place of the campaign's goal.

A campaign has one goal at most, and so has a rule, so a contact has one. An event counts for the latest contact before
it; a contact may be credited with several.

## [[test]]

    name = ""               What is promised. Required.
    subscriber = 8613800000001
    given = { ATTRIBUTE = value, lists = [ID, ...] }
                            What is known before the first event.
    events = [{ at = TIME, EVENT = { FIELD = value, ... }, subscriber = ... }, ...]
                            TIME: 2008-11-04T09:00:00+08:00; without offset in the operator's zone; "+10m" after the
                            event before. In the order in which they arrive. Required. Further:
                            logged = TIME           when the log gets it, or "+2h" after it happened
                            { at = "+25h" }         time passes, and deadlines come
                            pause, resume = { rule|campaign|channel = ID }   in place of an event
                            refund = { rule = ID }  the rule's newest decision did not reach the subscriber
                            answer = { rule = ID, answer = "decline" }       of the rule's newest decision
                            reply = { rule = ID, text = "1" }                to the rule's newest decision
    holdout = false         Whether control groups are drawn; also where a `gate = "holdout"` is expected.
    arm = ID                In which arm everybody is. Default: where control groups are not drawn, the first by name
                            that gets something.
    expect = [{ at = TIME, rule = ID, channel = ID }, { at = TIME, rule = ID, gate = "cap" }, ...]
                            All decisions that must come, and no others; a `gate` says what must have stopped a rule.
                            A decision may promise its `text = ""` as well, and when it goes: `sent = TIME`, after
                            the subscriber's quiet hours. "+10m" is after the first event. Either may say in which
                            `arm = ID` the subscriber is. A rule in shadow acts in a test that expects it to, unless the
                            test expects `gate = "shadow"` of it as well. Default: nothing.

In a test every decision is accepted by its gateway at once, or when quiet hours end; features have learned, and a
subscriber has as many places for contacts as the engine of the configuration.

# Example

    campaign = "12593-care"

    [features.long_calls]
    count = "call"
    where = "kind == 'long_distance'"

    [[rule]]
    id       = "first-long-distance"
    on       = "call"
    when     = "kind == 'long_distance' and long_calls == 1 and not holds('12593')"
    offer    = "12593"
    channels = ["sms", "desk"]
    cap      = "1 per 30d"
    reason   = "first long-distance call, 12593 never used"
    text.sms = "尊敬的{name}用户，您正在拨打长途，加拨12593更优惠。回复TD退订"
"""

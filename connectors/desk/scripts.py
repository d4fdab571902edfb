"""What Redis does for the desk, in Lua: every script is one step that all processes see whole, or not at all.

Every script begins by comparing the server's run with the one noted under the prefix. Another one means that Redis was
started again, with its data, with older data or with none. Then, for `ARGV[1]` milliseconds, it **settles**: processes
put back the newest panels they know (`RESTORE`), and everything else is told to wait. So nobody acts on a panel that
is older than what a clerk has seen.

Every script returns the server's run, then 1, or 0 while it settles, then its own results. Redis 7 or newer.
"""

_BEGIN = """
local prefix = KEYS[1]
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
if redis.call('GET', prefix .. ':run') ~= run then
  redis.call('SET', prefix .. ':run', run)
  redis.call('SET', prefix .. ':settling', run, 'PX', ARGV[1])
end
local settled = 1 - redis.call('EXISTS', prefix .. ':settling')
"""

_WAIT = """
if settled == 0 then return {run, 0} end
"""

_STORE = """
local function store(panel, change)
  local name, ttl = panel.terminal, change.ttl
  local key, stream = prefix .. ':terminal:' .. name, prefix .. ':stream:' .. name
  redis.call('HSET', key, 'version', panel.version, 'changed', panel.changed, 'subscriber', panel.subscriber,
    'opened', panel.opened, 'panel', panel.json)
  redis.call('PEXPIRE', key, ttl)
  if panel.visit ~= '' then redis.call('SET', prefix .. ':visit:' .. panel.visit, name, 'PX', ttl) end
  for id, json in pairs(panel.cards) do
    redis.call('HSET', prefix .. ':card:' .. id, 'terminal', name, 'card', json)
    redis.call('PEXPIRE', prefix .. ':card:' .. id, ttl)
  end
  if panel.due ~= '' then redis.call('ZADD', prefix .. ':due', panel.due, name)
  else redis.call('ZREM', prefix .. ':due', name) end
  redis.call('XADD', stream, 'MAXLEN', '~', change.entries, '*', 'version', panel.version)
  redis.call('PEXPIRE', stream, ttl)
end
"""

GUARD = _BEGIN + "return {run, settled}"

WRITE = (
    _BEGIN
    + _WAIT
    + _STORE
    + """
local change = cjson.decode(ARGV[2])
for _, panel in ipairs(change.panels) do
  local kept = redis.call('HGET', prefix .. ':terminal:' .. panel.terminal, 'version') or '0'
  if kept ~= panel.was then return {run, 1, 0} end
end
for number, terminal in pairs(change.stands) do
  if (redis.call('GET', prefix .. ':subscriber:' .. number) or '') ~= terminal then return {run, 1, 0} end
end
for number, terminal in pairs(change.moves) do
  local key = prefix .. ':subscriber:' .. number
  if terminal ~= '' then redis.call('SET', key, terminal, 'PX', change.ttl)
  elseif change.mine[redis.call('GET', key) or ''] then redis.call('DEL', key) end
end
for _, panel in ipairs(change.panels) do store(panel, change) end
return {run, 1, 1}
"""
)
"""Compares every version and every place, then sets all or nothing: 1 when it did."""

RESTORE = (
    _BEGIN
    + _STORE
    + """
local change, restored = cjson.decode(ARGV[2]), 0
local function stands_elsewhere(panel)
  local at = redis.call('GET', prefix .. ':subscriber:' .. panel.subscriber)
  if not at or at == panel.terminal then return false end
  local other = redis.call('HMGET', prefix .. ':terminal:' .. at, 'subscriber', 'opened')
  return other[1] == panel.subscriber and tonumber(other[2]) > tonumber(panel.opened)
end
for _, panel in ipairs(change.panels) do
  local kept = redis.call('HMGET', prefix .. ':terminal:' .. panel.terminal, 'changed', 'version', 'subscriber')
  local changed, version = tonumber(kept[1] or '-1'), tonumber(kept[2] or '0')
  local mine, seen = tonumber(panel.changed), tonumber(panel.was)
  if mine > changed or (mine == changed and seen > version) then
    store(panel, change)
    restored = restored + 1
    local left = prefix .. ':subscriber:' .. (kept[3] or '')
    if kept[3] ~= panel.subscriber and redis.call('GET', left) == panel.terminal then redis.call('DEL', left) end
    if panel.subscriber ~= '' and not stands_elsewhere(panel) then
      redis.call('SET', prefix .. ':subscriber:' .. panel.subscriber, panel.terminal, 'PX', change.ttl)
    end
  end
end
return {run, settled, restored}
"""
)
"""Sets the panels that are newer than what is kept; returns how many. A subscriber stands where he came last."""

FOLLOW = (
    _BEGIN
    + _WAIT
    + """
local terminal, card = ARGV[3], false
if ARGV[2] == 'card' then
  local found = redis.call('HMGET', prefix .. ':card:' .. ARGV[3], 'terminal', 'card')
  terminal, card = found[1], found[2]
elseif ARGV[2] ~= 'terminal' then terminal = redis.call('GET', prefix .. ':' .. ARGV[2] .. ':' .. ARGV[3]) end
if not terminal then return {run, 1} end
local panel = redis.call('HMGET', prefix .. ':terminal:' .. terminal, 'version', 'panel')
return {run, 1, terminal, panel[1], panel[2], card}
"""
)
"""Follows a pointer; returns nothing, or the terminal, its version and panel, and the card that was asked for."""

DUE = (
    _BEGIN
    + _WAIT
    + """
local key, now, retry, limit = prefix .. ':due', tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local found = redis.call('ZRANGEBYSCORE', key, '-inf', now, 'LIMIT', 0, limit)
for _, terminal in ipairs(found) do
  if redis.call('EXISTS', prefix .. ':terminal:' .. terminal) == 1 then redis.call('ZADD', key, now + retry, terminal)
  else redis.call('ZREM', key, terminal) end
end
return {run, 1, unpack(found)}
"""
)

HOLDING = (
    _BEGIN
    + _WAIT
    + """
local found = {}
for _, terminal in ipairs(cjson.decode(ARGV[2])) do
  local panel = redis.call('HGET', prefix .. ':terminal:' .. terminal, 'panel')
  if panel and string.find(panel, ARGV[3], 1, true) then found[#found + 1] = terminal end
end
return {run, 1, unpack(found)}
"""
)
"""Searches the panels of the terminals named."""

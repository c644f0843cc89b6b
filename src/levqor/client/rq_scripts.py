"""The steps in a job's life, each one atomic in the broker. They keep to RQ's own keys, so that RQ's tools see the jobs.

    submit -> queue -> claim -> settle -> finished | scheduled (a retry is due) | failed (dead)
                 ^        |         promote: scheduled -> queue
                 +--------+ lose, give_back, sweep: the worker is gone, the job goes back to the head
                 +--------- requeue: failed -> queue        quarantine, release: failed <-> quarantined

Every step that ends an execution first removes it from the queue's registry of running jobs, and does nothing where it
is not there any more: whoever comes second (a worker that was taken for dead, a retry after a lost answer) is fenced off.
Times are the broker's, so that all hosts have one clock. RQ pops at the left end of a queue: the head is there.
"""

from collections.abc import Mapping
from typing import Any

import redis
from redis.commands.core import Script

DEFAULT_PREFIX = "rq"
"""Of RQ's keys; from RQ 3 on a team may set another one in its workers' environment (RQ_KEY_PREFIX)."""

PAUSED = "levqor:paused"
"""The set of queues from which no job is taken."""

HANDLER = "levqor_handler"
ATTEMPTS = "levqor_attempts"
LOSSES = "levqor_losses"
MAX_ATTEMPTS = "levqor_max_attempts"
MAX_LOSSES = "levqor_max_losses"
BACKOFF = "levqor_backoff"
KEEP_S = "levqor_keep_s"
ERROR = "levqor_error"
QUEUED_AT = "levqor_queued_at"
"""Since when the job could have been run (epoch seconds): its submission, or when its retry became due."""

DIED_AT = "levqor_died_at"
"""When the job died (epoch seconds); empty again once it is requeued."""

FLUSHES = "levqor_flushes"
"""How often the job was requeued after its death. It outlives requeues; only a release from quarantine sets it to zero."""

BATCH = "levqor_batch"
"""The batch that requeued the job last. A batch moves no job twice, even where the job died again meanwhile."""

QUARANTINED_AT = "levqor_quarantined_at"
QUARANTINED_WHY = "levqor_quarantined_why"
QUARANTINE = "levqor:quarantined"
"""With `:` and a queue's name: its quarantined jobs by the time of their quarantine."""

IDENTITY = "levqor_identity"
LOST_AFTER_S = "levqor_lost_after_s"

DEFAULT_MAX_LOSSES = 3
LEASE_S = 60
"""A running job whose worker has not been heard of for this long is given to another one."""

DEAD_TTL_S = 365 * 86_400

_SHARED = f"""
local P = ARGV[1]
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000

local function iso(seconds, micros)
  local day = math.floor(seconds / 86400)
  local rest = seconds - day * 86400
  local shifted = day + 719468
  local era = math.floor(shifted / 146097)
  local doe = shifted - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local month = math.floor((5 * doy + 2) / 153)
  local date = doy - math.floor((153 * month + 2) / 5) + 1
  local year = yoe + era * 400
  if month < 10 then month = month + 3 else month = month - 9; year = year + 1 end
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%06dZ', year, month, date,
    math.floor(rest / 3600), math.floor(rest / 60) % 60, rest % 60, micros)
end
local stamp = iso(tonumber(clock[1]), tonumber(clock[2]))

local function exact(seconds) return string.format('%.6f', seconds) end
local function queue_key(queue) return P .. ':queue:' .. queue end
local function running_key(queue) return P .. ':wip:' .. queue end
local function job_key(id) return P .. ':job:' .. id end
local function worker_key(name) return P .. ':worker:' .. name end
local function held_key(name) return P .. ':worker:' .. name .. ':executions' end

local function queue_names()
  local names = {{}}
  for _, key in ipairs(redis.call('SMEMBERS', P .. ':queues')) do names[#names + 1] = string.sub(key, #P + 8) end
  return names
end

local function split(member)
  local at = string.find(member, ':', 1, true)
  if not at then return member, '' end
  return string.sub(member, 1, at - 1), string.sub(member, at + 1)
end

local function end_execution(queue, member)
  if redis.call('ZREM', running_key(queue), member) == 0 then return false end
  local id, execution = split(member)
  local worker = redis.call('HGET', P .. ':execution:' .. member, 'worker_name')
  redis.call('DEL', P .. ':execution:' .. member)
  redis.call('ZREM', P .. ':executions:' .. id, execution)
  if worker then
    redis.call('SREM', held_key(worker), member)
    redis.call('HDEL', worker_key(worker), 'current_job')
  end
  return true
end

local function bury(queue, id, error)
  local ttl = tonumber(redis.call('HGET', job_key(id), 'failure_ttl') or {DEAD_TTL_S})
  redis.call('HSET', job_key(id), 'status', 'failed', 'ended_at', stamp, '{ERROR}', error, '{DIED_AT}', exact(now))
  redis.call('ZADD', P .. ':failed:' .. queue, ttl < 0 and '+inf' or now + ttl, id)
  if ttl > 0 then redis.call('EXPIRE', job_key(id), ttl) end
end

local function failed_key(queue) return P .. ':failed:' .. queue end
local function quarantine_key(queue) return '{QUARANTINE}:' .. queue end

local function put_back(queue, id, loss)
  local key = job_key(id)
  if redis.call('EXISTS', key) == 0 then return 'gone' end
  local losses = redis.call('HINCRBY', key, '{LOSSES}', loss)
  if losses > tonumber(redis.call('HGET', key, '{MAX_LOSSES}') or {DEFAULT_MAX_LOSSES}) then
    bury(queue, id, 'lost its worker ' .. losses .. ' times')
    return 'dead'
  end
  redis.call('HSET', key, 'status', 'queued', 'enqueued_at', stamp, '{QUEUED_AT}', exact(now), 'started_at', '', 'worker_name', '')
  redis.call('SADD', P .. ':queues', queue_key(queue))
  redis.call('LREM', queue_key(queue) .. ':intermediate', 1, id)
  redis.call('LPUSH', queue_key(queue), id)
  return loss > 0 and 'lost' or 'returned'
end

local function is_lost(queue, id)
  local status = redis.call('HGET', job_key(id), 'status')
  return status == 'started' or (status == 'queued' and not redis.call('LPOS', queue_key(queue), id))
end

local function event(queue, id, outcome)
  return {{id, queue, redis.call('HGET', job_key(id), '{HANDLER}') or '', outcome}}
end
"""

SUBMIT = f"""
local id, queue = ARGV[2], ARGV[3]
if redis.call('EXISTS', job_key(id)) == 1 then return 0 end
redis.call('HSET', job_key(id), 'created_at', stamp, 'enqueued_at', stamp, 'status', 'queued', 'origin', queue,
  '{QUEUED_AT}', exact(now), unpack(ARGV, 4))
redis.call('SADD', P .. ':queues', queue_key(queue))
redis.call('RPUSH', queue_key(queue), id)
return 1
"""
"""id, queue, field, value...: 1, or 0 where the job exists already."""

CLAIM = f"""
local name, execution, ttl = ARGV[2], ARGV[3], tonumber(ARGV[4])

local function answer(queue, member)
  local id = split(member)
  local key = job_key(id)
  local since = tonumber(redis.call('HGET', key, '{QUEUED_AT}') or '')
  return {{'job', member, queue, since and exact(math.max(0, now - since)) or '', redis.call('HGETALL', key)}}
end

for _, member in ipairs(redis.call('SMEMBERS', held_key(name))) do
  local origin = redis.call('HGET', job_key((split(member))), 'origin')
  if origin and redis.call('ZSCORE', running_key(origin), member) then return answer(origin, member) end
  redis.call('SREM', held_key(name), member)
end

local open = {{'none'}}
if redis.call('EXISTS', P .. ':suspended') == 1 then return open end
for i = 5, #ARGV do
  local queue = ARGV[i]
  if redis.call('SISMEMBER', '{PAUSED}', queue) == 0 then
    open[#open + 1] = queue
    local id = redis.call('LPOP', queue_key(queue))
    while id do
      local key = job_key(id)
      local known = redis.call('HMGET', key, 'data', 'status', '{HANDLER}')
      if known[1] and not (known[2] == 'finished' and known[3]) then
        local member = id .. ':' .. execution
        redis.call('HSET', key, 'status', 'started', 'started_at', stamp, 'ended_at', '', 'last_heartbeat', stamp, 'worker_name', name)
        redis.call('PERSIST', key)
        redis.call('ZADD', running_key(queue), now + ttl, member)
        redis.call('HSET', P .. ':execution:' .. member, 'id', execution, 'job_id', id, 'created_at', exact(now),
          'last_heartbeat', exact(now), 'worker_name', name)
        redis.call('EXPIRE', P .. ':execution:' .. member, ttl + 3600)
        redis.call('ZADD', P .. ':executions:' .. id, now + ttl + 60, execution)
        redis.call('EXPIRE', P .. ':executions:' .. id, ttl + 3600)
        redis.call('SADD', held_key(name), member)
        redis.call('EXPIRE', held_key(name), ttl + 3600)
        if redis.call('EXISTS', worker_key(name)) == 1 then
          redis.call('HSET', worker_key(name), 'state', 'busy', 'current_job', id)
        end
        return answer(queue, member)
      end
      id = redis.call('LPOP', queue_key(queue))
    end
  end
end
return open
"""
"""worker, execution, ttl, queue...: the first job of the first open queue, or which queues are open.

A worker that holds an execution already (the answer to its last claim was lost) is given the same one again.
"""

SETTLE = f"""
local queue, member, outcome, error, name, result_key, seconds = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local id = split(member)
local key = job_key(id)
if not end_execution(queue, member) then return {{'fenced', redis.call('HGET', key, 'status') or ''}} end
local attempts = redis.call('HINCRBY', key, '{ATTEMPTS}', 1)
local facts = redis.call('HMGET', key, '{MAX_ATTEMPTS}', '{BACKOFF}', '{KEEP_S}')
redis.call('HSET', key, 'ended_at', stamp)
if redis.call('EXISTS', worker_key(name)) == 1 then
  redis.call('HINCRBY', worker_key(name), outcome == 'succeeded' and 'successful_job_count' or 'failed_job_count', 1)
  redis.call('HINCRBYFLOAT', worker_key(name), 'total_working_time', seconds)
end
if outcome == 'succeeded' then
  local keep = tonumber(facts[3] or 500)
  redis.call('HSET', key, 'status', 'finished')
  redis.call('HDEL', key, '{ERROR}')
  redis.call('ZADD', P .. ':finished:' .. queue, now + keep, id)
  redis.call('EXPIRE', key, keep)
  return {{'succeeded'}}
end
if outcome == 'failed' and attempts < tonumber(facts[1] or 1) then
  local waits = cjson.decode(facts[2] or '[0]')
  local due = now + (waits[math.min(attempts, #waits)] or 0)
  redis.call('HSET', key, 'status', 'scheduled', '{ERROR}', error, '{QUEUED_AT}', exact(due))
  redis.call('ZADD', P .. ':scheduled:' .. queue, exact(due), id)
  return {{'failed'}}
end
bury(queue, id, error)
if #ARGV > 8 then
  redis.call('XADD', result_key, 'MAXLEN', 10, '*', unpack(ARGV, 9))
  redis.call('EXPIRE', result_key, {DEAD_TTL_S})
end
return {{'dead'}}
"""
"""queue, job:execution, succeeded|failed|hopeless, error, worker, result key, seconds, result field, value...: what became of the job."""

LOSE = """
local name, queue, member, loss = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
if redis.call('EXISTS', worker_key(name)) == 1 then redis.call('HSET', worker_key(name), 'state', 'idle') end
if not end_execution(queue, member) then return '' end
return put_back(queue, (split(member)), loss)
"""
"""worker, queue, job:execution, loss: the worker is idle again; if its execution did not end by itself, the job goes back."""

GIVE_BACK = """
local name, loss = ARGV[2], tonumber(ARGV[3])
local events = {}
for _, queue in ipairs(queue_names()) do
  for _, member in ipairs(redis.call('ZRANGE', running_key(queue), 0, -1)) do
    local execution = P .. ':execution:' .. member
    if redis.call('HGET', execution, 'worker_name') == name or redis.call('SISMEMBER', held_key(name), member) == 1 then
      end_execution(queue, member)
      local id = split(member)
      if is_lost(queue, id) then events[#events + 1] = event(queue, id, put_back(queue, id, loss)) end
    end
  end
  redis.call('SREM', P .. ':workers:' .. queue, worker_key(name))
end
redis.call('SREM', P .. ':workers', worker_key(name))
redis.call('DEL', worker_key(name), held_key(name))
return events
"""
"""worker, loss: unregisters a worker that is gone; answers id, queue, handler, outcome of what it was running."""

SWEEP = f"""
local stuck_after, settled_after, lease = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local events = {{}}

local function count_from_now(queue)
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', running_key(queue), now + lease, '+inf')) do
    redis.call('ZADD', running_key(queue), now + lease, member)
  end
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. ':scheduled:' .. queue, now, '+inf')) do
    local facts = redis.call('HMGET', job_key(id), '{HANDLER}', '{ATTEMPTS}', '{BACKOFF}')
    if facts[1] then
      local waits = cjson.decode(facts[3] or '[0]')
      local due = now + (waits[math.min(tonumber(facts[2] or 1), #waits)] or 0)
      if redis.call('ZADD', P .. ':scheduled:' .. queue, 'XX', 'CH', 'LT', exact(due), id) == 1 then
        redis.call('HSET', job_key(id), '{QUEUED_AT}', exact(due))
      end
    end
  end
end

local swept = redis.call('HMGET', 'levqor:swept', 'last', 'since')
local last, since = tonumber(swept[1] or now), tonumber(swept[2] or 0)
if now < last or now - last > settled_after then since = now end
redis.call('HSET', 'levqor:swept', 'last', exact(now), 'since', exact(since))
if now < last then
  for _, queue in ipairs(queue_names()) do count_from_now(queue) end
end
if ARGV[5] == '0' or now - since < settled_after then return events end

for _, queue in ipairs(queue_names()) do
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', running_key(queue), '-inf', now, 'LIMIT', 0, 1000)) do
    local id = split(member)
    end_execution(queue, member)
    if is_lost(queue, id) then events[#events + 1] = event(queue, id, put_back(queue, id, 1)) end
  end
  local popped = queue_key(queue) .. ':intermediate'
  local seen_key = 'levqor:popped:' .. queue
  local waiting = redis.call('LRANGE', popped, 0, 999)
  if #waiting > 0 then
    local running = {{}}
    for _, member in ipairs(redis.call('ZRANGE', running_key(queue), 0, -1)) do running[(split(member))] = true end
    local seen = {{}}
    for _, id in ipairs(waiting) do
      local status = redis.call('HGET', job_key(id), 'status')
      if not status then
        redis.call('LREM', popped, 1, id)
      elseif not running[id] and status == 'queued' then
        local first = redis.call('HGET', seen_key, id) or exact(now)
        if now - tonumber(first) >= stuck_after then
          redis.call('LREM', popped, 1, id)
          events[#events + 1] = event(queue, id, put_back(queue, id, 0))
        else
          seen[#seen + 1] = id
          seen[#seen + 1] = first
        end
      end
    end
    redis.call('DEL', seen_key)
    if #seen > 0 then
      redis.call('HSET', seen_key, unpack(seen))
      redis.call('EXPIRE', seen_key, 3600)
    end
  end
end
return events
"""
"""stuck_after, settled_after, lease, 0|1: gives back executions whose heartbeat lapsed, and jobs that were popped and never started.

A clock that was set on, or a host that slept, makes every heartbeat look lapsed: living workers get `settled_after` to be
heard again, as after 0. A clock that was set back puts leases and retries hours away: they are counted from now.
"""

PROMOTE = f"""
local moved = 0
for i = 2, #ARGV do
  local queue = ARGV[i]
  local scheduled = P .. ':scheduled:' .. queue
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', scheduled, '-inf', now, 'LIMIT', 0, 10000)) do
    local key = job_key(id)
    if redis.call('EXISTS', key) == 0 then
      redis.call('ZREM', scheduled, id)
    elseif redis.call('HEXISTS', key, '{HANDLER}') == 1 then
      redis.call('ZREM', scheduled, id)
      redis.call('HSET', key, 'status', 'queued', 'enqueued_at', stamp)
      redis.call('RPUSH', queue_key(queue), id)
      moved = moved + 1
    end
  end
end
return moved
"""
"""queue...: puts Levqor's own retries that are due back on their queues; jobs that RQ's scheduler owns stay."""

BEAT = """
local name, ttl, queue, member, lease = ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5], tonumber(ARGV[6])
if redis.call('HEXISTS', worker_key(name), 'birth') == 0 then
  redis.call('HSET', worker_key(name), 'state', member == '' and 'idle' or 'busy', unpack(ARGV, 7))
end
redis.call('HSET', worker_key(name), 'last_heartbeat', stamp)
redis.call('EXPIRE', worker_key(name), ttl)
redis.call('SADD', P .. ':workers', worker_key(name))
for served in string.gmatch(redis.call('HGET', worker_key(name), 'queues') or '', '[^,]+') do
  redis.call('SADD', P .. ':workers:' .. served, worker_key(name))
end
if member == '' then return 'idle' end
local id, execution = split(member)
if not redis.call('ZSCORE', running_key(queue), member) then
  local known = redis.call('HMGET', job_key(id), 'status', 'worker_name')
  if known[1] == 'queued' or (known[1] == 'started' and known[2] ~= name) then return 'taken' end
  return 'settled'
end
redis.call('ZADD', running_key(queue), 'XX', now + lease, member)
redis.call('HSET', P .. ':execution:' .. member, 'last_heartbeat', exact(now))
redis.call('EXPIRE', P .. ':execution:' .. member, lease + 3600)
redis.call('ZADD', P .. ':executions:' .. id, now + lease + 60, execution)
redis.call('EXPIRE', P .. ':executions:' .. id, lease + 3600)
redis.call('SADD', held_key(name), member)
redis.call('EXPIRE', held_key(name), lease + 3600)
redis.call('HSET', job_key(id), 'last_heartbeat', stamp)
return 'held'
"""
"""worker, ttl, queue, job:execution or '', lease, field, value...: I live; `taken` where the job was given to another."""

DEAD_SINCE = f"""
local queue, first, last, since, since_stamp = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6]
local found = {{}}
local entries = redis.call('ZREVRANGE', failed_key(queue), first, last, 'WITHSCORES')
for at = 1, #entries, 2 do
  local known = redis.call('HMGET', job_key(entries[at]), '{DIED_AT}', 'ended_at')
  local died_at, ended_at = tonumber(known[1] or ''), known[2] or ''
  local is_older = died_at and died_at < since or not died_at and #ended_at == #since_stamp and ended_at < since_stamp
  if not is_older then
    found[#found + 1] = entries[at]
    found[#found + 1] = entries[at + 1]
  end
end
return found
"""
"""queue, first, last, since in seconds and as RQ writes it: ids and scores of a page, without those that surely died before. Reads only."""

REQUEUE_DEAD = f"""
local queue, batch, allow_foreign = ARGV[2], ARGV[3], ARGV[4] == '1'
local ids = {{unpack(ARGV, 5)}}
local fates, handlers, seen, stale, moved, rows = {{}}, {{}}, {{}}, {{}}, {{}}, {{}}
local scores = redis.call('ZMSCORE', failed_key(queue), unpack(ids))

local function judge(id, is_listed)
  if seen[id] then return 'skipped' end
  seen[id] = true
  local row = redis.call('HMGET', job_key(id), 'status', '{HANDLER}', '{BATCH}', '{FLUSHES}',
    'rate_limit_key', 'retries_left', 'retry_intervals', 'ttl')
  if row[3] == batch then return 'already' end
  if not is_listed then return 'skipped' end
  if row[1] ~= 'failed' and row[1] ~= 'stopped' then
    stale[#stale + 1] = id
    return 'skipped'
  end
  if not row[2] and (not allow_foreign or row[5]) then return 'foreign' end
  moved[#moved + 1] = id
  rows[#rows + 1] = row
  return 'moved'
end

local function refresh_foreign(key, row)
  local ttl = tonumber(row[8] or '') or 0
  for _, each in ipairs({{key, key .. ':dependents', key .. ':dependencies'}}) do
    if ttl > 0 then redis.call('EXPIRE', each, ttl) else redis.call('PERSIST', each) end
  end
  redis.call('HDEL', key, 'exc_info', 'number_of_retries')
  if row[6] then
    local is_list, intervals = pcall(cjson.decode, row[7] or '[]')
    local listed = is_list and type(intervals) == 'table' and #intervals or 0
    redis.call('HSET', key, 'retries_left', math.max(tonumber(row[6]) or 0, listed))
  end
end

for at, id in ipairs(ids) do fates[at] = judge(id, scores[at]) end
if #stale > 0 then redis.call('ZREM', failed_key(queue), unpack(stale)) end
if #moved > 0 then
  redis.call('ZREM', failed_key(queue), unpack(moved))
  redis.call('RPUSH', queue_key(queue), unpack(moved))
  redis.call('SADD', P .. ':queues', queue_key(queue))
end
local since = exact(now)
for at, id in ipairs(moved) do
  local key, row = job_key(id), rows[at]
  local handler = row[2] or ''
  redis.call('HSET', key, 'status', 'queued', 'enqueued_at', stamp, 'origin', queue, 'started_at', '', 'ended_at', '', 'worker_name', '',
    '{QUEUED_AT}', since, '{DIED_AT}', '', '{BATCH}', batch, '{FLUSHES}', (tonumber(row[4] or '') or 0) + 1,
    '{ATTEMPTS}', 0, '{LOSSES}', 0)
  if row[2] then redis.call('PERSIST', key) else refresh_foreign(key, row) end
  handlers[handler] = (handlers[handler] or 0) + 1
end
local counts = {{}}
for handler, count in pairs(handlers) do
  counts[#counts + 1] = handler
  counts[#counts + 1] = count
end
return {{redis.call('ZCARD', failed_key(queue)), fates, counts}}
"""
"""queue, batch, 0|1 (foreign ones too), id...: how many stay dead; the fate of each id; moved ones by handler.

Moved are only those that are dead by their own word and by the registry's. They start afresh: no attempt used, no loss counted,
and no expiry as long as they wait, save the one that their submitter set. RQ does not record how many retries a job of its own
had: it gets as many as it has intervals listed.
"""

QUARANTINE_DEAD = f"""
local queue, why = ARGV[2], ARGV[3]
local counts = {{}}
redis.call('ZREMRANGEBYSCORE', quarantine_key(queue), '-inf', now - {DEAD_TTL_S})
for i = 4, #ARGV do
  local id, key = ARGV[i], job_key(ARGV[i])
  if redis.call('EXISTS', key) == 1 and redis.call('ZREM', failed_key(queue), id) == 1 then
    redis.call('ZADD', quarantine_key(queue), exact(now), id)
    redis.call('HSET', key, '{QUARANTINED_AT}', exact(now), '{QUARANTINED_WHY}', why)
    redis.call('EXPIRE', key, {DEAD_TTL_S})
    counts[#counts + 1] = redis.call('HGET', key, '{HANDLER}') or ''
  end
end
return counts
"""
"""queue, why, id...: the handlers of those that were put apart. They stay dead, with their error, for a year, and no flush sees them."""

RELEASE_QUARANTINED = f"""
local queue, released = ARGV[2], 0
for i = 3, #ARGV do
  local id, key = ARGV[i], job_key(ARGV[i])
  if redis.call('ZREM', quarantine_key(queue), id) == 1 and redis.call('EXISTS', key) == 1 then
    redis.call('HDEL', key, '{QUARANTINED_AT}', '{QUARANTINED_WHY}', '{FLUSHES}', '{BATCH}')
    redis.call('EXPIRE', key, {DEAD_TTL_S})
    redis.call('ZADD', failed_key(queue), now + {DEAD_TTL_S}, id)
    released = released + 1
  end
end
return released
"""
"""queue, id...: back among the dead letters, as if never flushed; answers how many."""

DROP_DEAD = """
local queue, dropped = ARGV[2], 0
for i = 3, #ARGV do
  local id, key = ARGV[i], job_key(ARGV[i])
  local was_dead = redis.call('ZREM', failed_key(queue), id) + redis.call('ZREM', quarantine_key(queue), id)
  local known = redis.call('HMGET', key, 'status', 'group_id')
  if was_dead > 0 and (known[1] == 'failed' or known[1] == 'stopped') then
    if known[2] then redis.call('SREM', P .. ':group:' .. known[2], id) end
    redis.call('DEL', key, key .. ':dependents', key .. ':dependencies', P .. ':results:' .. id, P .. ':executions:' .. id)
    dropped = dropped + 1
  end
end
return dropped
"""
"""queue, id...: removes dead letters, quarantined or not, and all that is kept of them; answers how many."""


class Steps:
    """The steps, bound to one client and to the prefix of RQ's keys."""

    def __init__(self, client: "redis.Redis", prefix: str = DEFAULT_PREFIX) -> None:
        self._client = client
        self._prefix = prefix
        self._scripts: dict[str, Script] = {}

    def run(self, step: str, *arguments: Any) -> Any:
        """Runs one step. Broker trouble is the caller's."""
        if step not in self._scripts:
            self._scripts[step] = self._client.register_script(_SHARED + step)
        return self._scripts[step](args=[self._prefix, *arguments])


def flat(fields: Mapping[str, Any]) -> list[Any]:
    """Field, value, field, value...: as the steps take them."""
    return [part for pair in fields.items() for part in pair]


def text(value: Any) -> str:
    """What the broker answered, as text."""
    return value.decode() if isinstance(value, bytes) else str(value)

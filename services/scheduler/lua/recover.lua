-- Begins to rebuild a queue, or joins those who do it already. Until it is opened every other script refuses to work on it.
--
-- ARGV: a name for the session; 1 for a rebuild though the queue seems whole.
-- Answers: the session's name, empty where the queue is whole; 1 where what is left of the queue is to be removed first; the
-- sequence up to which JOBS was replayed (-1: not begun); when the queue was known to be whole, and up to which sequence all
-- that was submitted had been enqueued then (-1: not known); now.

local name, forced = ARGV[1], ARGV[2] == '1'

local key, run = prefix .. 'epoch', server_run()
local names = { 'epoch', 'run', 'session', 'session_run', 'clear', 'replayed', 'applied', 'acked' }
local found = {}
for position, value in ipairs(redis.call('HMGET', key, unpack(names))) do
  found[names[position]] = value or nil
end

local function answer()
  local function number(field)
    return tonumber(found[field] or -1)
  end
  return { found.session, number('clear') == 1 and 1 or 0, number('replayed'), number('applied'), number('acked'), now }
end

if found.session and found.session_run == run then
  return answer()
elseif found.run == run and not forced then
  return { '', 0, -1, -1, -1, now }
end
-- What was replayed before the server was lost once more is told by the same writes as the queue itself: it goes on from there.
if forced or not (found.epoch or found.session) then
  found.clear, found.replayed = '1', nil
  redis.call('HSET', key, 'clear', 1)
  redis.call('HDEL', key, 'replayed')
end
found.session = name
redis.call('HSET', key, 'session', name, 'session_run', run)
redis.call('HDEL', key, 'run')
return answer()

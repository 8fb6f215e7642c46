-- The server's process, and the rebuild that goes on.

local function server_run()
  return string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
end

-- Whether this session of a rebuild goes on, under the server that it was begun under.
local function goes_on(session)
  local found = redis.call('HMGET', prefix .. 'epoch', 'session', 'session_run')
  return found[1] == session and found[2] == server_run()
end

-- Forgets what is kept of a tenant beside its jobs, none of which is left.
--
-- ARGV: the tenant; then keys of its own, without the prefix.
-- Answers: how much there was.

local gone = redis.call('ZREM', prefix .. 'idle', ARGV[1])
gone = gone + redis.call('HDEL', prefix .. 'grants', ARGV[1]) + redis.call('HDEL', prefix .. 'weights', ARGV[1])
for position = 2, #ARGV do
  gone = gone + redis.call('DEL', prefix .. ARGV[position])
end
return gone

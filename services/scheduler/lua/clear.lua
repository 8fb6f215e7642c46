-- Removes what is left of a queue that is rebuilt from nothing, as long as nothing was replayed.
--
-- ARGV: the session; keys.
-- Answers: 1, or 0 where the session is over or has replayed something.

if not goes_on(ARGV[1]) or redis.call('HEXISTS', prefix .. 'epoch', 'replayed') == 1 then
  return 0
end
redis.call('UNLINK', unpack(ARGV, 2))
return 1

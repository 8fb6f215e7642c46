-- Adds to a ranking of callers, and keeps the first of it.
--
-- KEYS[1]  the ranking of a day
-- ARGV     for how many seconds it is kept, how many callers it keeps, then callers and how much to add to each

for index = 3, #ARGV, 2 do
    redis.call('ZINCRBY', KEYS[1], ARGV[index + 1], ARGV[index])
end
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - tonumber(ARGV[2]))
redis.call('EXPIRE', KEYS[1], ARGV[1])
return 1

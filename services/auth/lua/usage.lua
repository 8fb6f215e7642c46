-- Adds what was counted of a key's use on a day.
--
-- KEYS[1]  the day of the key
-- ARGV     for how many seconds it is kept, then outcomes and how many of each

for index = 2, #ARGV, 2 do
    redis.call('HINCRBY', KEYS[1], ARGV[index], ARGV[index + 1])
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
return 1

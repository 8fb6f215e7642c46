-- Counts a request in each of its windows, or in none of them where one is full; and once only, where it leaves a mark.
--
-- KEYS  the windows, all of one subject; behind them the mark, where there is one
-- ARGV  for how many milliseconds a mark stays, then the limit of each window
--
-- Answers with whether it was counted (1 or 0), then for each window how many are counted in it now, and in how many
-- milliseconds the oldest of them leave it (0 where there are none); or with -1 alone where the mark was there. What is
-- not counted leaves no mark, and may come again.
--
-- A window is a hash: under each second the requests counted in it, `used` their sum, `oldest` and `newest` the first and
-- the last of the seconds. SPAN seconds count, the oldest of them whole, so that no 60 s ever hold more than the limit.

local SPAN = 61
local now_ms = read_clock()
local now = math.floor(now_ms / 1000)

-- What a window holds, without the seconds that have left it.
local function look(key)
    local head = redis.call('HMGET', key, 'oldest', 'newest', 'used')
    local oldest, newest, used = tonumber(head[1]), tonumber(head[2]), tonumber(head[3])
    -- A clock that was set back further than a window spans has left nothing that can be counted by it.
    if newest and (newest <= now - SPAN or newest >= now + SPAN) then
        redis.call('DEL', key)
        newest = nil
    end
    if not newest then return { at = now, used = 0 } end
    local at = math.max(now, newest)
    if oldest <= at - SPAN then
        repeat
            local count = redis.call('HGET', key, oldest)
            if count then
                used = used - count
                redis.call('HDEL', key, oldest)
            end
            oldest = oldest + 1
        until oldest > at - SPAN and redis.call('HEXISTS', key, oldest) == 1 -- as `newest` does, at the latest
        redis.call('HSET', key, 'oldest', oldest, 'used', used)
    end
    return { at = at, oldest = oldest, used = used }
end

local function count(key, window)
    window.oldest = window.oldest or window.at
    window.used = window.used + 1
    if redis.call('HINCRBY', key, window.at, 1) == 1 then
        redis.call('HSET', key, 'oldest', window.oldest, 'newest', window.at, 'used', window.used)
        redis.call('EXPIRE', key, 2 * SPAN)
    else
        redis.call('HSET', key, 'used', window.used)
    end
end

local mark = KEYS[#ARGV]
if mark and redis.call('EXISTS', mark) == 1 then return { -1 } end
local windows, free = {}, true
for index = 1, #ARGV - 1 do
    windows[index] = look(KEYS[index])
    free = free and windows[index].used < tonumber(ARGV[index + 1])
end
if free and mark then redis.call('SET', mark, '', 'PX', ARGV[1]) end
local answer = { free and 1 or 0 }
for index, window in ipairs(windows) do
    if free then count(KEYS[index], window) end
    answer[#answer + 1] = window.used
    answer[#answer + 1] = window.oldest and (window.oldest + SPAN) * 1000 - now_ms or 0
end
return answer

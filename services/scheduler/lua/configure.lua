-- Sets the rules of a queue. What was counted stays; whatever is parked is looked at again by the new rules.
--
-- ARGV: limits and breaker (JSON); the weights (JSON, by tenant).

local settings = cjson.decode(ARGV[1])
local packed = redis.call('GET', prefix .. 'rules')
local before = packed and cmsgpack.unpack(packed) or {}
settings.digest, settings.version = redis.sha1hex(ARGV[1]), before.version or 0
if settings.digest ~= before.digest then
  settings.version = settings.version + 1
end
redis.call('SET', prefix .. 'rules', cmsgpack.pack(settings))

local weights = {}
for tenant, weight in pairs(cjson.decode(ARGV[2])) do
  weights[#weights + 1] = tenant
  weights[#weights + 1] = weight
end
redis.call('DEL', prefix .. 'weights')
if #weights > 0 then
  redis.call('HSET', prefix .. 'weights', unpack(weights))
end
redis.call('ZUNIONSTORE', prefix .. 'parked', 1, prefix .. 'parked', 'WEIGHTS', 0)
return 1

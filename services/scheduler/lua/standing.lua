-- What is suspended, by the newest word about it: a tenant, or one lane of it.
--
--   suspended      by tenant that is: why, since when, and the revision of the word that said so
--   held           the same by `<tenant>:<lane>`
--   lifted:<what>  by tenant, or `<tenant>:<lane>`: the revision of the word that lifted it, while an older one may be on its way

local function suspensions_key(lane)
  return prefix .. (lane ~= '' and 'held' or 'suspended')
end

local function name_of(tenant, lane)
  return lane ~= '' and tenant .. ':' .. lane or tenant
end

local function lifted_key(tenant, lane)
  return prefix .. 'lifted:' .. name_of(tenant, lane)
end

-- Whether the word is not older than the one before: replicas bring it, and one of them may be late.
local function is_news(tenant, lane, revision)
  local found = redis.call('HGET', suspensions_key(lane), name_of(tenant, lane))
  local known = found and cjson.decode(found).revision or redis.call('GET', lifted_key(tenant, lane))
  return revision >= tonumber(known or 0)
end

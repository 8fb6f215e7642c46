-- Whether a tenant is suspended, by the newest word about it.
--
--   suspended   by tenant that is: why, and since when
--   standings   by tenant that ever was: the revision of the word that was applied last

-- Notes the word, unless it is older than the one before: replicas bring it, and one of them may be late.
local function is_news(tenant, revision)
  if tonumber(redis.call('HGET', prefix .. 'standings', tenant) or 0) > revision then
    return false
  end
  redis.call('HSET', prefix .. 'standings', tenant, string.format('%d', revision))
  return true
end

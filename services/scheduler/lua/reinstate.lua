-- Takes a suspension back; what is paused stays so.
--
-- ARGV: the tenant; the revision of this word about it.

local tenant = ARGV[1]
if is_news(tenant, tonumber(ARGV[2])) and redis.call('HDEL', prefix .. 'suspended', tenant) == 1 then
  activate_all(tenant)
end
return 1

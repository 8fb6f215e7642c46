-- Tells all that is suspended.
--
-- Answers: by turns what is suspended, and how (JSON).

local found = redis.call('HGETALL', prefix .. 'suspended')
for _, text in ipairs(redis.call('HGETALL', prefix .. 'held')) do
  found[#found + 1] = text
end
return found

-- The tenants of whom answers are kept, as it was noted last.
--
-- KEYS  1 bytes in all by tenant

return redis.call('ZRANGE', KEYS[1], 0, -1)

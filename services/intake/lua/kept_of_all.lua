-- Notes how many bytes the records of tenants' ended jobs take; tells how many those of all take.
--
-- KEYS  1 the bytes by tenant, 2 their sum
-- ARGV  a tenant and its bytes, as often as there are tenants to note

return note_counts(KEYS[1], KEYS[2], 1)

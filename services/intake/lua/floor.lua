-- Notes up to which sequence the log has been applied. Only on a server that is known: on one that has lost what was
-- applied, the note would say that it had not.
--
-- KEYS  1 the floor
-- ARGV  1 the servers known, 2 the sequence
-- Answers the server's id where it is not known, else false.

local server = stranger(ARGV[1])
if not server then
    redis.call('SET', KEYS[1], ARGV[2])
end
return server

-- Which server this is. A server that was started again, or has taken over from another one, may lack the last writes or
-- all of them, and has another replication id: a primary makes itself one at its start and at its promotion. (Also when its
-- first replica comes, and an hour after its last one has gone: that costs a rebuild from the floor for nothing.) A run id
-- would miss the way back to a primary that had lived on.
-- `INFO replication` took 2.5 us in a script, `INFO server` 5.7 us.

-- The server's id where it is not among the known ones, else false.
local function stranger(known)
    local id = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
    return not string.find(known, id, 1, true) and id
end

"""The cache: answers of reads that serve again, and one call for identical reads at the same time.

Between a call that could be made and the call itself stands `cache.Cache`; `calls` makes those that nobody else makes.
What they go by: `entries` (whose answer it is, and what is kept of it), `ttls` (for how long), `store` and
`redis_store` (where answers and calls under way are found), `bodies` (what is too large for Redis), `flights` (who
waits for whom), `reach` (whether Redis is away), `bound` (how much all of it may take, and who gives room), `servicer`
(what forgets answers), `wiring`.

    {cache:<tenant>}:entry:<digest>   hash     an answer: when it was kept, its head, its body or where that lies
    {cache:<tenant>}:takes            hash     bytes of all, in Redis and in the object store, and their revision
    {cache:<tenant>}:used, :lapses    zset     answers by when they were used last, and by when they are over
    {cache:<tenant>}:known            hash     of each answer its bytes, where its body lies, whose it is
    {cache:<tenant>}:index            zset     answers by whose they are, in the order of connection, upstream, method
    {cache:<tenant>}:flights          hash     calls under way: who makes each, until when, whether others wait
    {cache}:noted, :redis, :total     hash, zsets   what each tenant's answers take, as it was noted last
    {cache}:sums                      hash     the same of all tenants
    {cache}:evicting                  string   there while a replica makes room
"""

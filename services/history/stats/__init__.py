"""Stats: counts and latencies of jobs over time, from buckets that are counted as jobs end."""

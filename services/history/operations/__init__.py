"""Operations: work that a call begins and that goes on after it (`google.longrunning`, AIP-151).

Read on in `domain`, `store`; then `operations` (begins and ends them), `worker` (takes their turns), `servicer`
(google.longrunning.Operations), `bulk` (CancelJobs and RetryJobs).
"""

"""From conditions to a folder of samples.

`requests` turns conditions into a request for a sampler of `inference`. `rejection_sampling` checks
each sample and samples again until the conditions are satisfied.

`sampling_run` describes a run and its batches. `run` keeps the samples in a folder that survives a
kill. `worker_count` chooses the number of processes, `workers` are these processes, and `shards`
are batches that other machines sampled. `condition_summary` counts how often each condition is
satisfied, and `results` holds samples for analysis. `infilling` completes partial crystals.
"""

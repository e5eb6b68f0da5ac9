"""The trace artefact `rlm_trace_v1`: an execution's journal as people, trainers and evaluations read it."""

//! Footer → prune → column chunk → page → batches.

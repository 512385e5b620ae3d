//! Load, apply, commit, publish: the one path of every change.

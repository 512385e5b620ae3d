//! Writes every billing transition as a coded line.

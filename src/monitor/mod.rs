//! The per-container process and its client side.

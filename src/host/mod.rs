//! What this machine can do, probed by outcome, with the hint when it cannot.

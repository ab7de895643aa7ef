//! System calls: signalfd and masks.

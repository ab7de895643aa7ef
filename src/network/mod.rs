//! What a container's network is made of.

pub mod hosts;
pub mod ports;
pub mod resolv;

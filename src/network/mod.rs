//! What a container's network is made of.
